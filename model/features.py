"""Cells to numbers, for training and scoring alike: what was learned is what is seen later."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from model.numbers import numbers
from predictions.customer_file import CellError
from predictions.schema import Column


@dataclass(frozen=True)
class Features:
    """A block of rows as the booster sees them."""

    matrix: NDArray[np.float32]
    """(n_rows, n_columns) in the schema's order; NaN where a cell is blank, new or wrong."""
    new: NDArray[np.bool_]
    """The same shape: where a cell holds a category that the model does not know."""
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
        if column.kind == "numeric":
            values, wrong = numbers(
                (called or {}).get(column.name, column.name), trimmed[position], mark
            )
            errors = joined(errors, wrong)
        else:
            values, unknown = _codes(column.categories, trimmed[position])
            new[unknown, position] = True
        matrix[:, position] = values
    return Features(matrix, new, trimmed, errors)


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
