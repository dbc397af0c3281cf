"""The customer's CSV file as blocks of rows, read as a stream.

Excel, databases and people write CSV in many ways. This reads the ones that can be read without
guessing about the data (encoding, byte order mark, delimiter, quotes, line ends) and refuses the
others in words that their owner can act on. A row of the wrong length is that row's problem: it
keeps its place and carries an error. Leaves to the model what the cells mean.
"""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from difflib import get_close_matches
from itertools import chain, islice
from pathlib import Path
from typing import BinaryIO

from predictions.errors import BadCustomerFile
from predictions.record import Failure

DELIMITERS = (",", ";", "\t", "|")
HEAD_BYTES = 64 * 1024
"""Enough to hold any header: the format and the delimiter are told from it."""
LONGEST_LINE = 1024 * 1024
"""Characters. A file without line ends would otherwise be read into memory whole."""
WORKBOOKS = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0")
"""How .xlsx and .xls files start."""
UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")
SAVE_AS_CSV = "Save it as “CSV UTF-8” and upload that file."


@dataclass(frozen=True)
class Block:
    """Some consecutive rows, turned into columns."""

    first_row: int
    """Number of the block's first row in the file; the first customer is 1."""
    columns: Mapping[str, Sequence[str]]
    """The cells of each named column, as they are in the file. All columns have the same length."""
    errors: Mapping[int, str]
    """What is wrong with the shape of a row, by its index in the block."""

    def __len__(self) -> int:
        return len(next(iter(self.columns.values())))


class CustomerFile:
    """An open customer file whose header has been read and found good."""

    def __init__(self, binary: BinaryIO, needed: Collection[str]) -> None:
        """Read the header and the first row.

        Raises BadCustomerFile when the file cannot be scored at all.
        """
        head = binary.read(HEAD_BYTES)
        _refuse_other_formats(head)
        self.size_bytes = binary.seek(0, io.SEEK_END)
        binary.seek(0)
        self._binary = binary
        self._text = io.TextIOWrapper(binary, encoding="utf-8-sig", newline="")
        self._rows_read = -1  # the header is not a row
        delimiter = _delimiter(head.decode("utf-8-sig", errors="replace"), needed)
        records = self._records(delimiter)
        self.header = tuple(name.strip() for name in next(records, ()))
        self._check_header(needed)
        first = next(records, None)
        if first is None:
            raise _bad("no-rows", "The file has a header but no rows.", "Add one row per customer.")
        self._rows = chain([first], records)

    @property
    def fraction_read(self) -> float:
        """Share of the file's bytes that have been read, in [0, 1]."""
        return self._binary.tell() / self.size_bytes

    def blocks(self, rows: int) -> Iterator[Block]:
        """Yield all rows, in order, at most so many at a time. Can be called once.

        Raises BadCustomerFile where the file stops being readable as text or as CSV.
        """
        first_row = 1
        while records := list(islice(self._rows, rows)):
            errors = {
                index: problem
                for index, record in enumerate(records)
                if (problem := self._shape_problem(record))
            }
            for index in errors:
                records[index] = self._reshaped(records[index])
            columns = dict(zip(self.header, zip(*records, strict=True), strict=True))
            yield Block(first_row, columns, errors)
            first_row += len(records)

    def _records(self, delimiter: str) -> Iterator[list[str]]:
        """Yield the header and then the rows; lines with nothing on them are not rows."""
        # strict: without it a stray quote swallows the rows up to the next one.
        reader = csv.reader(self._lines(), delimiter=delimiter, strict=True)
        try:
            for record in reader:
                if record:
                    self._rows_read += 1
                    yield record
        except csv.Error as exc:
            raise self._bad_quotes(exc) from exc
        except UnicodeDecodeError as exc:
            raise self._not_utf8() from exc

    def _lines(self) -> Iterator[str]:
        while line := self._text.readline(LONGEST_LINE):
            if "\0" in line:
                raise _not_text()
            if len(line) == LONGEST_LINE:
                raise _bad(
                    "line-too-long",
                    f"A line is longer than {LONGEST_LINE:,} characters.",
                    "Write one row per customer, each on its own line.",
                )
            yield line

    def _check_header(self, needed: Collection[str]) -> None:
        if not any(self.header):
            raise _bad(
                "empty-file", "The file is empty.", "Upload a header and a row per customer."
            )
        repeated = [name for name, n in Counter(filter(None, self.header)).items() if n > 1]
        if repeated:
            raise _bad(
                "duplicate-columns",
                f"The header has more than one column called {_listed(repeated)}.",
                "Give every column its own name.",
                column=repeated[0],
            )
        missing = [name for name in needed if name not in self.header]
        if missing:
            raise _missing_columns(missing, self.header)

    def _shape_problem(self, record: list[str]) -> str | None:
        if len(record) != len(self.header):
            return f"the row has {len(record)} cells where the header has {len(self.header)}"
        if not any(map(str.strip, record)):
            return "the row is empty"
        return None

    def _reshaped(self, record: list[str]) -> list[str]:
        width = len(self.header)
        return (record + [""] * width)[:width]

    def _bad_quotes(self, exc: csv.Error) -> BadCustomerFile:
        row = self._rows_read + 1
        where = f"Row {row}" if row else "The header"
        return _bad(
            "unclosed-quote",
            f"{where}: a quotation mark is opened and not closed, or not closed right ({exc}).",
            'Close it, and write a quotation mark inside a quoted cell twice ("").',
            row=row or None,
        )

    def _not_utf8(self) -> BadCustomerFile:
        """Find the line: the decoder works ahead of the rows, so its position does not tell."""
        self._binary.seek(0)
        for number, line in enumerate(self._binary, start=1):
            try:
                line.decode("utf-8")
            except UnicodeDecodeError as exc:
                byte = line[exc.start]
                return _bad(
                    "not-utf-8",
                    f"Line {number} is not UTF-8 text: it has the byte 0x{byte:02X}.",
                    SAVE_AS_CSV,
                )
        return _bad("not-utf-8", "The file is not UTF-8 text.", SAVE_AS_CSV)


