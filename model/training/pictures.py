"""The pictures of a model card: is it calibrated, does it rank, and what moves it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import xgboost
from numpy.typing import NDArray
from sklearn.metrics import precision_recall_curve, roc_auc_score, roc_curve

from model.artifact import feature_types
from model.dates import as_text
from model.training.cross_validation import HeldOut
from model.training.dataset import Dataset, recoded
from model.training.fitting import SEED, THREADS, Fitted
from model.training.svg import Panel, bar, line, picture, text
from predictions.schema import Column

RELIABILITY, RANKING, EFFECTS = "reliability.svg", "roc-pr.svg", "effects.svg"
TENTHS = 10
CURVE_POINTS = 200
EFFECT_ROWS = 5_000
EFFECT_COLUMNS = 6
GROUPS = 6
"""Of a column's values: its most frequent categories, or ranges with as many rows each."""
AXIS_ENDS = (0.05, 0.1, 0.2, 0.5, 1.0)
"""Where 3 % leave, all would be in a corner of a chart that goes to 100 %."""
LABEL_CHARACTERS = 22
WHOLE_CHARACTERS = 24
"""Of two dates; what is longer is cut to the other."""
ROW, BAR, PANEL = 20, 14, 440
"""Pixels: height of a row and of its bar, width of one column's bars and their labels."""
ZERO, REACH = 270, 105
"""Pixels from a panel's left edge: where no effect is; how far the largest reaches from there."""


@dataclass(frozen=True)
class Picture:
    """A drawing and what it shows, in words."""

    svg: str
    description: str


@dataclass(frozen=True)
class Effect:
    """What one column does to the prediction, on average over the customers of each group."""

    column: str
    groups: list[tuple[str, float]]
    """What the cells hold, and how far that moves the prediction, log-odds."""


def pictures(data: Dataset, fitted: Fitted, held_out: HeldOut) -> dict[str, Picture]:
    """Draw all pictures of a card, by the names of their files."""
    return {
        RELIABILITY: reliability(held_out),
        RANKING: ranking(held_out),
        EFFECTS: drawn(effects(data, fitted)),
    }


def reliability(held_out: HeldOut) -> Picture:
    """Compare predicted with true shares, for each tenth of the customers by probability."""
    order = np.argsort(held_out.probability, kind="stable")
    points = []
    for rows in np.array_split(order, TENTHS):
        said, true = held_out.probability[rows].mean(), held_out.left[rows].mean()
        points.append((float(said), float(true), float(np.sqrt(true * (1 - true) / len(rows)))))
    told = "; ".join(f"{said:.1%} predicted, {true:.1%} left" for said, true, _ in points)
    description = f"Ten equally large groups of customers, from lowest to highest risk: {told}."
    highest = max(max(said, min(1.0, true + 2 * error)) for said, true, error in points)
    end = next(share for share in AXIS_ENDS if share >= highest)
    panel = Panel(60, 54, "Predicted and true", "predicted probability", "share that left", end=end)
    parts = [
        *panel.frame(),
        panel.line([(0, 0), (end, end)], "guide"),
        panel.line([(said, true) for said, true, _ in points], "line"),
    ]
    for said, true, error in points:
        ends = [(said, max(0.0, true - 2 * error)), (said, min(1.0, true + 2 * error))]
        parts += [panel.line(ends, "bar"), panel.dot(said, true)]
    return Picture(picture(340, 344, "Reliability curve", description, parts), description)


def ranking(held_out: HeldOut) -> Picture:
    """Draw the ROC curve and the precision-recall curve."""
    left, probability = held_out.left, held_out.probability
    false, true, _ = roc_curve(left, probability)
    precision, recall, _ = precision_recall_curve(left, probability)
    precision, recall = precision[:-1], recall[:-1]  # the last is of no customers: made up
    base, auc = float(left.mean()), float(roc_auc_score(left, probability))
    half = float(precision[np.searchsorted(-recall, -0.5)])
    description = (
        f"ROC: area {auc:.3f}, where 0.5 is chance. Precision and recall: to find half of those "
        f"who left, {half:.0%} of the customers chosen did; of all customers {base:.0%} did."
    )
    roc = Panel(
        60,
        54,
        f"ROC, area {auc:.3f}",
        "chosen wrongly, of those who stayed",
        "found, of those who left",
    )
    pr = Panel(400, 54, "Precision and recall", "found, of those who left", "left, of those chosen")
    parts = [
        *roc.frame(),
        roc.line([(0, 0), (1, 1)], "guide"),
        roc.line(_thinned(false, true), "line"),
        *pr.frame(),
        pr.line([(0, base), (1, base)], "guide"),
        pr.line(_thinned(recall[::-1], precision[::-1]), "line"),
    ]
    return Picture(picture(680, 344, "ROC, precision and recall", description, parts), description)


