"""The trees as lookup tables: what scores a row and says why, exactly, without walking a tree.

Where a row goes in a tree depends on few columns, and on each only through the split points of all
trees. So a column's values fall into bins, and what a leaf adds depends on the bins of the columns
on its path alone. Leaves with the same columns are added up into one table over their bins: a
hundred trees of depth two are about as many tables as there are pairs of columns, however many
trees there are.

The contributions are SHAP values as TreeSHAP defines them ("path-dependent": Lundberg et al.,
"Consistent Individualized Feature Attribution for Tree Ensembles", 2018, algorithm 2), and those of
XGBoost's `pred_contribs`. A leaf is a product game: with the set S of known columns it is worth its
value x the product over S of "the row takes the path" x the product over the others of the share of
training rows that does. That the sum over leaves can be tabulated: Yang, "Fast TreeSHAP", 2021.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from model.scoring.kernel import Tables, leaf_effects
from model.scoring.trees import Ensemble, Split, Tree
from predictions.schema import Column

MOST_CELLS = 1 << 14
"""Of a table, where leaves can still be put into another one: what a processor's cache holds."""
MOST_BINS = 1 << 16


@dataclass(frozen=True)
class Bins:
    """How the values of each column fall into bins, so that no split of a tree divides one.

    A numeric column's bins lie between cuts, and the last is that of a missing value. Another
    column has a bin for each code, one for a value that the model does not know, and that of a
    missing one; the trees take the two last alike.
    """

    cuts: tuple[NDArray[np.float32], ...]
    """For each column ascending numbers: a value's bin is how many of them it reaches."""
    codes: tuple[int, ...]
    """For each column how many codes it has; 0 where it is numeric."""
    sizes: NDArray[np.int64]
    """(n_columns,): bins of each."""

    unseen: tuple[tuple[int, ...], ...]
    """For each column the bins of numbers and dates outside those of the training rows."""

    def of(self, matrix: NDArray[np.float32], new: NDArray[np.bool_]) -> NDArray[np.uint16]:
        """Return the bins of rows, (n_columns, n_rows).

        matrix, new: (n_rows, n_columns), as `encode` makes them.
        """
        bins = np.empty(matrix.shape[::-1], dtype=np.uint16)
        for column, (cuts, size) in enumerate(zip(self.cuts, self.sizes, strict=True)):
            values = matrix[:, column]
            missing = np.isnan(values)
            known = np.where(missing, 0, values)
            found = known if self.codes[column] else np.searchsorted(cuts, known, side="right")
            bins[column] = np.where(missing, size - 1 - new[:, column], found)
        return bins


def bins_of(ensemble: Ensemble, columns: Sequence[Column]) -> Bins:
    """Return bins for the columns that the trees were trained on.

    A number's bin also tells on which side of the average it is, and whether training saw the like.
    Raises ValueError when there are too many.
    """
    codes = [2 if column.kind == "boolean" else len(column.categories) for column in columns]
    points = [{*map(np.float32, _further_cuts(column))} for column in columns]
    for tree in ensemble.trees:
        for split in filter(None, tree.splits):
            if not codes[split.column]:
                points[split.column].add(split.threshold)
    sizes = [count + 2 if count else len(of) + 2 for count, of in zip(codes, points, strict=True)]
    if max(sizes) > MOST_BINS:
        raise ValueError(f"a column has more than {MOST_BINS:,} bins")
    cuts = [np.array(sorted(of_column), dtype=np.float32) for of_column in points]
    unseen = tuple(map(_unseen, columns, cuts))
    return Bins(tuple(cuts), tuple(codes), np.array(sizes, dtype=np.int64), unseen)


def above(number: float) -> float:
    """Return the least number above this one, in 32 bits: where a bin begins that is without it."""
    return float(np.nextafter(np.float32(number), np.float32(np.inf)))


def _unseen(column: Column, cuts: NDArray[np.float32]) -> tuple[int, ...]:
    if column.lowest is None or column.highest is None:
        return ()
    lowest = int(np.searchsorted(cuts, np.float32(column.lowest)))
    highest = int(np.searchsorted(cuts, above(column.highest)))
    return (*range(lowest + 1), *range(highest + 1, len(cuts) + 1))


def _further_cuts(column: Column) -> Iterator[float]:
    if column.average is not None:
        yield above(column.average)
    if column.lowest is not None and column.highest is not None:
        yield column.lowest
        yield above(column.highest)


def tabulate(ensemble: Ensemble, bins: Bins, slope: float = 1.0, intercept: float = 0.0) -> Tables:
    """Add the leaves up into tables.

    slope, intercept: what makes log-odds of the margin; effects and base are in log-odds.
    """
    leaves = [leaf for tree in ensemble.trees for leaf in _leaves(tree, bins)]
    tables = [table.filled(slope) for table in _gathered(leaves, bins)]
    expected = sum(leaf.value * float(np.prod(leaf.shares)) for leaf in leaves)
    widths = [len(table.columns) for table in tables]
    cells = [len(table.sums) for table in tables]
    places = [place for table in tables for place in table.places]
    return Tables(
        base=intercept + slope * (ensemble.base_margin + expected),
        columns=np.array([c for table in tables for c in table.columns], dtype=np.int64),
        first_column=starts(widths),
        places=np.concatenate([*places, np.empty(0, dtype=np.int32)]),
        first_place=starts([len(of_column) for of_column in places]),
        sums=np.concatenate([*(table.sums for table in tables), np.empty(0)]),
        first_sum=starts(cells),
        effects=np.concatenate([*(table.effects.ravel() for table in tables), np.empty(0)]),
        first_effect=starts([w * c for w, c in zip(widths, cells, strict=True)]),
    )


