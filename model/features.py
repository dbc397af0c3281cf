"""Cells to numbers, for training and scoring alike: what was learned is what is seen later."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from model.numbers import numbers
from predictions.customer_file import CellError
from predictions.schema import Column


@dataclass(frozen=True)
class Features:
    """A block of rows as the booster sees them."""

    matrix: NDArray[np.float32]
    """(n_rows, n_columns) in the schema's order; NaN where a cell is blank, unseen or wrong."""
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
    errors: dict[int, tuple[CellError, ...]] = {}
    for position, column in enumerate(columns):
        if column.kind == "numeric":
            values, wrong = numbers(
                (called or {}).get(column.name, column.name), trimmed[position], mark
            )
            errors = joined(errors, wrong)
        else:
            categories = pd.Index(column.categories, dtype=object)
            codes = categories.get_indexer(pd.Index(trimmed[position], dtype=object))
            values = np.where(codes < 0, np.nan, codes)
        matrix[:, position] = values
    return Features(matrix, trimmed, errors)


def joined(
    errors: Mapping[int, tuple[CellError, ...]], more: Mapping[int, CellError]
) -> dict[int, tuple[CellError, ...]]:
    """Put together what is wrong with each row."""
    both = dict(errors)
    for index, error in more.items():
        both[index] = (*both.get(index, ()), error)
    return both
