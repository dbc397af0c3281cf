"""What a customer file must hold, in words and as an example: both read from the model's schema."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
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
    an_id = "your own name for the customer; without it rows are numbered"
    return [
        *(ExpectedColumn(name, an_id, False) for name in schema.optional_columns),
        *(
            ExpectedColumn(name, _holds(schema.needed(name), name == schema.revenue_column), True)
            for name in schema.needed_columns
        ),
    ]


def sample_file(schema: CustomerSchema) -> str:
    """Make up customers that the model can score: the same ones each time."""
    columns = [_values(schema.needed(name)) for name in schema.needed_columns]
    order = Random(SAMPLE_CUSTOMERS)  # noqa: S311 - a seed, for a file that is always the same
    for values in columns:
        order.shuffle(values)  # else high numbers would all come together
    ids = [f"C{row:04d}" for row in range(1, SAMPLE_CUSTOMERS + 1)]
    columns = [ids for _ in schema.optional_columns] + columns
    rows = [schema.known_columns, *zip(*columns, strict=True)]
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()


def _holds(column: Column, is_revenue: bool) -> str:
    if is_revenue:
        return "a number: what the customer pays each month"
    if column.kind == "numeric":
        return "a number"
    if column.kind == "date":
        return f"a date, such as {_day(column, 0.5)}"
    if column.kind == "boolean":
        return " or ".join(column.categories)
    listed = ", ".join(column.categories[:LISTED_CATEGORIES])
    more = len(column.categories) - LISTED_CATEGORIES
    return f"one of: {listed}" + (f" and {more:,} more" if more > 0 else "")


def _values(column: Column) -> list[str]:
    """Give each category as often as the others, and numbers and dates evenly."""
    customers = range(SAMPLE_CUSTOMERS)
    if column.categories:
        return [column.categories[i % len(column.categories)] for i in customers]
    if column.kind == "date":
        return [_day(column, i / (SAMPLE_CUSTOMERS - 1)) for i in customers]
    average = _AMOUNT if column.average is None else column.average
    if 0 < average < 1:  # as good as always the share of customers that have something
        return [str(int(i < average * SAMPLE_CUSTOMERS)) for i in customers]
    numbers = [average * (0.1 + 1.8 * i / (SAMPLE_CUSTOMERS - 1)) for i in customers]
    return [f"{number:.0f}" if abs(average) >= 10 else f"{number:.2f}" for number in numbers]


def _day(column: Column, share: float) -> str:
    """Write the day that lies so far between the first and the last of training."""
    first, last = column.lowest or 0.0, column.highest or 0.0
    day = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(days=first + share * (last - first))
    return day.strftime(column.date_format or "%Y-%m-%d")
