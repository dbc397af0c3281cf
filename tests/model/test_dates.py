"""Dates are read as their column writes them, and a day that is none is told."""

import numpy as np
import pytest

from model.dates import as_text, date_format, dates

JULY_4_1976 = 2_376


@pytest.mark.parametrize(
    ("cells", "form"),
    [
        (["1976-07-04", "2024-12-31 10:20"], "%Y-%m-%d"),
        (["1976/07/04"], "%Y/%m/%d"),
        (["4.7.1976", "31.12.1976"], "%d.%m.%Y"),
        (["07/04/1976", "12/31/1976"], "%m/%d/%Y"),
        (["04/07/1976", "31/12/1976"], "%d/%m/%Y"),
        (["04/07/1976", "31/12/1976", "30/12/1976", "12/31/1976"], "%d/%m/%Y"),
        (["1976-07-04", "soon", "30.02.1976"], "%Y-%m-%d"),
        (["19760704"], None),  # a number
        ([], None),
    ],
)
def test_a_column_has_the_format_that_most_cells_fit(cells, form):
    assert date_format(cells) == form


@pytest.mark.parametrize(
    ("cell", "day"),
    [
        ("04.07.1976", JULY_4_1976),
        ("1976-07-04", JULY_4_1976),  # ISO is understood everywhere
        ("4.7.1976 06:00", JULY_4_1976 + 0.25),
        ("4.7.1976 6:00 PM", JULY_4_1976 + 0.75),
        ("1976-07-04T18:00:00.000Z", JULY_4_1976 + 0.75),
        ("1976-07-04T18:00:00+06:00", JULY_4_1976 + 0.5),
        ("31.12.1969", -1),
    ],
)
def test_a_date_is_days_since_1970(cell, day):
    values, wrong = dates("since", [cell], "%d.%m.%Y")
    assert (values.tolist(), wrong) == ([day], {})


def test_what_is_no_date_is_told_and_what_is_blank_is_not():
    values, wrong = dates("since", ["", "30.02.2020", " ", "1.1.1970 25:00"], "%d.%m.%Y")
    assert np.isnan(values).all()
    assert {row: (error.kind, error.message) for row, error in wrong.items()} == {
        1: ("not-a-date", "since: “30.02.2020” is not a date"),
        3: ("not-a-date", "since: “1.1.1970 25:00” is not a date"),
    }


def test_a_day_is_written_as_it_was_read():
    assert as_text(JULY_4_1976, "%d.%m.%Y") == "04.07.1976"
    assert as_text(JULY_4_1976 + 0.9, None) == "1976-07-04"


@pytest.mark.parametrize(
    ("days", "said"), [(-719_200.0, "1-01-01"), (2_933_000.0, "9999-12-31"), (0.5, "1970-01-01")]
)
def test_a_day_beyond_the_calendar_is_its_first_or_last(days, said):
    assert as_text(days, None) == said