@contextmanager
def open_customer_file(path: Path, needed: Collection[str]) -> Iterator[CustomerFile]:
    """Open a customer file that has at least the needed columns and one row.

    Raises BadCustomerFile, which names everything that is missing at once.
    """
    with path.open("rb") as binary:
        yield CustomerFile(binary, needed)


def _refuse_other_formats(head: bytes) -> None:
    if head.startswith(WORKBOOKS):
        raise _bad("not-text", "The file is a workbook or an archive, not CSV text.", SAVE_AS_CSV)
    if head.startswith(UTF16_MARKS):
        raise _bad("not-utf-8", "The file is UTF-16 text, not UTF-8.", SAVE_AS_CSV)
    if b"\0" in head:
        raise _not_text()


def _delimiter(head: str, needed: Collection[str]) -> str:
    """Choose the delimiter that finds most of the needed columns, then splits the header most."""

    def found(delimiter: str) -> tuple[int, int]:
        reader = csv.reader(io.StringIO(head, newline=""), delimiter=delimiter, strict=True)
        try:
            header = [name.strip() for name in next(filter(None, reader), [])]
        except csv.Error:
            return (0, 0)
        return (len(set(needed) & set(header)), len(header) - 1)

    return max(DELIMITERS, key=found)


def _missing_columns(missing: Sequence[str], header: Sequence[str]) -> BadCustomerFile:
    by_lower_case = {name.lower(): name for name in header if name}

    def described(name: str) -> str:
        near = get_close_matches(name.lower(), by_lower_case, n=1)
        return f"{name} (the file has “{by_lower_case[near[0]]}”)" if near else name

    noun = "A column is" if len(missing) == 1 else f"{len(missing)} columns are"
    return _bad(
        "missing-columns",
        f"{noun} missing: {', '.join(map(described, missing))}.",
        "Add or rename the columns; capitals count, the order does not.",
        column=missing[0],
    )


def _not_text() -> BadCustomerFile:
    return _bad("not-text", "The file is not text: it holds NUL bytes.", SAVE_AS_CSV)


def _listed(names: Sequence[str]) -> str:
    return ", ".join(f"“{name}”" for name in names)


def _bad(
    code: str, message: str, hint: str, *, row: int | None = None, column: str | None = None
) -> BadCustomerFile:
    return BadCustomerFile(Failure(code=code, message=message, hint=hint, row=row, column=column))
