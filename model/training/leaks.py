"""Finds columns that know the answer: filled in only once a customer has left, or made from it.

A model that has such a column is perfect on the file that it learns from and worthless on customers
who have not left yet. So each column is asked what it tells alone, on rows that it was not asked
about.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import StratifiedKFold

from model.training.dataset import Dataset
from predictions.refusals import LISTED_NAMES, bad_file, in_quotes, listed, shown

CERTAIN_AUC = 0.98
"""Of one column alone. No honest column of a customer file comes near: 0.74 is the best one of the
Telco file."""
SUSPICIOUS_AUC = 0.9
SUSPICIOUS_MODEL_AUC = 0.98
CHANCE = 1e-6
"""That a column is filled in for one class alone by chance; less gives it away."""
ROWS = 100_000
"""As many as are asked, at random."""
STRONGEST = 3
BINS = 32
SEED = 0

_Halves = Sequence[tuple[NDArray[np.intp], NDArray[np.intp]]]
"""Rows that are asked, rows that are ranked; the other way round next."""


@dataclass(frozen=True)
class Leak:
    """A column that tells more of the label than a column should."""

    column: str
    why: str
    """Goes on after the column's name."""
    is_certain: bool

    def __str__(self) -> str:
        return f"{in_quotes(self.column)} {self.why}"


@dataclass(frozen=True)
class Leaks:
    """What the columns of a file know of the label."""

    found: tuple[Leak, ...]
    """In the order of the file."""
    strongest: tuple[str, ...]
    """The columns that tell most alone."""

    def warnings(self, auc: float) -> tuple[str, ...]:
        """Say which columns to look at; auc: the model's on rows that it has not seen."""
        said = [str(leak) for leak in self.found]
        if auc >= SUSPICIOUS_MODEL_AUC and not said:
            names = listed(self.strongest, in_quotes)
            said = [
                f"An AUC of {auc:.3f} is too good to be true: look whether {names} are known "
                "before a customer leaves."
            ]
        return tuple(said)


def honest(
    data: Dataset, kept: Collection[str], progress: Callable[[float], None] = lambda _: None
) -> Leaks:
    """Ask each column what it tells of the label, and refuse those that know it.

    kept: columns that are used though they do. progress: as for `leaks`.
    Raises BadCustomerFile, which names them.
    """
    known = leaks(data, progress)
    certain = [leak for leak in known.found if leak.is_certain and leak.column not in kept]
    if certain:
        options = " ".join(f'--leave-out "{shown(leak.column)}"' for leak in certain)
        raise bad_file(
            "label-leak",
            "The label leaks. " + " ".join(map(str, certain[:LISTED_NAMES])),
            f"If that is known only of customers who have left, give {options}; if it is known "
            "before they leave, --keep instead.",
            column=certain[0].column,
        )
    return known


def leaks(data: Dataset, progress: Callable[[float], None] = lambda _: None) -> Leaks:
    """Ask each column what it tells of the label.

    progress: called for each column with the share of them that is done, in [0, 1].
    """
    random = np.random.default_rng(SEED)
    rows = random.permutation(len(data.left))[:ROWS]
    left, found, alone = data.left[rows], [], {}
    halves = list(StratifiedKFold(2, shuffle=True, random_state=SEED).split(left, left))
    for done, (column, values) in enumerate(zip(data.columns, data.matrix[rows].T, strict=True)):
        progress(done / len(data.columns))
        auc = _auc_alone(_groups(values, is_code=column.kind == "categorical"), left, halves)
        alone[column.name] = auc
        one = _filled_for_one_class(values, left)
        if one is not None:
            word = data.positive if one else data.negative
            why = f"is filled in only where the label is {in_quotes(word)}."
            found.append(Leak(column.name, why, is_certain=True))
        elif auc >= SUSPICIOUS_AUC:
            why = f"alone tells who left and who stayed, with an AUC of {auc:.3f}."
            found.append(Leak(column.name, why, is_certain=auc >= CERTAIN_AUC))
    strongest = sorted(alone, key=lambda name: -alone[name])[:STRONGEST]
    return Leaks(tuple(found), tuple(strongest))


def _filled_for_one_class(
    values: NDArray[np.float32], left: NDArray[np.bool_]
) -> Literal[True, False] | None:
    """Return the class if a column is filled in for that one alone, and not by chance."""
    filled = left[~np.isnan(values)]
    one = bool(filled.all())
    if len(filled) == len(left) or (not one and bool(filled.any())):
        return None
    rate = left.mean() if one else 1 - left.mean()
    return one if rate ** len(filled) < CHANCE else None


def _groups(values: NDArray[np.float32], *, is_code: bool) -> NDArray[np.intp]:
    """Number the rows' values: a category each, or a range of numbers; missing is one too."""
    known = ~np.isnan(values)
    groups = np.zeros(len(values), dtype=np.intp)
    if is_code or len(np.unique(values[known])) <= BINS:
        groups[known] = 1 + np.unique(values[known], return_inverse=True)[1]
    elif known.any():
        bounds = np.unique(np.quantile(values[known], np.linspace(0, 1, BINS + 1)[1:-1]))
        groups[known] = 1 + np.searchsorted(bounds, values[known])
    return groups


def _auc_alone(groups: NDArray[np.intp], left: NDArray[np.bool_], halves: _Halves) -> float:
    """Rank each half of the rows by how many of their group left in the other half."""
    rate = np.empty(len(left))
    for seen, out in halves:
        of_group = np.bincount(groups[seen], minlength=groups.max() + 1)
        leavers = np.bincount(groups[seen], weights=left[seen], minlength=groups.max() + 1)
        rates = (leavers + left[seen].mean()) / (of_group + 1)
        rate[out] = rates[groups[out]]
    return auc_of(left, rate)


def auc_of(left: NDArray[np.bool_], rate: NDArray[np.float64]) -> float:
    """Return what `roc_auc_score` does, in a fifth of its time: a file may have 16,000 columns."""
    at = np.unique(rate, return_inverse=True)[1]
    leavers, stayers = (np.bincount(at[some], minlength=at.max() + 1) for some in (left, ~left))
    # Of all pairs of one who left and one who stayed: ranked rightly, and half of those alike.
    won = leavers @ (np.cumsum(stayers) - stayers / 2)
    return float(won / (leavers.sum() * stayers.sum()))
