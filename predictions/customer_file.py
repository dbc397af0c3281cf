"""The customer's CSV file as blocks of rows, read as a stream.

Excel, databases and people write CSV in many ways. This reads the ones that can be read without
guessing about the data (delimiter, quotes, line ends, names of the columns) and refuses the others
in words that their owner can act on. A row of the wrong length is that row's problem: it keeps its
place and carries an error. Leaves to `file_text` what kind of text it is, and to the model what the
cells mean.
"""

from __future__ import annotations

import csv
import re
from collections import Counter, deque
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from predictions.errors import BadCustomerFile, MissingColumn, MissingColumns
from predictions.file_text import LONGEST_ROW, FileText, lines, row_too_long
from predictions.likeness import most_alike
from predictions.record import FileFacts
from predictions.refusals import bad_file, failure, in_quotes, listed, shown

DELIMITERS = (",", ";", "\t", "|")
MOST_COLUMNS = 16_384
"""As many as a sheet of Excel can have."""
LONGEST_COLUMN_NAME = 200
"""Characters, of a column that is taken for another one or offered for it: what is longer is
something else, and the record has 400 KB for all such names."""
MOST_ROWS = 10_000_000
"""The largest upload could hold more where rows are short, and every row costs the worker alike."""
BLOCK_CHARACTERS = 16 * 1024 * 1024
"""A block ends with the row that reaches this, however few rows it has."""
READ_BYTES = 512 * 1024
TOLD_BY_THE_COLUMNS = frozenset({"missing-columns", "header-not-first", "not-a-csv"})
"""Codes of refusals that may be gone, or new, when a model asks for other columns."""
_NOTHING = re.compile(r"[\s,;|]*")
"""What a line has that spreadsheets write for empty cells, whichever delimiter is the file's."""
_DELIMITER_LINE = re.compile(r"\s*sep=([,;\t|]?)[\s,;|]*", re.IGNORECASE)
"""Excel's own first line, which says what the delimiter of the others is."""
_NUMBER = re.compile(r"\s*[-+]?\d+([.,]\d+)?\s*")


@dataclass(frozen=True)
class CellError:
    """Why a row has no score: what is wrong with a cell, or with the row as a whole."""

    kind: str
    message: str
    column: str | None = None
    """As the file calls it."""
    text: str | None = None
    """The cell, cut to what a message quotes."""


@dataclass(frozen=True)
class Block:
    """Some consecutive rows, turned into columns."""

    first_row: int
    """Number of the block's first row in the file; the first customer is 1."""
    columns: Mapping[str, Sequence[str]]
    """The cells of each column, as they are in the file. All have the same length."""
    errors: Mapping[int, CellError]
    """What is wrong with the shape of a row, by its index in the block."""

    def __len__(self) -> int:
        return len(next(iter(self.columns.values())))


