"""Which tokens count, for whom and how long."""

from __future__ import annotations

import time

import pytest
from itsdangerous import URLSafeTimedSerializer
from pydantic import SecretStr, ValidationError

from app.api_tokens import LONGEST_PURPOSE, PREFIX, VALID_DAYS, ApiTokens, BadToken, Token
from signed_in import SECRET, token

OURS = ApiTokens(SecretStr(SECRET))
DAY_S = 24 * 3600


def refusal(text):
    """Why it does not count; neither the error nor what led to it holds the token."""
    with pytest.raises(BadToken) as refused:
        OURS.read(text)
    assert len(text) < 8 or text not in repr(refused.value)
    assert refused.value.__suppress_context__
    return refused.value.reason


def test_a_token_says_whose_it_is_who_made_it_and_what_for():
    made = Token(account="acme", made_by="ada@acme.example", purpose="größe – nightly ☃")

    text = OURS.make(made)

    assert text.startswith(PREFIX)
    assert text.isascii()
    assert OURS.read(text) == made


def test_a_token_lasts_its_days_and_no_second_longer(monkeypatch):
    text, made_at = token(), int(time.time())

    monkeypatch.setattr(time, "time", lambda: made_at + VALID_DAYS * DAY_S)
    assert OURS.read(text).account == "acme"

    monkeypatch.setattr(time, "time", lambda: made_at + VALID_DAYS * DAY_S + 2)
    assert refusal(text) == "expired"


def test_a_token_from_the_future_is_none(monkeypatch):
    monkeypatch.setattr(time, "time", lambda: 4e9)
    text = token()
    monkeypatch.undo()

    assert refusal(text) == "expired"


def test_another_secret_ends_all_tokens():
    assert refusal(token(secret="another-secret-that-is-only-for-tests")) == "unknown"


def test_any_change_makes_it_nobody_s():
    text = token()
    for place in range(len(text) - 1):  # the last character holds bits that say nothing
        changed = text[:place] + ("A" if text[place] != "A" else "B") + text[place + 1 :]
        assert refusal(changed) == "unknown"
    [content, made_at, signature] = text.removeprefix(PREFIX).rsplit(".", 2)
    other = token("other").removeprefix(PREFIX).rsplit(".", 2)[0]
    assert refusal(f"{PREFIX}{other}.{made_at}.{signature}") == "unknown"
    assert refusal(f"{PREFIX}{content}.{made_at}AA.{signature}") == "unknown"


@pytest.mark.parametrize(
    "text",
    [
        *(
            "",
            PREFIX,
            "rw",
            "RW_x",
            f"{PREFIX}.",
            f"{PREFIX}..",
            f"{PREFIX}a.b.c",
            f"{PREFIX}ü.b.c",
        ),
        *(f"{PREFIX}\x00", f"{PREFIX}{'a' * 1_000_000}", f"{PREFIX}{'.' * 100_000}"),
        *(token().removeprefix(PREFIX), f" {token()}", f"{token()} ", f"{token()},{token()}"),
        token().upper(),
    ],
)
def test_garbage_is_no_token(text):
    assert refusal(text) == "unknown"


def test_what_the_secret_signs_for_another_purpose_is_no_token():
    content = {"account": "acme", "made_by": "a", "purpose": "b"}

    assert refusal(PREFIX + URLSafeTimedSerializer(SECRET).dumps(content)) == "unknown"


@pytest.mark.parametrize("content", [{}, [], None, "acme", {"account": "../x", "made_by": "a"}])
def test_a_signed_statement_of_another_form_is_no_token(content):
    assert refusal(PREFIX + OURS._serializer.dumps(content)) == "unknown"


@pytest.mark.parametrize(
    "purpose",
    ["", "  ", "x" * (LONGEST_PURPOSE + 1), "two\nlines", "\x00", "\N{RIGHT-TO-LEFT OVERRIDE}a"],
)
def test_a_purpose_is_something_short_that_can_be_read(purpose):
    with pytest.raises(ValidationError):
        Token(account="acme", made_by="ada", purpose=purpose)
