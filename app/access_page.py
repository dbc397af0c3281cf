"""What a person who has signed in does about that: make a token for a program, and sign out."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import structlog
from flask import Blueprint, Flask, current_app, redirect, render_template, request
from flask.typing import ResponseReturnValue
from pydantic import TypeAdapter, ValidationError

from app.account import current_account, current_user
from app.api_tokens import LONGEST_PURPOSE, VALID_DAYS, Purpose, Token, api_tokens
from app.bodies import small_form
from predictions.record import utc_now

if TYPE_CHECKING:
    from app.settings import WebSettings

_SIGN_OUT_URL = "SIGN_OUT_URL"
# The load balancer cuts its cookie into pieces of 4 kB; there are four at most.
_SESSION_COOKIES = tuple(f"AWSELBAuthSessionCookie-{number}" for number in range(4))
_A_PURPOSE = TypeAdapter(Purpose)

bp = Blueprint("access", __name__)
log = structlog.get_logger()


def init_app(app: Flask, settings: WebSettings) -> None:
    """Add the routes where people sign in. The demo account can do neither."""
    if settings.identity_provider == "load-balancer":
        app.config[_SIGN_OUT_URL] = settings.sign_out_url
        app.register_blueprint(bp)


@bp.get("/api-tokens")
def tokens() -> ResponseReturnValue:
    """How a program gets in, and the form that makes a token."""
    return _page()


@bp.post("/api-tokens")
def make_token() -> ResponseReturnValue:
    """Make a token, and show it this once."""
    purpose = small_form(request).get("purpose", "")
    try:
        purpose = _A_PURPOSE.validate_python(purpose)
    except ValidationError:
        return _page(purpose=purpose, is_wrong=True), 422
    account = current_account()
    token = api_tokens().make(Token(account=account, made_by=current_user(), purpose=purpose))
    log.info("api_token_made", account=account)
    return _page(token=token, made_for=purpose)


@bp.post("/sign-out")
def sign_out() -> ResponseReturnValue:
    """Forget the load balancer's session, and go on to where the user pool ends its own."""
    response = redirect(current_app.config[_SIGN_OUT_URL], 303)
    for name in _SESSION_COOKIES:
        response.delete_cookie(name, secure=True, httponly=True, samesite="Lax")
    return response


def _page(*, purpose: str = "", is_wrong: bool = False, token: str = "", made_for: str = "") -> str:
    return render_template(
        "api_tokens.html",
        purpose=purpose,
        is_wrong=is_wrong,
        token=token,
        made_for=made_for,
        valid_days=VALID_DAYS,
        valid_until=utc_now() + timedelta(days=VALID_DAYS),
        longest_purpose=LONGEST_PURPOSE,
    )
