"""What codes and counts read like."""

from __future__ import annotations

import pytest

from app import words
from plain import a_prediction
from predictions.dead_letters import NOT_TAKEN
from predictions.record import Failure, RowError, RowErrorCount, Status
from predictions.sweeper import DEPENDENCY_DOWN, Ended


@pytest.mark.parametrize(("character", "word"), [(",", "comma"), ("\t", "tab"), ("|", "bar")])
def test_a_delimiter_has_a_name(character, word):
    assert words.delimiter(character) == word


def test_only_what_is_not_the_files_fault_may_pass():
    of_the_file = Failure(code="unclosed-quote", message="…", hint="…")

    for passing in (Ended.DIED.used_up(5), DEPENDENCY_DOWN, NOT_TAKEN):
        assert words.may_pass(a_prediction(status=Status.FAILED, failure=passing))
    assert not words.may_pass(a_prediction(status=Status.FAILED, failure=of_the_file))
    assert not words.may_pass(a_prediction())


@pytest.mark.parametrize(
    ("fraction", "said"),
    [
        (0, "0 % done"),
        (0.2, "0 % done"),
        (0.25, "25 % done"),
        (0.74, "50 % done"),
        (1, "100 % done"),
    ],
)
def test_progress_is_said_in_quarters(fraction, said):
    prediction = a_prediction(status=Status.PROCESSING, fraction_done=fraction)

    assert words.step(prediction).replace("\N{NO-BREAK SPACE}", " ") == f"Scoring: {said}"


@pytest.mark.parametrize(
    ("kind", "column", "rows", "text", "said"),
    [
        ("not-a-number", "a", 12, "n/a", "`a` holds no number in 12 rows (first: row 48, “n/a”)."),
        ("not-a-number", "a", 1, "n/a", "`a` holds no number in 1 row (row 48, “n/a”)."),
        ("ambiguous-number", "a", 2, None, "two different numbers in 2 rows (first: row 48)."),
        ("empty-row", None, 2, None, "2 rows (first: row 48): nothing in any cell."),
        ("of-tomorrow", None, 2, None, "2 rows (first: row 48): cannot be used."),
        ("of-tomorrow", "a", 2, None, "Column `a` cannot be used in 2 rows (first: row 48)."),
    ],
)  # fmt: skip
def test_a_row_error_is_a_sentence(kind, column, rows, text, said):
    error = RowErrorCount(kind=kind, column=column, rows=rows, first_row=48)
    listed = [
        RowError(row=48, column="another", kind=kind, text="not this one", message="…"),
        RowError(row=48, column=column, kind=kind, text=text, message="…"),
    ]

    assert words.row_error(error, listed).endswith(said)


def test_a_raising_reason_says_no_more_than_needed():
    assert words.reason("Month-to-month contract raises the risk") == "Month-to-month contract"
    assert words.reason("Monthly charges of 99 raise the risk") == "Monthly charges of 99"
    assert words.reason("Tenure of 60 lowers the risk") == "Tenure of 60 lowers the risk"
    of_before = "Contract is Month-to-month: raises the risk"
    assert words.reason(of_before) == "Contract is Month-to-month"
