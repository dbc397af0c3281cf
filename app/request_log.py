"""One line in the log for each request, under an id that problems show to people.

A line has the route and the status: no address, no file name, nothing a person sent. Each request
is a span, in its caller's trace where that sends one.
"""

from __future__ import annotations

import time
from typing import cast

import structlog
from flask import Flask, Response, g, request

from predictions import trace
from predictions.record import new_id

log = structlog.get_logger()


def init_app(app: Flask) -> None:
    """Give each request an id, and log it when its answer has been sent."""
    app.before_request(_begin)
    app.after_request(_log_when_sent)


def current_traceparent() -> str:
    """Return the trace context of the request's span."""
    return cast("str", g.traceparent)


def _begin() -> None:
    g.request_id = new_id()
    g.traceparent = trace.child_of(request.headers.get("traceparent"))
    g.started_s = time.monotonic()
    # Threads serve one request after the other: what the last one left must not stay.
    structlog.contextvars.bind_contextvars(request=g.request_id, traceparent=g.traceparent)


def _log_when_sent(response: Response) -> Response:
    line = {
        "method": request.method,
        "route": request.url_rule.rule if request.url_rule else None,
        "status": response.status_code,
        "parent_id": trace.span_id(request.headers.get("traceparent", "")),
    }
    started_s = g.started_s
    # The body of a download is read after Flask is done: its time counts too.
    response.call_on_close(
        lambda: log.info(
            "request_answered", **line, ms=round((time.monotonic() - started_s) * 1000)
        )
    )
    response.headers["X-Request-Id"] = g.request_id
    return response
