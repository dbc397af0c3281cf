"""Cells to numbers, for training and scoring alike: what was learned is what is seen later."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from model.dates import dates
from model.numbers import numbers
from predictions.customer_file import CellError
from predictions.schema import Column

# Compared without capitals.
YES = frozenset({"yes", "true", "1", "y", "t", "1.0"})
NO = frozenset({"no", "false", "0", "n", "f", "0.0"})


@dataclass(frozen=True)
class Features:
    """A block of rows as the booster sees them."""

    matrix: NDArray[np.float32]
    """(n_rows, n_columns) in the schema's order; NaN where a cell is blank, new or wrong."""
    new: NDArray[np.bool_]
    """The same shape: where a cell holds a category, or a word for yes or no, that is unknown."""
    cells: tuple[Sequence[str], ...]
    """For each column of the matrix the n_rows cells, trimmed."""
    errors: Mapping[int, tuple[CellError, ...]]
    """What is wrong with a row's cells, by its index."""


def encode(
    columns: Sequence[Column],
    cells: Mapping[str, Sequence[str]],
    *,
    mark: str | None = None,
    called: Mapping[str, str] | None = None,
) -> Features:
    """Turn the cells of the named columns into the matrix that the booster was trained on.

    mark: the decimal mark of the file, if it tells one.
    called: what the file calls each column; without it by its name.
    """
    trimmed = tuple([cell.strip() for cell in cells[column.name]] for column in columns)
    matrix = np.empty((len(trimmed[0]), len(columns)), dtype=np.float32)
    new = np.zeros(matrix.shape, dtype=np.bool_)
    errors: dict[int, tuple[CellError, ...]] = {}
    for position, column in enumerate(columns):
        unknown: list[int] = []
        if column.kind == "categorical":
            values, unknown = _codes(column.categories, trimmed[position])
        elif column.kind == "boolean":
            values, unknown = _yes_or_no(column, trimmed[position])
        else:
            name = (called or {}).get(column.name, column.name)
            values, wrong = measured(column, name, trimmed[position], mark)
            errors = joined(errors, wrong)
        new[unknown, position] = True
        matrix[:, position] = values
    return Features(matrix, new, trimmed, errors)


def measured(
    column: Column, name: str, cells: Sequence[str], mark: str | None
) -> tuple[NDArray[np.float64], dict[int, CellError]]:
    """Read a column of numbers or dates, which the file calls `name`.

    Returns the values, NaN where there is none, and what is wrong with a cell, by its index.
    """
    if column.kind == "date":
        values, wrong = dates(name, cells, column.date_format)
    else:
        values, wrong = numbers(name, cells, mark)
    blank = column.blank_words
    return values, {i: error for i, error in wrong.items() if cells[i].casefold() not in blank}


def _yes_or_no(column: Column, cells: Sequence[str]) -> tuple[NDArray[np.float64], list[int]]:
    """Read a column of words for yes and no.

    Returns 1, 0 or NaN for each cell, and which cells are another word.
    """
    values = {cell: _truth(cell.casefold()) for cell in set(cells)}
    blank = ("", *column.blank_words)
    other = {c for c, value in values.items() if value is None and c.casefold() not in blank}
    truths = np.array([values[cell] for cell in cells], dtype=np.float64)
    return truths, [row for row, cell in enumerate(cells) if cell in other] if other else []


def _truth(word: str) -> float | None:
    return 1.0 if word in YES else 0.0 if word in NO else None


def _codes(
    categories: Sequence[str], cells: Sequence[str]
) -> tuple[NDArray[np.float64], list[int]]:
    """Read a column of categories.

    A cell that is none of them counts as the one, if just one, that differs in capitals alone.
    Returns the codes, NaN where there is none, and which cells are not blank and yet have none.
    """
    code_of: dict[str, float] = {category: code for code, category in enumerate(categories)}
    unknown = set(cells).difference(code_of, [""])
    if unknown:  # in few files; a column has few different texts
        folded = [category.casefold() for category in categories]
        times = Counter(folded)
        by_fold = {fold: code for code, fold in enumerate(folded) if times[fold] == 1}
        known = {cell for cell in unknown if cell.casefold() in by_fold}
        code_of |= {cell: by_fold[cell.casefold()] for cell in known}
        unknown -= known
    codes = np.array([code_of.get(cell, np.nan) for cell in cells])
    return codes, [row for row, cell in enumerate(cells) if cell in unknown] if unknown else []


def joined(
    errors: Mapping[int, tuple[CellError, ...]], more: Mapping[int, CellError]
) -> dict[int, tuple[CellError, ...]]:
    """Put together what is wrong with each row."""
    both = dict(errors)
    for index, error in more.items():
        both[index] = (*both.get(index, ()), error)
    return both
