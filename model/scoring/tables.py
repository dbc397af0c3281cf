"""The trees as lookup tables: what scores a row and says why, exactly, without walking a tree.

Where a row goes in a tree depends on few columns, and on each only through the split points of all
trees. So a column's values fall into bins, and what a leaf adds depends on the bins of the columns
on its path alone. Leaves with the same columns are added up into one table over their bins, and
small tables are joined: hundreds of shallow trees are a few dozen tables.

The contributions are SHAP values as TreeSHAP defines them ("path-dependent": Lundberg et al.,
"Consistent Individualized Feature Attribution for Tree Ensembles", 2018, algorithm 2), and those of
XGBoost's `pred_contribs`. A leaf is a product game: with the set S of known columns it is worth its
value x the product over S of "the row takes the path" x the product over the others of the share of
training rows that does. That the sum over leaves can be tabulated: Yang, "Fast TreeSHAP", 2021.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import prod

import numpy as np
from numpy.typing import NDArray

from model.scoring.kernel import Tables, add_leaves
from model.scoring.trees import Ensemble, Split, Tree
from predictions.schema import Column

MOST_CELLS = 1 << 9
"""Of a table that more leaves can be put into: so many stay near the processor while it counts."""
NEAR = 16
"""So many tables are tried to join one to, the last by their columns: all would be too many."""
MOST_COLUMNS = 16
"""On the way to a leaf: what it adds takes two to the power of it cells."""
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
            if split.column >= len(columns):
                raise ValueError(f"a split on column {split.column} of {len(columns)}")
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
    leaves = [leaf for tree in ensemble.trees for leaf in _leaves(tree, bins, slope)]
    by_columns: dict[tuple[int, ...], list[_Leaf]] = defaultdict(list)
    for leaf in leaves:
        by_columns[leaf.columns].append(leaf)
    tables = _few([table for together in by_columns.values() for table in _tables_of(together)])
    expected = sum(leaf.value * float(np.prod(leaf.shares)) for leaf in leaves)
    widths = [len(table.columns) for table in tables]
    cells = [table.sums.size for table in tables]
    places = [place for table in tables for place in table.places]
    return Tables(
        base=intercept + slope * ensemble.base_margin + expected,
        columns=np.array([c for table in tables for c in table.columns], dtype=np.int64),
        first_column=starts(widths),
        places=np.concatenate([*places, np.empty(0, dtype=np.int32)]),
        first_place=starts([len(of_column) for of_column in places]),
        sums=np.concatenate([*(table.sums.ravel() for table in tables), np.empty(0)]),
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


def _leaves(tree: Tree, bins: Bins, slope: float) -> Iterator[_Leaf]:
    waiting: list[tuple[int, dict[int, tuple[NDArray[np.bool_], float]]]] = [(0, {})]
    while waiting:
        node, path = waiting.pop()
        split = tree.splits[node]
        if split is None:
            columns = tuple(sorted(path))
            takes = tuple(path[column][0] for column in columns)
            yield _Leaf(
                slope * tree.values[node], columns, takes, tuple(path[c][1] for c in columns)
            )
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


@dataclass(frozen=True)
class _Table:
    """A table with a cell for each combination of its columns' classes."""

    columns: tuple[int, ...]
    classes: list[NDArray[np.int32]]
    """For each column, by bin."""
    sums: NDArray[np.float64]
    """(n_classes of the first column, …)"""
    effects: NDArray[np.float64]
    """The same shape, and at its end (…, n_columns)."""

    @property
    def places(self) -> list[NDArray[np.int32]]:
        """For each column, by bin: what it adds to the number of the cell."""
        shape = self.sums.shape
        strides = [int(np.prod(shape[place + 1 :])) for place in range(len(shape))]
        return [
            (found * stride).astype(np.int32)
            for found, stride in zip(self.classes, strides, strict=True)
        ]

    def growth_by(self, other: _Table) -> tuple[int, int]:
        """Return how many columns more it has if joined, and how many cells at least."""
        widths = dict(zip(self.columns, self.sums.shape, strict=True))
        for column, width in zip(other.columns, other.sums.shape, strict=True):
            widths[column] = max(width, widths.get(column, 0))
        return len(widths) - len(self.columns), prod(widths.values())

    def joined(self, other: _Table) -> _Table | None:
        """Return one table that says what both say; None where it would be too large."""
        if self.growth_by(other)[1] > MOST_CELLS:
            return None
        columns = tuple(sorted({*self.columns, *other.columns}))
        classes = []
        of_self, of_other = [], []  # for each column, by class: the class there
        cells = 1
        for column in columns:
            mine, theirs = self._classes_of(column), other._classes_of(column)
            width = int(theirs.max()) + 1
            both, found = _numbered(width * mine + theirs)
            cells *= len(both)
            if cells > MOST_CELLS:
                return None
            classes.append(found)
            of_self.append(both // width)
            of_other.append(both % width)
        sums = self._spread(self.sums, columns, of_self) + other._spread(
            other.sums, columns, of_other
        )
        effects = np.zeros((*sums.shape, len(columns)))
        for table, chosen in ((self, of_self), (other, of_other)):
            for place, column in enumerate(table.columns):
                spread = table._spread(table.effects[..., place], columns, chosen)
                effects[..., columns.index(column)] += spread
        return _Table(columns, classes, sums, effects)

    def _classes_of(self, column: int) -> NDArray[np.int32]:
        if column in self.columns:
            return self.classes[self.columns.index(column)]
        return np.zeros(1, dtype=np.int32)

    def _spread(
        self,
        values: NDArray[np.float64],
        columns: tuple[int, ...],
        chosen: Sequence[NDArray[np.int32]],
    ) -> NDArray[np.float64]:
        """Lay values of this table out over the classes of more columns."""
        picked = values[np.ix_(*(chosen[columns.index(column)] for column in self.columns))]
        shape = [
            len(of_column) if column in self.columns else 1
            for column, of_column in zip(columns, chosen, strict=True)
        ]
        return picked.reshape(shape)


def _numbered(keys: NDArray[np.int32]) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Return the different keys, ascending, and which of them each key is.

    As `np.unique` does, which takes three times as long for so few and small ones.
    """
    is_there = np.zeros(int(keys.max()) + 1, dtype=np.bool_)
    is_there[keys] = True
    numbers = np.cumsum(is_there, dtype=np.int32) - 1
    return np.flatnonzero(is_there).astype(np.int32), numbers[keys]


def _tables_of(leaves: Sequence[_Leaf]) -> Iterator[_Table]:
    """Add up leaves of the same columns: in one table or, where it would be too large, in more."""
    columns = leaves[0].columns
    if not columns:
        return  # trees without a split add the same to every row
    if len(columns) > MOST_COLUMNS:
        raise ValueError(f"a tree asks for {len(columns)} columns on its way to a leaf")
    told = [
        _told_apart(np.array([leaf.takes[place] for leaf in leaves]))
        for place in range(len(columns))
    ]
    shape = [takes.shape[1] for _, takes in told]
    if len(leaves) > 1 and prod(shape) > MOST_CELLS:
        half = len(leaves) // 2
        yield from _tables_of(leaves[:half])
        yield from _tables_of(leaves[half:])
        return
    sums, effects = np.zeros(prod(shape)), np.zeros((prod(shape), len(columns)))
    add_leaves(
        np.array([leaf.value for leaf in leaves]),
        np.array([leaf.shares for leaf in leaves]),
        np.concatenate([takes for _, takes in told], axis=1),
        starts(shape),
        sums,
        effects,
    )
    classes = [of_column for of_column, _ in told]
    yield _Table(columns, classes, sums.reshape(shape), effects.reshape(*shape, len(columns)))


def _told_apart(takes: NDArray[np.bool_]) -> tuple[NDArray[np.int32], NDArray[np.bool_]]:
    """Put the bins of a column into as few classes as its leaves tell apart.

    takes: (n_leaves, n_bins). Returns each bin's class, and the same for (n_leaves, n_classes).
    """
    if len(takes) == 1:
        words, of_bin = _numbered(takes[0].astype(np.int32))
        return of_bin, words.astype(np.bool_).reshape(1, -1)
    differs = (takes[:, 1:] != takes[:, :-1]).any(axis=0)  # most bins are as the one before
    run = np.concatenate([[0], np.cumsum(differs)])
    first_of_run = np.concatenate([[0], np.flatnonzero(differs) + 1])
    found, of_run = np.unique(takes[:, first_of_run], axis=1, return_inverse=True)
    return of_run.ravel()[run].astype(np.int32), found


def _few(tables: Sequence[_Table]) -> list[_Table]:
    """Join tables as long as they stay small: a row then looks into fewer."""
    groups: list[_Table] = []
    for table in sorted(tables, key=lambda table: table.columns):
        # Into the one that gets fewest columns and cells more by it.
        near = range(max(0, len(groups) - NEAR), len(groups))
        for at in sorted(near, key=lambda at: groups[at].growth_by(table)):
            joined = groups[at].joined(table)
            if joined is not None:
                groups[at] = joined
                break
        else:
            groups.append(table)
    return groups
