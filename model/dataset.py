"""A labelled CSV as something to train on: which columns are features, and of what kind.

Nothing here looks at the label to choose or to encode a feature, so it may see all rows without
telling a fold what the others know.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from model.dates import date_format, dates
from model.features import NO, YES, encode
from model.numbers import decimal_mark, numbers
from predictions.customer_file import open_customer_file
from predictions.refusals import bad_file, in_quotes, listed, shown
from predictions.schema import Column

BLOCK_ROWS = 50_000
MIN_ROWS = 100
MIN_ROWS_PER_CLASS = 20
"""Fewer leave folds with a handful of one class, and figures that mean nothing."""
MAX_CATEGORIES = 200
"""More are names or codes, not categories: each has too few rows to learn from."""
BLANK_WORDS = frozenset(
    {"n/a", "#n/a", "na", "nan", "null", "none", "nil", "-", "--", "?", "unknown"}
)
"""What files write where there is no number, date, yes or no. Compared without capitals."""
POSITIVE_WORDS = ("yes", "true", "1", "churned", "left")


@dataclass(frozen=True)
class Dataset:
    """Features and label, ready to train on."""

    columns: tuple[Column, ...]
    matrix: NDArray[np.float32]
    """(n_rows, n_columns), as `encode` makes it."""
    left: NDArray[np.bool_]
    """(n_rows,): whether the label is the positive one."""
    positive: str
    negative: str
    dropped_columns: dict[str, str]
    """Column and why it is not a feature."""
    duplicate_rows: int
    unlabelled_rows: int
    sha256: str
    """Of the file."""


def read_dataset(
    path: Path,
    *,
    label: str,
    positive: str | None,
    id_column: str | None,
    revenue_column: str | None,
) -> Dataset:
    """Read a labelled CSV. Rows that are exact duplicates or have no label are left out.

    positive: the label's word for a customer who left; None to find it among the usual ones.
    Raises BadCustomerFile when it cannot be trained on.
    """
    named = [name for name in (label, id_column, revenue_column) if name is not None]
    everything = read_table(path, named)
    unique = everything.drop_duplicates()
    table = unique[unique[label] != ""].reset_index(drop=True)
    features = table.drop(columns=[label, *([id_column] if id_column else [])])
    mark = _decimal_mark_of(features)
    if revenue_column is not None:
        _check_revenue(table, revenue_column, mark)
    positive, negative = _classes(table[label], positive)
    left = (table[label] == positive).to_numpy(dtype=np.bool_)
    if min(left.sum(), (~left).sum()) < MIN_ROWS_PER_CLASS or len(left) < MIN_ROWS:
        raise bad_file(
            "too-few-rows",
            f"{len(left)} labelled rows, {left.sum()} of them {shown(positive)}: "
            "too few to learn from.",
            f"At least {MIN_ROWS} rows are needed, and {MIN_ROWS_PER_CLASS} of either class.",
        )
    columns, dropped = _columns(features, mark)
    cells = {column.name: table[column.name].tolist() for column in columns}
    return Dataset(
        columns=columns,
        matrix=encode(columns, cells, mark=mark).matrix,
        left=left,
        positive=positive,
        negative=negative,
        dropped_columns=dropped,
        duplicate_rows=len(everything) - len(unique),
        unlabelled_rows=len(unique) - len(table),
        sha256=sha256_of(path),
    )


def read_table(path: Path, needed: Sequence[str]) -> pd.DataFrame:
    """Read a whole CSV as trimmed text; a blank cell is an empty string."""
    blocks = []
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
    return pd.concat(blocks, ignore_index=True)


def sha256_of(path: Path) -> str:
    """Return the hash of a file's content."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _classes(labels: pd.Series[str], positive: str | None) -> tuple[str, str]:
    """Return the words for who left and who stayed."""
    found = labels.value_counts().index.tolist()
    there = listed(found, in_quotes)
    if len(found) < 2:
        raise bad_file(
            "one-class",
            f"The label is {there or 'blank'} in every row.",
            "Train on customers of whom some left and some stayed.",
            column=str(labels.name),
        )
    if positive is None:
        usual = [word for word in found if word.lower() in POSITIVE_WORDS]
        if len(usual) != 1:
            raise bad_file(
                "unclear-positive",
                f"Which label means that a customer left? The column has {there}.",
                "Say it with --positive.",
                column=str(labels.name),
            )
        positive = usual[0]
    if positive not in found:
        raise bad_file(
            "positive-not-found",
            f"No row has the label {in_quotes(positive)}. The column has {there}.",
            "Name one of these with --positive.",
            column=str(labels.name),
        )
    others = [word for word in found if word != positive]
    return positive, others[0] if len(others) == 1 else f"not {positive}"


