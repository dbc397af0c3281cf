"""Any labelled file: what its columns are, what is left out and why, whatever the label is."""

import random

import numpy as np
import pytest

from model.training.dataset import Dataset, read_dataset
from predictions.errors import BadCustomerFile

ROWS = 200
LABELS = ["yes" if number % 3 == 0 else "no" for number in range(ROWS)]


def read(tmp_path, *columns: list[object], labels=LABELS, names=(), **options) -> Dataset:
    """Read a file of these columns, called a, b, … beside a fee that tells customers apart."""
    called = [*(names or "abcdef"[: len(columns)]), "fee", "label"]
    fees = [f"{number + 0.25}" for number in range(len(labels))]
    lines = [called, *zip(*columns, fees, labels, strict=True)]
    quoted = ['"' + '","'.join(map(str, line)) + '"' for line in lines]
    path = tmp_path / "in.csv"
    path.write_text("\n".join(quoted) + "\n")
    return read_dataset(path, label="label", **options)


def every(*cells: object) -> list[object]:
    return [cells[number % len(cells)] for number in range(ROWS)]


@pytest.mark.parametrize(
    ("cells", "kind", "categories"),
    [
        (every("1", "2", "3"), "numeric", ()),
        (every("1,234.5", "99", "12,000.00", ""), "numeric", ()),
        (every(" 7 ", "8.5"), "numeric", ()),
        (every("Yes", "no", ""), "boolean", ("no", "Yes")),
        (every("1", "0"), "boolean", ("0", "1")),
        (every("TRUE", "FALSE", "n/a"), "boolean", ("FALSE", "TRUE")),
        (every("y", "n", "maybe"), "categorical", ("maybe", "n", "y")),
        (every("2024-01-31", "", "2024-02-01 10:00"), "date", ()),
        (every("31.1.2024", "-"), "date", ()),
        (every("Basic", "Pro", "N/A"), "categorical", ("Basic", "N/A", "Pro")),
        (every("Ja", "Nein"), "categorical", ("Ja", "Nein")),
        (every("only", ""), "categorical", ("only",)),
    ],
)
def test_a_column_is_what_its_cells_say(cells, kind, categories, tmp_path):
    column = read(tmp_path, cells).columns[0]
    assert (column.kind, column.categories) == (kind, categories)


def test_words_for_nothing_are_missing_among_numbers(tmp_path):
    data = read(tmp_path, every("1", "2", "N/A", "-", "null", "?", ""))
    column = data.columns[0]
    assert column.blank_words == ("-", "?", "n/a", "null")
    assert np.isnan(data.matrix[:7, 0]).tolist() == [False] * 2 + [True] * 5
    assert (column.average, column.lowest, column.highest) == (1.5, 1, 2)


def test_a_few_odd_cells_make_no_column_of_numbers_a_text(tmp_path):
    cells = [str(number) for number in every(1.5, 2.5)]
    cells[5] = cells[9] = "see note"
    data = read(tmp_path, cells)
    assert data.columns[0].kind == "numeric"
    (warning,) = data.warnings
    assert warning.startswith("a: 2 cells are none of the numbers")
    assert "“see note”" in warning


@pytest.mark.parametrize(
    ("cells", "why"),
    [
        (every("same"), "the same in every row"),
        (every(""), "the same in every row"),
        (["x"] * 3 + [""] * (ROWS - 3), "filled in 3 of 200 rows, too few to learn from"),
        ([f"name {n}" for n in range(ROWS)], "looks like an id or free text: most rows have"),
        ([f"name {n // 2}" for n in range(ROWS)], "none of its 100 texts is in 10 rows"),
        (range(1_000, 1_000 + ROWS), "looks like an id: another whole number in every row"),
        ([49_151_000_000 + 7_919 * n for n in range(ROWS)], "looks like an id: another whole"),
    ],
)
def test_a_column_that_teaches_nothing_is_left_out_with_the_reason(cells, why, tmp_path):
    data = read(tmp_path, cells)
    assert [column.name for column in data.columns] == ["fee"]
    assert data.dropped_columns["a"].startswith(why)


def test_amounts_that_happen_to_differ_are_no_ids(tmp_path):
    amounts = random.Random(0).sample(range(90, 2_000_000), ROWS)
    assert read(tmp_path, amounts).columns[0].kind == "numeric"
    assert "Customer Nr" in read(tmp_path, amounts, names=["Customer Nr"]).dropped_columns


def test_of_very_many_categories_the_most_frequent_are_learned(tmp_path):
    cells = [f"c{n % 7}" if n < 140 else f"rare {n}" for n in range(ROWS)]
    assert len(read(tmp_path, cells).columns[0].categories) == 67  # each fold tells which are rare


def test_names_keep_their_doubled_spaces_and_lose_those_around(tmp_path):
    data = read(tmp_path, every(1, 2, 3), every(4, 5, 6), names=["my  fee ", "my fee"])
    assert [column.name for column in data.columns][:2] == ["my  fee", "my fee"]


