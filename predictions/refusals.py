"""How the refusal of a file is worded: what is quoted is cut, what is many is counted."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from predictions.errors import BadCustomerFile
from predictions.record import Failure

LISTED_NAMES = 25
"""All that a usual schema can miss; a message of so many cut names stays below 4,000 characters."""
SHOWN_CHARACTERS = 60
"""Of a name or a cell in a message: a file can hold a million where a sentence is expected."""
SAVE_AS_CSV = "Save it as “CSV UTF-8” and upload that file."


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