def _decimal_mark_of(table: pd.DataFrame) -> str | None:
    """Tell it by the columns that hold nothing but numbers, whichever mark is decimal."""
    columns = [table[name].tolist() for name in table]
    return decimal_mark(cells for cells in columns if not numbers("", cells, ".")[1])


def _columns(table: pd.DataFrame, mark: str | None) -> tuple[tuple[Column, ...], dict[str, str]]:
    columns = []
    dropped = {}
    for name in table:
        found = _column(str(name), table[name], mark)
        if isinstance(found, Column):
            columns.append(found)
        else:
            dropped[str(name)] = found
    if not columns:
        left_out = listed(tuple(dropped), lambda name: f"{shown(name)} ({dropped[name]})")
        raise bad_file("no-features", "No column is left to learn from.", f"Left out: {left_out}.")
    return tuple(columns), dropped


def _column(name: str, cells: pd.Series[str], mark: str | None) -> Column | str:
    """Tell what a column is, or why it is no feature."""
    if cells.nunique() == 1:
        return "the same in every row"
    times = cells[cells != ""].value_counts()
    words = times.index.tolist()
    blank = sorted({word.casefold() for word in words} & BLANK_WORDS)
    filled = [word for word in words if word.casefold() not in blank]
    if column := _yes_or_no(name, filled) or _measured(name, filled, times, mark):
        return column.model_copy(update={"blank_words": tuple(blank)})
    if not numbers(name, filled, mark)[1]:
        return "looks like an id: another whole number in every row"
    if len(words) > times.sum() / 2:
        return "looks like an id or free text: most rows have a value of their own"
    if len(words) > MAX_CATEGORIES:
        return f"{len(words)} different texts, more than {MAX_CATEGORIES}"
    return Column(name=name, kind="categorical", categories=tuple(sorted(words)))


def _yes_or_no(name: str, words: Sequence[str]) -> Column | None:
    """words: different ones, the most frequent first."""
    no = [word for word in words if word.casefold() in NO]
    yes = [word for word in words if word.casefold() in YES]
    if not no or not yes or len(no) + len(yes) < len(words):
        return None
    return Column(name=name, kind="boolean", categories=(no[0], yes[0]))


def _measured(
    name: str, words: Sequence[str], times: pd.Series[int], mark: str | None
) -> Column | None:
    """Tell a column of numbers or dates; None where it is neither, or whole numbers as ids are."""
    values, wrong = numbers(name, words, mark)
    form = date_format(words) if wrong else None
    if form is not None:
        values, wrong = dates(name, words, form)
    if wrong or not words:
        return None
    weights = times[list(words)].to_numpy()
    if form is None and len(words) == weights.sum() and bool((values == np.floor(values)).all()):
        return None
    return Column(
        name=name,
        kind="numeric" if form is None else "date",
        average=float(f"{np.average(values, weights=weights):.4g}"),
        lowest=float(values.min()),
        highest=float(values.max()),
        date_format=form,
    )


def _check_revenue(table: pd.DataFrame, revenue_column: str, mark: str | None) -> None:
    _, wrong = numbers(revenue_column, table[revenue_column].tolist(), mark)
    if wrong:
        first = next(iter(wrong.values())).message
        raise bad_file(
            "revenue-not-numeric",
            f"{len(wrong)} rows have no number as revenue, such as {first}.",
            "Name a column of numbers as revenue, or correct it.",
            column=revenue_column,
        )