class CustomerFile:
    """An open customer file whose header has been read and found good."""

    def __init__(
        self,
        chunks: Iterable[bytes],
        needed: Collection[str],
        *,
        optional: Collection[str] = (),
        matches: Mapping[str, str] | None = None,
        is_cut_off: bool = False,
    ) -> None:
        """Read the header, and look for a first row.

        needed: columns without which the file is refused; `optional` are used when they are there.
        matches: what this file may call a column that it does not have under its own name.
        is_cut_off: the chunks are the start of a file; a line without an end is left out.
        Raises BadCustomerFile when the file cannot be scored at all, MissingColumns among them.
        """
        self._text = FileText(chunks, is_cut_off=is_cut_off)
        self._lines: deque[str] = deque()
        self._whole_lines = self._text.whole_lines()
        self._characters_read = self._row_start = 0
        self._line = ""
        self.rows_read = -1  # the header is not a row
        self.delimiter = _delimiter(
            self._text.head, {*needed, *optional, *(matches or {}).values()}
        )
        self._records = self._read_records()
        self.header = tuple(name.strip() for name in next(self._records, ()))
        self._check_header_is_there()
        self.called = _called([*needed, *optional], self.header, matches or {})
        """For each needed or optional column that is there, what the file calls it."""
        missing = [name for name in needed if name not in self.called]
        # Without any of them it is no header: that its names repeat says nothing.
        if not missing or self.called:
            self._check_names_differ()
        if missing:
            self._check_header_is_first(needed, missing, matches or {})
            raise _missing_columns(missing, self.header, set(self.called.values()))
        absent = [name for name in optional if name not in self.called]
        self._nearest = most_alike(absent, free_names(self.header, self.called.values()))
        if not self._has_rows():
            raise bad_file(
                "no-rows", "The file has a header but no rows.", "Add one row per customer."
            )

    @property
    def bytes_read(self) -> int:
        """How much of the file has been read."""
        return self._text.bytes_read

    @property
    def facts(self) -> FileFacts:
        """What the file is, as far as it has been read."""
        return FileFacts(
            rows=self.rows_read,
            columns=len(self.header),
            encoding=self._text.encoding,
            delimiter=self.delimiter,
            matches={column: name for column, name in self.called.items() if name != column},
            nearest=self._nearest,
        )

    def blocks(self, rows: int, *, all_columns: bool = False) -> Iterator[Block]:
        """Yield all rows, in order, at most so many at a time. Can be called once.

        The columns are the needed and the optional ones under the names that were asked for, or
        all of the file's under its own. The others are dropped as they are read.
        Raises BadCustomerFile where the file stops being readable as text or as CSV.
        """
        called = {name: name for name in self.header} if all_columns else self.called
        while block := self._next_block(rows, called):
            yield block

    def next_text(self) -> str | None:
        """Read the next whole lines, for who can read rows faster; None at the end of the file.

        A row begins where the text does. Its reader says with `took` how many rows it has taken
        from the start of it, and has what is left of it read by `blocks_of`.
        """
        if self._lines:
            text = "".join(self._lines)
            self._lines.clear()
            return text
        return next(self._whole_lines, None)

    def took(self, rows: int) -> None:
        """Count rows that were taken from a text. Raises BadCustomerFile if they are too many."""
        self.rows_read += rows
        self._check_rows()

    def block_at(self, text: str, rows: int) -> Block | None:
        """Read so many rows of a text, or all it has; what is left of it is the next text.

        The last row may go on in the next lines of the file. None: there is no row.
        Raises what `blocks` does.
        """
        self._lines.extend(lines(text))
        return self._next_block(rows, self.called, of_lines=True)

    def block_of(self, rows: Iterable[str]) -> Block:
        """Read rows that are a line each, wherever in a text they were found: a block of them."""
        records = list(csv.reader(rows, delimiter=self.delimiter, strict=True))
        return self._block(1, records, self.called)

    def count_rows(self) -> Iterator[None]:
        """Read all rows only to check and to count them; yields now and then on the way.

        Raises BadCustomerFile where `blocks` would.
        """
        self._to_the_end_of_a_piece()
        for text in self._whole_lines:
            rows = _rows_of_plain(text)
            if rows is not None:
                self.rows_read += rows
                self._check_rows()
            else:
                self._lines.extend(lines(text))
                self._to_the_end_of_a_piece()
            yield

    def _has_rows(self) -> bool:
        while True:
            while self._lines and not self._lines[0].strip("\r\n"):
                self._lines.popleft()
            if self._lines:
                return True
            text = next(self._whole_lines, None)
            if text is None:
                return False
            self._lines.extend(lines(text))

    def _to_the_end_of_a_piece(self) -> None:
        """Read on until a row ends where a piece of text does, perhaps not the one begun."""
        while self._lines:
            next(self._records, None)

    def _next_block(
        self, rows: int, called: Mapping[str, str], *, of_lines: bool = False
    ) -> Block | None:
        """Read so many rows, or up to the end of the lines that are there."""
        first_row = self.rows_read + 1
        records: list[list[str]] = []
        end = self._characters_read + BLOCK_CHARACTERS
        for record in self._records:
            records.append(record)
            if len(records) == rows or self._characters_read >= end:
                break
            if of_lines and not self._lines:
                break
        return self._block(first_row, records, called) if records else None

    def _block(
        self, first_row: int, records: Sequence[list[str]], called: Mapping[str, str]
    ) -> Block:
        places = [self.header.index(name) for name in called.values()]
        errors: dict[int, CellError] = {}
        kept: list[list[str]] = []
        for record in records:
            whole = record
            if error := self._shape_error(record):
                errors[len(kept)] = error
                whole = record + [""] * len(self.header)
            kept.append([whole[place] for place in places])
        return Block(first_row, dict(zip(called, zip(*kept, strict=True), strict=True)), errors)

    def _read_records(self) -> Iterator[list[str]]:
        """Yield the header and then the rows; lines with nothing on them are neither.

        Nor is what stands before the header: empty cells alone, or the name of the delimiter.
        """
        # strict: without it a stray quote swallows the rows up to the next one.
        reader = csv.reader(self._pulled(), delimiter=self.delimiter, strict=True)
        try:
            for record in reader:
                self._row_start = self._characters_read
                if record and (self.rows_read >= 0 or _may_be_header(record, self.delimiter)):
                    self.rows_read += 1
                    self._check_rows()
                    yield record
        except csv.Error as exc:
            raise self._bad_quotes(exc) from exc

    def _pulled(self) -> Iterator[str]:
        """Yield the lines one by one as the csv module asks for them."""
        while True:
            while self._lines:
                line = self._line = self._lines.popleft()
                self._characters_read += len(line)
                # A quoted cell may go on over many lines, and a row may have many of them.
                if self._characters_read - self._row_start > LONGEST_ROW:
                    raise row_too_long(self._where, self.rows_read + 1 or None)
                yield line
            text = next(self._whole_lines, None)
            if text is None:
                return
            self._lines.extend(lines(text))

    def _check_header_is_there(self) -> None:
        if not any(self.header):
            raise bad_file(
                "empty-file", "The file is empty.", "Upload a header and a row per customer."
            )
        if len(self.header) > MOST_COLUMNS:
            raise bad_file(
                "too-many-columns",
                f"The header has {len(self.header):,} columns; {MOST_COLUMNS:,} is the most.",
                "Leave out the columns that the model does not ask for.",
            )

    def _check_header_is_first(
        self, needed: Collection[str], missing: Collection[str], matches: Mapping[str, str]
    ) -> None:
        found = len(needed) - len(missing)
        line = _line_of_header(self._text.head, needed, found, matches)
        if line is not None:
            above = next(filter(None, self.header))
            raise bad_file(
                "header-not-first",
                f"The header is in line {line:,}, below {in_quotes(above)}.",
                "Remove what is above it.",
            )

    def _check_rows(self) -> None:
        if self.rows_read > MOST_ROWS:
            raise bad_file(
                "too-many-rows",
                f"The file has more than {MOST_ROWS:,} rows.",
                "Split it, and upload the parts one by one.",
            )

    def _check_names_differ(self) -> None:
        repeated = [name for name, n in Counter(filter(None, self.header)).items() if n > 1]
        if repeated:
            raise bad_file(
                "duplicate-columns",
                f"The header has more than one column called {listed(repeated, in_quotes)}.",
                "Give every column its own name.",
                column=repeated[0],
            )

    def _shape_error(self, record: list[str]) -> CellError | None:
        if len(record) != len(self.header):
            cells = "1 cell" if len(record) == 1 else f"{len(record)} cells"
            return CellError(
                "cell-count", f"the row has {cells} where the header has {len(self.header)}"
            )
        if not any(map(str.strip, record)):
            return CellError("empty-row", "the row is empty")
        return None

    @property
    def _where(self) -> str:
        return f"Row {self.rows_read + 1:,}" if self.rows_read >= 0 else "The header"

    def _bad_quotes(self, exc: csv.Error) -> BadCustomerFile:
        row = self.rows_read + 1 or None
        # Else a quotation mark that was never closed made the cell grow, over many lines perhaps.
        if len(self._line) > csv.field_size_limit() and '"' not in self._line:
            return bad_file(
                "cell-too-long",
                f"{self._where} has a cell of more than {csv.field_size_limit():,} characters.",
                "Shorten it, or leave its column out where the model does not ask for it.",
                row=row,
            )
        what = "is opened and not closed"
        if "expected after" in str(exc):
            what = "is closed in the middle of a cell"
        return bad_file(
            "unclosed-quote",
            f"{self._where}: a quotation mark {what}.",
            'Put the whole cell in quotation marks, and write one inside it twice ("").',
            row=row,
        )


