"""Whom the load balancer's word makes known, and which words are not its own or not for us."""

from __future__ import annotations

import time

import jwt
import pytest
import structlog

from app.load_balancer import LoadBalancer
from app.problems import Problem
from predictions.refusals import SHOWN_CHARACTERS
from signed_in import CLAIMS, CLIENT, HEADER, LOAD_BALANCER, SIGNATURE, said_of, segment

OURS = LoadBalancer(arn=LOAD_BALANCER, client=CLIENT)
LATER = int(time.time()) + 3600
EARLIER = int(time.time()) - 1


def refusal(said):
    """The problem, and what the log says of it: never what was said."""
    with structlog.testing.capture_logs() as lines, pytest.raises(Problem) as refused:
        OURS.person(said)
    [line] = lines
    assert line["event"] == "sign_in_refused"
    for part in (said or "").split("."):
        assert len(part) < 8 or part not in str(lines) + str(refused.value.detail)
    assert refused.value.__cause__ is None
    assert refused.value.__suppress_context__
    return refused.value.code, line["reason"]


def test_who_has_signed_in_is_known_by_account_and_email():
    person = OURS.person(said_of("acme"))

    assert (person.account, person.name) == ("acme", "ada@acme.example")


@pytest.mark.parametrize(
    ("claims", "name"),
    [
        ({"email": None}, "ada"),
        ({"email": ""}, "ada"),
        ({"email": None, "username": None}, CLAIMS["sub"]),
        ({"email": "x" * 2000}, "x" * SHOWN_CHARACTERS + "…"),
    ],
)
def test_who_has_no_email_is_known_by_another_name(claims, name):
    assert OURS.person(said_of(claims=claims)).name == name


def test_the_parts_may_be_padded_or_not():
    said = said_of(claims={"email": "ab@acme.example"})
    assert "=" in said

    assert OURS.person(said) == OURS.person(said.replace("=", ""))


@pytest.mark.parametrize("account", ["a", "acme-2", "0" * 64])
def test_an_account_is_what_may_be_part_of_a_key(account):
    assert OURS.person(said_of(account)).account == account


@pytest.mark.parametrize(
    "account",
    [
        *(None, "", " ", "Acme", "acme/other", "../other", "acme\n", "ácme", "a" * 65, "a b"),
        *(7, True, ["acme"], {"a": 1}),
    ],
)
def test_who_has_no_account_is_told_who_sets_it(account):
    with pytest.raises(Problem) as refused:
        OURS.person(said_of(account))

    assert (refused.value.status, refused.value.code) == (403, "no-account")
    assert "“ada@acme.example”" in refused.value.detail
    assert "Whoever manages your users sets it" in refused.value.detail
    assert "`custom:account`" in refused.value.detail


@pytest.mark.parametrize(
    ("header", "claims", "reason"),
    [
        ({"signer": f"{LOAD_BALANCER}0"}, {}, "other-signer"),
        ({"signer": LOAD_BALANCER.upper()}, {}, "other-signer"),
        ({"signer": ""}, {}, "other-signer"),
        ({"client": "another"}, {}, "other-client"),
        ({"client": f"{CLIENT} "}, {}, "other-client"),
        ({"exp": EARLIER}, {}, "expired"),
        ({"exp": 0}, {}, "expired"),
        ({"exp": -LATER}, {}, "expired"),
        ({}, {"exp": EARLIER}, "expired"),
        ({"exp": EARLIER}, {"exp": LATER}, "expired"),
        ({"exp": None}, {"exp": LATER}, "malformed"),
        ({"exp": str(LATER)}, {}, "malformed"),
        ({"exp": LATER + 0.5}, {}, "malformed"),
        ({"exp": True}, {}, "malformed"),
        ({"exp": float("inf")}, {}, "malformed"),
        ({"exp": float("nan")}, {}, "malformed"),
        ({}, {"exp": float("inf")}, "malformed"),
        ({}, {"exp": float("nan")}, "malformed"),
        ({}, {"exp": "soon"}, "malformed"),
        ({}, {"exp": [LATER]}, "malformed"),
        ({"alg": "none"}, {}, "malformed"),
        ({"alg": "None"}, {}, "malformed"),
        ({"alg": "HS256"}, {}, "malformed"),
        ({"alg": None}, {}, "malformed"),
        ({"alg": ["ES256"]}, {}, "malformed"),
        ({"signer": None}, {}, "malformed"),
        ({"signer": [LOAD_BALANCER]}, {}, "malformed"),
        ({"signer": None}, {"signer": LOAD_BALANCER}, "malformed"),
        ({"client": None}, {"client": CLIENT}, "malformed"),
        ({"kid": 7}, {}, "malformed"),
        ({"b64": False, "crit": ["b64"]}, {}, "malformed"),
        ({}, {"sub": None}, "malformed"),
        ({}, {"sub": ""}, "malformed"),
        ({}, {"email": ["a@b.example"]}, "malformed"),
        ({}, {"email": "\ud800"}, "malformed"),
        ({}, {"email": "x" * 2049}, "malformed"),
    ],
)
def test_what_is_not_said_by_ours_or_for_us_or_now_counts_for_nothing(header, claims, reason):
    assert refusal(said_of(header=header, claims=claims)) == ("unauthenticated", reason)


