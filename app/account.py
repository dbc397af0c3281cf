"""Whose request it is: the one seam between an identity provider and everything else.

`demo` gives every caller the same account. That is safe only where nobody but the person at this
machine can call, so it is refused on any address but a loopback one, and so is a request whose
Host is not a loopback name: a web page elsewhere could point a name of its own at 127.0.0.1.

`load-balancer` has two doors with one kind of key each. On the pages it knows people, by what the
load balancer that signed them in says of them; at the API it knows programs, by their tokens. The
load balancer lets a token in without asking who sends it, so at the API nothing that claims to come
from the load balancer is read: docs/decisions/0006-signing-in.md.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import structlog
from flask import Flask, g, request
from werkzeug.exceptions import MethodNotAllowed
from werkzeug.middleware.proxy_fix import ProxyFix

from app.api_tokens import API_TOKENS, ApiTokens, BadToken, api_tokens
from app.load_balancer import LoadBalancer
from app.loopback import is_loopback
from app.problems import Problem
from predictions.settings import SettingsError

if TYPE_CHECKING:
    from pydantic import SecretStr

    from app.settings import WebSettings

DEMO_ACCOUNT = "demo"
DEMO_USER = "demo"

_DEMO_PLACES = "demo is allowed on 127.0.0.0/8, ::1 and localhost"
_API = "/api/"
_SIGNED_IN = "X-Amzn-Oidc-Data"
_FOR_ANYBODY = frozenset(
    {"static", "health.healthz", "health.readyz", "api.document", "access.sign_out"}
)
"""What has no account's data, and what the load balancer asks for its own ends."""

log = structlog.get_logger()


@dataclass(frozen=True)
class Caller:
    """Who sends a request, and the account that it belongs to."""

    account: str
    user: str
    """As the account's people are shown it."""


def init_app(app: Flask, settings: WebSettings, bind_host: str) -> None:
    """Use the provider that the settings name. Raises SettingsError when it may not be used."""
    # Never by default: behind a proxy on this machine everybody would share the demo account.
    if settings.identity_provider is None:
        raise SettingsError(
            f"IDENTITY_PROVIDER: not set; {_DEMO_PLACES}, and load-balancer behind one"
        )
    if settings.identity_provider == "demo":
        _use_demo(app, bind_host)
    else:
        _use_load_balancer(app, settings)


def current_account() -> str:
    """Return the account that the request belongs to."""
    return _caller().account


def current_user() -> str:
    """Return who sends the request, as the account's people are shown it."""
    return _caller().user


def _caller() -> Caller:
    return cast("Caller", g.caller)


# ---- demo ----


def _use_demo(app: Flask, bind_host: str) -> None:
    if not is_loopback(bind_host):
        raise SettingsError(
            f"IDENTITY_PROVIDER: demo, and {bind_host} can be reached from other machines; "
            f"{_DEMO_PLACES}"
        )
    app.before_request(_let_demo_in)
    app.context_processor(lambda: {"account": DEMO_ACCOUNT, "is_demo": True})


# Flask's TRUSTED_HOSTS would do, but for [::1], which it cannot match.
def _let_demo_in() -> None:
    if not is_loopback(re.sub(r":\d+$", "", request.host)):
        raise Problem(
            "untrusted-host",
            "The demo account answers to localhost, 127.0.0.1 and [::1] only, whatever name "
            "leads here.",
        )
    g.caller = Caller(DEMO_ACCOUNT, DEMO_USER)


# ---- load-balancer ----


def _use_load_balancer(app: Flask, settings: WebSettings) -> None:
    load_balancer = LoadBalancer(  # the settings are checked: with this provider there are all
        arn=cast("str", settings.sign_in_load_balancer), client=cast("str", settings.sign_in_client)
    )
    app.extensions[API_TOKENS] = ApiTokens(cast("SecretStr", settings.session_secret))
    # TLS ends at the load balancer, which says so; it keeps the Host that was asked for.
    app.wsgi_app = ProxyFix(app.wsgi_app, x_for=0, x_proto=1)  # type: ignore[method-assign]

    def identify() -> None:
        is_for_nobody = isinstance(request.routing_exception, MethodNotAllowed)
        if is_for_nobody or request.endpoint in _FOR_ANYBODY:
            return
        g.caller = _program() if request.path.startswith(_API) else _person(load_balancer)

    app.before_request(identify)
    app.context_processor(_shown)


def _program() -> Caller:
    """Know a program by its token, and by nothing else."""
    given = request.authorization
    if given is None or given.type != "bearer" or not given.token:
        raise Problem(
            "unauthenticated",
            "The API asks for a token, sent as `Authorization: Bearer rw_…`. "
            "Whoever is signed in makes one on the page “API access”.",
        )
    try:
        token = api_tokens().read(given.token)
    except BadToken as exc:
        log.warning("token_refused", reason=exc.reason)
        raise Problem("unauthenticated", str(exc)) from None
    return Caller(token.account, f"{token.made_by} ({token.purpose})")


def _person(load_balancer: LoadBalancer) -> Caller:
    """Know a person by what the load balancer says, unless a program speaks."""
    # The load balancer forwards what has a token as it came, with every header in it.
    if "Authorization" in request.headers:
        raise Problem(
            "unauthenticated",
            "The pages are for people who sign in; they take no tokens. Programs use the API, "
            "under /api/.",
        )
    person = load_balancer.person(request.headers.get(_SIGNED_IN))
    return Caller(person.account, person.name)


def _shown() -> dict[str, object]:
    caller: Caller | None = g.get("caller")
    return {
        "account": caller and caller.account,
        "user": caller and caller.user,
        "is_demo": False,
    }
