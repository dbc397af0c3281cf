"""The upload page: a form for a file, what was wrong with the last one, and matched columns.

With a script (`static/upload.js`) the same answers are put into the page that is there already, so
that the file stays chosen; nothing here knows whether there is one.
"""

from __future__ import annotations

from collections.abc import Collection

from flask import (
    Blueprint,
    Response,
    current_app,
    make_response,
    redirect,
    render_template,
    request,
    url_for,
)
from flask.typing import ResponseReturnValue

from app import problems
from app.account import current_account
from app.bodies import small_body, small_form
from app.column_matches import Matching, chosen, merged, offered
from app.expected_columns import SAMPLE_CUSTOMERS, expected_columns, sample_file
from app.problems import Problem
from app.services import services
from app.submission import submit
from app.uploads import incoming
from predictions.errors import BadCustomerFile, MissingColumns
from predictions.file_check import check_head
from predictions.file_text import HEAD

bp = Blueprint("upload", __name__)


@bp.get("/predictions/new")
def new() -> ResponseReturnValue:
    """The upload form; `?saved=` has just been matched, and `?missing=` is not in the file yet."""
    return _form(saved=request.args.getlist("saved"), missing=request.args.getlist("missing"))


@bp.post("/predictions")
def create() -> ResponseReturnValue:
    """Take a file; what is wrong with it is said on the form, ready for the next try."""
    try:
        with incoming(request, current_app.config["MAX_UPLOAD_BYTES"]) as upload:
            prediction = submit(upload)
    except BadCustomerFile as error:
        return _refusal_of(error)
    except Problem as problem:
        return _refusal(problem)
    return redirect(url_for("pages.show", prediction_id=prediction.id), 303)


@bp.post("/predictions/head")
def check() -> ResponseReturnValue:
    """Refuse a large file by its head, which the script sends first: 204, or what `create` says.

    A browser hears no answer before it has sent the whole file.
    """
    matches = services().store.column_matches(current_account())
    try:
        check_head(small_body(request)[:HEAD], services().schema, matches)
    except BadCustomerFile as error:
        return _refusal_of(error)
    except Problem as problem:
        return _refusal(problem)
    return "", 204


@bp.get("/predictions/sample.csv")
def sample() -> ResponseReturnValue:
    """A file that the model can score."""
    response = Response(sample_file(services().schema), mimetype="text/csv")
    response.headers["Content-Disposition"] = 'attachment; filename="sample.csv"'
    return response


@bp.get("/columns")
def columns() -> ResponseReturnValue:
    """What the account's files call the columns of the model."""
    return render_template(
        "columns.html",
        matches=services().store.column_matches(current_account()),
        expected=expected_columns(services().schema),
    )


@bp.post("/columns")
def match() -> ResponseReturnValue:
    """Remember which of a file's columns stand for the missing ones; the file comes again."""
    try:
        matching = chosen(small_form(request), services().schema)
    except Problem as problem:
        return _refusal(problem)
    if not matching.is_good:
        return _form(matching=matching), 422
    services().store.change_column_matches(
        current_account(), lambda remembered: merged(remembered, matching.matches)
    )
    saved, missing = list(matching.matches), list(matching.missing)
    return redirect(url_for("upload.new", saved=saved, missing=missing), 303)


@bp.post("/columns/remove")
def remove() -> ResponseReturnValue:
    """Forget the matches of the columns that the form names."""
    gone = set(small_form(request).getlist("column"))
    services().store.change_column_matches(
        current_account(),
        lambda remembered: {
            column: name for column, name in remembered.items() if column not in gone
        },
    )
    return redirect(url_for("upload.columns"), 303)


def _refusal_of(error: BadCustomerFile) -> Response:
    matching = None
    if isinstance(error, MissingColumns):
        remembered = services().store.column_matches(current_account())
        matching = offered(error, services().schema, remembered)
    return _refusal(problems.of_file(error), matching)


def _refusal(problem: Problem, matching: Matching | None = None) -> Response:
    page = _form(problem=problem, matching=matching)
    return problems.finish(make_response(page, problem.status), problem)


def _form(
    *,
    problem: Problem | None = None,
    matching: Matching | None = None,
    saved: Collection[str] = (),
    missing: Collection[str] = (),
) -> str:
    schema = services().schema
    remembered = services().store.column_matches(current_account())
    return render_template(
        "upload.html",
        problem=problem,
        matching=matching,
        saved={column: remembered[column] for column in saved if column in remembered},
        missing=[name for name in schema.needed_columns if name in missing],
        expected=expected_columns(schema),
        matched=len(remembered),
        sample_customers=SAMPLE_CUSTOMERS,
        head_bytes=HEAD,
        max_upload_bytes=current_app.config["MAX_UPLOAD_BYTES"],
    )
