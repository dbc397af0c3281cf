"""The HTTP API, for programs. `openapi` describes it; every refusal is a problem (RFC 9457)."""

from __future__ import annotations

from flask import Blueprint, Response, current_app, request, url_for
from pydantic import BaseModel

from app import actions, openapi
from app.account import current_account
from app.answers import ColumnsAnswer, PageAnswer, PredictionAnswer, RowErrorsAnswer
from app.api_tokens import API_TOKENS
from app.bodies import small_body
from app.problems import Problem
from app.rate_limit import rate_limits
from app.services import services
from app.submission import idempotency_key_of, submit
from app.uploads import incoming

bp = Blueprint("api", __name__, url_prefix="/api")


@bp.before_request
def _count() -> None:
    # Uploads have a limit of their own, applied where their senders are heard to the end. The
    # description is for anybody: nobody's account counts it.
    if request.endpoint not in {"api.create", "api.document"}:
        rate_limits().count_request(current_account())


@bp.post("/predictions")
def create() -> Response:
    """Take a file and queue its prediction."""
    with incoming(request, current_app.config["MAX_UPLOAD_BYTES"]) as upload:
        prediction = submit(upload, idempotency_key=idempotency_key_of(request))
    response = _json(PredictionAnswer.of(prediction), 202)
    response.headers["Location"] = url_for("api.show", prediction_id=prediction.id)
    return response


@bp.get("/predictions")
def index() -> Response:
    """A page of the account's predictions, newest first."""
    limit = request.args.get("limit")
    page = actions.listed(request, limit)
    response = _json(PageAnswer.of(page))
    if page.next_cursor is not None:
        following = url_for(
            "api.index",
            cursor=page.next_cursor,
            status=request.args.get("status"),
            limit=limit,
        )
        response.headers["Link"] = f'<{following}>; rel="next"'
    return response


@bp.get("/predictions/<prediction_id>")
def show(prediction_id: str) -> Response:
    """One prediction."""
    return _json(PredictionAnswer.of(actions.owned(prediction_id)))


@bp.get("/predictions/<prediction_id>/result.csv")
def result(prediction_id: str) -> Response:
    """The scored file."""
    return actions.download(actions.owned(prediction_id))


@bp.get("/predictions/<prediction_id>/row-errors")
def row_errors(prediction_id: str) -> Response:
    """The rows that have no score."""
    return _json(RowErrorsAnswer.of(actions.summary_of(actions.owned(prediction_id))))


@bp.post("/predictions/<prediction_id>/retry")
def retry(prediction_id: str) -> Response:
    """Queue a failed prediction again."""
    return _json(PredictionAnswer.of(actions.retry(prediction_id)), 202)


@bp.delete("/predictions/<prediction_id>")
def delete(prediction_id: str) -> Response:
    """Make a prediction unreachable, and have its files erased."""
    actions.delete(prediction_id)
    return Response(status=204)


@bp.get("/columns")
def columns() -> Response:
    """What a file must have, and what the account calls it."""
    matches = services().store.column_matches(current_account())
    return _json(ColumnsAnswer.of(services().schema, matches))


@bp.put("/columns/matches")
def match_columns() -> Response:
    """Replace what the account calls the model's columns."""
    if request.mimetype != "application/json":
        raise Problem("unsupported-media-type", "Send the matches as application/json.")
    actions.match_columns(small_body(request))
    return columns()


@bp.get("/openapi.json")
def document() -> Response:
    """The description of this API."""
    needs_token = API_TOKENS in current_app.extensions
    return Response(openapi.as_json(needs_token=needs_token), mimetype="application/json")


def _json(answer: BaseModel, status: int = 200) -> Response:
    return Response(answer.model_dump_json(), status, mimetype="application/json")
