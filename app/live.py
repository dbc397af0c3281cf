"""What changes on an open page while a prediction is unfinished: as server-sent events, or polled.

A page names its shape (`shape_of`: which predictions it shows, and whether any is unfinished) in
the addresses that it asks here. While the shape holds, the answer is the parts of the page that
changed, as HTML which htmx puts into their places by id. When it no longer holds (one ended, was
deleted, or a new one came), the answer is a part that fetches the page anew, and the stream ends.

A stream holds a thread for as long as a page is open, and threads are scarce: at most half of them
are given to streams, and a page that gets none asks every few seconds instead.
"""

from __future__ import annotations

import hashlib
import selectors
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import cast

import structlog
from boto3.exceptions import Boto3Error
from botocore.exceptions import BotoCoreError, ClientError
from flask import (
    Blueprint,
    Flask,
    Response,
    current_app,
    render_template,
    request,
    stream_with_context,
    url_for,
)

from app import actions
from app.problems import RETRY_AFTER_S, Problem, respond
from app.server import IS_STOPPING, THREADS
from predictions.errors import NotFound, UnreadableRecord
from predictions.record import UNFINISHED, Prediction

TICK_S = 1.0
"""Between two looks at the records; also how long a stream outlives a page or a SIGTERM."""
HEARTBEAT_S = 10.0
"""The longest silence: a proxy or load balancer takes a connection for dead after some 60 s."""
LONGEST_S = 300.0
"""After this a stream ends and the browser opens another: no forgotten one stays for days."""
RECONNECT_MS = 1000
MOST_STREAMS = THREADS // 2

PLACES = "retainwise.stream_places"

log = structlog.get_logger()
bp = Blueprint("live", __name__)


@dataclass(frozen=True)
class View:
    """One page as it is followed: what it shows, and how its parts are written."""

    page: str
    """Its address."""
    parts: str
    """The template of its parts."""
    read: Callable[[], tuple[Prediction, ...]]
    """The predictions that it shows now. Raises NotFound."""

    def write(self, shown: Sequence[Prediction], changed: Sequence[Prediction]) -> str:
        """Return the parts of those that changed."""
        return render_template(self.parts, shown=shown, changed=changed)

    def write_anew(self) -> str:
        """Return the part that makes the page fetch itself."""
        return render_template("_anew.html", page=self.page)


def init_app(app: Flask) -> None:
    """Give the application its places for streams."""
    app.extensions[PLACES] = threading.BoundedSemaphore(MOST_STREAMS)


def shape_of(shown: Sequence[Prediction]) -> str:
    """Return a short text that changes when a page must be fetched anew."""
    is_live = any(prediction.status in UNFINISHED for prediction in shown)
    attempts = (f"{prediction.id}/{prediction.attempt}" for prediction in shown)
    return hashlib.sha256(" ".join([str(is_live), *attempts]).encode()).hexdigest()[:12]


@bp.errorhandler(NotFound)
def _say_it_is_gone(_error: NotFound) -> Response:
    """Give the page that says so, to be shown in place of the one that is open."""
    response = respond(Problem("not-found", "There is no such prediction in your account."))
    response.headers.update({f"HX-{name}": "#main" for name in ("Retarget", "Reselect")})
    response.headers["HX-Reswap"] = "outerHTML"
    return response


@bp.get("/predictions/<prediction_id>/events")
def follow_one(prediction_id: str) -> Response:
    """Stream what changes on a prediction's page."""
    return _streamed(_one(prediction_id))


@bp.get("/predictions/<prediction_id>/parts")
def ask_one(prediction_id: str) -> str:
    """Say once what changes on a prediction's page."""
    return _asked(_one(prediction_id))


@bp.get("/predictions/events")
def follow_list() -> Response:
    """Stream what changes on a page of the list."""
    return _streamed(_list())


@bp.get("/predictions/parts")
def ask_list() -> str:
    """Say once what changes on a page of the list."""
    return _asked(_list())


def _one(prediction_id: str) -> View:
    return View(
        page=url_for("pages.show", prediction_id=prediction_id),
        parts="_prediction_parts.html",
        read=lambda: (actions.owned(prediction_id),),
    )


def _list() -> View:
    status, cursor = request.args.get("status"), request.args.get("cursor")
    return View(
        page=url_for("pages.index", status=status, cursor=cursor),
        parts="_list_parts.html",
        read=lambda: actions.listed(request).predictions,
    )


def _asked(view: View) -> str:
    shown = view.read()
    if shape_of(shown) != request.args.get("shape"):
        return view.write_anew()
    return view.write(shown, shown)


def _streamed(view: View) -> Response:
    shown = view.read()  # what cannot be read is an answer of its own, not a stream that breaks off
    places = cast("threading.BoundedSemaphore", current_app.extensions[PLACES])
    if not places.acquire(blocking=False):
        raise Problem(
            "unavailable",
            "Too many pages are followed live; this one asks instead.",
            retry_after_s=RETRY_AFTER_S,
        )
    body = _events(view, shown, request.environ.get("gunicorn.socket"))
    response = Response(stream_with_context(body), mimetype="text/event-stream")
    response.headers["X-Accel-Buffering"] = "no"
    response.call_on_close(places.release)
    return response


def _events(
    view: View, shown: tuple[Prediction, ...], connection: socket.socket | None
) -> Iterator[str]:
    """Yield an event for each change, until the page is fetched anew or nobody listens."""
    shape, began = request.args.get("shape"), time.monotonic()
    is_stopping: Callable[[], bool] = current_app.extensions.get(IS_STOPPING, lambda: False)
    if connection is not None:
        connection.settimeout(HEARTBEAT_S)  # one that takes no more must not hold the thread
    seen: dict[str, object] = {}
    yield f"retry: {RECONNECT_MS}\n\n"
    said = began
    while True:
        if shape_of(shown) != shape:
            yield _event(view.write_anew()) + "event: end\ndata:\n\n"
            return
        changed = [one for one in shown if seen.get(one.id) != _visible(one)]
        if changed:
            yield _event(view.write(shown, changed))
            seen = {one.id: _visible(one) for one in shown}
            said = time.monotonic()
        elif time.monotonic() - said >= HEARTBEAT_S:
            yield ":\n\n"
            said = time.monotonic()
        if _is_closed(connection, TICK_S) or is_stopping():
            return
        if time.monotonic() - began >= LONGEST_S:
            return
        try:
            shown = view.read()
        except NotFound:
            shown = ()
        except (ClientError, BotoCoreError, Boto3Error, UnreadableRecord) as exc:
            # The browser opens another stream, and asks until it gets one.
            log.warning("stream_ended_early", error=type(exc).__name__)
            return


def _visible(prediction: Prediction) -> object:
    """Return what of a record the pages show while its attempt is under way."""
    return prediction.status, prediction.rows_done, prediction.fraction_done


def _event(html: str) -> str:
    """Write one event; each line of its data has a name before it."""
    lines = "".join(f"data: {line}\n" for line in html.splitlines() if line.strip())
    return f"event: parts\n{lines}\n"


def _is_closed(connection: socket.socket | None, wait_s: float) -> bool:
    """Wait, and say whether the other side has closed the connection; at once when it does."""
    if connection is None:  # another server than ours: a failed write will tell
        time.sleep(wait_s)
        return False
    with selectors.DefaultSelector() as selector:
        selector.register(connection, selectors.EVENT_READ)
        if not selector.select(wait_s):
            return False
    try:
        if not connection.recv(1, socket.MSG_PEEK):
            return True
    except OSError:
        return True
    time.sleep(wait_s)  # it sent something more, which is not for us to read
    return False