@contextmanager
def open_customer_file(
    path: Path,
    needed: Collection[str],
    *,
    optional: Collection[str] = (),
    matches: Mapping[str, str] | None = None,
) -> Iterator[CustomerFile]:
    """Open a customer file on disk; see CustomerFile."""
    with path.open("rb", buffering=0) as binary:
        chunks = iter(lambda: binary.read(READ_BYTES), b"")
        yield CustomerFile(chunks, needed, optional=optional, matches=matches)


def _rows_of_plain(text: str) -> int | None:
    """Count the rows of whole lines; None where only the csv module can tell.

    Without quotation marks and long cells a line is a row, and nothing can be wrong with it.
    """
    if '"' in text:
        return None
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    start, longest = 0, csv.field_size_limit()
    while len(text) - start > longest:
        start = text.rfind("\n", start, start + longest + 1) + 1
        if start == 0:
            return None
    if text.startswith("\n") or "\n\n" in text:  # lines with nothing on them are not rows
        return sum(map(bool, text.split("\n")))
    return text.count("\n") + (not text.endswith("\n"))


def _delimiter(head: str, known: Collection[str]) -> str:
    """Choose the delimiter that finds most of the known columns.

    Where it is one as good as the other, the one that the file names, and then the one that splits
    the header most.
    """
    named = _DELIMITER_LINE.match(head)

    def found(delimiter: str) -> tuple[int, bool, int]:
        is_named = named is not None and delimiter == named[1]
        try:
            records = csv.reader(lines(head), delimiter=delimiter, strict=True)
            header = next((one for one in records if _may_be_header(one, delimiter)), [])
        except csv.Error:
            return (0, is_named, 1)  # a header that cannot be read is not split
        names = {name.strip() for name in header}
        return (len(names.intersection(known)), is_named, len(header))

    return max(DELIMITERS, key=found)


