"""Trains a model on any labelled CSV and measures it on rows that it has not seen.

Depth and number of trees are chosen by cross-validation inside whatever `fit` is given. The outer
folds call `fit` on their training rows alone, so that the choice, too, is measured honestly.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import sklearn
import xgboost
from numpy.typing import NDArray
from sklearn.model_selection import StratifiedKFold

from model.artifact import Calibration, Metrics, RiskBand, Schema, Training, feature_types, save
from model.card import model_card
from model.dataset import Dataset, read_dataset
from model.metrics import measure

SEED = 0
FOLDS = 5
THREADS = 1
"""Histograms are summed in the order of threads: another number, other last digits."""
DEPTHS = (2, 3, 5)
DEPTH_GAIN = 0.01
"""Relative. Deeper trees must lower the log loss by so much: they are slower to explain."""
MAX_ROUNDS = 1_000
PATIENCE_ROUNDS = 30
THRESHOLD = 0.5
BANDS = (
    RiskBand(name="Low", from_probability=0.0),
    RiskBand(name="Medium", from_probability=0.3),
    RiskBand(name="High", from_probability=0.6),
)
PARAMETERS: dict[str, str | int | float] = {
    "objective": "binary:logistic",
    "eval_metric": "logloss",
    "tree_method": "hist",
    "learning_rate": 0.1,
    "min_child_weight": 5,
    "subsample": 0.8,
    "colsample_bynode": 0.8,
    "seed": SEED,
    "nthread": THREADS,
}


@dataclass(frozen=True)
class Fitted:
    """A booster and what was chosen for it."""

    booster: xgboost.Booster
    depth: int
    rounds: int


def train(
    path: Path,
    *,
    label: str,
    positive: str | None,
    id_column: str | None,
    revenue_column: str | None,
    out: Path,
    progress: Callable[[float], None],
) -> Schema:
    """Train on the labelled CSV and write the artifact and its card to the folder `out`.

    The same file gives the same bytes, on the same library versions.
    progress: called with the share of the work that is done, in [0, 1].
    Raises BadCustomerFile when the file cannot be trained on.
    """
    data = read_dataset(
        path,
        label=label,
        positive=positive,
        id_column=id_column,
        revenue_column=revenue_column,
    )
    metrics = cross_validate(data, lambda folds: progress(folds / (FOLDS + 1)))
    fitted = fit(data.matrix, data.left, feature_types(data.columns))
    raw = bytes(fitted.booster.save_raw("ubj"))
    schema = Schema(
        version="",
        columns=data.columns,
        id_column=id_column,
        revenue_column=revenue_column,
        label=label,
        positive=data.positive,
        negative=data.negative,
        threshold=THRESHOLD,
        bands=BANDS,
        booster_sha256=hashlib.sha256(raw).hexdigest(),
        calibration=Calibration(slope=1.0, intercept=0.0),
        metrics=metrics,
        training=Training(
            data_sha256=data.sha256,
            rows=len(data.left),
            positive_rows=int(data.left.sum()),
            duplicate_rows=data.duplicate_rows,
            unlabelled_rows=data.unlabelled_rows,
            dropped_columns=data.dropped_columns,
            seed=SEED,
            folds=FOLDS,
            parameters=PARAMETERS | {"max_depth": fitted.depth},
            rounds=fitted.rounds,
            libraries={
                library.__name__: library.__version__ for library in (np, pd, sklearn, xgboost)
            },
        ),
    ).with_version(re.sub(r"[^a-z0-9]+", "-", path.stem.lower()).strip("-") or "model")
    save(out, schema, raw, model_card(schema))
    progress(1.0)
    return schema


def cross_validate(data: Dataset, progress: Callable[[int], None]) -> Metrics:
    """Measure on every row the prediction of a model that was fitted without that row's fold."""
    probability = np.empty(len(data.left))
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=SEED)
    for done, (seen, held_out) in enumerate(folds.split(data.matrix, data.left), start=1):
        fitted = fit(data.matrix[seen], data.left[seen], feature_types(data.columns))
        probability[held_out] = fitted.booster.inplace_predict(data.matrix[held_out])
        progress(done)
    return measure(data.left, probability, THRESHOLD)


def fit(matrix: NDArray[np.float32], left: NDArray[np.bool_], types: list[str]) -> Fitted:
    """Choose depth and number of trees by cross-validation on these rows, then train on all."""
    rows = xgboost.DMatrix(
        matrix, left, feature_types=types, enable_categorical=True, nthread=THREADS
    )
    best_loss, depth, rounds = np.inf, 0, 0
    for candidate in DEPTHS:
        history = xgboost.cv(
            PARAMETERS | {"max_depth": candidate},
            rows,
            num_boost_round=MAX_ROUNDS,
            nfold=FOLDS,
            stratified=True,
            early_stopping_rounds=PATIENCE_ROUNDS,
            seed=SEED,
        )
        losses = np.asarray(history["test-logloss-mean"])
        if losses[-1] < best_loss * (1 - DEPTH_GAIN):
            best_loss, depth, rounds = losses[-1], candidate, len(losses)
    booster = xgboost.train(PARAMETERS | {"max_depth": depth}, rows, rounds)
    return Fitted(booster, depth, rounds)
