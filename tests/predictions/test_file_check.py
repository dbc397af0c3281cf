"""What passes through the check is unchanged, and what it says is what scoring would find."""

import io
import itertools
import tracemalloc
from unittest import mock

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from predictions import customer_file, file_text
from predictions.customer_file import CustomerFile
from predictions.errors import BadCustomerFile, MissingColumn, MissingColumns
from predictions.file_check import FileCheck, check_head
from predictions.file_text import LONGEST_ROW
from predictions.schema import Column, CustomerSchema

SCHEMA = CustomerSchema(
    version="m1",
    columns=(Column(name="tenure", kind="numeric"), Column(name="Contract", kind="categorical")),
    id_column="customerID",
    revenue_column="MonthlyCharges",
    label="Churn",
)
HEADER = "customerID,tenure,Contract,MonthlyCharges\n"


def cut(content: bytes, size: int) -> list[bytes]:
    return [content[start : start + size] for start in range(0, len(content), size)]


def checked(text: str, size: int = 1000, matches=None) -> FileCheck:
    content = text.encode()
    check = FileCheck(cut(content, size), SCHEMA, matches or {})
    assert b"".join(check.passed_on()) == content
    return check


def refusal(text: str, size: int = 1000, matches=None) -> BadCustomerFile:
    with pytest.raises(BadCustomerFile) as caught:
        checked(text, size, matches)
    return caught.value


def test_the_facts_are_told_once_all_has_passed():
    check = FileCheck([HEADER.encode(), b"C1,2,x,3\n\nC2,2,x,3"], SCHEMA, {})
    with pytest.raises(ValueError, match="not passed"):
        _ = check.facts

    assert check.stream().read() == HEADER.encode() + b"C1,2,x,3\n\nC2,2,x,3"

    facts = check.facts
    assert (facts.rows, facts.columns, facts.encoding, facts.delimiter) == (2, 4, "UTF-8", ",")
    assert facts.matches == {}
    assert facts.model == SCHEMA.version


def test_missing_columns_are_named_with_what_is_there():
    error = refusal("customerID,tenur,Vertrag,Sum\nC1,2,x,3\n")

    assert isinstance(error, MissingColumns)
    assert error.missing == (
        MissingColumn("tenure", "tenur"),
        MissingColumn("Contract", None),
        MissingColumn("MonthlyCharges", None),
    )
    assert error.header == ("customerID", "tenur", "Vertrag", "Sum")


def test_a_column_that_is_taken_already_is_not_the_nearest():
    error = refusal("customerID,Contract,Contracts\nC1,2,x\n", matches={"tenure": "Contracts"})

    assert [(column.name, column.nearest) for column in error.missing] == [("MonthlyCharges", None)]


def test_remembered_names_stand_for_the_columns_that_are_not_there():
    names = {"tenure": "Months", "MonthlyCharges": "Fee", "customerID": "No", "Contract": "Fee"}
    check = checked("No,Months,Contract,Fee\nC1,2,x,3\n", matches=names)

    assert check.facts.matches == {"tenure": "Months", "MonthlyCharges": "Fee", "customerID": "No"}


def test_one_column_of_the_file_is_never_read_as_two():
    error = refusal("customerID,Fee\nC1,3\n", matches={"tenure": "Fee", "MonthlyCharges": "Fee"})

    assert [column.name for column in error.missing] == ["Contract", "MonthlyCharges"]


def test_neither_id_nor_label_is_needed():
    assert checked("tenure,Contract,MonthlyCharges\n1,x,2\n").facts.rows == 1


def test_a_file_without_a_header_is_told_so():
    error = refusal("C1,12,Month-to-month,29.85\nC2,5,One year,56.95\n")

    assert error.failure.code == "missing-columns"
    assert "looks like a customer" in error.failure.hint
    assert error.header == (), "no customer's cells are offered as names"


def test_a_long_name_is_not_offered_for_a_column_that_is_missing():
    header = "tenure,Contract,MonthlyCharges,"
    for name, nearest in (
        ("customerID" + "_" * 250, {}),
        ("customerIDs", {"customerID": "customerIDs"}),
    ):
        assert checked(f"{header}{name}\n5,x,3,C1\n").facts.nearest == nearest


def test_too_many_columns_are_counted():
    names = ",".join(f"c{n}" for n in range(100_000))
    failure = refusal(HEADER.strip() + "," + names + "\n1\n", 262_144).failure

    assert failure.code == "too-many-columns"
    assert failure.message == "The header has 100,004 columns; 16,384 is the most."


@pytest.mark.parametrize("row", ["C1,2,x,3\n", '"C1",2,x,3\n', "C1\n"])
def test_a_file_has_so_many_rows_at_most(row, monkeypatch):
    monkeypatch.setattr(customer_file, "MOST_ROWS", 30_000)

    assert checked(HEADER + row * 30_000).facts.rows == 30_000
    failure = refusal(HEADER + row * 30_001).failure

    assert failure.code == "too-many-rows"
    assert failure.message == "The file has more than 30,000 rows."


def test_a_row_of_many_long_cells_is_refused_before_it_fills_the_memory():
    cell = b'"' + (b"x" * 99 + b"\n") * 1000 + b'",'

    def chunks():
        yield HEADER.encode()
        yield from itertools.repeat(cell, 1000)

    tracemalloc.start()
    try:
        with pytest.raises(BadCustomerFile) as caught:
            for _ in FileCheck(chunks(), SCHEMA, {}).passed_on():
                pass
        _now, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert (caught.value.failure.code, caught.value.failure.row) == ("row-too-long", 1)
    assert peak < 8 * LONGEST_ROW


