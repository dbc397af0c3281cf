"""Fits boosted trees to some rows: how deep, how many and how sure is chosen by these rows alone.

How much is tried depends on the size of the data, so that the work stays about the same: it is
counted in cells of the matrix that a level of a tree looks at, never in seconds, and so the same
rows give the same trees on any machine.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import xgboost
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.model_selection import StratifiedKFold

from model.artifact import Calibration, feature_types
from model.training.dataset import frequent, recoded
from predictions.schema import Column

SEED = 0
FOLDS = 5
THREADS = 1
"""Histograms are summed in the order of threads: another number, other last digits. What runs at
the same time are whole fits."""

CELLS = 75e9
"""Cells that all fits of a training look at, if no candidate stops early. Two slow cores look at
700 million a second, and most candidates stop long before: less than a minute."""
ROW_CELLS = 8
"""A row costs so many more than it has, for all that is done once for each row."""
FEWEST_LEVELS = 1_000
"""Levels of trees that a booster needs to be good; a plan with fewer tries too much at once."""
FEWEST_LEVELS_OF_ALL = 500
"""The largest files get so many, for all the minutes that it takes."""
MOST_LEVELS = 3_000
"""More make no file better."""

REGULARISATION: dict[int, dict[str, float]] = {
    2: {"min_child_weight": 5, "reg_lambda": 1},
    3: {"min_child_weight": 5, "reg_lambda": 5},
    4: {"min_child_weight": 5, "reg_lambda": 10},
    6: {"min_child_weight": 5, "reg_lambda": 10},
}
"""By depth: deeper leaves have fewer rows."""
DEPTH_GAIN = 0.005
"""Relative. Deeper trees must lower the log loss by so much: they are slower to explain."""
LEARNED = 40.0
"""Learning rate x rounds that is enough for any data seen so far."""
LEARNING_RATES = (0.03, 0.3)
CHECK_ROUNDS = 10
"""The held-out loss is looked at after so many rounds, and ends a candidate after `PATIENCE` looks
without a better one."""
PATIENCE = 10
PARAMETERS: dict[str, str | int | float] = {
    "objective": "binary:logistic",
    "tree_method": "hist",
    "subsample": 0.5,
    "seed": SEED,
    "nthread": THREADS,
}

Matrix = NDArray[np.float32]
Left = NDArray[np.bool_]


@dataclass(frozen=True)
class Plan:
    """How much is tried for data of one size."""

    outer_folds: int
    """Of the 5 folds, so many are held out in turn to measure the model."""
    inner_folds: int
    """Of the 5 folds of a fit, so many are held out in turn to choose."""
    depths: tuple[int, ...]
    """Shallow first."""
    levels: int = 0
    """Levels of trees that a booster may have: rounds x depth."""

    def rounds(self, depth: int) -> int:
        """Return the most rounds for trees so deep."""
        return max(1, self.levels // depth // CHECK_ROUNDS) * CHECK_ROUNDS

    def learning_rate(self, depth: int) -> float:
        """Return the rate at which the rounds are enough."""
        return float(np.clip(LEARNED / self.rounds(depth), *LEARNING_RATES).round(3))

    @property
    def boosters(self) -> int:
        """How many boosters a fit trains."""
        return len(self.depths) * self.inner_folds + 1


PLANS = (
    Plan(outer_folds=5, inner_folds=5, depths=(2, 3, 4, 6)),
    Plan(outer_folds=5, inner_folds=3, depths=(2, 4, 6)),
    Plan(outer_folds=5, inner_folds=1, depths=(2, 4, 6)),
    Plan(outer_folds=1, inner_folds=1, depths=(2, 4, 6)),
)
"""The most careful first."""
WIDE_DEPTHS = (2,)
"""With more columns than rows deeper trees find what is chance, and each costs as much again."""


@dataclass(frozen=True)
class Fitted:
    """A model without words: trees, what they take, and what was chosen for them."""

    columns: tuple[Column, ...]
    """With the categories that are frequent enough among the rows."""
    booster: xgboost.Booster
    calibration: Calibration
    depth: int
    rounds: int
    parameters: dict[str, str | int | float]

    def probability(self, columns: Sequence[Column], matrix: Matrix) -> NDArray[np.float64]:
        """Return the churn probability of each row of a matrix of `columns`, with all categories.

        Returns (n_rows,), in [0, 1].
        """
        margin = self.booster.inplace_predict(
            recoded(matrix, columns, self.columns), predict_type="margin"
        )
        return calibrated(self.calibration, margin)


def plan_of(rows: int, columns: int) -> Plan:
    """Choose the most careful plan that the work allows."""
    for plan in PLANS:
        if columns > rows:
            plan = replace(plan, depths=WIDE_DEPTHS)
        levels = int(
            CELLS / (rows * (columns + ROW_CELLS) * plan.boosters * (plan.outer_folds + 1))
        )
        if levels >= FEWEST_LEVELS:
            break
    levels = int(np.clip(levels, FEWEST_LEVELS_OF_ALL, MOST_LEVELS))
    return replace(plan, levels=levels)


def fit(
    columns: Sequence[Column],
    matrix: Matrix,
    left: Left,
    plan: Plan,
    progress: Callable[[float], None],
) -> Fitted:
    """Choose by cross-validation on these rows, then train on all of them.

    matrix: (n_rows, n_columns), codes of all categories of `columns`.
    progress: called every few rounds with the share of the work that is done, in [0, 1].
    """
    fewer = frequent(columns, matrix)
    matrix = recoded(matrix, columns, fewer)
    options: dict[str, Any] = {
        "feature_types": feature_types(fewer),
        "enable_categorical": True,
        "nthread": THREADS,
    }
    folds = list(StratifiedKFold(FOLDS, shuffle=True, random_state=SEED).split(matrix, left))
    folds = folds[: plan.inner_folds]
    truth = left[np.concatenate([held_out for _, held_out in folds])]
    data = [
        (
            xgboost.QuantileDMatrix(matrix[seen], left[seen], **options),
            xgboost.DMatrix(matrix[held_out], left[held_out], **options),
        )
        for seen, held_out in folds
    ]
    share = plan.inner_folds / plan.boosters
    best_loss, margin, depth, rounds = np.inf, np.empty(0), 0, 0
    shallower_loss = np.inf
    for done, candidate in enumerate(plan.depths):
        parameters = parameters_of(plan, candidate, len(fewer))
        curve = _Curve(parameters, data, truth, plan.rounds(candidate))
        curve.follow(lambda part, done=done: progress((done + part) * share))  # type: ignore[misc]
        if curve.loss < best_loss * (1 - DEPTH_GAIN):
            best_loss, margin, depth, rounds = curve.loss, curve.margin, candidate, curve.rounds
        if curve.loss >= shallower_loss:
            break  # still deeper ones only learn more by heart
        shallower_loss = curve.loss
    parameters = parameters_of(plan, depth, len(fewer))
    everything = xgboost.QuantileDMatrix(matrix, left, **options)
    booster = xgboost.Booster(parameters, [everything])
    for done in range(rounds):
        booster.update(everything, done)
        if done % CHECK_ROUNDS == 0:
            progress(1 - (1 - done / rounds) / plan.boosters)
    return Fitted(fewer, booster, _calibration(margin, truth), depth, rounds, parameters)


def parameters_of(plan: Plan, depth: int, columns: int) -> dict[str, str | int | float]:
    """Return XGBoost's parameters for trees so deep, of so many columns."""
    return (
        PARAMETERS
        | REGULARISATION[depth]
        | {
            "max_depth": depth,
            "learning_rate": plan.learning_rate(depth),
            # As many columns for each split as a random forest has: weak ones get their turn.
            "colsample_bynode": round(columns**-0.5, 3),
        }
    )


