"""The customer's CSV file as blocks of rows, read as a stream.

Excel, databases and people write CSV in many ways. This reads the ones that can be read without
guessing about the data (encoding, byte order mark, delimiter, quotes, line ends) and refuses the
others in words that their owner can act on. A row of the wrong length is that row's problem: it
keeps its place and carries an error. Leaves to the model what the cells mean.
"""

from __future__ import annotations

import codecs
import csv
import io
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from difflib import get_close_matches
from itertools import chain
from pathlib import Path
from typing import BinaryIO

from predictions.errors import BadCustomerFile
from predictions.record import Failure

DELIMITERS = (",", ";", "\t", "|")
HEAD_BYTES = 64 * 1024
"""Enough to hold any header: the format and the delimiter are told from it."""
LONGEST_LINE = 1024 * 1024
"""Characters. A file without line ends would otherwise be read into memory whole."""
BLOCK_CHARACTERS = 16 * 1024 * 1024
"""A block ends with the row that reaches this, however few rows it has."""
LISTED_NAMES = 25
"""All that a usual schema can miss; a message of so many cut names stays below 4,000 characters."""
SHOWN_CHARACTERS = 60
"""Of a name or a cell in a message: a file can hold a million where a sentence is expected."""
PIECE_BYTES = 1024 * 1024
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
    """The cells of each chosen column, as they are in the file. All have the same length."""
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
        self._line = ""
        self._characters_read = 0
        delimiter = _delimiter(head, needed)
        records = self._records(delimiter)
        self.header = tuple(name.strip() for name in next(records, ()))
        self._check_header(needed)
        first = next(records, None)
        if first is None:
            raise bad_file(
                "no-rows", "The file has a header but no rows.", "Add one row per customer."
            )
        self._rows = chain([first], records)

    @property
    def fraction_read(self) -> float:
        """Share of the file's bytes that have been read, in [0, 1]."""
        return self._binary.tell() / self.size_bytes

    def blocks(self, rows: int, names: Collection[str] | None = None) -> Iterator[Block]:
        """Yield all rows, in order, at most so many at a time. Can be called once.

        names: the columns to keep; None for all. The others are dropped as they are read.
        Raises BadCustomerFile where the file stops being readable as text or as CSV.
        """
        kept = self.header if names is None else tuple(names)
        places = [self.header.index(name) for name in kept]
        first_row = 1
        while True:
            records, errors = self._next_rows(rows, places)
            if not records:
                return
            columns = dict(zip(kept, zip(*records, strict=True), strict=True))
            yield Block(first_row, columns, errors)
            first_row += len(records)

    def _next_rows(self, rows: int, places: list[int]) -> tuple[list[list[str]], dict[int, str]]:
        records: list[list[str]] = []
        errors: dict[int, str] = {}
        end = self._characters_read + BLOCK_CHARACTERS
        for record in self._rows:
            whole = record
            if problem := self._shape_problem(record):
                errors[len(records)] = problem
                whole = record + [""] * len(self.header)
            records.append([whole[place] for place in places])
            if len(records) == rows or self._characters_read >= end:
                break
        return records, errors

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
                raise bad_file(
                    "line-too-long",
                    f"A line is longer than {LONGEST_LINE:,} characters.",
                    "Write one row per customer, each on its own line.",
                )
            self._line = line
            self._characters_read += len(line)
            yield line

    def _check_header(self, needed: Collection[str]) -> None:
        if not any(self.header):
            raise bad_file(
                "empty-file", "The file is empty.", "Upload a header and a row per customer."
            )
        repeated = [name for name, n in Counter(filter(None, self.header)).items() if n > 1]
        if repeated:
            raise bad_file(
                "duplicate-columns",
                f"The header has more than one column called {listed(repeated, in_quotes)}.",
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

    def _bad_quotes(self, exc: csv.Error) -> BadCustomerFile:
        row = self._rows_read + 1
        where = f"Row {row}" if row else "The header"
        # Else a quotation mark that was never closed made the cell grow, over many lines perhaps.
        if len(self._line) > csv.field_size_limit() and '"' not in self._line:
            return bad_file(
                "cell-too-long",
                f"{where} has a cell of more than {csv.field_size_limit():,} characters.",
                "Shorten it, or leave its column out where the model does not ask for it.",
                row=row or None,
            )
        return bad_file(
            "unclosed-quote",
            f"{where}: a quotation mark is opened and not closed, or not closed right ({exc}).",
            'Close it, and write a quotation mark inside a quoted cell twice ("").',
            row=row or None,
        )

    def _not_utf8(self) -> BadCustomerFile:
        """Find the line: the decoder works ahead of the rows, so its position does not tell."""
        # A decoder over pieces: a line may be the whole file, and may end with \r alone.
        utf8 = codecs.getincrementaldecoder("utf-8")()
        decoder = io.IncrementalNewlineDecoder(utf8, translate=True)
        self._binary.seek(0)
        line, is_end = 1, False
        while not is_end:
            piece = self._binary.read(PIECE_BYTES)
            is_end = not piece
            try:
                line += decoder.decode(piece, final=is_end).count("\n")
            except UnicodeDecodeError as exc:
                left_over = len(exc.object) - len(piece)  # of the piece before
                line += decoder.decode(piece[: max(0, exc.start - left_over)]).count("\n")
                said = f"is not UTF-8 text: it has the byte 0x{exc.object[exc.start]:02X}."
                return bad_file("not-utf-8", f"Line {line} {said}", SAVE_AS_CSV)
        return bad_file("not-utf-8", "The file is not UTF-8 text.", SAVE_AS_CSV)


@contextmanager
def open_customer_file(path: Path, needed: Collection[str]) -> Iterator[CustomerFile]:
    """Open a customer file that has at least the needed columns and one row.

    Raises BadCustomerFile, which counts everything that is missing at once.
    """
    with path.open("rb") as binary:
        yield CustomerFile(binary, needed)


def _refuse_other_formats(head: bytes) -> None:
    if head.startswith(WORKBOOKS):
        raise bad_file(
            "not-text", "The file is a workbook or an archive, not CSV text.", SAVE_AS_CSV
        )
    if head.startswith(UTF16_MARKS):
        raise bad_file("not-utf-8", "The file is UTF-16 text, not UTF-8.", SAVE_AS_CSV)
    if b"\0" in head:
        raise _not_text()


def header_in(head: bytes, delimiter: str) -> list[str] | None:
    """Read the header from the first `HEAD_BYTES` of a file.

    Returns no names when the file is blank so far, None when a quotation mark is not closed.
    """
    text = io.StringIO(head.decode("utf-8-sig", errors="replace"), newline="")
    try:
        records = filter(None, csv.reader(text, delimiter=delimiter, strict=True))
        return [name.strip() for name in next(records, [])]
    except csv.Error:
        return None


def _delimiter(head: bytes, needed: Collection[str]) -> str:
    """Choose the delimiter that finds most of the needed columns, then splits the header most."""

    def found(delimiter: str) -> tuple[int, int]:
        header = header_in(head, delimiter) or [""]  # one that cannot be read is not split
        return (len(set(needed) & set(header)), len(header))

    return max(DELIMITERS, key=found)


def _missing_columns(missing: Sequence[str], header: Sequence[str]) -> BadCustomerFile:
    by_lower_case = {name.lower(): name for name in header if name}

    def described(name: str) -> str:
        near = get_close_matches(name.lower(), by_lower_case, n=1)
        there = f" (the file has {in_quotes(by_lower_case[near[0]])})" if near else ""
        return shown(name) + there

    noun = "A column is" if len(missing) == 1 else f"{len(missing)} columns are"
    return bad_file(
        "missing-columns",
        f"{noun} missing: {listed(missing, described)}.",
        "Add or rename the columns; capitals count, the order does not.",
        column=missing[0] if len(missing) == 1 else None,
    )


def _not_text() -> BadCustomerFile:
    return bad_file("not-text", "The file is not text: it holds NUL bytes.", SAVE_AS_CSV)


def shown(text: str) -> str:
    """Cut a name or a cell to what a message quotes of it."""
    return text if len(text) <= SHOWN_CHARACTERS else f"{text[:SHOWN_CHARACTERS]}…"


def listed(names: Sequence[str], described: Callable[[str], str]) -> str:
    """Describe the first few names and count the others."""
    first = ", ".join(map(described, names[:LISTED_NAMES]))
    more = len(names) - LISTED_NAMES
    return f"{first} and {more:,} more" if more > 0 else first


def in_quotes(text: str) -> str:
    """Return a name or a cell as a message quotes it."""
    return f"“{shown(text)}”"


def bad_file(
    code: str, message: str, hint: str, *, row: int | None = None, column: str | None = None
) -> BadCustomerFile:
    """Make the refusal of a whole file; what the message quotes must be cut already."""
    where = None if column is None else shown(column)
    return BadCustomerFile(Failure(code=code, message=message, hint=hint, row=row, column=where))
