"""A labelled CSV as something to train on: which columns are features, and of what kind.

Nothing here looks at the label to choose or to encode a feature, so it may see all rows without
telling a fold what the others know. Which categories are frequent enough to learn from, each fold
tells by its own rows: see `frequent` and `recoded`.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from model.dates import date_format
from model.features import NO, YES, encode, measured
from model.numbers import decimal_mark, marks_of, numbers
from predictions.customer_file import open_customer_file
from predictions.refusals import bad_file, in_quotes, listed, shown
from predictions.schema import Column

BLOCK_ROWS = 50_000
MIN_ROWS = 100
MIN_ROWS_PER_CLASS = 20
"""Fewer leave folds with a handful of one class, and figures that mean nothing."""
MIN_FILLED_ROWS = 10
"""Of a column, or with one category: fewer are too few to learn from."""
MAX_CATEGORIES = 200
"""The most frequent ones are learned; the others count as missing, as new ones do later."""
MOST_ODD_CELLS = 0.05
"""Share of a column of numbers or dates that may be something else."""
FORMAT_WORDS = 1_000
"""So many different ones tell the format of dates."""
CERTAIN_COLLISIONS = 5
"""Had they been drawn at random, so many pairs of whole numbers would be the same: they are ids."""
ID_DIGITS = 7
_MONTH = "(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*"
_OTHER_DATE = re.compile(
    rf"\d\W+{_MONTH}\W+\d|^{_MONTH}\W+\d+\W+\d{{2,4}}|^\d{{1,2}}[/.]\d{{1,2}}[/.]\d{{2}}\b",
    re.IGNORECASE,
)
"""What a person sees is a date, and which could mean another day or is in one language."""
BLANK_WORDS = frozenset(
    {"n/a", "#n/a", "na", "nan", "null", "none", "nil", "-", "--", "?", "unknown"}
)
"""What files write where there is no label, number, date, yes or no. Compared without capitals."""
YES_NUMBERS = frozenset({"1", "1.0"})
POSITIVE_WORDS = frozenset(
    {"yes", "y", "true", "t", "1", "1.0", "churn", "churned", "left", "cancelled", "canceled"}
)
_ID_NAME = re.compile(r"(?i:(^|[\W_])(id|ids|uuid|key|no|nr|number|phone|msisdn)($|[\W_]))|I[Dd]$")


@dataclass(frozen=True)
class Dataset:
    """Features and label, ready to train on."""

    columns: tuple[Column, ...]
    matrix: NDArray[np.float32]
    """(n_rows, n_columns), as `encode` makes it of the columns with all their categories."""
    left: NDArray[np.bool_]
    """(n_rows,): whether the label is the positive one."""
    positive: str
    negative: str
    dropped_columns: dict[str, str]
    """Column and why it is not a feature."""
    warnings: tuple[str, ...]
    """What the person should know of columns that are used."""
    duplicate_rows: int
    unlabelled_rows: int
    sha256: str
    """Of the file."""


def read_dataset(
    path: Path,
    *,
    label: str,
    positive: str | None = None,
    id_column: str | None = None,
    revenue_column: str | None = None,
    left_out: Collection[str] = (),
    kept: Collection[str] = (),
    progress: Callable[[float], None] = lambda _: None,
) -> Dataset:
    """Read a labelled CSV. Rows without a label are left out, and customers who come twice.

    positive: the label's word for a customer who left; None to find it among the usual ones.
    left_out: columns that are not to be features. kept: columns that must be there, no more.
    progress: called with the share of the work that is done, in [0, 1]: a file of thousands of
        columns takes its time.
    Raises BadCustomerFile when it cannot be trained on.
    """
    roles = (label, id_column, revenue_column, *left_out, *kept)
    named = [name for name in roles if name is not None]
    everything = read_table(path, named, part(progress, 0, 0.3))
    unique = _without_duplicates(everything, label)
    table = unique[[is_label(word) for word in unique[label]]].reset_index(drop=True)
    features = table.drop(columns={label, id_column, *left_out} - {None})
    words = {str(name): features[name].value_counts() for name in features}
    mark = _decimal_mark_of(words, part(progress, 0.4, 0.6))
    if revenue_column is not None:
        _check_revenue(table, revenue_column, mark)
    positive, negative = _classes(table[label], positive)
    left = (table[label].str.casefold() == positive.casefold()).to_numpy(dtype=np.bool_)
    if min(left.sum(), (~left).sum()) < MIN_ROWS_PER_CLASS or len(left) < MIN_ROWS:
        raise bad_file(
            "too-few-rows",
            f"{len(left)} labelled rows, {left.sum()} of them {shown(positive)}: "
            "too few to learn from.",
            f"At least {MIN_ROWS} rows are needed, and {MIN_ROWS_PER_CLASS} of either class.",
        )
    columns, dropped = _columns(words, mark, part(progress, 0.6, 0.8))
    matrix = np.empty((len(table), len(columns)), dtype=np.float32)
    odd: dict[str, list[str]] = {}
    for position, column in enumerate(columns):
        part(progress, 0.8, 1)(position / len(columns))
        encoded = encode((column,), {column.name: table[column.name].tolist()}, mark=mark)
        matrix[:, position] = encoded.matrix[:, 0]
        if encoded.errors:
            odd[column.name] = [str(one.text) for row in encoded.errors.values() for one in row]
    warnings = [
        f"{shown(name)}: {len(cells):,} cells are none of the numbers or dates that the others "
        f"are, such as {in_quotes(cells[0])}. They count as missing; scoring refuses such rows."
        for name, cells in odd.items()
    ]
    stayed = table[label][~left].value_counts()
    if stayed.index.str.casefold().nunique() > 1:
        words_of_stayed = listed(
            stayed.index.tolist(), lambda word: f"{in_quotes(word)} ({stayed[word]:,} rows)"
        )
        warnings.append(
            f"{shown(label)}: {words_of_stayed} count as customers who stayed. Leave the rows out "
            "of whom it is not known yet."
        )
    if id_column is not None and (again := int(table[id_column].duplicated().sum())):
        warnings.append(
            f"{shown(id_column)}: {again:,} rows are of a customer who has another row. Measured "
            "on customers that the model has seen, it looks better than it is."
        )
    return Dataset(
        columns=columns,
        matrix=matrix,
        left=left,
        positive=positive,
        negative=negative,
        dropped_columns=dict.fromkeys(left_out, "as you asked") | dropped,
        warnings=tuple(warnings),
        duplicate_rows=len(everything) - len(unique),
        unlabelled_rows=len(unique) - len(table),
        sha256=sha256_of(path),
    )


def frequent(columns: Sequence[Column], matrix: NDArray[np.float32]) -> tuple[Column, ...]:
    """Return the columns with those categories alone that these rows have often enough.

    matrix: (n_rows, n_columns), codes of the categories of `columns`.
    """
    found = []
    for position, column in enumerate(columns):
        if column.kind == "categorical":
            codes = matrix[:, position]
            times = np.bincount(
                codes[~np.isnan(codes)].astype(np.intp), minlength=len(column.categories)
            )
            most = np.argsort(-times, kind="stable")[:MAX_CATEGORIES]
            kept = sorted(code for code in most.tolist() if times[code] >= MIN_FILLED_ROWS)
            categories = tuple(column.categories[code] for code in kept)
            column = column.model_copy(update={"categories": categories})
        found.append(column)
    return tuple(found)


def recoded(
    matrix: NDArray[np.float32], columns: Sequence[Column], fewer: Sequence[Column]
) -> NDArray[np.float32]:
    """Return the matrix of `columns` as that of the same columns with fewer categories."""
    changed = matrix.copy()
    for position, (column, new) in enumerate(zip(columns, fewer, strict=True)):
        if column.categories != new.categories:
            code_of = {category: float(code) for code, category in enumerate(new.categories)}
            codes = np.array([code_of.get(c, np.nan) for c in column.categories] + [np.nan])
            old = np.nan_to_num(matrix[:, position], nan=len(column.categories))
            changed[:, position] = codes[old.astype(np.intp)]
    return changed


def is_label(word: str) -> bool:
    """Say whether a trimmed cell of the label says anything."""
    return word != "" and word.casefold() not in BLANK_WORDS


def part(progress: Callable[[float], None], start: float, end: float) -> Callable[[float], None]:
    """Return what tells the progress of a part of the work, by its own share in [0, 1]."""
    return lambda share: progress(start + share * (end - start))


def read_table(
    path: Path, needed: Sequence[str], progress: Callable[[float], None] = lambda _: None
) -> pd.DataFrame:
    """Read a whole CSV as trimmed text; a blank cell is an empty string.

    progress: called after each block with the share of bytes read, in [0, 1].
    """
    blocks = []
    size_bytes = path.stat().st_size
    with open_customer_file(path, needed) as customers:
        for block in customers.blocks(BLOCK_ROWS, all_columns=True):
            for index, error in block.errors.items():
                row = block.first_row + index
                raise bad_file(
                    "ragged-row",
                    f"Row {row}: {error.message}.",
                    "Correct the row or take it out.",
                    row=row,
                )
            trimmed = {
                name: [cell.strip() for cell in cells]
                for name, cells in block.columns.items()
                if name
            }
            blocks.append(pd.DataFrame(trimmed, dtype="str"))
            progress(customers.bytes_read / size_bytes)
    return pd.concat(blocks, ignore_index=True)


def sha256_of(path: Path) -> str:
    """Return the hash of a file's content."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _without_duplicates(table: pd.DataFrame, label: str) -> pd.DataFrame:
    """Drop rows that repeat another one, unless different customers may well be alike in all.

    They may where no column tells most customers apart, neither an id nor an amount.
    """
    unique = table.drop_duplicates()
    distinct = unique.drop(columns=label).nunique()
    return unique if (distinct > len(unique) / 2).any() else table


