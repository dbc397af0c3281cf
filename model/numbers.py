"""Reads columns of numbers as people and spreadsheets write them.

`1234.5`, `1,234.5`, `1.234,5`, `1 234,5` and `$1,234.5` are one number, `12 %` is 12, and `(5)` and
`5-` are -5, as ledgers have it. Only a single group of three digits behind a single mark (`1,234`
or `1.234`) does not say which of the two is its decimal mark; the other cells of the file do. Where
they do not either, a point is decimal, as in every program's output, and a comma is refused: a
thousand times too much is worse than no score.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from predictions.customer_file import CellError
from predictions.refusals import in_quotes, shown

LARGEST = float(np.finfo(np.float32).max)
"""XGBoost computes in 32 bits and refuses infinity."""

# Spaces (also those that do not break) and apostrophes group digits and are never decimal marks.
_GROUPED = re.compile(r"[-+]?[1-9]\d{0,2}([ '\u2019\u00a0\u202f])\d{3}(?:\1\d{3})*([.,]\d*)?")
_SIGN = re.compile(r"^[$€£¥]\s*(?=[-+.,\d])|(?<=[.,\d])\s*[$€£¥%]$|(?<=^[-+])[$€£¥]")
"""What a number may have once before it or behind it; its unit is the column's matter."""
_PLAIN = re.compile(r"\s*[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?\s*", re.ASCII)
_AMBIGUOUS = re.compile(r"[-+]?[1-9]\d{0,2}[.,]\d{3}")
_AMBIGUOUS_LINE = re.compile(
    rf"^[^\S\n]*\(?[^\S\n]*[-+$€£¥]*[^\S\n]*{_AMBIGUOUS.pattern}[^\S\n]*[$€£¥%]?[^\S\n]*[-)]?[^\S\n]*$",
    re.MULTILINE,
)
_LEDGER = re.compile(r"\(([^-+()]*\d[^-+()]*)\)|([^-+()]*\d[^-+()]*)-")
"""How ledgers write what is below zero."""
_USUAL = re.compile(r"-?(?:\d+|[1-9]\d{0,2}\.\d{3}|(?P<point>\d+\.\d*))", re.ASCII)
"""How nearly all cells are written; the first two ways do not tell the decimal mark."""
_POINT = re.compile(r"[-+]?(\d+\.\d*|\.\d+|\d{1,3}(,\d{3})+\.\d*|\d{1,3}(,\d{3}){2,})")
_COMMA = re.compile(r"[-+]?(\d+,\d*|,\d+|\d{1,3}(\.\d{3})+,\d*|\d{1,3}(\.\d{3}){2,})")


def marks_of(cells: Sequence[str]) -> Counter[str | None]:
    """Count which mark is decimal in these cells; None: a cell does not say."""
    seen: Counter[str | None] = Counter()
    for cell, times in Counter(cells).items():
        seen[_mark_of(cell)] += times
    return seen


def decimal_mark(seen: Counter[str | None]) -> str | None:
    """Tell by all cells of a file's numeric columns whether a comma or a point is decimal.

    seen: as `marks_of` counts them.
    Returns None when as many cells speak for the one as for the other.
    """
    if seen["."] == seen[","]:
        return None
    return "." if seen["."] > seen[","] else ","


def is_any_unclear(cells: Sequence[str]) -> bool:
    """Say whether a cell may be two numbers, so that it takes the file's decimal mark to read it.

    It may say so of a cell over several lines that is no number at all.
    """
    return _AMBIGUOUS_LINE.search("\n".join(cells)) is not None


def numbers(
    name: str, cells: Sequence[str], mark: str | None
) -> tuple[NDArray[np.float64], dict[int, CellError]]:
    """Read a column of numbers.

    name: what the file calls it. mark: the file's decimal mark, as `decimal_mark` tells it.
    Returns the values, NaN where there is none, and for each cell that is neither blank nor a
    finite number what is wrong with it, by its index.
    """
    values = _parsed(cells if mark != "," else [_plain(cell, mark) for cell in cells])
    odd = np.flatnonzero(~(np.abs(values) <= LARGEST))
    values[odd] = np.nan
    odd = np.array([index for index in odd.tolist() if cells[index].strip()], dtype=np.intp)
    values[odd] = _parsed([_plain(cells[index], mark) for index in odd.tolist()])
    still_odd = odd[~(np.abs(values[odd]) <= LARGEST)]
    values[still_odd] = np.nan
    return values, {index: _wrong(name, cells[index].strip()) for index in still_odd.tolist()}


def _parsed(cells: Sequence[str]) -> NDArray[np.float64]:
    found = [float(cell) if _PLAIN.fullmatch(cell) else np.nan for cell in cells]
    return np.array(found, dtype=np.float64)


def _plain(cell: str, mark: str | None) -> str:
    """Write a number as programs do: no grouping, a decimal point. What is none stays as it is."""
    text = _ungrouped(cell.strip())
    if _AMBIGUOUS.fullmatch(text):
        if mark is None:
            return text
        return text.replace(",", "") if mark == "." else text.replace(".", "").replace(",", ".")
    match _mark_of(text):
        case ".":
            return text.replace(",", "")
        case ",":
            return text.replace(".", "").replace(",", ".")
    return text


def _mark_of(cell: str) -> str | None:
    """Tell which mark is decimal in a number; None when it does not say."""
    if usual := _USUAL.fullmatch(cell):
        return "." if usual["point"] else None
    text = _ungrouped(cell.strip())
    if _AMBIGUOUS.fullmatch(text):
        return None
    if _POINT.fullmatch(text):
        return "."
    return "," if _COMMA.fullmatch(text) else None


def _ungrouped(cell: str) -> str:
    if cell[-1:] in (")", "-") and (below := _LEDGER.fullmatch(cell)):
        cell = "-" + (below[1] or below[2]).strip()
    bare = _SIGN.sub("", cell, count=1)
    match = _GROUPED.fullmatch(bare)
    return bare.replace(match[1], "") if match else bare


def _wrong(name: str, cell: str) -> CellError:
    kind, said = "not-a-number", "is not a number"
    bare = _ungrouped(cell)
    if _AMBIGUOUS.fullmatch(bare):
        kind = "ambiguous-number"
        said = f"may be {bare.replace(',', '')} or {bare.replace(',', '.')}"
    quoted = in_quotes(" ".join(cell.split()))  # on one line
    return CellError(kind, f"{name}: {quoted} {said}", column=name, text=shown(cell))
