"""A client of the HTTP API, as anybody's program could be one.

It knows the service by its documented answers alone and needs nothing of Flask. A request is
repeated when it got no answer, or one that will pass (429, 502, 503, 504): submitting may be,
because it carries an Idempotency-Key, and everything else only reads.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import IO, Any, NoReturn
from urllib.parse import quote

from pydantic import BaseModel, Field, model_validator
from ulid import ULID
from urllib3 import BaseHTTPResponse, PoolManager, Retry, Timeout
from urllib3.exceptions import HTTPError
from urllib3.util import parse_url

from app.loopback import is_loopback
from predictions.record import UNFINISHED, Failure, PredictionId, Status, Summary
from predictions.unfinished import unfinished_in

SUBMIT_RETRIES = 5
"""About eight seconds where nothing listens: the address may be wrong."""
RETRIES = 35
"""About five minutes: the address is right, and a service that restarts will be back."""
LONGEST_RETRY_AFTER_S = 300

_A_TOKEN = re.compile(r"rw_[A-Za-z0-9_.-]+")
_BACKOFF_FACTOR_S = 0.25
_LONGEST_BACKOFF_S = 10
_PASSING = frozenset({429, 502, 503, 504})
# The first is also how long a service that is busy storing may take no more of a file.
_SUBMIT_TIMEOUT = Timeout(connect=30, read=120)
_TIMEOUT = Timeout(connect=10, read=30)
_FIRST_LOOK_S = 0.25
_LOOK_S = 2.0
_CHUNK_BYTES = 256 * 1024


class ServiceError(Exception):
    """The service is out of reach, failed, or is not RetainWise; the text is for people."""


class Refused(ServiceError):
    """The service says that what it was given is wrong."""


class Progress(BaseModel, frozen=True):
    """How far the scoring is."""

    fraction: float


class Answer(BaseModel, frozen=True):
    """What the API says of a prediction, as far as it is read here."""

    id: PredictionId
    status: Status
    rows: int | None
    rows_failed: int | None
    progress: Progress
    error: Failure | None
    summary: Summary | None
    model: str | None
    whole: dict[str, Any] = Field(description="The answer as it came.")

    @model_validator(mode="before")
    @classmethod
    def _keep_whole(cls, content: object) -> object:
        return {**content, "whole": content} if isinstance(content, dict) else content


class _MissingColumn(BaseModel):
    column: str
    nearest: str | None = None

    def __str__(self) -> str:
        return f"{self.column} (the file has “{self.nearest}”)" if self.nearest else self.column


class _Problem(BaseModel):
    """A refusal (RFC 9457) as far as a person wants to read it."""

    detail: str
    hint: str | None = None
    row: int | None = None
    column: str | None = None
    missing: tuple[_MissingColumn, ...] = ()

    def __str__(self) -> str:
        lines = [self.detail, *_place_and_hint(self.row, self.column, self.hint)]
        # The detail names those that a sentence has room for.
        if any(one.column not in self.detail for one in self.missing):
            lines += [f"  missing: {one}" for one in self.missing]
        return "\n".join(lines)


class Client:
    """RetainWise at one address.

    tell: called with a sentence each time that something is waited for because it went wrong.
    token: an API token, where people sign in. Raises Refused when it cannot be one, or when it
        would cross a network in the clear.
    """

    def __init__(self, url: str, tell: Callable[[str], None], token: str | None = None) -> None:
        self.url = url.rstrip("/")
        self._authorization = {} if token is None else self._authorized(token)
        self._tell = tell
        self._http = PoolManager(blocksize=_CHUNK_BYTES)

    def page(self, prediction_id: str) -> str:
        """Return the address of a prediction's page for people."""
        return f"{self.url}/predictions/{prediction_id}"

    def submit(self, file: IO[bytes], name: str, progress: Callable[[float], None]) -> Answer:
        """Upload a regular file, a chunk at a time, and return its prediction.

        progress: called with the share of bytes sent, in [0, 1]; goes back when it starts again.
        Raises Refused and ServiceError.
        """
        body = _Body(file, progress)
        headers = {
            "Content-Type": "text/csv",
            "Content-Length": str(body.size_bytes),
            # In a header, because proxies log addresses. Not every file name is UTF-8.
            "Content-Disposition": f"attachment; filename*=UTF-8''{quote(os.fsencode(name), '')}",
            "Idempotency-Key": str(ULID()),
        }
        response = self._request(
            "POST",
            "/api/predictions",
            retries=self._retries(SUBMIT_RETRIES),
            timeout=_SUBMIT_TIMEOUT,
            body=body,
            headers=headers,
        )
        return self._answer(response)

    def follow(self, prediction_id: str, progress: Callable[[float], None]) -> Answer:
        """Wait until a prediction is COMPLETED or FAILED, however long that takes.

        progress: called with the share that is scored, in [0, 1].
        Raises ServiceError; Refused when it is there no more.
        """
        pause_s = _FIRST_LOOK_S
        while (answer := self._show(prediction_id)).status in UNFINISHED:
            progress(answer.progress.fraction)
            time.sleep(pause_s)
            pause_s = min(2 * pause_s, _LOOK_S)
        progress(answer.progress.fraction)
        return answer

    def download(self, prediction_id: str, target: Path, progress: Callable[[float], None]) -> None:
        """Write the result of a COMPLETED prediction to `target`, which is whole or as it was.

        progress: called with the share of bytes received, in [0, 1].
        Raises ServiceError, and OSError when it cannot be written.
        """
        retries = self._retries(RETRIES)
        with unfinished_in(target.parent) as folder:
            partial = folder / "result.csv"
            while True:
                response = self._get(f"{prediction_id}/result.csv", preload_content=False)
                self._expect(response, "text/csv")
                try:
                    _save(response, partial, progress)
                except HTTPError as exc:  # it broke off; whoever wrote it sees an OSError
                    retries = self._again(retries, exc)
                else:
                    break
            partial.replace(target)

    # ---- requests and answers ----

    def _authorized(self, token: str) -> dict[str, str]:
        if not _A_TOKEN.fullmatch(token):
            raise Refused("What is given as the API token is none: one begins with rw_.")
        url = parse_url(self.url)
        if url.scheme != "https" and not is_loopback(url.host or ""):
            raise Refused(
                f"The API token is not sent to {self.url}, where others could read it on its way. "
                "Give an address that begins with https://."
            )
        return {"Authorization": f"Bearer {token}"}

    def _show(self, prediction_id: str) -> Answer:
        return self._answer(self._get(prediction_id))

    def _get(self, path: str, **options: Any) -> BaseHTTPResponse:  # noqa: ANN401 - urllib3's own
        return self._request(
            "GET",
            f"/api/predictions/{path}",
            retries=self._retries(RETRIES),
            timeout=_TIMEOUT,
            **options,
        )

    def _request(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str] = MappingProxyType({}),
        **options: Any,  # noqa: ANN401 - urllib3's own
    ) -> BaseHTTPResponse:
        headers = {**headers, **self._authorization}
        try:
            # A redirection would send customers and token to an address that nobody named.
            return self._http.request(
                method, self.url + path, redirect=False, headers=headers, **options
            )
        except HTTPError as exc:
            raise self._out_of_reach(exc) from exc

    def _retries(self, total: int) -> _Retries:
        return _Retries(
            tell=lambda what: self._tell(f"{self.url} {what}"),
            total=total,
            allowed_methods=None,  # any
            status_forcelist=_PASSING,
            raise_on_status=False,
            backoff_factor=_BACKOFF_FACTOR_S,
            backoff_max=_LONGEST_BACKOFF_S,
            retry_after_max=LONGEST_RETRY_AFTER_S,
        )

    def _again(self, retries: _Retries, error: HTTPError) -> _Retries:
        try:
            fewer = retries.increment("GET", error=error)
        except HTTPError as exc:
            raise self._out_of_reach(exc) from exc
        fewer.sleep()
        return fewer

    def _answer(self, response: BaseHTTPResponse) -> Answer:
        self._expect(response, "application/json")
        try:
            return Answer.model_validate_json(response.data)
        except ValueError:
            self._is_not_retainwise(response)

    def _expect(self, response: BaseHTTPResponse, media_type: str) -> None:
        """Raise unless this is a success of that type."""
        if response.status < 300 and _media_type(response) == media_type:
            return
        if _media_type(response) != "application/problem+json":
            self._is_not_retainwise(response)
        try:
            problem = _Problem.model_validate_json(response.data)
        except ValueError:
            self._is_not_retainwise(response)
        # Of all that has 4xx, only "too many requests" says nothing about what was given.
        is_refused = response.status < 500 and response.status != 429
        raise (Refused if is_refused else ServiceError)(str(problem))

    def _is_not_retainwise(self, response: BaseHTTPResponse) -> NoReturn:
        moved = response.headers.get("Location")
        what = f"sends on to {moved}" if moved else f"sends {_media_type(response) or 'no type'}"
        hint = " Where people sign in, programs need a token." if moved else ""
        raise ServiceError(
            f"What answers at {self.url} does not speak as RetainWise does: "
            f"it says {response.status} and {what}. Is the address right?{hint}"
        )

    def _out_of_reach(self, error: HTTPError) -> ServiceError:
        return ServiceError(
            f"{self.url} does not answer: {_innermost(error)}. Is RetainWise running there?"
        )


