"""The files that people upload: good ones in every form, and all the ways to get one wrong.

Each case says what the service must answer. The good ones are made from the same few customers, so
that every one of them must give the same result.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from product import TELCO

CUSTOMERS = 6
ALL_QUOTED, ALL_PLAIN = csv.QUOTE_ALL, csv.QUOTE_MINIMAL


@dataclass(frozen=True)
class Scored:
    """It is scored; some rows perhaps not: (kind of error, column, rows)."""

    rows: int = CUSTOMERS
    rows_failed: int = 0
    errors: tuple[tuple[str, str | None, int], ...] = ()
    encoding: str = "UTF-8"
    delimiter: str = ","
    like_the_first: bool = True
    """Whether the customers are those of the first case, so that its probabilities are expected."""


@dataclass(frozen=True)
class Refused:
    """It is refused at once, with the problem's code and words that help."""

    code: str
    says: tuple[str, ...]


@dataclass(frozen=True)
class Case:
    """One file and what must become of it."""

    name: str
    content: Callable[[], bytes]
    answer: Scored | Refused
    file_name: str = field(default="customers.csv")


def table() -> list[dict[str, str]]:
    """The first customers of the Telco file, without their label."""
    with TELCO.open(newline="") as file:
        rows = [row for row, _ in zip(csv.DictReader(file), range(CUSTOMERS), strict=False)]
    for row in rows:
        del row["Churn"]
    return rows


def text(
    rows: Sequence[dict[str, str]] | None = None,
    *,
    delimiter: str = ",",
    end: str = "\n",
    quoting: int = ALL_PLAIN,
) -> str:
    """Write customers as CSV text."""
    rows = table() if rows is None else rows
    out = io.StringIO(newline="")
    names = dict.fromkeys(name for row in rows for name in row)
    writer = csv.DictWriter(
        out, names, delimiter=delimiter, lineterminator=end, quoting=quoting, restval=""
    )
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue()


def changed(row: int, **cells: str) -> str:
    """Write the customers with some cells of one row, counted from 1, changed."""
    rows = table()
    rows[row - 1] |= cells
    return text(rows)


def every(**cells: Callable[[str], str]) -> list[dict[str, str]]:
    """Change some columns in every row."""
    return [row | {name: change(row[name]) for name, change in cells.items()} for row in table()]


def renamed(rows: Sequence[dict[str, str]] | None = None, /, **names: str) -> str:
    rows = table() if rows is None else rows
    return text([{names.get(name, name): cell for name, cell in row.items()} for row in rows])


def without(*names: str) -> str:
    return text(
        [{name: cell for name, cell in row.items() if name not in names} for row in table()]
    )


def ragged() -> str:
    lines = text().splitlines()
    lines[2] = lines[2].rpartition(",")[0]
    lines[4] += ",extra"
    return "\n".join(lines)


def one_delimiter_too_many() -> str:
    header, *rows = text().splitlines()
    return "\n".join([header, *(f"{row}," for row in rows)])


def formulas_behind_delimiters() -> bytes:
    rows = every(
        customerID=lambda name: f"{name};=1+1\t=1+1|=1+1",
        Contract=lambda _: "x;=cmd|'/C calc'!A0;y",
        PaymentMethod=lambda _: "x\t=1+1\n=1+1",
    )
    rows[1]["tenure"] = "x;=1+1;y"
    return text(rows).encode()


def german(cell: str) -> str:
    return f"{float(cell):,.2f}".translate(str.maketrans(",.", ".,"))


def broken_utf8() -> bytes:
    first, second, third, fourth, *others = text(UMLAUTS).encode().splitlines(keepends=True)
    return b"".join([first, second, third, fourth.replace(b"\xc3\xbc", b"\xc3("), *others])


def gzip_bomb() -> bytes:
    """A gigabyte of one customer, in a megabyte."""
    packed = zlib.compressobj(9, wbits=31)
    out = [packed.compress(text().encode())]
    zeros = b"0" * (1 << 20)
    out += [packed.compress(zeros) for _ in range(1024)]
    return b"".join([*out, packed.flush()])


PICTURE = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\1\0\0\0\1\x08\2\0\0\0\x90wS\xde"
UMLAUTS = every(customerID=lambda name: f"Mü–{name}")
WORDS = ("gender", "Partner", "InternetService", "Contract", "PaymentMethod")
MONEY = {"MonthlyCharges": german, "TotalCharges": german}

