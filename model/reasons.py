"""Why a customer got the probability: the strongest contributions, in words.

A contribution is a SHAP value in log-odds: how far this customer's value of one column moves the
prediction away from the model's average. All of a customer's contributions and the average add up
to the log-odds of the prediction, so the largest are the reasons, exactly.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from model.features import Features
from predictions.record import Reason
from predictions.refusals import shown
from predictions.schema import Column

REASONS = 3
GROUPS = 1024
"""More than a column has groups: a category each, or two sides of an average, missing or new."""
MISSING, NEW = -1, -2


@dataclass(frozen=True)
class Strongest:
    """The columns that moved each prediction most."""

    columns: NDArray[np.intp]
    """(n_rows, at most 3): positions in the schema, strongest first; earlier column on a tie."""
    effects: NDArray[np.float32]
    """The same shape: their contributions, log-odds; positive raises the risk."""


def strongest_of(contributions: NDArray[np.float32]) -> Strongest:
    """Find the three largest contributions of each row, by absolute value.

    contributions: (n_rows, n_columns), without the model's average.
    """
    columns = np.argsort(-np.abs(contributions), axis=1, kind="stable")[:, :REASONS]
    return Strongest(columns, np.take_along_axis(contributions, columns, axis=1))


def in_words(schema: Sequence[Column], features: Features, top: Strongest) -> list[list[str]]:
    """Say each rank's reasons: at most 3 lists of n_rows sentences, empty where nothing moved."""
    unseen = np.isnan(features.matrix)
    said = []
    for columns, effects in zip(top.columns.T, top.effects.T, strict=True):
        rows = np.arange(len(columns))
        said.append(
            [
                _sentence(schema[column].name, features.cells[column][row], is_unseen, effect)
                for row, (column, is_unseen, effect) in enumerate(
                    zip(
                        columns.tolist(),
                        unseen[rows, columns].tolist(),
                        effects.tolist(),
                        strict=True,
                    )
                )
            ]
        )
    return said


def _sentence(name: str, cell: str, is_unseen: bool, effect: float) -> str:
    if effect == 0:
        return ""
    if not is_unseen:
        value = f"is {shown(cell)}"
    elif cell:
        value = f"is {shown(cell)}, which is new to the model"
    else:
        value = "is missing"
    return f"{name} {value}: {'raises' if effect > 0 else 'lowers'} the risk"


class RaisingReasons:
    """Counts what raises the risk over a whole file; numbers are grouped around their average."""

    def __init__(self, schema: Sequence[Column]) -> None:
        self._schema = schema
        self._averages = np.array([column.average or 0.0 for column in schema])
        self._numeric = np.array([not column.categories for column in schema])
        self._customers: Counter[int] = Counter()

    def add(self, features: Features, top: Strongest, scored: NDArray[np.bool_]) -> None:
        """Count one block's rows that were scored."""
        groups = np.where(self._numeric, features.matrix > self._averages, features.matrix)
        groups = np.where(np.isnan(features.matrix), MISSING, groups)
        groups = np.where(features.new, NEW, groups)
        chosen = np.take_along_axis(groups, top.columns, axis=1).astype(np.int64)
        keys = top.columns * GROUPS + (chosen - NEW)
        raising = (top.effects > 0) & scored[:, np.newaxis]
        for key, customers in zip(*np.unique(keys[raising], return_counts=True), strict=True):
            self._customers[int(key)] += int(customers)

    def most_frequent(self, limit: int) -> tuple[Reason, ...]:
        """Return the reasons that most customers have, most frequent first."""
        ranked = sorted(self._customers.items(), key=lambda item: (-item[1], item[0]))
        return tuple(
            Reason(reason=self._group(key), customers=customers)
            for key, customers in ranked[:limit]
        )

    def _group(self, key: int) -> str:
        position, group = divmod(key, GROUPS)
        column, group = self._schema[position], group + NEW
        if group == MISSING:
            value = "missing"
        elif group == NEW:
            value = "new to the model"
        elif column.categories:
            value = column.categories[group]
        else:
            value = f"{'above' if group else 'at or below'} the average of {column.average:g}"
        return f"{column.name} is {value}: raises the risk"
