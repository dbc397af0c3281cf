"""Reads dates as files write them: days since 1970-01-01, the time of day as the fraction.

A column has one format, found while training. ISO's is understood in every column: it cannot mean
another day.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from datetime import UTC, date, datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from predictions.customer_file import CellError
from predictions.refusals import in_quotes, shown

ISO = "%Y-%m-%d"
FORMATS = (ISO, "%Y/%m/%d", "%d.%m.%Y", "%m/%d/%Y", "%d/%m/%Y")
"""Tried in this order: days that can be read either way are read as the first says."""
_TIME = (
    r"([T ](?P<time>\d{1,2}:\d{2}(:\d{2}(\.\d{1,6})?)?)"
    r"( ?(?P<half>[AP]M))?(?P<zone>Z|[-+]\d{2}:?\d{2})?)?"
)
_PARTS = {"%Y": r"(?P<year>\d{4})", "%m": r"(?P<month>\d{1,2})", "%d": r"(?P<day>\d{1,2})"}
_PATTERNS = {
    form: re.compile(re.sub("%[Ymd]", lambda part: _PARTS[part[0]], re.escape(form)) + _TIME)
    for form in FORMATS
}
_EPOCH = date(1970, 1, 1)


def date_format(cells: Collection[str]) -> str | None:
    """Find the format that most of these cells are dates in; None where none of them is one."""
    fitting = {form: sum(_days(cell, form) is not None for cell in cells) for form in FORMATS}
    best = max(FORMATS, key=fitting.__getitem__)
    return best if fitting[best] else None


def dates(
    name: str, cells: Sequence[str], form: str | None
) -> tuple[NDArray[np.float64], dict[int, CellError]]:
    """Read a column of dates.

    name: what the file calls it. form: its format while training.
    Returns the days since 1970-01-01, NaN where there is none, and for each cell that is neither
    blank nor a date what is wrong with it, by its index.
    """
    days = {cell: _read(cell, form or ISO) for cell in set(cells)}
    values = np.array([days[cell] for cell in cells], dtype=np.float64)
    wrong = {cell for cell, day in days.items() if day is None and cell.strip()}
    if not wrong:
        return values, {}
    return values, {
        index: CellError(
            "not-a-date", f"{name}: {in_quotes(cell)} is not a date", column=name, text=shown(cell)
        )
        for index, cell in enumerate(cells)
        if cell in wrong
    }


def as_text(days: float, form: str | None) -> str:
    """Write the day as the training file does; beyond the calendar, its first or last day."""
    first, last = (date.min - _EPOCH).days, (date.max - _EPOCH).days
    return (_EPOCH + timedelta(days=min(max(days, first), last))).strftime(form or ISO)


def _read(cell: str, form: str) -> float | None:
    days = _days(cell, form)
    return _days(cell, ISO) if days is None else days


def _days(cell: str, form: str) -> float | None:
    match = _PATTERNS[form].fullmatch(cell.strip())
    if match is None:
        return None
    try:
        day = date(int(match["year"]), int(match["month"]), int(match["day"]))
        return (day - _EPOCH).days + _time(match["time"], match["half"], match["zone"])
    except ValueError:  # no such day or time
        return None


def _time(time: str | None, half: str | None, zone: str | None) -> float:
    """Return the part of the day that has passed, in UTC: below 0 or above 1 where zones differ."""
    if time is None:
        return 0.0
    clock = "%I" if half else "%H"
    seconds = ":%S" if time.count(":") == 2 else ""
    fraction = ".%f" if "." in time else ""
    text = f"1970-01-01 {time}{half or ''}{zone or 'Z'}"
    form = f"{ISO} {clock}:%M{seconds}{fraction}{'%p' if half else ''}%z"
    return datetime.strptime(text, form).astimezone(UTC).timestamp() / 86_400