class _Retries(Retry):
    """urllib3's retries, which also say what they wait for."""

    def __init__(self, *, tell: Callable[[str], None], **options: Any) -> None:  # noqa: ANN401
        super().__init__(**options)
        self._tell = tell

    def new(self, **changes: Any) -> _Retries:  # noqa: ANN401
        return super().new(tell=self._tell, **changes)

    def sleep(self, response: BaseHTTPResponse | None = None) -> None:
        asked_s = None if response is None else self.get_retry_after(response)
        if response is not None:
            what = f"answered {response.status}"
        else:
            what = f"does not answer: {_innermost(self.history[-1].error)}"
        if asked_s:
            self._tell(f"{what}; trying again in {asked_s:.0f} s, as it asks")
        elif len(self.history) == 2:  # the first repetition comes at once
            self._tell(f"{what}; still trying")
        super().sleep(response)


class _Body:
    """A file on its way out: watched, and exactly as long as was announced."""

    def __init__(self, file: IO[bytes], progress: Callable[[float], None]) -> None:
        self._file = file
        self._progress = progress
        self.size_bytes = os.fstat(file.fileno()).st_size

    def tell(self) -> int:
        return self._file.tell()

    def seek(self, position: int) -> None:
        self._file.seek(position)

    def read(self, limit: int) -> bytes:
        rest = self.size_bytes - self._file.tell()
        chunk = self._file.read(min(limit, rest))
        if rest and not chunk:
            raise Refused("The file became shorter while it was sent. Send it again.")
        if self.size_bytes:
            self._progress(self._file.tell() / self.size_bytes)
        return chunk