def test_a_fault_at_the_end_keeps_the_last_bytes_back():
    content = (HEADER + "C1,2,x,3\n" * 100_000 + 'C2,2,"x,3\n').encode()
    passed = []

    with pytest.raises(BadCustomerFile) as caught:
        passed.extend(FileCheck(cut(content, 65_536), SCHEMA, {}).passed_on())

    assert (caught.value.failure.code, caught.value.failure.row) == ("unclosed-quote", 100_001)
    assert 0 < sum(map(len, passed)) < len(content)


def test_a_long_cell_far_behind_the_head_is_found_with_its_row():
    rows = "C1,2,x,3\n" * 20_000
    failure = refusal(HEADER + rows + "C2," + "y" * 140_000 + ",x,3\n" + rows, 262_144).failure

    assert (failure.code, failure.row) == ("cell-too-long", 20_001)


def test_the_stream_refuses_at_once_what_the_head_tells():
    with pytest.raises(MissingColumns):
        FileCheck([b"a,b\n1,2\n"], SCHEMA, {}).stream()


ROWS = [
    *("C1,2,x,3", "C1", ",,,", "", '""', "C1,2,x,3,4,5", "é,2,x,3"),
    *('"C,1",2,x,3', '"C\n1",2,"x\r\ny",3', '"a""b",2,x,3', 'C1,"2"3,x,4', 'C1,"2'),
]


@settings(max_examples=200)
@given(
    rows=st.lists(st.sampled_from(ROWS), max_size=12),
    ends=st.sampled_from(["\n", "\r\n", "\r"]),
    size=st.integers(1, 40),
)
def test_counting_finds_what_reading_finds(rows, ends, size):
    content = (HEADER + ends.join(rows)).encode()

    def outcome(run):
        try:
            # Else all of a small file is its head.
            with (
                mock.patch.object(file_text, "HEAD", len(HEADER)),
                mock.patch.object(customer_file, "MOST_ROWS", 8),
            ):
                return run(CustomerFile(cut(content, size), SCHEMA.needed_columns))
        except BadCustomerFile as exc:
            return exc.failure

    def counted(customers):
        for _ in customers.count_rows():
            pass
        return customers.facts

    def read(customers):
        total = sum(len(block) for block in customers.blocks(3))
        assert total == customers.facts.rows
        return customers.facts

    assert outcome(counted) == outcome(read)


def test_the_stream_gives_what_was_asked_for():
    content = (HEADER + "C1,2,x,3\n" * 10_000).encode()
    stream = FileCheck(cut(content, 777), SCHEMA, {}).stream()

    assert stream.read(8_192) == content[:8_192]
    assert stream.read() == content[8_192:]
    assert isinstance(stream, io.BufferedReader)


HEAD = (HEADER + "C1,2,x,3\n" * 20_000).encode()[: file_text.HEAD]


LONG_HEADER = "tenure," + ",".join(f"column {n}" for n in range(6_000))


@pytest.mark.parametrize(
    "head",
    [
        HEAD,
        f"\n{LONG_HEADER}".encode()[: file_text.HEAD],
        f'"tenure\r\n(months)",{LONG_HEADER}'.encode()[: file_text.HEAD],
        f"\n{LONG_HEADER}".encode("utf-16")[: file_text.HEAD],
        f"\N{GUJARATI SIGN CANDRABINDU}{LONG_HEADER}".encode("utf-16")[: file_text.HEAD],
        HEAD.decode().encode("utf-16")[: file_text.HEAD - 1],
        HEADER.encode() + b'"' + b"x" * 70_000,
        HEADER.encode()[:20],
        HEADER.encode() + "é".encode()[:1],
        ",".join(f"c{n}" for n in range(30_000)).encode()[: file_text.HEAD],
        b"",
    ],
)
def test_a_head_is_not_refused_for_being_cut_off(head):
    check_head(head, SCHEMA, {})


@pytest.mark.parametrize(
    ("head", "code"),
    [
        (HEAD.replace(b"tenure", b"months", 1), "missing-columns"),
        (HEAD.replace(b"customerID", b"tenure", 1), "duplicate-columns"),
        (HEAD.replace(b"MonthlyCharges", b"MonthlyCharges,customerID", 1), "duplicate-columns"),
        (b"\n" + HEAD.replace(b"tenure", b"months", 1), "missing-columns"),
        (b'"a\nb",c\n' + HEAD, "header-not-first"),
        (HEAD.decode().replace("tenure", "months").encode("utf-16"), "missing-columns"),
        (b"\x1f\x8b\n" + HEAD, "not-text"),
    ],
)
def test_a_head_tells_what_is_wrong_with_the_header(head, code):
    with pytest.raises(BadCustomerFile) as caught:
        check_head(head, SCHEMA, {})
    assert caught.value.failure.code == code


@pytest.mark.parametrize(
    "header",
    ["customerID,customerID,tenure,Contract,MonthlyCharges", "customerID,Contract,MonthlyCharges"],
)
def test_the_head_says_what_the_whole_file_says(header):
    """Also of an id column, which is no candidate for a missing one that sounds like it."""
    columns = (*SCHEMA.columns, Column(name="customerIDs", kind="numeric"))
    schema = SCHEMA.model_copy(update={"columns": columns})
    content = f"{header}\nC1,C1,2,x,3\n".encode()

    with pytest.raises(BadCustomerFile) as by_head:
        check_head(content, schema, {})
    with pytest.raises(BadCustomerFile) as by_all:
        FileCheck([content], schema, {}).stream()

    assert by_head.value.failure == by_all.value.failure
    assert "the file has “customerID”" not in by_head.value.failure.message
