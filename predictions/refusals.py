"""How it is worded what is wrong with a file: what is quoted is cut, what is many is counted."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from predictions.errors import BadCustomerFile
from predictions.record import ColumnCount, Failure, NewValue

LISTED_NAMES = 25
"""All that a usual schema can miss; a message of so many cut names stays below 4,000 characters."""
SHOWN_CHARACTERS = 60
"""Of a name or a cell in a message: a file can hold a million where a sentence is expected."""
SAVE_AS_CSV = "Save it as “CSV UTF-8” and upload that file."
UNPACK = "Unpack it and upload the CSV file that is in it."
SAVE_OR_UNPACK = "Save the workbook as “CSV UTF-8”, or unpack the archive, and upload the CSV file."
CHOOSE_ANOTHER = "Choose the file with the customers."


def bad_file(
    code: str, message: str, hint: str, *, row: int | None = None, column: str | None = None
) -> BadCustomerFile:
    """Make the refusal of a whole file; what the message quotes must be cut already."""
    return BadCustomerFile(failure(code, message, hint, row=row, column=column))


def failure(
    code: str, message: str, hint: str, *, row: int | None = None, column: str | None = None
) -> Failure:
    """Say why a file is refused; the name of the column is cut here."""
    where = None if column is None else shown(column)
    return Failure(code=code, message=message, hint=hint, row=row, column=where)


def shown(text: str) -> str:
    """Cut a name or a cell to what a message quotes of it."""
    return text if len(text) <= SHOWN_CHARACTERS else f"{text[:SHOWN_CHARACTERS]}…"


def in_quotes(text: str) -> str:
    """Return a name or a cell as a message quotes it."""
    return f"“{shown(text)}”"


def listed(names: Sequence[str], described: Callable[[str], str]) -> str:
    """Describe the first few names and count the others."""
    first = ", ".join(map(described, names[:LISTED_NAMES]))
    more = len(names) - LISTED_NAMES
    return f"{first} and {more:,} more" if more > 0 else first


def model_mismatch(checked_for: str, now: str, refused: Failure) -> Failure:
    """Say that a file that was good at its upload is not for the model that there is by now.

    checked_for, now: the models' versions. refused: what is wrong with it for the one of now.
    """
    return refused.model_copy(
        update={
            "code": "model-mismatch",
            "message": (
                f"When it was uploaded, the file had all that the model {shown(checked_for)} "
                f"needs. The service has gone over to {shown(now)} since. {refused.message}"
            ),
            "hint": "Upload a file with the columns that are expected now.",
        }
    )


def in_rows(rows: int, first_row: int, text: str | None) -> str:
    """Say in how many rows something is, and of the first of them which it is and what it has."""
    first = f"row {first_row:,}" + (f", “{text}”" if text else "")
    return f"1 row ({first})" if rows == 1 else f"{rows:,} rows (first: {first})"


def new_values(new: ColumnCount, firsts: Sequence[NewValue] = ()) -> str:
    """Say which column has values that the model does not know, where, and the first of them.

    firsts: of each column, as far as the cells of the file are known.
    """
    text = next((first.text for first in firsts if first.column == new.column), None)
    rows = in_rows(new.rows, new.first_row, text)
    return f"Column `{shown(new.column)}` has values that the model does not know in {rows}."


def out_of_range(values: ColumnCount) -> str:
    """Say which column has numbers or dates unlike any that the model was trained on, and where."""
    rows = in_rows(values.rows, values.first_row, None)
    return (
        f"Column `{shown(values.column)}` is below or above all that the model has seen in {rows}."
    )


def missing_values(values: ColumnCount) -> str:
    """Say which column has no value, and where."""
    rows = in_rows(values.rows, values.first_row, None)
    return f"Column `{shown(values.column)}` is empty in {rows}."
