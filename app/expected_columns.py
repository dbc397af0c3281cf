"""What a customer file must hold, in words and as an example: both read from the model's schema."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from random import Random

from predictions.schema import Column, CustomerSchema

LISTED_CATEGORIES = 10
SAMPLE_CUSTOMERS = 20

_AMOUNT = 50.0  # where the schema knows no average


@dataclass(frozen=True)
class ExpectedColumn:
    """One column as a person is told of it."""

    name: str
    holds: str
    is_needed: bool


def expected_columns(schema: CustomerSchema) -> list[ExpectedColumn]:
    """List the id column, where the model knows one, and then all that it needs."""
    by_name = {column.name: column for column in schema.columns}
    columns = [
        ExpectedColumn(name, _holds(by_name.get(name), name == schema.revenue_column), True)
        for name in schema.needed_columns
    ]
    if schema.id_column is not None:
        holds = "your own name for the customer; without it rows are numbered"
        columns.insert(0, ExpectedColumn(schema.id_column, holds, False))
    return columns


def sample_file(schema: CustomerSchema) -> str:
    """Make up customers that the model can score: the same ones each time."""
    by_name = {column.name: column for column in schema.columns}
    header = list(schema.needed_columns)
    columns = [_values(by_name.get(name)) for name in header]
    order = Random(SAMPLE_CUSTOMERS)  # noqa: S311 - a seed, for a file that is always the same
    for values in columns:
        order.shuffle(values)  # else high numbers would all come together
    if schema.id_column is not None:
        header.insert(0, schema.id_column)
        columns.insert(0, [f"C{row:04d}" for row in range(1, SAMPLE_CUSTOMERS + 1)])
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([header, *zip(*columns, strict=True)])
    return text.getvalue()


def _holds(column: Column | None, is_revenue: bool) -> str:
    if is_revenue:
        return "a number: what the customer pays each month"
    if column is None or column.kind == "numeric":
        return "a number"
    listed = ", ".join(column.categories[:LISTED_CATEGORIES])
    more = len(column.categories) - LISTED_CATEGORIES
    return f"one of: {listed}" + (f" and {more:,} more" if more > 0 else "")


def _values(column: Column | None) -> list[str]:
    """Give each category as often as the others, and numbers evenly around the average."""
    customers = range(SAMPLE_CUSTOMERS)
    if column is not None and column.categories:
        return [column.categories[i % len(column.categories)] for i in customers]
    average = _AMOUNT if column is None or column.average is None else column.average
    if 0 < average < 1:  # as good as always the share of customers that have something
        return [str(int(i < average * SAMPLE_CUSTOMERS)) for i in customers]
    numbers = [average * (0.1 + 1.8 * i / (SAMPLE_CUSTOMERS - 1)) for i in customers]
    return [f"{number:.0f}" if abs(average) >= 10 else f"{number:.2f}" for number in numbers]
