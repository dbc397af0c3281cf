"""What holds for every request and every answer: no other site may act, frame or read.

Why there is no token in the forms: docs/decisions/0004-cross-site-requests.md.
"""

from __future__ import annotations

from http import HTTPStatus
from urllib.parse import urlsplit

from flask import Flask, Response, request

from app.loopback import is_loopback
from app.problems import Problem

_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
_POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self' data:; script-src 'self'; "
    "connect-src 'self'; form-action {}; frame-ancestors 'none'; base-uri 'none'"
)
_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}
_HTTPS_ONLY = "max-age=31536000"  # a year


def init_app(app: Flask, bind_host: str, sign_out_url: str | None = None) -> None:
    """Refuse what another site sends, and harden every answer.

    sign_out_url: where the form that signs out ends, on another site.
    """
    # No cookie of our own is set so far. The first one will be as strict as it can be.
    app.config.update(
        SESSION_COOKIE_SECURE=not is_loopback(bind_host),
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Lax",
    )
    targets = ["'self'"]
    if sign_out_url is not None:
        # Chromium asks this of every address that a form is redirected to.
        url = urlsplit(sign_out_url)
        targets.append(f"{url.scheme}://{url.netloc}")
    policy = _POLICY.format(" ".join(targets))

    def harden(response: Response) -> Response:
        response.headers["Content-Security-Policy"] = policy
        return _harden(response)

    app.before_request(_refuse_other_sites)
    app.after_request(harden)


def _refuse_other_sites() -> None:
    if request.method in _SAFE_METHODS or _is_ours():
        return
    raise Problem(
        "cross-site",
        "Changes are made from this service's own pages only. Programs use the API, under /api/.",
    )


def _is_ours() -> bool:
    """Tell whether the request proves that no page of another site sent it."""
    site = request.headers.get("Sec-Fetch-Site")
    origin = request.headers.get("Origin")
    if site is None and origin is None:
        # A browser sends one of them with every change. Only programs send neither, to the API.
        return request.endpoint is None or request.blueprint == "api"
    # An Origin of "null" has no host, so it is another site's. TLS may end before us.
    host = None if origin is None else origin.partition("://")[2].lower()
    return site in {None, "same-origin", "none"} and host in {None, request.host.lower()}


def _harden(response: Response) -> Response:
    response.headers.update(_HEADERS)
    if request.is_secure:
        response.headers["Strict-Transport-Security"] = _HTTPS_ONLY
    # All but the files that are the same for everybody may show an account's data.
    if request.endpoint != "static" or response.status_code >= HTTPStatus.BAD_REQUEST:
        response.headers["Cache-Control"] = "no-store"
    return response
