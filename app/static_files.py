"""Static files are kept by browsers for long, under an address that changes with their content."""

from __future__ import annotations

import hashlib
from functools import cache
from http import HTTPStatus
from pathlib import Path
from typing import Any

from flask import Flask, Response, request

_VERSION = "v"
_FOR_LONG = "public, max-age=31536000, immutable"  # a year


def init_app(app: Flask) -> None:
    """Add the content's hash to every `url_for("static", …)`, and let what carries it be kept."""
    folder = Path(app.static_folder or "")

    def add_version(endpoint: str, values: dict[str, Any]) -> None:
        if endpoint == "static" and (version := _version(folder / values["filename"])):
            values[_VERSION] = version

    def set_age(response: Response) -> Response:
        # One that was refused may not be looked at: its name may lead out of the folder.
        if request.endpoint == "static" and response.status_code < HTTPStatus.BAD_REQUEST:
            version = _version(folder / (request.view_args or {})["filename"])
            is_current = version is not None and request.args.get(_VERSION) == version
            # Without its hash, or with that of another release, it is asked for each time.
            response.headers["Cache-Control"] = _FOR_LONG if is_current else "no-cache"
        return response

    app.url_defaults(add_version)
    app.after_request(set_age)


def _version(path: Path) -> str | None:
    """Return the hash of a file's content, in short; None where there is no file."""
    try:
        changed_ns = path.stat().st_mtime_ns
    except OSError:
        return None
    return _hash(path, changed_ns)


@cache
def _hash(path: Path, _changed_ns: int) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()[:12]
