"""Measures training itself: each row is predicted by a model that was made without it.

All that is learned or chosen from rows (which categories are frequent, depth, number of trees,
calibration) is chosen anew within each fold. Fits run side by side; how many at once changes
nothing of what comes out.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from threading import Lock

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import StratifiedKFold

from model.artifact import Metrics
from model.scoring.processors import processors
from model.training.dataset import Dataset
from model.training.fitting import FOLDS, Fitted, fit, plan_of
from model.training.metrics import DIGITS, measure

GROUPS = 20
"""Of rows, left out in turn to tell how far a figure would move with other customers."""

Fit = Callable[[Callable[[float], None]], Fitted]
"""Something that fits, and says meanwhile which share of it is done."""


@dataclass(frozen=True)
class HeldOut:
    """Predictions, for one seed, of rows that took no part in making what predicted them."""

    rows: NDArray[np.intp]
    """(n,): which of the data set's: all, or the fifth that is held out of the largest files."""
    left: NDArray[np.bool_]
    """(n,)"""
    probability: NDArray[np.float64]
    """(n,), in [0, 1]."""

    def measured(
        self, threshold: float, chosen: NDArray[np.bool_] | slice = slice(None)
    ) -> Metrics:
        """Measure all predictions or the chosen ones."""
        return measure(self.left[chosen], self.probability[chosen], threshold)


@dataclass(frozen=True)
class Measured:
    """How good training is on one file."""

    metrics: Metrics
    """Mean over the seeds."""
    standard_errors: dict[str, float]
    """By the name of the figure: how far other customers of the same kind would move it. By a
    jackknife over 20 groups of rows: it serves a figure that is no mean over rows, too."""


def cross_validate(
    data: Dataset, seeds: Sequence[int], progress: Callable[[float], None]
) -> list[HeldOut]:
    """Predict the rows once for each seed, which shuffles them into folds.

    progress: called every few rounds with the share of the work that is done, in [0, 1].
    """
    splits = [_folds(data, seed) for seed in seeds]
    seen = [seen for split in splits for seen, _ in split]
    return _held_out(data, splits, _side_by_side([_fit(data, rows) for rows in seen], progress))


def train_and_cross_validate(
    data: Dataset, seed: int, progress: Callable[[float], None]
) -> tuple[Fitted, HeldOut]:
    """Fit a model to all rows, and predict each row by one that was made in the same way without.

    progress: as for `cross_validate`.
    """
    split = _folds(data, seed)
    # The largest first: as the last it would be alone.
    fits = [_fit(data, slice(None)), *(_fit(data, seen) for seen, _ in split)]
    model, *others = _side_by_side(fits, progress)
    return model, _held_out(data, [split], others)[0]


def measured(held_out: Sequence[HeldOut], threshold: float) -> Measured:
    """Measure predictions for several seeds together."""
    rows = 1 + max(int(one.rows.max()) for one in held_out)
    group = np.random.default_rng(0).permutation(rows) % GROUPS
    whole = _mean([one.measured(threshold) for one in held_out])
    parts = [
        _mean([one.measured(threshold, group[one.rows] != left_out) for one in held_out])
        for left_out in range(GROUPS)
    ]
    errors = {}
    for name in whole:
        figures = np.array([part[name] for part in parts])
        error = np.sqrt((GROUPS - 1) * np.var(figures))
        errors[name] = round(float(error), DIGITS)
    return Measured(Metrics(rows=len(held_out[0].rows), **whole), errors)


def _mean(metrics: Sequence[Metrics]) -> dict[str, float]:
    names = [name for name in Metrics.model_fields if name != "rows"]
    return {
        name: round(float(np.mean([getattr(one, name) for one in metrics])), DIGITS)
        for name in names
    }


def _folds(data: Dataset, seed: int) -> list[tuple[NDArray[np.intp], NDArray[np.intp]]]:
    """Return for each fit that measures which rows it sees and which it predicts."""
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=seed).split(data.matrix, data.left)
    return list(folds)[: plan_of(*data.matrix.shape).outer_folds]


def _fit(data: Dataset, rows: NDArray[np.intp] | slice) -> Fit:
    plan = plan_of(*data.matrix.shape)
    return lambda tick: fit(data.columns, data.matrix[rows], data.left[rows], plan, tick)


def _held_out(
    data: Dataset,
    splits: Sequence[Sequence[tuple[NDArray[np.intp], NDArray[np.intp]]]],
    fitted: Sequence[Fitted],
) -> list[HeldOut]:
    models = iter(fitted)
    held_out = []
    for split in splits:
        rows = np.concatenate([out for _, out in split])
        parts = [next(models).probability(data.columns, data.matrix[out]) for _, out in split]
        held_out.append(HeldOut(rows, data.left[rows], np.concatenate(parts)))
    return held_out


class _Stopped(Exception):
    """Another fit failed, or the person had enough of waiting."""


def _side_by_side(fits: Sequence[Fit], progress: Callable[[float], None]) -> list[Fitted]:
    """Run the fits, as many at once as there are processors; what comes out is the same."""
    shares = [0.0] * len(fits)
    lock = Lock()
    is_stopped = False

    def run(position: int) -> Fitted:
        def tick(share: float) -> None:
            if is_stopped:
                raise _Stopped
            with lock:
                shares[position] = share
                progress(sum(shares) / len(shares))

        return fits[position](tick)

    with ThreadPoolExecutor(processors()) as pool:
        futures = [pool.submit(run, position) for position in range(len(fits))]
        try:
            return [future.result() for future in futures]
        except BaseException:
            is_stopped = True
            raise
