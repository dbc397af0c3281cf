"""Scores one block of rows, in memory: probabilities, bands, reasons, and what went wrong."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import xgboost
from numpy.typing import NDArray

from model.artifact import Model, feature_types
from model.features import Features, encode, joined
from model.numbers import numbers
from model.reasons import Strongest, in_words, strongest_of
from predictions.customer_file import Block, CellError

PROBABILITY_DIGITS = 6
"""Rounded before anything is derived from it, so that band and prediction fit what is printed."""


@dataclass(frozen=True)
class Scores:
    """One block's results. Every array has n_rows entries; a failed row's mean nothing."""

    first_row: int
    """Number of the block's first row in the file; the first customer is 1."""
    ids: Sequence[str]
    features: Features
    probability: NDArray[np.float64]
    band: NDArray[np.intp]
    """Position in the schema's bands."""
    revenue_at_risk: NDArray[np.float64] | None
    """Probability x revenue; NaN where the revenue is blank, None where no column is known."""
    strongest: Strongest
    reasons: Sequence[Sequence[str]]
    """For each rank, strongest first, n_rows sentences; empty where nothing moved."""
    scored: NDArray[np.bool_]
    """Which rows have a score."""
    errors: Mapping[int, tuple[CellError, ...]]
    """Why a row could not be scored, by its index."""


def score(
    block: Block, model: Model, called: Mapping[str, str], threads: int, *, mark: str | None
) -> Scores:
    """Score the rows of a block; without an id column their number in the file is their id.

    called: what the file calls each column that it has. mark: its decimal mark.
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
    # Explaining is most of the work: a row that has failed gets none of it.
    scored = np.ones(len(block), dtype=np.bool_)
    scored[list(errors)] = False
    contributions = np.zeros((len(block), len(schema.columns) + 1), dtype=np.float32)
    if scored.any():
        contributions[scored] = explain(model, features.matrix[scored], threads)
    log_odds = contributions.sum(axis=1, dtype=np.float64)
    probability = np.round(1 / (1 + np.exp(-log_odds)), PROBABILITY_DIGITS)
    bounds = [band.from_probability for band in schema.bands]
    numbered = range(block.first_row, block.first_row + len(block))
    strongest = strongest_of(contributions[:, :-1])
    return Scores(
        first_row=block.first_row,
        ids=block.columns.get(schema.id_column or "") or [str(number) for number in numbered],
        features=features,
        probability=probability,
        band=np.searchsorted(bounds, probability, side="right") - 1,
        revenue_at_risk=None if revenue is None else probability * revenue,
        strongest=strongest,
        reasons=in_words(schema.columns, features, strongest),
        scored=scored,
        errors=errors,
    )


def explain(model: Model, matrix: NDArray[np.float32], threads: int) -> NDArray[np.float32]:
    """Return each column's contribution to each row's prediction: exact SHAP values, log-odds.

    matrix: (n_rows, n_columns), as `encode` makes it.
    Returns (n_rows, n_columns + 1): the last is the model's average; a row's sum is the log-odds
        of its churn probability.
    """
    data = xgboost.DMatrix(
        matrix,
        feature_types=feature_types(model.schema.columns),
        enable_categorical=True,
        nthread=threads,
    )
    model.booster.set_param({"nthread": threads})
    contributions: NDArray[np.float32] = model.booster.predict(data, pred_contribs=True)
    contributions *= model.schema.calibration.slope
    contributions[:, -1] += model.schema.calibration.intercept
    return contributions
