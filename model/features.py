"""Cells to numbers, for training and scoring alike: what was learned is what is seen later."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from predictions.schema import Column

LARGEST = float(np.finfo(np.float32).max)
"""XGBoost computes in 32 bits and refuses infinity."""
SHOWN_CHARACTERS = 40
"""Of a customer's cell in a message."""


@dataclass(frozen=True)
class Features:
    """A block of rows as the booster sees them."""

    matrix: NDArray[np.float32]
    """(n_rows, n_columns) in the schema's order; NaN where a cell is blank, unseen or wrong."""
    cells: tuple[Sequence[str], ...]
    """For each column of the matrix the n_rows cells, trimmed."""
    errors: Mapping[int, str]
    """What is wrong with a row's cells, by its index."""


def encode(columns: Sequence[Column], cells: Mapping[str, Sequence[str]]) -> Features:
    """Turn the cells of the named columns into the matrix that the booster was trained on."""
    trimmed = tuple([cell.strip() for cell in cells[column.name]] for column in columns)
    matrix = np.empty((len(trimmed[0]), len(columns)), dtype=np.float32)
    errors: dict[int, str] = {}
    for position, column in enumerate(columns):
        if column.kind == "numeric":
            values, wrong = numbers(column.name, trimmed[position])
            errors = joined(errors, wrong)
        else:
            categories = pd.Index(column.categories, dtype=object)
            codes = categories.get_indexer(pd.Index(trimmed[position], dtype=object))
            values = np.where(codes < 0, np.nan, codes)
        matrix[:, position] = values
    return Features(matrix, trimmed, errors)


def numbers(name: str, cells: Sequence[str]) -> tuple[NDArray[np.float64], dict[int, str]]:
    """Read a column of numbers.

    Returns the values, NaN where there is none, and for each cell that is neither blank nor a
    finite number what is wrong with it, by its index.
    """
    parsed = pd.to_numeric(np.array(cells, dtype=object), errors="coerce")
    values = np.asarray(parsed, dtype=np.float64)
    odd = np.flatnonzero(~(np.abs(values) <= LARGEST)).tolist()
    values[odd] = np.nan
    wrong = {
        index: f"{name}: {quoted(cells[index])} is not a number"
        for index in odd
        if cells[index].strip()
    }
    return values, wrong


def joined(errors: Mapping[int, str], more: Mapping[int, str]) -> dict[int, str]:
    """Put together what is wrong with each row."""
    both = dict(errors)
    for index, problem in more.items():
        both[index] = f"{both[index]}; {problem}" if index in both else problem
    return both


def quoted(cell: str) -> str:
    """Return a customer's cell as a message shows it: in quotes, short, on one line."""
    cell = " ".join(cell.split())
    return f'"{cell[:SHOWN_CHARACTERS]}…"' if len(cell) > SHOWN_CHARACTERS else f'"{cell}"'
