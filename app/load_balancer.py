"""Who a person is: what the load balancer says of those whom it has signed in.

It says it in a header of every request that it forwards from them, as a JWT: in the JWT's header
who says so, for which client, and until when; in its payload the person's attributes in the user
pool. Its signature is not checked, because the keys are on the internet and this service is not:
why that is enough, and what must hold for it, is in docs/decisions/0006-signing-in.md.
"""

from __future__ import annotations

import time
from typing import Annotated, Any, Literal, NoReturn

import jwt
import structlog
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    TypeAdapter,
    ValidationError,
)

from app.problems import Problem
from predictions.record import AccountId
from predictions.refusals import shown

ACCOUNT_ATTRIBUTE = "custom:account"

_AN_ACCOUNT = TypeAdapter(AccountId)

log = structlog.get_logger()


class Person(BaseModel, frozen=True):
    """Somebody who has signed in."""

    account: AccountId
    name: str


class _Read(BaseModel):
    model_config = ConfigDict(strict=True, hide_input_in_errors=True)


class _Header(_Read):
    alg: Literal["ES256"]
    signer: str
    client: str
    exp: int = Field(description="Unix time, seconds. It stands here, where PyJWT expects none.")


# As long as the user pool lets one be. With a limit, pydantic also sees that it is Unicode.
_Attribute = Annotated[str, StringConstraints(max_length=2048)]


class _Claims(_Read):
    sub: _Attribute = Field(min_length=1)
    username: _Attribute | None = None
    email: _Attribute | None = None
    account: Any = Field(None, alias=ACCOUNT_ATTRIBUTE)


class LoadBalancer:
    """The one load balancer that is believed, and its client at the user pool."""

    def __init__(self, *, arn: str, client: str) -> None:
        self._arn = arn
        self._client = client

    def person(self, said: str | None) -> Person:
        """Read what it says. Raises Problem (unauthenticated, no-account)."""
        if said is None:
            _refuse("missing")
        try:
            # Also a second header beside the first ends here: a comma is in no token.
            token = jwt.decode_complete(
                said, options={"verify_signature": False, "verify_exp": True}
            )
            header = _Header.model_validate(token["header"])
            claims = _Claims.model_validate(token["payload"])
        except jwt.ExpiredSignatureError:
            _refuse("expired")
        except (jwt.InvalidTokenError, ValidationError):
            _refuse("malformed")
        if header.signer != self._arn:
            _refuse("other-signer")
        if header.client != self._client:
            _refuse("other-client")
        if header.exp <= time.time():
            _refuse("expired")
        name = shown(claims.email or claims.username or claims.sub)
        try:
            account = _AN_ACCOUNT.validate_python(claims.account)
        except ValidationError:
            log.warning("sign_in_refused", reason="no-account")
            raise Problem(
                "no-account",
                f"You are signed in as “{name}”, but this user has no account yet. Whoever "
                "manages your users sets it, as the user's attribute "
                f"`{ACCOUNT_ATTRIBUTE}` in the user pool. Then sign out and in again.",
            ) from None
        return Person(account=account, name=name)


def _refuse(reason: str) -> NoReturn:
    log.warning("sign_in_refused", reason=reason)
    raise Problem(
        "unauthenticated",
        "It is not known who you are: what signing in says of you is missing, too old or of "
        "another service. Load the page again; if that does not help, sign out and in again.",
    ) from None
