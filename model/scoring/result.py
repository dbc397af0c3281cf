"""The result file: a row for each customer, safe to open in a spreadsheet.

A spreadsheet may split lines at other marks than commas, and some trim what they show. So every
cell is in quotation marks, and the first visible character of a text decides whether it could run
as a formula (OWASP, CSV injection). Split at another mark, only the first cell of a line begins
with its quotation mark: so in every text what follows such a mark is judged as a cell of its own.
"""

from __future__ import annotations

import csv
import re
import unicodedata
from collections.abc import Sequence

from model.artifact import Schema
from model.scoring.reasons import REASONS
from model.scoring.scores import MILLION, PROBABILITY_DIGITS, Scores

ROW_NUMBER = "row"
"""Name of the first column where the customer file has no id column."""
_FORMULA_STARTS = frozenset("=+-@")
_CONTROL_STARTS = ("\t", "\r", "\n")
_SPLITS = re.compile(r"([;|\t\r\n])")
"""Where a spreadsheet may begin another cell, or another line."""
_INVISIBLE = frozenset({"Z", "C", "M"})
"""Unicode's separators, control and format characters, and marks with no letter to stand on."""


def header(schema: Schema, id_column: str | None, *, reasons: bool) -> list[str]:
    """Return the names of the result's columns."""
    return [
        neutral(id_column or ROW_NUMBER),
        "churn_probability",
        "churn_prediction",
        "risk_band",
        *(f"reason_{rank}" for rank in range(1, REASONS + 1) if reasons),
        *(["revenue_at_risk"] if schema.revenue_column is not None else []),
        "error",
    ]


def line_of(scores: Scores, row: int) -> str:
    """Return a row's line, in the order of the header; a failed row has its id and its error."""
    schema = scores.model.schema
    label = (schema.negative, schema.positive)[int(scores.positive[row])]
    cells = [
        f"{scores.micros[row] / MILLION:.{PROBABILITY_DIGITS}f}",
        neutral(label),
        neutral(schema.bands[scores.bands[row]].name),
        *map(neutral, scores.reasons_of(row)),
    ]
    if scores.revenue_at_risk is not None:
        cells.append(_money(float(scores.revenue_at_risk[row])))
    error = ""
    if not scores.scored[row]:
        cells = [""] * len(cells)
        error = "; ".join(error.message for error in scores.errors[row])
    return line([neutral(scores.id_of(row)), *cells, neutral(error)])


def line(cells: Sequence[str]) -> str:
    """Return a line of the file."""
    return str(_LINES.writerow(cells))


class _Echo:
    """What csv writes to, so that it returns its line."""

    def write(self, text: str) -> str:
        return text


_LINES = csv.writer(_Echo(), quoting=csv.QUOTE_ALL)


def neutral(text: str) -> str:
    """Return a text such that no spreadsheet runs it, or a part of it, as a formula."""
    # As an expression and not as a search: this is asked four times for each row.
    if ";" in text or "|" in text or "\t" in text or "\r" in text or "\n" in text:
        first, *others = _SPLITS.split(text)
        # There a quotation mark may be taken for that of a cell, and vanish.
        safe = _as_text(first) + "".join(_as_text(part, '"') for part in others)
        return f"'{safe}" if text.startswith(_CONTROL_STARTS) else safe
    return _as_text(text)


def _as_text(cell: str, passed_over: str = "") -> str:
    if cell[:1].isalnum():  # nearly all
        return cell
    for character in cell:
        if character not in passed_over and unicodedata.category(character)[0] not in _INVISIBLE:
            # A full-width one is one too.
            is_formula = unicodedata.normalize("NFKC", character) in _FORMULA_STARTS
            return f"'{cell}" if is_formula else cell
    return cell


def _money(amount: float) -> str:
    if amount != amount:  # only NaN, no revenue, is not itself
        return ""
    return f"{amount + 0.0:.2f}"  # added, -0 is 0
