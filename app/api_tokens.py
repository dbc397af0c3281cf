"""API tokens: how a program that cannot sign in shows whose it is.

A token is a signed statement and is kept nowhere: who made it, what for, for which account, and
when. So there is no list of them and none ends alone; all end with the secret that signs them.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Annotated, cast

from flask import current_app
from itsdangerous import BadData, SignatureExpired, URLSafeTimedSerializer
from pydantic import AfterValidator, StringConstraints, ValidationError

from predictions.record import AccountId, Frozen

if TYPE_CHECKING:
    from pydantic import SecretStr

API_TOKENS = "retainwise.api_tokens"

PREFIX = "rw_"
"""Tells what it is to people, to scanners for lost secrets, and to the load balancer."""
VALID_DAYS = 90
LONGEST_PURPOSE = 60

_VALID_S = VALID_DAYS * 24 * 3600


def _printable(text: str) -> str:
    if not text.isprintable():
        raise ValueError("has characters that cannot be shown")
    return text


Purpose = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=LONGEST_PURPOSE),
    AfterValidator(_printable),
]


class Token(Frozen):
    """What a token says; when it was made is part of its signature."""

    account: AccountId
    made_by: str
    purpose: Purpose


class BadToken(Exception):
    """A token does not count; the text says why, for people. It never holds the token."""

    def __init__(self, reason: str, why: str) -> None:
        super().__init__(why)
        self.reason = reason


class ApiTokens:
    """Makes tokens and reads them."""

    def __init__(self, secret: SecretStr) -> None:
        self._serializer = URLSafeTimedSerializer(
            secret.get_secret_value(),
            salt="retainwise.api-token",
            signer_kwargs={"digest_method": hashlib.sha256, "key_derivation": "hmac"},
        )

    def make(self, token: Token) -> str:
        """Write a token, valid from now on."""
        return PREFIX + self._serializer.dumps(token.model_dump())

    def read(self, text: str) -> Token:
        """Read a token. Raises BadToken."""
        try:
            if not text.startswith(PREFIX):
                raise BadData("")
            content = self._serializer.loads(text.removeprefix(PREFIX), max_age=_VALID_S)
            return Token.model_validate(content)
        except SignatureExpired:
            raise BadToken(
                "expired", f"The API token is older than {VALID_DAYS} days. Make a new one."
            ) from None
        except (BadData, ValidationError):
            raise BadToken(
                "unknown",
                "The API token is not one of this service, or all tokens were ended since. "
                "Make a new one.",
            ) from None


def api_tokens() -> ApiTokens:
    """Return what makes and reads the tokens of the application that handles this request."""
    return cast("ApiTokens", current_app.extensions[API_TOKENS])
