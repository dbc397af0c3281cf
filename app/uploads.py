"""Takes the file out of a request as a stream: pulled a chunk at a time, never held whole.

Werkzeug's own form parser would spool the file to disk before the first byte went to S3. Here the
multipart decoder is fed from the request as S3 asks for more.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from flask import Request
from werkzeug.exceptions import RequestEntityTooLarge
from werkzeug.http import parse_options_header
from werkzeug.sansio.multipart import Data, Epilogue, Field, File, MultipartDecoder, NeedData

from app.bodies import Body
from app.filters import size
from app.problems import Problem

FILE_FIELD = "file"
UNNAMED = "upload.csv"
LONGEST_NAME = 255

_FORM_BYTES = 1024 * 1024  # what a form may hold beside its file
_MOST_PARTS = 20


@dataclass(frozen=True)
class Upload:
    """A file on its way in: what it was called, and its bytes as they come."""

    name: str
    chunks: Iterator[bytes]


@contextmanager
def incoming(request: Request, max_bytes: int) -> Iterator[Upload]:
    """Give the file of a request: part `file` of a form, or a whole text/csv body.

    Raises Problem; reading `Upload.chunks` raises it too, when the file turns out larger than
    `max_bytes` or the request ends too early.
    """
    body = Body(
        request,
        max_bytes + _FORM_BYTES,
        too_large=_too_large(max_bytes),
        incomplete=Problem("incomplete-upload", "The file did not arrive whole. Send it again."),
    )
    try:
        name, chunks = _find_file(request, body)
        yield Upload(_clean(name), _limited(chunks, max_bytes))
    except Exception:
        # A file somewhat too large is heard to its end; one far too large is cut off.
        body.drain(2 * max_bytes)
        raise


def _find_file(request: Request, body: Body) -> tuple[str, Iterator[bytes]]:
    if request.content_encoding not in {None, "identity"}:
        raise Problem(
            "unsupported-media-type", "Send the file as it is, without a Content-Encoding."
        )
    if request.mimetype == "text/csv":
        disposition = request.headers.get("Content-Disposition", "")
        name = request.args.get("name") or parse_options_header(disposition)[1].get("filename")
        return name or UNNAMED, body.chunks()
    if request.mimetype == "multipart/form-data":
        boundary = request.mimetype_params.get("boundary", "")
        if not boundary:
            raise Problem("bad-request", "The form's Content-Type names no boundary.")
        form = _Form(boundary, body.chunks())
        return form.find_file(), form.file_chunks()
    raise Problem(
        "unsupported-media-type",
        f"Send the file as part `{FILE_FIELD}` of multipart/form-data, or alone as text/csv.",
    )


class _Form:
    """The events of a multipart form, read up to its file, through it, and to the end."""

    def __init__(self, boundary: str, body: Iterator[bytes]) -> None:
        self._decoder = MultipartDecoder(
            boundary.encode(), max_form_memory_size=_FORM_BYTES, max_parts=_MOST_PARTS
        )
        self._body = body

    def find_file(self) -> str:
        for event in self._events():
            if isinstance(event, (File, Field)) and event.name == FILE_FIELD:
                # A browser sends a part without a name when no file was chosen.
                return (event.filename if isinstance(event, File) else "") or UNNAMED
        raise Problem("missing-file", f"The form has no part called `{FILE_FIELD}`.")

    def file_chunks(self) -> Iterator[bytes]:
        events = self._events()
        for event in events:
            if isinstance(event, Data):
                if event.data:
                    yield event.data
                if not event.more_data:
                    break
        for event in events:  # to the end: only then it is known that nothing was cut off
            if isinstance(event, (File, Field)) and event.name == FILE_FIELD:
                raise Problem("bad-request", "The form has two files. Send one at a time.")

    def _events(self) -> Iterator[object]:
        while True:
            try:
                event = self._decoder.next_event()
                if isinstance(event, NeedData):
                    self._decoder.receive_data(next(self._body, None))
                    continue
            except RequestEntityTooLarge:
                raise Problem("bad-request", "The form has more than a file in it.") from None
            except ValueError as exc:
                if isinstance(exc, UnicodeDecodeError) and self._made_readable(exc.object):
                    continue
                raise Problem(
                    "incomplete-upload", "The form breaks off or is not well formed. Send it again."
                ) from None
            yield event
            if isinstance(event, Epilogue):
                return

    def _made_readable(self, line: bytes) -> bool:
        """Keep what can be read of a name that is not in UTF-8: some programs send it as it is."""
        if line not in self._decoder.buffer:
            return False
        readable = line.decode(errors="replace").encode()
        self._decoder.buffer = self._decoder.buffer.replace(line, readable, 1)
        return True


def _limited(chunks: Iterator[bytes], max_bytes: int) -> Iterator[bytes]:
    received = 0
    for chunk in chunks:
        received += len(chunk)
        if received > max_bytes:
            raise _too_large(max_bytes)
        yield chunk


def _clean(name: str) -> str:
    """Make a name fit to be shown: no folders, nothing invisible, not too long."""
    base = name.replace("\\", "/").rpartition("/")[2]
    # Category C is control, format (which may turn the direction of writing), and surrogates.
    shown = "".join(char for char in base if unicodedata.category(char)[0] != "C").strip()
    return shown[:LONGEST_NAME] or UNNAMED


def _too_large(max_bytes: int) -> Problem:
    return Problem(
        "file-too-large", f"A file may have {size(max_bytes)} at most. Split it and send the parts."
    )