def effects(data: Dataset, fitted: Fitted) -> list[Effect]:
    """Average the contributions of the columns that move the predictions most, by their values."""
    rows = np.random.default_rng(SEED).permutation(len(data.left))[:EFFECT_ROWS]
    matrix = recoded(data.matrix[rows], data.columns, fitted.columns)
    seen = xgboost.DMatrix(
        matrix,
        feature_types=feature_types(fitted.columns),
        enable_categorical=True,
        nthread=THREADS,
    )
    moved: NDArray[np.float32] = fitted.booster.predict(seen, pred_contribs=True)
    moved *= fitted.calibration.slope
    strength = np.abs(moved[:, :-1]).mean(axis=0)
    strongest = np.argsort(-strength, kind="stable")[:EFFECT_COLUMNS]
    return [
        Effect(column.name, list(_by_group(column, matrix[:, position], moved[:, position])))
        for position in strongest.tolist()
        for column in (fitted.columns[position],)
    ]


def drawn(found: list[Effect]) -> Picture:
    """Draw the effects as bars around zero, a panel for each column."""
    largest = max((abs(moves) for one in found for _, moves in one.groups), default=0.0) or 1.0
    told = " ".join(
        f"{one.column}: " + ", ".join(f"{value} {moves:+.2f}" for value, moves in one.groups) + "."
        for one in found
    )
    description = f"Mean effect on the log-odds of leaving; above zero raises the risk. {told}"
    parts: list[str] = []
    height = ROW * (GROUPS + 3)
    for index, one in enumerate(found):
        left, top = 10 + index % 2 * PANEL, 30 + index // 2 * height
        bottom = top + 8 + ROW * len(one.groups)
        parts.append(text(left, top, _cut(one.column), "title"))
        parts.append(line([(left + ZERO, top + 6), (left + ZERO, bottom)], "axis"))
        for row, (value, moves) in enumerate(one.groups):
            y, width = top + 8 + ROW * row, abs(moves) / largest * REACH
            start = left + ZERO - (width if moves < 0 else 0)
            parts.append(text(left + ZERO - REACH - 8, y + 12, _cut(value), "end"))
            parts.append(bar(start, y, width, BAR, "more" if moves > 0 else "less"))
            parts.append(text(left + ZERO + REACH + 4, y + 12, f"{moves:+.2f}"))
    height = 20 + height * ((len(found) + 1) // 2)
    return Picture(picture(2 * PANEL, height, "Effects", description, parts), description)


def _by_group(
    column: Column, values: NDArray[np.float32], moved: NDArray[np.float32]
) -> Iterator[tuple[str, float]]:
    known = ~np.isnan(values)
    if column.categories:
        codes, times = np.unique(values[known], return_counts=True)
        for code in codes[np.sort(np.argsort(-times, kind="stable")[:GROUPS])]:
            yield column.categories[int(code)], float(moved[values == code].mean())
    else:
        order = np.flatnonzero(known)[np.argsort(values[known], kind="stable")]
        bounds = np.unique(np.quantile(values[order], np.linspace(0, 1, GROUPS + 1)[1:-1]))
        group = np.searchsorted(bounds, values[order])
        for number in np.unique(group):
            rows = order[group == number]
            lowest, highest = (_told(column, values[row]) for row in (rows[0], rows[-1]))
            value = lowest if lowest == highest else f"{lowest} to {highest}"
            yield value, float(moved[rows].mean())
    if not known.all():
        yield "missing", float(moved[~known].mean())


def _told(column: Column, value: np.float32) -> str:
    if column.kind == "date":
        return as_text(float(value), column.date_format)
    return f"{float(value):.4g}"


def _thinned(x: NDArray[np.float64], y: NDArray[np.float64]) -> list[tuple[float, float]]:
    """Return few points that look like the whole curve; x rises."""
    wanted = np.linspace(0, len(x) - 1, min(len(x), CURVE_POINTS)).astype(np.intp)
    return list(zip(x[wanted].tolist(), y[wanted].tolist(), strict=True))


def _cut(words: str) -> str:
    return words if len(words) <= WHOLE_CHARACTERS else words[: LABEL_CHARACTERS - 1] + "…"
