"""Every answer that is not the one asked for: RFC 9457 problems, and HTML pages for people.

A problem's `code` is stable: programs may lean on it. Nobody but the log sees a stack trace.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

import structlog
from boto3.exceptions import Boto3Error
from botocore.exceptions import BotoCoreError, ClientError
from flask import Flask, Response, current_app, g, make_response, render_template, request
from werkzeug.exceptions import HTTPException, SecurityError

from app.answers import MissingColumnAnswer, ProblemAnswer
from app.filters import size
from predictions.errors import BadCustomerFile, MissingColumn, MissingColumns, NotFound
from predictions.record import Status

PROBLEMS = {
    "bad-request": (400, "The request cannot be understood"),
    "bad-cursor": (400, "The cursor is not one of ours"),
    "bad-limit": (400, "A page cannot have so many"),
    "bad-status": (400, "There is no such status"),
    "bad-idempotency-key": (400, "The idempotency key cannot be used"),
    "missing-file": (400, "There is no file in the request"),
    "incomplete-upload": (400, "The upload ended too early"),
    "untrusted-host": (400, "This name is not served here"),
    "unauthenticated": (401, "It is not known whose request this is"),
    "no-account": (403, "This user has no account yet"),
    "cross-site": (403, "The request comes from another site"),
    "not-found": (404, "There is nothing here"),
    "method-not-allowed": (405, "This cannot be done here"),
    "not-completed": (409, "There is no result yet"),
    "not-failed": (409, "Only a failed prediction can be retried"),
    "file-too-large": (413, "The file is too large"),
    "request-too-large": (413, "The request is too large"),
    "unsupported-media-type": (415, "The request has a form that is not taken"),
    "empty-file": (422, "The file is empty"),
    "no-rows": (422, "The file has no customers"),
    "not-text": (422, "The file is not text"),
    "not-a-csv": (422, "The file is not a CSV file"),
    "not-utf-8": (422, "The file has characters that cannot be read"),
    "duplicate-columns": (422, "Columns have the same name"),
    "missing-columns": (422, "Columns are missing"),
    "header-not-first": (422, "The header is not the first line"),
    "too-many-columns": (422, "The file has too many columns"),
    "too-many-rows": (422, "The file has too many rows"),
    "row-too-long": (422, "A row is too long"),
    "cell-too-long": (422, "A cell is too long"),
    "unclosed-quote": (422, "A quotation mark is not closed"),
    "bad-matches": (422, "The columns cannot be matched like this"),
    "idempotency-key-reused": (422, "The idempotency key stands for another file"),
    "rate-limited": (429, "There are too many requests"),
    "internal-error": (500, "Something went wrong here"),
    "unavailable": (503, "The service cannot be reached for the moment"),
}
"""Each code with its HTTP status and title."""

RETRY_AFTER_S = 5

_FOR_PROGRAMS = ("/api/", "/healthz", "/readyz")
_CODE_OF_STATUS = {
    404: "not-found",
    405: "method-not-allowed",
    413: "request-too-large",
    415: "unsupported-media-type",
}

log = structlog.get_logger()


class Problem(Exception):
    """The request is refused or failed; `detail` says what happened and what to do.

    Of a file, `detail` says what is wrong and `hint` what to do; `row` and `column` say where.
    """

    def __init__(
        self,
        code: str,
        detail: str,
        *,
        hint: str | None = None,
        row: int | None = None,
        column: str | None = None,
        missing: tuple[MissingColumn, ...] = (),
        prediction_status: Status | None = None,
        retry_after_s: int | None = None,
    ) -> None:
        super().__init__(code)
        self.code = code
        self.detail = detail
        self.status, self.title = PROBLEMS[code]
        self.hint = hint
        self.row = row
        self.column = column
        self.missing = missing
        self.prediction_status = prediction_status
        self.retry_after_s = retry_after_s


def init_app(app: Flask) -> None:
    """Answer every error of this application in one form."""
    app.register_error_handler(Problem, respond)
    app.register_error_handler(BadCustomerFile, lambda error: respond(of_file(error)))
    app.register_error_handler(NotFound, _not_found)
    app.register_error_handler(HTTPException, _http_error)
    for error in (ClientError, BotoCoreError, Boto3Error):
        app.register_error_handler(error, _aws_error)
    app.register_error_handler(Exception, _internal_error)


def of_file(error: BadCustomerFile) -> Problem:
    """Say what is wrong with a file as a problem, for the API and the upload page alike."""
    failure = error.failure
    return Problem(
        failure.code,
        failure.message,
        hint=failure.hint,
        row=failure.row,
        column=failure.column,
        missing=error.missing if isinstance(error, MissingColumns) else (),
    )


def respond(problem: Problem) -> Response:
    """Answer with problem+json, or, where a person was looking at pages, with a page."""
    # By the path: a request that matches no route has no blueprint.
    if request.path.startswith(_FOR_PROGRAMS):
        return as_json(problem)
    page = render_template("problem.html", problem=problem, request_id=g.request_id)
    return finish(make_response(page, problem.status), problem)


def as_json(problem: Problem) -> Response:
    """Answer with application/problem+json."""
    answer = ProblemAnswer(
        type=f"urn:retainwise:problem:{problem.code}",
        title=problem.title,
        status=problem.status,
        detail=problem.detail,
        code=problem.code,
        request_id=g.request_id,
        hint=problem.hint,
        row=problem.row,
        column=problem.column,
        missing=tuple(
            MissingColumnAnswer(column=one.name, nearest=one.nearest) for one in problem.missing
        ),
        prediction_status=problem.prediction_status,
    )
    body = answer.model_dump_json(exclude_defaults=True)
    response = Response(body, problem.status, mimetype="application/problem+json")
    return finish(response, problem)


def finish(response: Response, problem: Problem) -> Response:
    """Give an answer, in whatever form, the headers that go with its problem."""
    if problem.status == HTTPStatus.UNAUTHORIZED:
        response.headers["WWW-Authenticate"] = "Bearer"  # all that this service itself can ask for
    if problem.retry_after_s is not None:
        response.headers["Retry-After"] = str(problem.retry_after_s)
    return response


def _not_found(_error: NotFound) -> Response:
    return respond(Problem("not-found", "There is no such prediction in your account."))


def _http_error(error: HTTPException) -> Response:
    status = error.code or 500
    code = _CODE_OF_STATUS.get(status, "bad-request" if status < 500 else "internal-error")
    # Werkzeug's own words for an address that is not there speak of a server and of spelling.
    words = "Nothing has this address." if status == HTTPStatus.NOT_FOUND else error.description
    if status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
        words = f"This request may have {size(current_app.config['MAX_CONTENT_LENGTH'])} at most."
    problem = Problem(code, words or "")
    # A request with a malformed Host has no address to build a page's links from.
    response = as_json(problem) if isinstance(error, SecurityError) else respond(problem)
    for name, value in error.get_headers():
        if name == "Allow":
            response.headers[name] = value
    return response


def _aws_error(error: Exception) -> Response:
    known: dict[str, Any] = {}
    if isinstance(error, ClientError):
        known = {"operation": error.operation_name, "code": error.response["Error"].get("Code")}
    log.error("aws_failed", error=type(error).__name__, **known)
    return respond(
        Problem(
            "unavailable",
            "A part of the service does not answer. Try again in a moment.",
            retry_after_s=RETRY_AFTER_S,
        )
    )


def _internal_error(_error: Exception) -> Response:
    log.exception("request_failed")
    return respond(
        Problem(
            "internal-error",
            f"The request failed for a reason of ours. When you report it, name {g.request_id}.",
        )
    )