FINE = [
    Case("plain", lambda: text().encode(), Scored()),
    Case("crlf", lambda: text(end="\r\n").encode(), Scored()),
    Case("cr", lambda: text(end="\r").encode(), Scored()),
    Case("no-end", lambda: text().rstrip().encode(), Scored()),
    Case("blank-lines", lambda: ("\n\n" + text().replace("\n", "\n\n")).encode(), Scored()),
    Case("empty-cells-first", lambda: ("," * 20 + "\n  \n" + text()).encode(), Scored()),
    Case(
        "sep-line",
        lambda: b"sep=;\r\n" + text(delimiter=";", end="\r\n").encode(),
        Scored(delimiter=";"),
    ),
    Case("capitals", lambda: text(every(**dict.fromkeys(WORDS, str.upper))).encode(), Scored()),
    Case("utf-8-bom", lambda: text().encode("utf-8-sig"), Scored()),
    Case("utf-8-umlauts", lambda: text(UMLAUTS).encode(), Scored()),
    Case(
        "utf-16-le",
        lambda: b"\xff\xfe" + text(UMLAUTS, delimiter="\t", end="\r\n").encode("utf-16-le"),
        Scored(encoding="UTF-16", delimiter="\t"),
    ),
    Case(
        "utf-16-be",
        lambda: b"\xfe\xff" + text(UMLAUTS).encode("utf-16-be"),
        Scored(encoding="UTF-16"),
    ),
    Case("utf-16-no-bom", lambda: text().encode("utf-16-le"), Scored(encoding="UTF-16")),
    Case("latin-1", lambda: text(UMLAUTS).encode("cp1252"), Scored(encoding="Windows-1252")),
    Case("semicolon", lambda: text(delimiter=";").encode(), Scored(delimiter=";")),
    Case("tab", lambda: text(delimiter="\t").encode(), Scored(delimiter="\t")),
    Case("pipe", lambda: text(delimiter="|").encode(), Scored(delimiter="|")),
    Case("all-quoted", lambda: text(quoting=ALL_QUOTED, end="\r\n").encode(), Scored()),
    Case(
        "cells-over-lines",
        lambda: text([row | {"note": 'said "no",\r\nthen left'} for row in table()]).encode(),
        Scored(),
    ),
    Case(
        "decimal-commas",
        lambda: text(every(**MONEY), delimiter=";").encode(),
        Scored(delimiter=";"),
    ),
    Case(
        "marks-that-disagree",  # read by the comma of the first, the last would be thousands
        lambda: changed(1, tenure="1,0", MonthlyCharges="29.850", TotalCharges="29.850").encode(),
        Scored(),
    ),
    Case(
        "thousands-separators",
        lambda: text(every(TotalCharges=lambda cell: f"{float(cell):,.2f}")).encode(),
        Scored(),
    ),
    Case(
        "other-order",
        lambda: text([dict(reversed(row.items())) for row in table()]).encode(),
        Scored(),
    ),
    Case("spaces-in-header", lambda: text().replace(",", " , ", 19).encode(), Scored()),
    Case("no-id", lambda: without("customerID").encode(), Scored()),
    Case(
        "script-in-cell",
        lambda: text(every(customerID=lambda name: f"<script>alert('{name}')</script>")).encode(),
        Scored(),
    ),
    Case(
        "script-in-file-name",
        lambda: text().encode(),
        Scored(),
        file_name="<script>alert(1)</script>.csv",
    ),
    Case(
        "formulas",
        lambda: text(every(customerID=lambda name: f"=cmd|' /C calc'!{name}")).encode(),
        Scored(),
    ),
]
SOME_ROWS = [
    Case(
        "formulas-behind-delimiters",  # in the id, in the reasons and in an error
        formulas_behind_delimiters,
        Scored(rows_failed=1, errors=(("not-a-number", "tenure", 1),), like_the_first=False),
    ),
    Case(
        "nan-and-inf",
        lambda: changed(2, tenure="NaN", MonthlyCharges="inf").encode(),
        Scored(
            rows_failed=1,
            errors=(("not-a-number", "tenure", 1), ("not-a-number", "MonthlyCharges", 1)),
        ),
    ),
    Case(
        "text-for-a-number",
        lambda: changed(3, tenure="<b>n/a</b>").encode(),
        Scored(rows_failed=1, errors=(("not-a-number", "tenure", 1),)),
    ),
    Case(
        "unclear-number",
        lambda: changed(3, TotalCharges="1,234").encode(),
        Scored(rows_failed=0, like_the_first=False),  # the other cells tell that it is 1234
    ),
    Case(
        "unclear-numbers",
        lambda: text(every(TotalCharges=lambda _: "1,234", MonthlyCharges=lambda _: "50")).encode(),
        Scored(rows_failed=6, errors=(("ambiguous-number", "TotalCharges", 6),)),
    ),
    Case(
        "ragged-rows",
        lambda: ragged().encode(),
        Scored(rows_failed=2, errors=(("cell-count", None, 2),)),
    ),
    Case(
        "all-rows-ragged",
        lambda: one_delimiter_too_many().encode(),
        Scored(rows_failed=6, errors=(("cell-count", None, 6),)),
    ),
    Case(
        "blank-row",
        lambda: text([*table(), dict.fromkeys(table()[0], "")]).encode(),
        Scored(rows=CUSTOMERS + 1, rows_failed=1, errors=(("empty-row", None, 1),)),
    ),
]
BAD = [
    Case("empty", lambda: b"", Refused("empty-file", ("empty",))),
    Case("only-blank-lines", lambda: b"\r\n" * 40, Refused("empty-file", ("empty",))),
    Case("header-only", lambda: text().split("\n")[0].encode(), Refused("no-rows", ("no rows",))),
    Case("binary", lambda: bytes(range(256)) * 500, Refused("not-text", ("not text", "CSV UTF-8"))),
    Case("picture", lambda: PICTURE * 90, Refused("not-text", ("a picture", "Choose the file"))),
    Case("workbook", lambda: b"PK\x03\x04" + bytes(2_000), Refused("not-text", ("a workbook",))),
    Case("json", lambda: json.dumps(table()).encode(), Refused("not-a-csv", ("JSON",))),
    Case(
        "html",
        lambda: b"<!doctype html><table><tr><td>tenure, Contract",
        Refused("not-a-csv", ("HTML",)),
    ),
    Case("prose", lambda: b"Dear all\nplease find\n" * 9, Refused("not-a-csv", ("one column",))),
    Case(
        "missing-columns",
        lambda: renamed(tenure="Tenure (months)", Contract="contract_type").encode(),
        Refused("missing-columns", ("tenure", "Contract", "contract_type")),
    ),
    Case(
        "one-missing-column",
        lambda: without("PaymentMethod").encode(),
        Refused("missing-columns", ("PaymentMethod",)),
    ),
    Case(
        "no-header",
        lambda: text().partition("\n")[2].encode(),
        Refused("missing-columns", ("looks like a customer",)),
    ),
    Case(
        "title-row",
        lambda: ("Customers of May" + "," * 19 + "\n\n" + text()).encode(),
        Refused("header-not-first", ("The header is in line 3", "Remove what is above it.")),
    ),
    Case(
        "duplicate-headers",
        lambda: renamed(Partner="tenure", gender="tenure").replace("\n", ",tenure\n", 1).encode(),
        Refused("duplicate-columns", ("more than one column called “tenure”",)),
    ),
    Case(
        "unclosed-quote",
        lambda: changed(4, gender='"Male').replace('"""Male"', '"Male').encode(),
        Refused("unclosed-quote", ("Row 4", "quotation mark")),
    ),
    Case(
        "nul-bytes",
        lambda: (text() * 3_000).encode().replace(b"DSL", b"D\0L", 2),
        Refused("not-text", ("NUL",)),
    ),
    Case(
        "nul-far-behind",
        lambda: text().encode() + text().partition("\n")[2].encode() * 20_000 + b"a,\0\n",
        Refused("not-text", ("NUL", "line 120,008")),
    ),
    Case(
        "one-line-of-20-mb",
        lambda: text().encode() + b"x" * 20_000_000,
        Refused("row-too-long", ("1,048,576 characters",)),
    ),
    Case(
        "cell-of-1-mb",
        lambda: changed(3, customerID="x" * 1_000_000).encode(),
        Refused("cell-too-long", ("Row 3", "131,072 characters")),
    ),
    Case(
        "100000-columns",
        lambda: ",".join(f"c{n}" for n in range(100_000)).encode() + b"\n1\n",
        Refused("too-many-columns", ("100,000 columns",)),
    ),
    Case("gzip-bomb", gzip_bomb, Refused("not-text", ("gzip", "Unpack it"))),
    Case(
        "gzipped",
        lambda: gzip.compress(text().encode()),
        Refused("not-text", ("gzip",)),
        file_name="customers.csv.gz",
    ),
    Case(
        "broken-utf-8",
        broken_utf8,
        Refused("not-utf-8", ("Line 4", "0xC3")),
    ),
]
CASES = FINE + SOME_ROWS + BAD
