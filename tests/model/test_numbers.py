"""Numbers as people write them: read right, or refused, never a thousand times off."""

import math
from collections import Counter

import pytest

from model.numbers import decimal_mark, is_any_unclear, marks_of, numbers

NBSP, NARROW = "\N{NO-BREAK SPACE}", "\N{NARROW NO-BREAK SPACE}"


def read(cells, mark=None):
    values, wrong = numbers("Fee", cells, mark)
    return values.tolist(), {index: error.kind for index, error in wrong.items()}


@pytest.mark.parametrize("mark", [None, ".", ","])
@pytest.mark.parametrize(
    ("cell", "value"),
    [
        ("1234", 1234),
        ("-0.5", -0.5),
        ("29,85", 29.85),
        ("29.85", 29.85),
        ("0,125", 0.125),
        ("1,234.5", 1234.5),
        ("1.234,5", 1234.5),
        ("1,234,567", 1_234_567),
        ("1.234.567", 1_234_567),
        ("-1.234.567,25", -1_234_567.25),
        ("1234,567", 1234.567),
        ("1 234,5", 1234.5),
        (f"1{NBSP}234{NBSP}567", 1_234_567),
        (f"1{NARROW}234.5", 1234.5),
        ("-12 345 678,9", -12_345_678.9),
        ("1’234.50", 1234.5),
        ("1e3", 1000),
        (" 7 ", 7),
        ("$79.85", 79.85),
        ("$ 1,234.50", 1234.5),
        ("-$5", -5),
        ("$-5", -5),
        ("1.234,50 €", 1234.5),
        (f"1{NBSP}234,5{NBSP}€", 1234.5),
        ("£.50", 0.5),
        ("12 %", 12),
        ("12.5%", 12.5),
        ("(1,234.50)", -1234.5),
        ("1.234,50-", -1234.5),
        ("( 5 )", -5),
        ("5 -", -5),
        ("($1,234.50)", -1234.5),
        ("1.234,50 €-", -1234.5),
        ("(1 234,5)", -1234.5),
    ],
)
def test_a_number_that_can_be_read_in_one_way_is_read_in_every_file(cell, value, mark):
    assert read([cell], mark) == ([value], {})


@pytest.mark.parametrize(
    ("cell", "mark", "value"),
    [
        ("1,234", ".", 1234),
        ("1,234", ",", 1.234),
        ("1.234", ",", 1234),
        ("1.234", ".", 1.234),
        ("$1,234", ".", 1234),
        ("1.234 €", ",", 1234),
        ("(1,234)", ".", -1234),
        ("1.234-", ".", -1.234),
        ("($1,234)", ",", -1.234),
    ],
)
def test_one_group_of_three_is_read_by_the_files_decimal_mark(cell, mark, value):
    assert read([cell], mark) == ([value], {})


def test_one_group_of_three_behind_a_comma_is_refused_where_nothing_tells():
    values, wrong = numbers("Fee", ["5", "1,234", "1.234"], None)

    assert values.tolist()[::2] == [5, 1.234]
    assert math.isnan(values[1])
    assert wrong[1].kind == "ambiguous-number"
    assert wrong[1].message == "Fee: “1,234” may be 1234 or 1.234"
    assert (wrong[1].column, wrong[1].text) == ("Fee", "1,234")


@pytest.mark.parametrize(
    "cell",
    [
        *("n/a", "NaN", "inf", "-Infinity", "1e39", "12.5.3", "1,23,456", ",", ".", "--1", "$"),
        *("$$5", "$5%", "5$5", "%5", "5 USD", "$ -$5"),
        # Two numbers in a cell, perhaps, or one with a digit too many: nothing is joined.
        *(
            "1 2",
            "12 3456",
            "555 1234",
            "1 234 5678",
            "1234 567",
            "0 123",
            "1 234'567",
            "1 234.5,6",
        ),
    ],
)
@pytest.mark.parametrize("mark", [None, ".", ","])
def test_what_is_no_finite_number_is_told(cell, mark):
    values, wrong = read([cell, ""], mark)

    assert all(map(math.isnan, values))
    assert wrong == {0: "not-a-number"}


@pytest.mark.parametrize(
    ("columns", "mark"),
    [
        ([["29.85", "1"]], "."),
        ([["1,234", "2"]], None),
        ([["1,234", "29.85"]], "."),
        ([["1,234"], ["29,85"]], ","),
        ([["1.234,50", "1.234"]], ","),
        ([["29,85", "29.85", "30.5"]], "."),  # by the majority
        ([["29,85"], ["29.85"]], None),
        ([["1,397"], ["70.35"]], "."),
        ([["5", "1,5"], ["12.50", "70.35", "1.234"]], "."),  # of all columns, not of one
        ([["5", "1.5"], ["12,50", "70,35", "1.234"]], ","),
        ([["1.234", "1.234.567"]], ","),  # two marks in one number group its digits
        ([["1,234", "1,234,567"]], "."),
        ([["1,234", ".", ".", "29,85"]], ","),  # a mark alone is no number: it says nothing
        ([["1.234", ",", ",", "29.85"]], "."),
        ([["1,234", "5."], ["1,234", ".5"]], "."),
        ([["1,234", "0.125", "-12345.678"]], "."),
        ([["1,234", "12", "-7", "999.000"]], None),
        ([[]], None),
        ([], None),
    ],
)
def test_the_decimal_mark_is_told_by_the_cells_that_say_it(columns, mark):
    assert decimal_mark(sum(map(marks_of, columns), Counter())) == mark


@pytest.mark.parametrize(
    "cell",
    ["1,234", "1.234", "-1.234", "  999,000 ", "\t1,234\r\n", "(1,234)", "( $1,234 )", "1.234 -"],
)
def test_a_cell_that_may_be_two_numbers_is_found_among_the_others(cell):
    assert is_any_unclear(["5", cell, "", "x"])


def test_what_is_one_number_or_none_needs_no_mark():
    clear = ["", "29,85", "0.125", "1234,567", "1.234,5", "1.234.567", ".", "1.2345", "x1,234"]
    assert not is_any_unclear(clear)


def test_a_long_cell_is_quoted_on_one_line_and_cut_as_in_every_refusal():
    _, wrong = numbers("Fee", ["x" * 50 + "\r\n" + "y" * 50], None)

    assert wrong[0].message == f"Fee: “{'x' * 50} {'y' * 9}…” is not a number"