@pytest.mark.parametrize(
    ("left", "stayed", "given", "found"),
    [
        ("Yes", "No", None, ("Yes", "No")),
        ("1", "0", None, ("1", "0")),
        ("1.0", "0.0", None, ("1.0", "0.0")),
        ("True", "False", None, ("True", "False")),
        ("Churned", "Stayed", None, ("Churned", "Stayed")),
        ("JA", "NEIN", "ja", ("JA", "NEIN")),
        ("0", "1", "0", ("0", "1")),
    ],
)
def test_usual_labels_are_understood(left, stayed, given, found, tmp_path):
    labels = [left if label == "yes" else stayed for label in LABELS]
    data = read(tmp_path, every(1, 2, 3), labels=labels, positive=given)
    assert (data.positive, data.negative) == found
    assert data.left.sum() == 67


def test_several_labels_are_one_against_the_others(tmp_path):
    labels = every("Churned", "Stayed", "Joined", "churned ", "", "N/A")
    data = read(tmp_path, every(1, 2), labels=labels, positive="Churned")
    assert (data.positive, data.negative) == ("Churned", "not Churned")
    assert (data.left.sum(), len(data.left), data.unlabelled_rows) == (67, 134, 66)


def test_rows_that_repeat_one_are_dropped_where_customers_can_be_told_apart(tmp_path):
    data = read(tmp_path, every(1, 2, 3))
    path = tmp_path / "in.csv"
    lines = path.read_text().splitlines()
    path.write_text("\n".join([*lines, *lines[1:50]]))
    again = read_dataset(path, label="label")
    assert (again.duplicate_rows, len(again.left)) == (49, len(data.left))


def test_customers_who_are_alike_in_few_columns_stay(tmp_path):
    path = tmp_path / "in.csv"
    path.write_text("\n".join(["plan,left", *(f"{'ab'[n % 2]},{n % 3 > 0}" for n in range(300))]))
    data = read_dataset(path, label="left")
    assert (data.duplicate_rows, len(data.left)) == (0, 300)


def test_a_customer_with_two_rows_is_told(tmp_path):
    ids = [f"C{n // 2}" for n in range(ROWS)]
    data = read(tmp_path, ids, every(1, 2, 3), id_column="a")
    assert data.warnings[0].startswith("a: 100 rows are of a customer who has another row")


def test_columns_are_left_out_as_asked_and_must_be_there(tmp_path):
    data = read(tmp_path, every(1, 2, 3), left_out=["a"])
    assert data.dropped_columns == {"a": "as you asked"}
    with pytest.raises(BadCustomerFile, match="missing: A"):
        read(tmp_path, every(1, 2, 3), left_out=["A"])


def test_the_label_has_no_say_in_what_a_column_is(tmp_path):
    columns = (every("a", "b", "c"), every(1.5, 2, ""), every("x", "y", "2", "5"))
    other = [LABELS[-1 - number] for number in range(ROWS)]
    one, two = read(tmp_path, *columns), read(tmp_path, *columns, labels=other)
    assert one.columns == two.columns
    np.testing.assert_array_equal(one.matrix, two.matrix)


@pytest.mark.parametrize(
    ("cells", "said"),
    [
        ([f"Jun {1 + n % 28}, 2024" for n in range(400)], "looks like dates, such as “Jun "),
        ([f"{1 + n % 28:02}-Dec-2023" for n in range(400)], "looks like dates, such as “"),
        ([f"{1 + n % 28:02}/07/21" for n in range(400)], "looks like dates, such as “"),
        (
            [f"{n // 3}.5 GB" for n in range(300)] + ["9.9 GB"] * 100,
            "numbers are read without a unit",
        ),
    ],
)
def test_dates_and_numbers_in_a_form_that_is_not_read_are_named_and_not_learned(
    labelled, tmp_path, cells, said
):
    header, *rows = labelled.read_text().splitlines()
    written = [f"{row};{cell}" for row, cell in zip(rows, cells, strict=True)]
    labelled.write_text("\n".join([f"{header};seen", *written]))
    data = read_dataset(
        labelled, label="left", positive="gone", id_column=None, revenue_column=None
    )
    assert said in data.dropped_columns["seen"]


@pytest.mark.parametrize("words", [("1", "2"), ("1", "yes, soon"), ("1", "0.5")])
def test_a_one_is_no_yes_beside_anything_but_a_zero(labelled, words):
    text = labelled.read_text().replace(";gone", f";{words[0]}").replace(";here", f";{words[1]}")
    labelled.write_text(text)
    with pytest.raises(BadCustomerFile) as caught:
        read_dataset(labelled, label="left", positive=None, id_column=None, revenue_column=None)
    assert caught.value.failure.code == "unclear-positive"


def test_labels_that_count_as_stayed_are_told_where_there_are_several(tmp_path):
    labels = [
        "Churned" if n % 3 == 0 else "Joined" if n % 10 == 1 else "Stayed" for n in range(ROWS)
    ]
    plan = every("a", "b", "c")
    (warning,) = read(tmp_path, plan, labels=labels, positive="Churned").warnings
    assert "“Stayed” (" in warning
    assert f"“Joined” ({labels.count('Joined')} rows) count as customers who stayed" in warning
    assert read(tmp_path, plan).warnings == ()
