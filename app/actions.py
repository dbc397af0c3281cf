"""What the two doors, API and pages, do alike: find, list, retry, delete and download."""

from __future__ import annotations

import unicodedata
from pathlib import PurePosixPath
from urllib.parse import quote

import structlog
from flask import Request, Response
from pydantic import TypeAdapter, ValidationError

from app.account import current_account
from app.answers import MatchesRequest
from app.column_matches import differing, wrong_with
from app.problems import Problem
from app.services import services
from app.submission import send
from predictions.errors import NotFound, WrongStatus
from predictions.files import SummaryFile
from predictions.record import Page, Prediction, PredictionId, Status
from predictions.refusals import shown
from predictions.telemetry import step

LONGEST_PAGE = 100
USUAL_PAGE = 25

_AN_ID = TypeAdapter(PredictionId)
_LIMITS = frozenset(map(str, range(1, LONGEST_PAGE + 1)))

log = structlog.get_logger()


def owned(prediction_id: str) -> Prediction:
    """Return a prediction of the caller's. Raises NotFound for all that is not one."""
    if not _is_id(prediction_id):
        raise NotFound(prediction_id)
    return services().store.get(current_account(), prediction_id)


def listed(request: Request, limit: str | None = None) -> Page:
    """Return `limit` of those that `?status=` and `?cursor=` ask for. Raises Problem."""
    status, cursor = request.args.get("status"), request.args.get("cursor")
    limit = str(USUAL_PAGE) if limit is None else limit
    if status is not None and status not in set(Status):
        raise Problem("bad-status", f"`status` may be {', '.join(Status)}.")
    if cursor is not None and not _is_id(cursor):
        raise Problem("bad-cursor", "`cursor` may be the `next_cursor` of an earlier page.")
    if limit not in _LIMITS:
        raise Problem("bad-limit", f"`limit` may be a number from 1 to {LONGEST_PAGE}.")
    # Of another account's prediction, the cursor is a moment in time and no more.
    return services().store.page(
        current_account(),
        status=Status(status) if status else None,
        cursor=cursor,
        limit=int(limit),
    )


def retry(prediction_id: str) -> Prediction:
    """Queue a FAILED prediction again. Raises NotFound, or Problem from any other status."""
    prediction = owned(prediction_id)
    try:
        queued = services().store.requeue(prediction.account, prediction.id)
    except WrongStatus as exc:
        raise Problem(
            "not-failed",
            f"Only a FAILED prediction can be retried; this one is {exc.found}.",
            prediction_status=exc.found,
        ) from None
    log.info(
        "prediction_requeued",
        **step(prediction, Status.FAILED, Status.QUEUED),
        next_attempt=queued.attempt,
    )
    send(queued)
    return queued


def delete(prediction_id: str) -> None:
    """Make a prediction unreachable and order its files' erasure. Raises NotFound."""
    prediction = owned(prediction_id)
    services().store.delete(prediction.account, prediction.id)
    log.info("prediction_deleted", **step(prediction, prediction.status, None))


def download(prediction: Prediction) -> Response:
    """Answer with the scored file, as it comes from S3. Raises Problem unless COMPLETED."""
    _check_completed(prediction)
    chunks, size_bytes = services().files.open_result(prediction)
    response = Response(chunks, mimetype="text/csv")
    response.content_length = size_bytes
    response.headers.set(
        "Content-Disposition", "attachment", **_file_name(result_name(prediction.input.name))
    )
    return response


def summary_of(prediction: Prediction) -> SummaryFile:
    """Read what the result says as a whole, and of single rows. Raises Problem unless COMPLETED."""
    _check_completed(prediction)
    return services().files.read_summary(prediction)


def match_columns(body: bytes) -> None:
    """Replace what the account calls the model's columns. Raises Problem."""
    try:
        matches = MatchesRequest.model_validate_json(body).matches
    except ValidationError as exc:
        wrong = exc.errors(include_url=False, include_input=False, include_context=False)[0]
        where = f"`{shown('.'.join(map(str, wrong['loc'])))}`: " if wrong["loc"] else ""
        raise Problem("bad-matches", f"{where}{wrong['msg']}.") from None
    for error in wrong_with(matches, services().schema).values():
        raise Problem("bad-matches", error)
    services().store.remember_column_matches(current_account(), differing(matches))


def result_name(upload_name: str) -> str:
    """Name a result after its upload: customers.csv gives customers-churn.csv."""
    return f"{PurePosixPath(upload_name).stem}-churn.csv"


def _check_completed(prediction: Prediction) -> None:
    if prediction.status is not Status.COMPLETED:
        raise Problem(
            "not-completed",
            f"The result is there once the prediction is COMPLETED; it is {prediction.status}.",
            prediction_status=prediction.status,
        )


def _file_name(name: str) -> dict[str, str]:
    """Give the parameters of RFC 6266: plain ASCII, and beside it the name as it is."""
    ascii_only = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    if ascii_only == name:
        return {"filename": name}
    return {"filename": ascii_only, "filename*": f"UTF-8''{quote(name, safe='')}"}


def _is_id(text: str) -> bool:
    try:
        _AN_ID.validate_python(text)
    except ValidationError:
        return False
    return True