def explain(failure: Failure) -> str:
    """Say why a prediction FAILED, where, and what to do."""
    place_and_hint = _place_and_hint(failure.row, failure.column, failure.hint)
    return "\n".join([failure.message, *place_and_hint])


def _place_and_hint(row: int | None, column: str | None, hint: str | None) -> list[str]:
    row_part = [] if row is None else [f"row {row:,}"]
    place = ", ".join(row_part + ([] if column is None else [f"column {column}"]))
    return [line for line in (place, hint) if line]


def _save(response: BaseHTTPResponse, path: Path, progress: Callable[[float], None]) -> None:
    size_bytes = response.length_remaining
    with path.open("wb") as file:
        for chunk in response.stream(_CHUNK_BYTES):
            file.write(chunk)
            if size_bytes:
                progress(file.tell() / size_bytes)


def _media_type(response: BaseHTTPResponse) -> str:
    return response.headers.get("Content-Type", "").partition(";")[0].strip().lower()


def _innermost(error: BaseException | None) -> str:
    """Say what the operating system said, without what urllib3 wraps around it."""
    causes = [error.__cause__, *error.args] if error else []
    inner = next((cause for cause in causes if isinstance(cause, BaseException)), None)
    return _innermost(inner) if inner else getattr(error, "strerror", None) or str(error)
