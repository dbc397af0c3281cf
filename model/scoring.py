"""Scores one block of rows, in memory: probabilities, bands, reasons, and what went wrong."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import xgboost
from numpy.typing import NDArray

from model.artifact import Model, feature_types
from model.features import Features, encode, joined, numbers
from model.reasons import Strongest, in_words, strongest_of
from predictions.customer_file import Block

PROBABILITY_DIGITS = 6
"""Rounded before anything is derived from it, so that band and prediction fit what is printed."""


@dataclass(frozen=True)
class Scores:
    """One block's results. Every array has n_rows entries; a failed row's mean nothing."""

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
    errors: Mapping[int, str]
    """Why a row could not be scored, by its index."""

    @property
    def scored(self) -> NDArray[np.bool_]:
        """(n_rows,): which rows have a score."""
        mask = np.ones(len(self.probability), dtype=np.bool_)
        mask[list(self.errors)] = False
        return mask


def score(block: Block, model: Model, id_column: str | None, threads: int) -> Scores:
    """Score the rows of a block; without an id column their number in the file is their id."""
    schema = model.schema
    features = encode(schema.columns, block.columns)
    errors = dict(features.errors)
    revenue = None
    if schema.revenue_column is not None:
        revenue, wrong = numbers(schema.revenue_column, block.columns[schema.revenue_column])
        if all(column.name != schema.revenue_column for column in schema.columns):
            errors = joined(errors, wrong)
    errors |= block.errors  # a row of the wrong shape: its cells are in the wrong columns
    contributions = explain(model, features.matrix, threads)
    log_odds = contributions.sum(axis=1, dtype=np.float64)
    probability = np.round(1 / (1 + np.exp(-log_odds)), PROBABILITY_DIGITS)
    bounds = [band.from_probability for band in schema.bands]
    numbered = range(block.first_row, block.first_row + len(block))
    strongest = strongest_of(contributions[:, :-1])
    return Scores(
        ids=block.columns[id_column] if id_column else [str(number) for number in numbered],
        features=features,
        probability=probability,
        band=np.searchsorted(bounds, probability, side="right") - 1,
        revenue_at_risk=None if revenue is None else probability * revenue,
        strongest=strongest,
        reasons=in_words(schema.columns, features, strongest),
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
    return contributions