def _may_be_header(record: Sequence[str], delimiter: str) -> bool:
    line = delimiter.join(record)
    return not (_NOTHING.fullmatch(line) or _DELIMITER_LINE.fullmatch(line))


def _line_of_header(
    head: str, needed: Collection[str], found: int, matches: Mapping[str, str]
) -> int | None:
    """Find the line that has most of the needed columns, and more than the `found` of the first."""
    for delimiter in DELIMITERS:
        records = csv.reader(lines(head), delimiter=delimiter)
        line = 1
        with suppress(csv.Error):
            for record in records:
                names = [name.strip() for name in record]
                if len(_called(needed, names, matches)) > max(found, len(needed) / 2):
                    return line
                line = records.line_num + 1
    return None


def _called(
    wanted: Iterable[str], header: Sequence[str], matches: Mapping[str, str]
) -> dict[str, str]:
    there = set(header)
    called = {name: name for name in wanted if name in there}
    for name in wanted:
        match = matches.get(name)
        # A column that the model takes under its own name is not taken for another one too.
        if name not in called and match in there and match not in called.values():
            called[name] = match
    return called


def free_names(header: Sequence[str], used: Collection[str]) -> list[str]:
    """Give the names that may be offered for another column."""
    return [name for name in header if 0 < len(name) <= LONGEST_COLUMN_NAME and name not in used]


def _missing_columns(
    missing: Sequence[str], header: Sequence[str], used: Collection[str]
) -> BadCustomerFile:
    if len(header) == 1:
        return bad_file(
            "not-a-csv",
            f"The first line has one column only: {in_quotes(header[0])}.",
            "It must hold the names of the columns, separated by comma, semicolon, tab or bar.",
        )
    hint = "Add or rename the columns; capitals count, the order does not."
    if not used and sum(bool(_NUMBER.fullmatch(name)) for name in header) > 1:
        hint = "The first line looks like a customer: put a line with the columns' names before it."
        header = ()  # a customer's cells are no names to choose from
    alike = most_alike(missing, free_names(header, used))
    found = tuple(MissingColumn(name, alike.get(name)) for name in missing)
    described = {
        column.name: shown(column.name)
        + (f" (the file has {in_quotes(column.nearest)})" if column.nearest else "")
        for column in found
    }
    noun = "A column is" if len(missing) == 1 else f"{len(missing)} columns are"
    return MissingColumns(
        failure(
            "missing-columns",
            f"{noun} missing: {listed(missing, described.__getitem__)}.",
            hint,
            column=missing[0] if len(missing) == 1 else None,
        ),
        found,
        tuple(header),
    )