def starts(lengths: Sequence[int]) -> NDArray[np.int64]:
    """Return where things of these lengths begin, laid end to end, and where the last ends."""
    return np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)]).astype(np.int64)


@dataclass(frozen=True)
class _Leaf:
    value: float
    columns: tuple[int, ...]
    """Those that the path asks about, ascending."""
    takes: tuple[NDArray[np.bool_], ...]
    """For each of them, by bin: whether the path goes on."""
    shares: tuple[float, ...]
    """For each of them: of the training rows that come to the path's splits on it, the share that
    goes on; of several such splits the product."""


def _leaves(tree: Tree, bins: Bins) -> Iterator[_Leaf]:
    waiting: list[tuple[int, dict[int, tuple[NDArray[np.bool_], float]]]] = [(0, {})]
    while waiting:
        node, path = waiting.pop()
        split = tree.splits[node]
        if split is None:
            columns = tuple(sorted(path))
            takes = tuple(path[column][0] for column in columns)
            yield _Leaf(tree.values[node], columns, takes, tuple(path[c][1] for c in columns))
            continue
        goes_left = _left_of(split, bins)
        for child, goes in ((tree.left[node], goes_left), (tree.right[node], ~goes_left)):
            share = tree.cover[child] / tree.cover[node]
            if split.column in path:
                taken, of_taken = path[split.column]
                goes, share = goes & taken, share * of_taken
            waiting.append((child, path | {split.column: (goes, share)}))


def _left_of(split: Split, bins: Bins) -> NDArray[np.bool_]:
    numbers = np.arange(bins.sizes[split.column])
    codes = bins.codes[split.column]
    if split.categories is not None:
        goes_left = ~np.isin(numbers, list(split.categories))
    elif codes:
        goes_left = numbers < split.threshold
    else:
        goes_left = numbers <= np.searchsorted(bins.cuts[split.column], split.threshold)
    goes_left[codes or -1 :] = split.missing_left
    return goes_left


@dataclass
class _Table:
    """Leaves whose columns are all among a few ones."""

    columns: tuple[int, ...]
    classes: list[NDArray[np.int32]]
    """For each column, by bin: which bins no leaf tells apart."""
    leaves: list[_Leaf] = field(default_factory=list)

    def takes_up(self, leaf: _Leaf) -> bool:
        """Add a leaf, unless the table would grow too large by it."""
        classes = list(self.classes)
        for column, takes in zip(leaf.columns, leaf.takes, strict=True):
            place = self.columns.index(column)
            _, found = np.unique(2 * classes[place] + takes, return_inverse=True)
            classes[place] = found.astype(np.int32)
        if self.leaves and np.prod([found.max() + 1 for found in classes]) > MOST_CELLS:
            return False
        self.classes = classes
        self.leaves.append(leaf)
        return True

    def filled(self, slope: float) -> _Filled:
        shape = [int(found.max()) + 1 for found in self.classes]
        effects = np.zeros((*shape, len(self.columns)))
        sums = np.zeros(shape)
        for leaf in self.leaves:
            pattern = np.zeros([1] * len(shape), dtype=np.int64)
            at = [self.columns.index(column) for column in leaf.columns]
            for bit, (place, takes) in enumerate(zip(at, leaf.takes, strict=True)):
                by_class = np.empty(shape[place], dtype=np.int64)
                by_class[self.classes[place]] = takes
                along = [1] * len(shape)
                along[place] = -1
                pattern = pattern + (by_class << bit).reshape(along)
            by_pattern = leaf_effects(slope * leaf.value, np.array(leaf.shares))
            for bit, place in enumerate(at):
                effects[..., place] += by_pattern[:, bit][pattern]
            sums += by_pattern.sum(axis=1)[pattern]
        strides = [int(np.prod(shape[place + 1 :])) for place in range(len(shape))]
        return _Filled(
            self.columns,
            [found * stride for found, stride in zip(self.classes, strides, strict=True)],
            sums.ravel(),
            effects.reshape(-1, len(self.columns)),
        )


@dataclass(frozen=True)
class _Filled:
    columns: tuple[int, ...]
    places: list[NDArray[np.int32]]
    """For each column, by bin: what it adds to the number of the cell."""
    sums: NDArray[np.float64]
    effects: NDArray[np.float64]
    """(n_cells, n_columns)"""


def _gathered(leaves: Sequence[_Leaf], bins: Bins) -> list[_Table]:
    """Put leaves of the same columns, or of some of them, into as few tables as may be."""
    by_columns: dict[tuple[int, ...], list[_Leaf]] = defaultdict(list)
    for leaf in leaves:
        if leaf.columns:  # a tree without a split adds the same to every row
            by_columns[leaf.columns].append(leaf)
    tables: list[_Table] = []
    for columns, together in sorted(by_columns.items(), key=lambda item: -len(item[0])):
        fitting = [table for table in tables if set(columns) <= set(table.columns)]
        for leaf in together:
            if not any(table.takes_up(leaf) for table in fitting[-1:]):
                fresh = _Table(columns, [np.zeros(bins.sizes[c], dtype=np.int32) for c in columns])
                fresh.takes_up(leaf)
                fitting.append(fresh)
                tables.append(fresh)
    return sorted(tables, key=lambda table: len(table.columns))