def calibrated(calibration: Calibration, margin: NDArray[np.floating]) -> NDArray[np.float64]:
    """Turn the booster's log-odds into probabilities."""
    log_odds = calibration.slope * margin.astype(np.float64) + calibration.intercept
    probability: NDArray[np.float64] = 1 / (1 + np.exp(-log_odds))
    return probability


class _Curve:
    """The held-out loss of one candidate as it grows, over all folds at once."""

    def __init__(
        self,
        parameters: dict[str, str | int | float],
        data: Sequence[tuple[xgboost.DMatrix, xgboost.DMatrix]],
        truth: Left,
        most_rounds: int,
    ) -> None:
        self._data = data
        self._boosters = [xgboost.Booster(parameters, pair) for pair in data]
        self._truth = truth
        self._most_rounds = most_rounds
        self.loss = np.inf
        self.rounds = 0
        self.margin = np.empty(0)
        """Log-odds of the held-out rows at the best round, fold after fold."""

    def follow(self, progress: Callable[[float], None]) -> None:
        """Train until the loss stops falling or the work is done."""
        for done in range(self._most_rounds):
            for booster, (seen, _) in zip(self._boosters, self._data, strict=True):
                booster.update(seen, done)
            if (done + 1) % CHECK_ROUNDS == 0:
                self._look(done + 1)
                progress((done + 1) / self._most_rounds)
                if done + 1 >= self.rounds + PATIENCE * CHECK_ROUNDS:
                    return

    def _look(self, rounds: int) -> None:
        margin = np.concatenate(
            [
                booster.predict(held_out, output_margin=True)
                for booster, (_, held_out) in zip(self._boosters, self._data, strict=True)
            ]
        )
        loss = log_loss(self._truth, calibrated(Calibration(slope=1, intercept=0), margin))
        if loss < self.loss:
            self.loss, self.rounds, self.margin = loss, rounds, margin


def _calibration(margin: NDArray[np.floating], left: Left) -> Calibration:
    """Fit the line through log-odds of held-out rows (Platt, 1999)."""
    line = LogisticRegression(C=np.inf).fit(margin.reshape(-1, 1).astype(np.float64), left)
    slope, intercept = float(line.coef_[0, 0]), float(line.intercept_[0])
    if slope > 0:
        return Calibration(slope=slope, intercept=intercept)
    # What was learned says nothing of new customers: all are as likely to leave as any.
    return Calibration(slope=0.0, intercept=float(np.log(left.mean() / (1 - left.mean()))))