def _classes(labels: pd.Series[str], positive: str | None) -> tuple[str, str]:
    """Return the words for who left and who stayed, as most rows write them."""
    spelt: dict[str, str] = {}
    for word in labels.value_counts().index:
        spelt.setdefault(word.casefold(), word)
    there = listed(list(spelt.values()), in_quotes)
    if len(spelt) < 2:
        raise bad_file(
            "one-class",
            f"The label is {there or 'blank'} in every row.",
            "Train on customers of whom some left and some stayed.",
            column=str(labels.name),
        )
    if positive is None:
        usual = [folded for folded in spelt if folded in POSITIVE_WORDS]
        # 1 means it beside 0 alone: beside 2 it may mean either, and of many it is a count.
        if len(usual) != 1 or (usual[0] in YES_NUMBERS and not spelt.keys() - usual <= NO):
            raise bad_file(
                "unclear-positive",
                f"Which label means that a customer left? The column has {there}.",
                "Say it with --positive.",
                column=str(labels.name),
            )
        positive = usual[0]
    if positive.casefold() not in spelt:
        raise bad_file(
            "positive-not-found",
            f"No row has the label {in_quotes(positive)}. The column has {there}.",
            "Name one of these with --positive.",
            column=str(labels.name),
        )
    positive = spelt.pop(positive.casefold())
    others = list(spelt.values())
    return positive, others[0] if len(others) == 1 else f"not {positive}"


