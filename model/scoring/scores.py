"""Scores rows, in memory: probabilities, bands, reasons, and what went wrong.

`Scores` is what is known of some rows however they were read. Here they are read cell by cell, with
an error for each cell that cannot be used; `lines` reads plain rows faster, and to the same end.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from model.artifact import Model
from model.features import encode, joined
from model.numbers import numbers
from model.scoring import kernel
from model.scoring.reasons import REASONS, sentence
from predictions.customer_file import Block, CellError

PROBABILITY_DIGITS = 6
"""Rounded before anything is derived from it, so that band and prediction fit what is printed."""
MILLION = 10**PROBABILITY_DIGITS


@dataclass(frozen=True, kw_only=True)
class Explained:
    """What a model says of some rows. Each array has n_rows entries at its end."""

    micros: NDArray[np.int64]
    """Churn probability in millionths."""
    positive: NDArray[np.bool_]
    """Churn prediction: the probability reaches the threshold."""
    bands: NDArray[np.int64]
    """Position in the schema's bands."""
    columns: NDArray[np.int64]
    """(n_ranks, n_rows): which columns moved the prediction most, strongest first; the earlier
    column on a tie. No rank where reasons were not asked for."""
    effects: NDArray[np.float64]
    """The same shape: their contributions, log-odds; positive raises the risk."""

    @classmethod
    def by(cls, model: Model, bins: NDArray[np.uint16], *, reasons: bool) -> Explained:
        """Score rows by their bins, (n_columns, n_rows)."""
        rows = bins.shape[1]
        log_odds = np.empty(rows)
        kernel.add_sums(model.tables, bins, log_odds)
        micros = np.rint(MILLION / (1 + np.exp(-log_odds))).astype(np.int64)
        columns = np.empty((REASONS if reasons else 0, rows), dtype=np.int64)
        strongest = np.empty(columns.shape)
        if reasons:
            kernel.rank(contributions(model, bins), columns, strongest)
        schema = model.schema
        bounds = [band.from_probability for band in schema.bands]
        probability = micros / MILLION
        return cls(
            micros=micros,
            positive=probability >= schema.threshold,
            bands=np.searchsorted(bounds, probability, side="right") - 1,
            columns=columns,
            effects=strongest,
        )


@dataclass(frozen=True, kw_only=True)
class Scores(Explained):
    """The results of some rows, in the order of the file.

    What the arrays say of a row that was not scored means nothing.
    """

    model: Model
    numbers: NDArray[np.int64]
    """Each row's number in the file; the first customer is 1."""
    scored: NDArray[np.bool_]
    """Which rows have a score."""
    bins: NDArray[np.uint16]
    """(n_columns, n_rows), as the model's bins count them."""
    revenue_at_risk: NDArray[np.float64] | None
    """Probability x revenue; NaN where the revenue is blank, None where no column is known."""
    id_of: Callable[[int], str]
    """By a row's place here: the customer's id, or the row's number."""
    cell_of: Callable[[int, int], str]
    """By column and row: the cell, trimmed."""
    errors: Mapping[int, tuple[CellError, ...]]
    """Why a row could not be scored, by its place here."""

    @property
    def probability(self) -> NDArray[np.float64]:
        """Churn probability, rounded as it is printed."""
        probability: NDArray[np.float64] = self.micros / MILLION
        return probability

    def reasons_of(self, row: int) -> list[str]:
        """Say a row's reasons, strongest first; empty where nothing moved the prediction."""
        said = []
        for column, effect in zip(self.columns[:, row].tolist(), self.effects[:, row], strict=True):
            known, found = self.model.schema.columns[column], int(self.bins[column, row])
            cell = self.cell_of(column, row)
            said.append(sentence(known, self.model.bins, column, found, cell, float(effect)))
        return said


def contributions(model: Model, bins: NDArray[np.uint16]) -> NDArray[np.float64]:
    """Return each column's contribution to each row's prediction: exact SHAP values, log-odds.

    bins: (n_columns, n_rows). Returns the same shape; a row's sum, and the model's `tables.base`,
        add up to the log-odds of its churn probability.
    """
    effects = np.empty(bins.shape)
    kernel.add_effects(model.tables, bins, effects)
    return effects


def score(
    block: Block,
    model: Model,
    called: Mapping[str, str],
    *,
    mark: str | None,
    rows: Sequence[int] | None = None,
    reasons: bool = True,
) -> Scores:
    """Score the rows of a block; without an id column their number in the file is their id.

    called: what the file calls each column that it has. mark: its decimal mark.
    rows: each row's number in the file, where they are not consecutive.
    """
    schema = model.schema
    features = encode(schema.columns, block.columns, mark=mark, called=called)
    errors = dict(features.errors)
    revenue = None
    if schema.revenue_column is not None:
        cells = block.columns[schema.revenue_column]
        revenue, wrong = numbers(called[schema.revenue_column], cells, mark)
        if all(column.name != schema.revenue_column for column in schema.columns):
            errors = joined(errors, wrong)
    # A row of the wrong shape has its cells in the wrong columns: what they hold does not count.
    errors |= {index: (error,) for index, error in block.errors.items()}
    scored = np.ones(len(block), dtype=np.bool_)
    scored[list(errors)] = False
    numbered = rows or range(block.first_row, block.first_row + len(block))
    ids = block.columns.get(schema.id_column or "")
    bins = model.bins.of(features.matrix, features.new)
    found = Explained.by(model, bins, reasons=reasons)
    return Scores(
        model=model,
        numbers=np.array(numbered, dtype=np.int64),
        scored=scored,
        bins=bins,
        revenue_at_risk=None if revenue is None else found.micros / MILLION * revenue,
        **vars(found),
        id_of=lambda row: str(numbered[row]) if ids is None else ids[row],
        cell_of=lambda column, row: features.cells[column][row],
        errors=errors,
    )
