"""How good probabilities are against what happened."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import brier_score_loss, log_loss, roc_auc_score

from model.artifact import Metrics

DIGITS = 6
ECE_BINS = 10


def measure(left: NDArray[np.bool_], probability: NDArray[np.float64], threshold: float) -> Metrics:
    """Compare probabilities with what happened.

    left: (n_rows,), True for a customer who left; both must occur.
    probability: (n_rows,), in [0, 1].
    """
    figures = {
        "accuracy": np.mean((probability >= threshold) == left),
        "auc": roc_auc_score(left, probability),
        "log_loss": log_loss(left, probability),
        "brier": brier_score_loss(left, probability),
        "ece": _calibration_error(left, probability),
        "top_decile_precision": _top_decile_precision(left, probability),
    }
    rounded = {name: round(float(figure), DIGITS) for name, figure in figures.items()}
    return Metrics(rows=len(left), **rounded)


def _calibration_error(left: NDArray[np.bool_], probability: NDArray[np.float64]) -> float:
    """Distance of mean probability and churn rate per bin, weighted by the bin's rows."""
    bins = np.minimum((probability * ECE_BINS).astype(np.intp), ECE_BINS - 1)
    surplus = np.bincount(bins, weights=probability - left)
    return float(np.abs(surplus).sum() / len(left))


def _top_decile_precision(left: NDArray[np.bool_], probability: NDArray[np.float64]) -> float:
    top = np.argsort(-probability, kind="stable")[: max(1, len(left) // 10)]
    return float(left[top].mean())