def _decimal_mark_of(
    words: dict[str, pd.Series[int]], progress: Callable[[float], None]
) -> str | None:
    """Tell it by the columns that hold numbers, whichever mark is decimal."""
    seen: Counter[str | None] = Counter()
    for done, times in enumerate(words.values()):
        progress(done / len(words))
        cells = times.index.tolist()
        if len(numbers("", cells, ".")[1]) <= len(cells) / 2:
            seen += marks_of(cells)
    return decimal_mark(seen)


def _columns(
    words: dict[str, pd.Series[int]], mark: str | None, progress: Callable[[float], None]
) -> tuple[tuple[Column, ...], dict[str, str]]:
    columns = []
    dropped = {}
    for done, (name, times) in enumerate(words.items()):
        progress(done / len(words))
        found = _column(name, times, mark)
        if isinstance(found, Column):
            columns.append(found)
        else:
            dropped[name] = found
    if not columns:
        why = listed(tuple(dropped), lambda name: f"{shown(name)} ({dropped[name]})")
        hint = f"Left out: {why}." if dropped else "All are the label, the id, or left out by you."
        raise bad_file("no-features", "No column is left to learn from.", hint)
    return tuple(columns), dropped


def _column(name: str, times: pd.Series[int], mark: str | None) -> Column | str:
    """Tell what a column is, or why it is no feature.

    times: how many rows have each text, the most frequent first.
    """
    if len(times) == 1:
        return "the same in every row"
    rows = int(times.sum())
    times = times[times.index != ""]
    filled = int(times.sum())
    if filled < MIN_FILLED_ROWS:
        return f"filled in {filled} of {rows:,} rows, too few to learn from"
    words = times.index.tolist()
    blank = tuple(sorted({word.casefold() for word in words} & BLANK_WORDS))
    # With nothing else in it, the words for nothing are all there is to learn.
    values = times[[word.casefold() not in blank for word in words]]
    if len(values):
        found = _yes_or_no(name, values) or _measured(name, values, mark, blank)
        if isinstance(found, str):
            return found
        if found is not None:
            return found.model_copy(update={"blank_words": blank})
    if len(words) > filled / 2:
        return "looks like an id or free text: most rows have a value of their own"
    if int(times.iloc[0]) < MIN_FILLED_ROWS:
        return f"none of its {len(words):,} texts is in {MIN_FILLED_ROWS} rows"
    if sum(bool(_OTHER_DATE.search(word)) for word in words) > len(words) / 2:
        return f"looks like dates, such as {in_quotes(words[0])}: written 2024-06-25 they are read"
    if int(times[times >= MIN_FILLED_ROWS].sum()) < filled / 2:
        return (
            f"most rows have a text that few others have, such as {in_quotes(words[-1])}: "
            "numbers are read without a unit"
        )
    return Column(name=name, kind="categorical", categories=tuple(sorted(words)))


