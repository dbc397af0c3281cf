"""The pages for people, rendered here: each works without JavaScript and by keyboard."""

from __future__ import annotations

from flask import Blueprint, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from app import actions, live
from app.column_matches import offered_id
from app.services import services
from predictions.record import UNFINISHED, Prediction, Status

bp = Blueprint("pages", __name__)


@bp.get("/")
def home() -> ResponseReturnValue:
    """The list is the home page."""
    return redirect(url_for("pages.index"))


@bp.get("/predictions")
def index() -> ResponseReturnValue:
    """The account's predictions, newest first."""
    page = actions.listed(request)
    return render_template(
        "predictions.html",
        page=page,
        statuses=tuple(Status),
        chosen=request.args.get("status"),
        cursor=request.args.get("cursor"),
        shape=live.shape_of(page.predictions),
        is_live=any(prediction.status in UNFINISHED for prediction in page.predictions),
    )


@bp.get("/predictions/<prediction_id>")
def show(prediction_id: str) -> ResponseReturnValue:
    """One prediction: the answer first, or how far it is, or what went wrong."""
    prediction = actions.owned(prediction_id)
    is_completed = prediction.status is Status.COMPLETED
    summary_file = actions.summary_of(prediction) if is_completed else None
    return render_template(
        "prediction.html",
        prediction=prediction,
        summary_file=summary_file,
        numbered=_numbered(prediction) if summary_file and summary_file.ids_are_row_numbers else {},
        shape=live.shape_of((prediction,)),
        is_live=prediction.status in UNFINISHED,
    )


def _numbered(prediction: Prediction) -> dict[str, object]:
    """Say which column with the customers' ids a file lacks, and what it may call it."""
    schema, facts = services().schema, prediction.input.facts
    name = facts.nearest.get(schema.id_column or "") if facts else None
    remembered = services().store.column_matches(prediction.account) if name else {}
    return {
        "column": schema.id_column,
        "name": name,
        "is_remembered": name is not None and remembered.get(schema.id_column or "") == name,
        "matching": offered_id(name, schema, remembered) if name else None,
    }


@bp.get("/predictions/<prediction_id>/result.csv")
def result(prediction_id: str) -> ResponseReturnValue:
    """The scored file."""
    return actions.download(actions.owned(prediction_id))


@bp.post("/predictions/<prediction_id>/retry")
def retry(prediction_id: str) -> ResponseReturnValue:
    """Queue a failed prediction again."""
    actions.retry(prediction_id)
    return redirect(url_for("pages.show", prediction_id=prediction_id), 303)


@bp.get("/predictions/<prediction_id>/delete")
def confirm_delete(prediction_id: str) -> ResponseReturnValue:
    """Say what will be lost, and ask."""
    return render_template("delete.html", prediction=actions.owned(prediction_id))


@bp.post("/predictions/<prediction_id>/delete")
def delete(prediction_id: str) -> ResponseReturnValue:
    """Delete a prediction."""
    actions.delete(prediction_id)
    return redirect(url_for("pages.index"), 303)
