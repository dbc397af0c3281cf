"""Reads the body of a request: up to a limit, and never taken for whole when it is not.

Flask's own reading takes what came before a connection broke for all of it.
"""

from __future__ import annotations

import io
from collections.abc import Iterator

from flask import Request
from gunicorn.http.errors import ParseException
from werkzeug.datastructures import MultiDict
from werkzeug.exceptions import ClientDisconnected, RequestEntityTooLarge
from werkzeug.wsgi import get_input_stream

from app.problems import Problem

LONGEST_BODY_BYTES = 256 * 1024
"""Of every request but an upload: as much as the table keeps of an account's column matches."""

_CHUNK_BYTES = 256 * 1024


class Body:
    """A request's body, with an end that is checked.

    A WSGI server ends the stream in the same way when the client has sent all and when it is gone;
    only the announced length tells them apart.
    """

    def __init__(
        self, request: Request, max_bytes: int, *, too_large: Exception, incomplete: Problem
    ) -> None:
        # Not `request.stream`: past the limit it could not be drained.
        self._stream = get_input_stream(request.environ)
        self._announced = request.content_length
        self._max_bytes = max_bytes
        self._too_large = too_large
        self._incomplete = incomplete
        self._received = 0
        self._is_broken = False

    def chunks(self) -> Iterator[bytes]:
        """Yield the body as it comes. Raises `too_large` and `incomplete`."""
        if self._announced is not None and self._announced > self._max_bytes:
            raise self._too_large
        while chunk := self._read():
            yield chunk
            if self._received > self._max_bytes:
                raise self._too_large
        if self._announced is not None and self._received < self._announced:
            raise self._incomplete

    def drain(self, max_bytes: int) -> None:
        """Read up to `max_bytes` on: a sender sees no answer before it has sent all."""
        end = self._received + max_bytes
        if self._is_broken or (self._announced is not None and self._announced > end):
            return
        try:
            while self._received < end and self._read():
                pass
        except Problem:
            return

    def _read(self) -> bytes:
        try:
            chunk = self._stream.read(_CHUNK_BYTES)
        except (OSError, ValueError, ParseException, ClientDisconnected) as exc:
            # The connection broke, was silent or slow for too long, or its chunks make no sense.
            self._is_broken = True
            raise self._incomplete from exc
        self._received += len(chunk)
        return chunk


def small_body(request: Request) -> bytes:
    """Read a body that is no upload. Raises Problem or RequestEntityTooLarge."""
    body = Body(
        request,
        LONGEST_BODY_BYTES,
        too_large=RequestEntityTooLarge(),
        incomplete=Problem("bad-request", "The request did not arrive whole. Send it again."),
    )
    try:
        return b"".join(body.chunks())
    except Exception:
        body.drain(2 * LONGEST_BODY_BYTES)
        raise


def small_form(request: Request) -> MultiDict[str, str]:
    """Read a form without files. Raises what `small_body` raises."""
    request.environ["wsgi.input"] = io.BytesIO(small_body(request))
    return request.form
