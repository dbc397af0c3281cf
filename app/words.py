"""What codes and counts read like on the pages: short sentences, for a person with a file."""

from __future__ import annotations

import re
from collections.abc import Sequence

from flask import Flask

from app.filters import count, percent
from predictions.record import Prediction, RowError, RowErrorCount, Status
from predictions.refusals import in_rows, missing_values, new_values, out_of_range

_DELIMITERS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar"}
_RAISES = re.compile(r":? raises? the risk$")  # with a colon: of results from before
_IN_A_COLUMN = {
    "not-a-number": "holds no number",
    "ambiguous-number": "can be read as two different numbers",
    "not-a-date": "holds no date",
}
_IN_A_ROW = {
    "cell-count": "not as many cells as the header",
    "empty-row": "nothing in any cell",
}


def init_app(app: Flask) -> None:
    """Make the words known to the templates."""
    noticed = (new_values, out_of_range, missing_values)
    for function in (delimiter, step, may_pass, row_error, *noticed):
        app.jinja_env.globals[function.__name__] = function
    app.add_template_filter(reason)


def delimiter(character: str) -> str:
    """Name what stands between two cells."""
    return _DELIMITERS.get(character, character)


def may_pass(prediction: Prediction) -> bool:
    """Say whether the same file may well be scored at the next attempt."""
    return prediction.failure is not None and prediction.failure.may_pass


def step(prediction: Prediction) -> str:
    """Say what a person who cannot see the page is told of it; progress in quarters only."""
    match prediction.status:
        case Status.QUEUED:
            return "Waiting for its turn"
        case Status.PROCESSING:
            return f"Scoring: {percent(int(prediction.fraction_done * 4) / 4, 0)} done"
        case Status.COMPLETED if prediction.result and prediction.summary:
            if prediction.result.rows == prediction.result.rows_failed:
                return "Completed: no row could be scored"
            leavers = count(prediction.summary.expected_churners)
            return f"Completed: {leavers} customers are expected to leave"
    return str(prediction.status).capitalize()


def reason(text: str) -> str:
    """Shorten one reason of the model where nothing but what raises the risk is expected."""
    return _RAISES.sub("", text)


def row_error(error: RowErrorCount, listed: Sequence[RowError]) -> str:
    """Say what is wrong with some rows, in how many and where first.

    listed: the first of all rows with an error; the cell is shown when its row is among them.
    """
    text = None
    for row in listed:
        if (row.row, row.kind, row.column) == (error.first_row, error.kind, error.column):
            text = row.text
            break
    rows = in_rows(error.rows, error.first_row, text)
    if error.column is None:
        return f"{rows}: {_IN_A_ROW.get(error.kind, 'cannot be used')}."
    return f"Column `{error.column}` {_IN_A_COLUMN.get(error.kind, 'cannot be used')} in {rows}."