def _yes_or_no(name: str, times: pd.Series[int]) -> Column | None:
    words = times.index.tolist()
    no = [word for word in words if word.casefold() in NO]
    yes = [word for word in words if word.casefold() in YES]
    if not no or not yes or len(no) + len(yes) < len(words):
        return None
    return Column(name=name, kind="boolean", categories=(no[0], yes[0]))


def _measured(
    name: str, times: pd.Series[int], mark: str | None, blank: tuple[str, ...]
) -> Column | str | None:
    """Tell a column of numbers or dates, or why it is no feature; None where it is neither."""
    words, rows = times.index.tolist(), times.to_numpy()
    column, form = Column(name=name, kind="numeric", blank_words=blank), None
    values, wrong = measured(column, name, words, mark)
    if rows[list(wrong)].sum() > MOST_ODD_CELLS * rows.sum():
        form = date_format(words[:FORMAT_WORDS])
        column = Column(name=name, kind="date", date_format=form, blank_words=blank)
        values, wrong = measured(column, name, words, mark)
        if form is None or rows[list(wrong)].sum() > MOST_ODD_CELLS * rows.sum():
            return None
    elif len(words) == rows.sum() and not wrong and _are_ids(name, values):
        return "looks like an id: another whole number in every row"
    known = ~np.isnan(values)
    average = np.average(values[known], weights=rows[known])
    return column.model_copy(
        update={
            # Of days since 1970 four digits would be a week.
            "average": float(f"{average:.4g}") if form is None else round(float(average), 1),
            "lowest": float(values[known].min()),
            "highest": float(values[known].max()),
        }
    )


def _are_ids(name: str, values: NDArray[np.float64]) -> bool:
    """Tell ids from amounts; `values` are all different."""
    if not bool((values == np.floor(values)).all()):
        return False
    pairs = len(values) * (len(values) - 1) / 2
    collisions = pairs / (values.max() - values.min() + 1)
    digits = np.floor(np.log10(np.maximum(np.abs(values), 1))) + 1
    are_codes = bool(digits.min() == digits.max() >= ID_DIGITS)
    return bool(collisions >= CERTAIN_COLLISIONS or are_codes or _ID_NAME.search(name))


def _check_revenue(table: pd.DataFrame, revenue_column: str, mark: str | None) -> None:
    cells = table[revenue_column].tolist()
    _, wrong = numbers(revenue_column, cells, mark)
    if wrong:
        first = next(iter(wrong.values())).message
        raise bad_file(
            "revenue-not-numeric",
            f"{len(wrong)} rows have no number as revenue, such as {first}.",
            "Name a column of numbers as revenue, or correct it.",
            column=revenue_column,
        )
