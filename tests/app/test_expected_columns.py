"""What is said of a model's columns, and that the sample made from them can be scored."""

from __future__ import annotations

import csv

import pytest

from app.expected_columns import expected_columns, sample_file
from model.artifact import SHIPPED, load
from model.scoring.predict import score_file
from predictions.schema import Column, CustomerSchema


@pytest.fixture(scope="module")
def model():
    return load(SHIPPED)


def schema_of(*columns, id_column=None, revenue_column=None):
    return CustomerSchema(
        version="m1",
        columns=columns,
        id_column=id_column,
        revenue_column=revenue_column,
        label="left",
    )


def told(schema):
    return {column.name: (column.holds, column.is_needed) for column in expected_columns(schema)}


def test_a_column_holds_a_number_or_one_of_its_categories():
    schema = schema_of(
        Column(name="plan", kind="categorical", categories=("Yes", "No")),
        Column(name="months", kind="numeric", average=3.5),
        Column(name="senior", kind="boolean", categories=("0", "1")),
        Column(name="since", kind="date", lowest=0, highest=2, date_format="%d.%m.%Y"),
        id_column="who",
        revenue_column="fee",
    )

    assert told(schema) == {
        "who": ("your own name for the customer; without it rows are numbered", False),
        "plan": ("one of: Yes, No", True),
        "months": ("a number", True),
        "senior": ("0 or 1", True),
        "since": ("a date, such as 02.01.1970", True),
        "fee": ("a number: what the customer pays each month", True),
    }


def test_of_many_categories_ten_are_named():
    categories = tuple(f"c{number}" for number in range(1_234))

    holds, _ = told(schema_of(Column(name="plan", kind="categorical", categories=categories)))[
        "plan"
    ]

    assert holds == "one of: c0, c1, c2, c3, c4, c5, c6, c7, c8, c9 and 1,224 more"


def test_the_sample_is_scored_whole(model, tmp_path):
    path = tmp_path / "sample.csv"
    path.write_text(sample_file(model.schema), encoding="utf-8")

    scored = score_file(
        path, tmp_path / "result.csv", model, threads=1, progress=lambda rows, share: None
    )

    assert (scored.rows, scored.rows_failed) == (20, 0)


def test_the_sample_has_every_column_and_the_same_customers_each_time(model):
    header, *rows = csv.reader(sample_file(model.schema).splitlines())

    assert header == [column.name for column in expected_columns(model.schema)]
    assert [row[0] for row in rows[:2]] == ["C0001", "C0002"]
    assert sample_file(model.schema) == sample_file(model.schema)


def test_the_sample_stays_near_what_the_model_knows():
    schema = schema_of(
        Column(name="plan", kind="categorical", categories=("a,b", "c")),
        Column(name="months", kind="numeric", average=30.0),
        Column(name="has_one", kind="numeric", average=0.15),
        Column(name="since", kind="date", lowest=0, highest=19, date_format="%d.%m.%Y"),
        revenue_column="fee",
    )

    _, *rows = csv.reader(sample_file(schema).splitlines())
    plans, months, flags, days, fees = zip(*rows, strict=True)

    assert (plans.count("a,b"), plans.count("c")) == (10, 10)
    assert 29 <= sum(map(float, months)) / 20 <= 31
    assert (flags.count("1"), flags.count("0")) == (3, 17)
    assert sorted(days) == [f"{day:02}.01.1970" for day in range(1, 21)]
    assert all(float(fee) > 0 for fee in fees)
