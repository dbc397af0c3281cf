"""What holds for every request and every answer: no other site may act, frame or read.

There are no cookies to steal; what is refused is another site's form posting to this one.
"""

from __future__ import annotations

from flask import Flask, Response, request

from app.problems import Problem

_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; img-src 'self' data:; script-src 'self'; "
        "connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}


def init_app(app: Flask) -> None:
    """Refuse what another site sends, and harden every answer."""
    app.before_request(_refuse_other_sites)
    app.after_request(_harden)


def _refuse_other_sites() -> None:
    if request.method in _SAFE_METHODS:
        return
    site = request.headers.get("Sec-Fetch-Site")
    origin = request.headers.get("Origin")
    # Programs send neither header. An Origin of "null" has no host, so it is another site's.
    if site in {"cross-site", "same-site"} or (
        origin is not None and origin.partition("://")[2].lower() != request.host.lower()
    ):
        raise Problem("cross-site", "Changes are made from this service's own pages only.")


def _harden(response: Response) -> Response:
    response.headers.update(_HEADERS)
    if request.endpoint != "static":  # everything else may show an account's data
        response.headers["Cache-Control"] = "no-store"
    return response
