"""The upload page: a form for a file, and what was wrong with the last one."""

from __future__ import annotations

from flask import Blueprint, current_app, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from app.problems import Problem
from app.submission import submit, traceparent_of
from app.uploads import incoming

bp = Blueprint("upload", __name__)


@bp.get("/predictions/new")
def new() -> ResponseReturnValue:
    """The upload form."""
    return _form()


@bp.post("/predictions")
def create() -> ResponseReturnValue:
    """Take a file; what is wrong with it is said on the form, ready for the next try."""
    try:
        with incoming(request, current_app.config["MAX_UPLOAD_BYTES"]) as upload:
            prediction = submit(upload, traceparent=traceparent_of(request))
    except Problem as problem:
        return _form(problem), problem.status
    return redirect(url_for("pages.show", prediction_id=prediction.id), 303)


def _form(problem: Problem | None = None) -> str:
    limit = current_app.config["MAX_UPLOAD_BYTES"]
    return render_template("upload.html", problem=problem, max_upload_bytes=limit)
