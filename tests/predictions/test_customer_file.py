"""Which files are read, which are refused, and that no row is lost on the way."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from predictions.customer_file import BLOCK_CHARACTERS, CustomerFile, open_customer_file
from predictions.errors import BadCustomerFile
from predictions.record import Failure


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "customers.csv"


def read(path: Path, content: str | bytes, needed=(), rows_per_block=2):
    """Write the content, read it back: the header, all columns and all errors by row number."""
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    columns: dict[str, list[str]] = {}
    errors: dict[int, str] = {}
    with open_customer_file(path, needed) as customers:
        for block in customers.blocks(rows_per_block, all_columns=True):
            for name, cells in block.columns.items():
                columns.setdefault(name, []).extend(cells)
            errors |= {block.first_row + index: e.message for index, e in block.errors.items()}
        return customers, columns, errors


def refusal(path: Path, content: str | bytes, needed=()) -> Failure:
    with pytest.raises(BadCustomerFile) as caught:
        read(path, content, needed)
    return caught.value.failure


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_every_usual_dialect_gives_the_same_columns(path, delimiter, line_end, mark):
    lines = [["id", " tenure ", "note"], ["1", "12", '"a, b; c"'], ["2", "é", "x"]]
    text = line_end.join(delimiter.join(line) for line in lines)
    _, columns, errors = read(path, mark + text.encode())
    assert columns == {"id": ["1", "2"], "tenure": ["12", "é"], "note": ["a, b; c", "x"]}
    assert errors == {}


def test_the_delimiter_that_finds_the_needed_columns_wins(path):
    customers, _, _ = read(path, "id;tenure;a,b,c,d\n1;2;3\n", needed=["tenure"])
    assert customers.header == ("id", "tenure", "a,b,c,d")


def test_quoted_cells_keep_delimiters_quotes_and_line_ends(path):
    _, columns, _ = read(path, 'id,note\n1,"a ""b"", c\nd"\n2,\n')
    assert columns["note"] == ['a "b", c\nd', ""]


def test_a_row_of_the_wrong_length_keeps_its_place_and_its_first_cells(path):
    _, columns, errors = read(path, "id,a,b\n1,x,y\n2,x\n3,x,y,z\n4,x,y\n")
    assert columns["id"] == ["1", "2", "3", "4"]
    assert columns["b"] == ["y", "", "y", "y"]
    assert errors == {
        2: "the row has 2 cells where the header has 3",
        3: "the row has 4 cells where the header has 3",
    }


def test_a_row_of_blank_cells_is_a_row_and_a_blank_line_is_not(path):
    _, columns, errors = read(path, "\nid,a\n1,x\n\n , \n3,y\n\n")
    assert columns["id"] == ["1", " ", "3"]
    assert errors == {2: "the row is empty"}


@pytest.mark.parametrize(
    "nothing", [",,,,", "  ", ";;\n\n\t\t", '"",""', "|", "\N{NO-BREAK SPACE}"]
)
@pytest.mark.parametrize("delimiter", [",", ";"])
def test_lines_with_nothing_in_them_before_the_header_are_passed_over(path, nothing, delimiter):
    text = f"{nothing}\nid,a\n1,x\n,\n3\n".replace(",", delimiter)
    customers, columns, errors = read(path, text, needed=["a"])
    assert customers.header == ("id", "a")
    assert columns["id"] == ["1", "", "3"]
    assert errors == {2: "the row is empty", 3: "the row has 1 cell where the header has 2"}
    assert customers.facts.rows == 3
    with open_customer_file(path, ["a"]) as customers:
        assert list(customers.count_rows()) == []
        assert customers.facts.rows == 3


@pytest.mark.parametrize("line", ["sep=;", "SEP=;", '"sep=;"', "sep=;;;", "sep=", "\nsep=;"])
@pytest.mark.parametrize("delimiter", [",", ";"])
def test_a_first_line_that_names_the_delimiter_is_no_header(path, line, delimiter):
    text = f"{line}\r\nid,a\r\n1,x\r\n".replace(",", delimiter)
    customers, columns, _ = read(path, text, needed=["a"])
    assert (customers.header, columns["a"]) == (("id", "a"), ["x"])


def test_a_delimiter_that_is_named_is_used_where_the_names_do_not_tell(path):
    customers, _, _ = read(path, "sep=;\nName, first;a\n1;2\n")
    assert customers.header == ("Name, first", "a")


@pytest.mark.parametrize(
    ("above", "line", "named"),
    [
        ("Customers of May", 2, "Customers of May"),
        ("Customers of May;;\n;;", 3, "Customers of May"),
        (";Report;x\n\nby region;;\n", 5, "Report"),
        ('"a title\nover two lines"', 3, "a title\nover two lines"),
    ],
)
def test_what_stands_above_the_header_is_told_with_the_headers_line(path, above, line, named):
    text = f"{above}\nid;Months;fee\n1;2;3\n"
    matches = {"tenure": "Months"}
    with pytest.raises(BadCustomerFile) as caught:
        CustomerFile([text.encode()], ["tenure", "fee"], matches=matches)
    failure = caught.value.failure
    assert failure.code == "header-not-first"
    assert failure.message == f"The header is in line {line}, below “{named}”."


def test_a_line_that_is_no_better_than_the_first_is_not_taken_for_the_header(path):
    text = "id,fee,Contract\n1,tenure,x\n2,Zip,y\n"
    assert refusal(path, text, needed=["tenure", "fee", "Zip"]).code == "missing-columns"


def test_columns_without_a_name_are_no_duplicates(path):
    _, columns, errors = read(path, "id,,\n1,,\n")
    assert columns["id"] == ["1"]
    assert errors == {}


@pytest.mark.parametrize("content", [b"", b"\n\n", b"\xef\xbb\xbf", b" , \n;;\n\n"])
def test_an_empty_file_is_refused(path, content):
    assert refusal(path, content).code == "empty-file"


def test_a_header_without_rows_is_refused(path):
    assert refusal(path, "id,a\n\n").code == "no-rows"


def test_all_missing_columns_are_named_at_once_with_the_nearest_that_is_there(path):
    failure = refusal(path, "id,Tenure,Contrct\n1,2,3\n", needed=["tenure", "Contract", "Zip"])
    assert failure.code == "missing-columns"
    assert failure.column is None, "it is not one column that is wrong"
    assert failure.message == (
        "3 columns are missing: tenure (the file has “Tenure”), "
        "Contract (the file has “Contrct”), Zip."
    )


def test_a_message_stays_short_whatever_the_header_holds(path):
    names = [f"{n:05}" + "x" * 300 for n in range(1_000)]
    header, row = ",".join(names * 2), ",".join(["1"] * 2_000)
    twice = refusal(path, f"{header}\n{row}\n")
    assert twice.message.count("…") == 25
    assert "and 975 more" in twice.message
    assert twice.column == names[0][:60] + "…"

    header = ",".join(names)
    missing = refusal(path, f"{header}\n{row}\n", needed=[f"{name}y" for name in names])
    assert missing.message.startswith("1000 columns are missing: 00000x")
    assert "and 975 more" in missing.message
    for failure in (twice, missing):
        assert len(failure.message) < 4_000, "a record takes no more"


def test_a_cell_that_is_too_long_is_called_that(path):
    failure = refusal(path, "id,a\n1,2\n3," + "x" * 140_000 + "\n")
    assert (failure.code, failure.row) == ("cell-too-long", 2)
    assert "131,072 characters" in failure.message


def test_duplicate_columns_are_named(path):
    failure = refusal(path, "id,a,b, a,b\n1,2,3,4,5\n")
    assert (failure.code, failure.column) == ("duplicate-columns", "a")
    assert "“a”, “b”" in failure.message


@pytest.mark.parametrize(
    ("content", "row", "said"),
    [
        ('id,a\n1,x\n2,"y\n3,z\n', 2, "Row 2: a quotation mark is opened and not closed."),
        ('id,a\n1,"x"y\n2,z\n', 1, "Row 1: a quotation mark is closed in the middle of a cell."),
        # Longer than the csv module's longest cell.
        ('id,a\n1,x\n2,y\n3,"' + "z" * 200_000, 3, "Row 3: a quotation mark is opened"),
        ('id,"a\n1,x\n', None, "The header: a quotation mark is opened and not closed."),
    ],
)
def test_a_quote_that_is_not_closed_is_refused_with_its_row(path, content, row, said):
    failure = refusal(path, content)
    assert (failure.code, failure.row) == ("unclosed-quote", row)
    assert failure.message.startswith(said)


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"PK\x03\x04 rest of a workbook", "not-text"),
        (b"id,a\n1,\x00\n", "not-text"),
        (b"id,a\n" + b"1,2\n" * 50_000 + b"1,\x00\n", "not-text"),  # far behind the head
        (b"id,a\n" + b"x" * 2_000_000, "row-too-long"),
    ],
)
def test_what_is_no_csv_text_is_refused(path, content, code):
    assert refusal(path, content).code == code


def test_the_bytes_read_rise_to_the_size_of_the_file(path):
    path.write_text("id,a\n" + "1,2\n" * 500_000)
    with open_customer_file(path, ["a"]) as customers:
        read_so_far = [customers.bytes_read for _ in customers.blocks(100_000)]
    assert read_so_far == sorted(read_so_far)
    assert 0 < read_so_far[0] < path.stat().st_size / 2
    assert read_so_far[-1] == path.stat().st_size


cells = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=8)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
@given(rows=st.lists(st.tuples(cells, cells), min_size=1, max_size=7))
def test_whatever_is_in_the_cells_comes_back(path, rows):
    def quoted(cell: str) -> str:
        return '"' + cell.replace('"', '""') + '"'

    text = "id,a\n" + "".join(f"{quoted(left)},{quoted(right)}\n" for left, right in rows)
    _, columns, _ = read(path, text)
    assert list(zip(columns["id"], columns["a"], strict=True)) == rows


def test_only_the_chosen_columns_are_kept(path):
    path.write_text("id,a,b\n1,x,y\n2\n3,x,z\n")
    with open_customer_file(path, ["b"], optional=["id", "zip"]) as customers:
        (block,) = customers.blocks(10)
    assert block.columns == {"b": ("y", "", "z"), "id": ("1", "2", "3")}
    assert list(block.errors) == [1]


def test_the_name_most_like_an_optional_column_that_is_not_there_is_a_fact():
    def nearest(header, **more):
        file = f"{header}\n1,2,3\n".encode()
        return CustomerFile([file], ["tenure"], optional=["customerID"], **more).facts.nearest

    assert nearest("tenure,x,Customer Id") == {"customerID": "Customer Id"}
    assert nearest("tenure,x,y") == nearest("customerID,customer_id,tenure") == {}
    used = {"customerID": "customer_id", "tenure": "Customer Id"}
    assert nearest("tenure,Customer Id,customer_id", matches=used) == {}
    assert nearest("Customer Id,x,y", matches={"tenure": "Customer Id"}) == {}


def test_a_block_of_long_rows_ends_early(path):
    cell = "x" * 100_000
    path.write_text("id,a\n" + f"1,{cell}\n" * 400)
    with open_customer_file(path, ["a"]) as customers:
        lengths = [len(block) for block in customers.blocks(20_000)]
    full = BLOCK_CHARACTERS // len(cell) + 1
    assert lengths == [full, full, 400 - 2 * full]


def test_reading_goes_block_by_block(path):
    path.write_text("id\n" + "".join(f"{n}\n" for n in range(5)))
    with open_customer_file(path, ["id"]) as customers:
        blocks = list(customers.blocks(2))
    assert [(block.first_row, len(block)) for block in blocks] == [(1, 2), (3, 2), (5, 1)]