def test_a_token_without_a_signature_is_none():
    without = ".".join(said_of().split(".")[:2])

    assert refusal(without) == ("unauthenticated", "malformed")


def test_one_that_pyjwt_signs_for_another_purpose_is_none():
    forged = jwt.encode(CLAIMS | {"custom:account": "acme"}, "k" * 32, headers={"client": CLIENT})

    assert refusal(forged) == ("unauthenticated", "malformed")


GOOD_HEADER = segment(HEADER | {"exp": LATER})
GOOD_CLAIMS = segment(CLAIMS | {"custom:account": "acme"})


@pytest.mark.parametrize(
    "said",
    [
        *("", " ", ".", "..", "...", "a.b.c", "null", "{}", "\x00", "ü.ü.ü", "=.=.="),
        *(f"{GOOD_HEADER}.{GOOD_CLAIMS}", f"{GOOD_HEADER}..{segment(SIGNATURE)}"),
        f"{segment([1])}.{GOOD_CLAIMS}.{segment(SIGNATURE)}",
        f"{GOOD_HEADER}.{segment([1])}.{segment(SIGNATURE)}",
        f"{GOOD_HEADER}.{segment(b'{')}.{segment(SIGNATURE)}",
        f"{GOOD_HEADER}.{segment(bytes(range(256)))}.{segment(SIGNATURE)}",
        f"{segment(b'[' * 20_000)}.{GOOD_CLAIMS}.{segment(SIGNATURE)}",
        f"{GOOD_HEADER}.{segment(b'[' * 20_000)}.{segment(SIGNATURE)}",
        f"{GOOD_HEADER}====.{GOOD_CLAIMS}.{segment(SIGNATURE)}",
        f"{GOOD_HEADER}!.{GOOD_CLAIMS}.{segment(SIGNATURE)}",
        f" {GOOD_HEADER}.{GOOD_CLAIMS}.{segment(SIGNATURE)}",
        f"Bearer {GOOD_HEADER}.{GOOD_CLAIMS}.{segment(SIGNATURE)}",
        "a" * 1_000_000,
        "." * 1_000_000,
    ],
)
def test_garbage_is_refused_in_the_same_way(said):
    assert refusal(said) == ("unauthenticated", "malformed")


def test_nothing_said_is_nobody():
    assert refusal(None) == ("unauthenticated", "missing")


@pytest.mark.parametrize("separator", [",", ", ", ";", "\n"])
def test_a_forged_word_beside_the_true_one_spoils_both(separator):
    # A server joins two headers of one name; neither place in the row may win.
    forged, true = said_of("victim"), said_of("acme")

    for said in (f"{forged}{separator}{true}", f"{true}{separator}{forged}"):
        assert refusal(said) == ("unauthenticated", "malformed")
