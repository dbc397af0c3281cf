"""Scores the plain rows of a customer file straight from its text to that of the result.

Nearly all rows of nearly all files are plain: cells that are words the model knows, plain numbers
and dates, or blank, perhaps in quotation marks. Those never become Python objects. A row that is
not plain is odd: it is read cell by cell by `scores`, which tells what is wrong with it, and takes
its place among the others. What a row is worth does not depend on which way it took.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from model.artifact import Model
from model.dates import ISO
from model.features import NO, YES
from model.scoring import kernel, result
from model.scoring.reasons import REASONS, sentence
from model.scoring.scores import MILLION, Explained, Scores, score
from model.scoring.tables import starts
from predictions.customer_file import Block, CustomerFile
from predictions.schema import Column

if TYPE_CHECKING:
    from model.scoring.file_mark import FileMark

MOST_BY_CELLS = 2_000
"""Rows of a block that are read cell by cell."""
NOT_TOLD = ""
"""In place of a decimal mark: the file has not been read for it yet."""
_MARKS = {NOT_TOLD: kernel.UNKNOWN, None: kernel.UNTOLD, ".": kernel.POINT, ",": kernel.COMMA}
_CELL = "0"
"""Stands for a cell while a sentence is made ready: to `neutral` it is what a number is."""
_DIRECTIONS = (-1.0, 1.0)


@dataclass(frozen=True)
class ScoredText:
    """What came of the rows at the start of a text."""

    text: bytes
    """Their lines of the result."""
    scores: tuple[Scores, ...]
    """Of the plain rows, and of the odd ones where there are any."""


@dataclass(frozen=True)
class Found:
    """The rows at the start of a text, cut into cells."""

    text: kernel.Text
    rows: kernel.Rows
    first_row: int
    """The first one's number in the file."""
    count: int
    """How many they are."""
    end: int
    """Where in the text the next row begins."""

    @property
    def rest(self) -> str:
        """The text that was not taken."""
        return self._cut(self.end, len(self.text.eights) - 1)

    @property
    def odd(self) -> list[int]:
        """Which rows are odd."""
        found: list[int] = np.flatnonzero(self.rows.odd[: self.count]).tolist()
        return found

    def line(self, row: int) -> str:
        """Return a row as it is in the file."""
        return self._cut(self.rows.row_starts[row], self.rows.row_ends[row])

    def kept(self, kept: int, row: int) -> str:
        """Return a cell that was kept."""
        return self._cut(self.rows.starts[kept, row], self.rows.ends[kept, row])

    def _cut(self, start: int, end: int) -> str:
        return self.text.letters[start:end].tobytes().decode()


@dataclass(frozen=True)
class Read:
    """Rows whose cells have been read."""

    asks_for_mark: bool
    """A cell may be two numbers, and the mark of the file was not given."""
    revenue: NDArray[np.float64] | None
    """(n_rows,): NaN where it is blank; None where the model knows none."""


class LineScorer:
    """Scores plain rows of one file by one model."""

    def __init__(self, model: Model, customers: CustomerFile, *, reasons: bool) -> None:
        self._model, self._customers, self._reasons = model, customers, reasons
        self._has_ids = model.schema.id_column in customers.called
        self._delimiter = ord(customers.delimiter)
        self._words = _words(model)
        self._cells = _kept_cells(model, customers)
        self._phrases, self._longest = _phrases(model)

    def parts(self) -> Iterator[Found | Block]:
        """Read the file: rows whose cells were found, and blocks of those that were read otherwise.

        So is a row that goes on in the next line. Where such rows stand close together, ever more
        are read that way at a time: to go back to this one takes as long as forty rows.
        Raises what `CustomerFile.blocks` does.
        """
        by_cells = 1
        while (text := self._customers.next_text()) is not None:
            found = self.find(text)
            if found.count:
                self._customers.took(found.count)
                yield found
            if rest := found.rest:
                by_cells = 1 if found.count > by_cells else min(2 * by_cells, MOST_BY_CELLS)
                if block := self._customers.block_at(rest, by_cells):
                    yield block

    def find(self, text: str) -> Found:
        """Find the cells of the rows at the start of a text, as far as each row is a line."""
        padded = _padded(text.encode())
        # A row has a byte for each of its cells at least; the few that have not may be left over.
        rows = self._room_for(len(text) // len(self._cells.of_file) + 1)
        if "\r" in text and text.count("\r") != text.count("\r\n"):  # it ends lines too
            return Found(padded, rows, 0, 0, 0)
        return Found(padded, rows, self._customers.rows_read + 1, *self._find(padded, rows))

    def read(self, found: Found, mark: str | None) -> Read:
        """Read the cells that were found; rows with one that is not plain become odd.

        mark: the file's decimal mark, None where it has none, or NOT_TOLD.
        """
        text, rows, count, bins = found.text, found.rows, found.count, self._model.bins
        values = np.empty(count)
        asks_for_mark = False
        for position, column in enumerate(self._model.schema.columns):
            kept, missing = self._cells.of_column[position], int(bins.sizes[position]) - 1
            words = self._words[position]
            if bins.codes[position]:
                kernel.read_words(text, words, missing, rows, count, kept, position)
                continue
            if len(words.bins):
                _blank_out(text, words, rows, count, kept)
            if column.kind == "date":
                kernel.read_dates(text, _date_places(column), rows, count, kept, values)
            else:
                asks_for_mark |= kernel.read_numbers(text, _MARKS[mark], rows, count, kept, values)
            kernel.find_bins(bins.cuts[position], missing, values, count, rows.bins[position])
        revenue = None
        if self._cells.revenue is not None:
            revenue = np.empty(count)
            kept = self._cells.revenue
            asks_for_mark |= kernel.read_numbers(text, _MARKS[mark], rows, count, kept, revenue)
        kernel.check_rows(text, rows, count, self._has_ids)
        return Read(asks_for_mark, revenue)

    def odd_rows(self, found: Found) -> Block | None:
        """Return the odd rows, for who reads them cell by cell; None where there are none."""
        odd = found.odd
        return self._customers.block_of(map(found.line, odd)) if odd else None

    def marks(self, found: Found) -> Counter[str | None]:
        """Count which mark is decimal in the plain rows that were read."""
        points = commas = 0
        for kept in self._cells.numbers:
            told = kernel.count_marks(found.text, found.rows, found.count, kept)
            points, commas = points + told[0], commas + told[1]
        return Counter({".": points, ",": commas})

    def score(self, found: Found, mark: FileMark) -> ScoredText:
        """Score rows that were found.

        mark: tells the file's decimal mark.
        Raises BadCustomerFile where the mark is needed and the rest of the file cannot be read.
        """
        read = self.read(found, mark.told if mark.is_told else NOT_TOLD)
        if read.asks_for_mark:
            self._find(found.text, found.rows)  # what was odd for want of the mark is so no longer
            read = self.read(found, mark.told)
        model, rows, count = self._model, found.rows, found.count
        bins = np.ascontiguousarray(rows.bins[:, :count])
        said = Explained.by(model, bins, reasons=self._reasons)
        at_risk = None if read.revenue is None else said.micros / MILLION * read.revenue
        # A row's own cells are its id and a number for each reason.
        own = (1 + REASONS) * found.end
        out = np.empty(count * self._longest + own, dtype=np.uint8)
        ends = np.empty(count, dtype=np.int64)
        left = np.zeros(count, dtype=np.bool_)
        length = kernel.write_rows(
            self._phrases,
            found.text.letters,
            rows,
            np.array(self._cells.of_column, dtype=np.int64),
            0 if self._has_ids else found.first_row,
            said.micros,
            said.positive,
            said.bands,
            np.empty(0) if at_risk is None else at_risk,
            said.columns,
            said.effects,
            out,
            ends,
            left,
        )
        numbers = np.arange(found.first_row, found.first_row + count)
        plain = Scores(
            model=model,
            numbers=numbers,
            scored=~rows.odd[:count],
            bins=bins,
            revenue_at_risk=at_risk,
            **vars(said),
            id_of=lambda row: found.kept(0, row) if self._has_ids else str(numbers[row]),
            cell_of=lambda column, row: found.kept(self._cells.of_column[column], row),
            errors={},
        )
        lines = {row: result.line_of(plain, row) for row in np.flatnonzero(left).tolist()}
        scores: tuple[Scores, ...] = (plain,)
        if (block := self.odd_rows(found)) is not None:
            odd = found.odd
            by_cells = score(
                block,
                model,
                self._customers.called,
                mark=mark.for_block(block),
                rows=numbers[odd].tolist(),
                reasons=self._reasons,
            )
            scores = (plain, by_cells)
            lines |= {row: result.line_of(by_cells, at) for at, row in enumerate(odd)}
        return ScoredText(_spliced(out, length, ends, lines), scores)

    def _find(self, text: kernel.Text, rows: kernel.Rows) -> tuple[int, int]:
        return kernel.find_cells(text, self._delimiter, self._cells.of_file, rows)

    def _room_for(self, rows: int) -> kernel.Rows:
        kept = (self._cells.count, rows)
        return kernel.Rows(
            starts=np.empty(kept, dtype=np.int32),
            ends=np.empty(kept, dtype=np.int32),
            bins=np.empty((len(self._model.schema.columns), rows), dtype=np.uint16),
            filled=np.empty(rows, dtype=np.bool_),
            odd=np.empty(rows, dtype=np.bool_),
            row_starts=np.empty(rows, dtype=np.int32),
            row_ends=np.empty(rows, dtype=np.int32),
        )


def _spliced(
    out: NDArray[np.uint8], length: int, ends: NDArray[np.int64], lines: Mapping[int, str]
) -> bytes:
    """Put the lines of rows where they belong in what was written."""
    parts: list[bytes] = []
    start = 0
    for row in sorted(lines):
        place = int(ends[row])
        parts += (out[start:place].tobytes(), lines[row].encode())
        start = place
    return b"".join([*parts, out[start:length].tobytes()])


@dataclass(frozen=True)
class _Cells:
    """Which cells of a row are kept, numbered; the first is the customer's id."""

    count: int
    of_file: NDArray[np.int64]
    """(n_cells,): by place in the file's rows; -1: not kept."""
    of_column: tuple[int, ...]
    """By place in the model's columns."""
    revenue: int | None
    numbers: tuple[int, ...]
    """Those that hold numbers."""


def _kept_cells(model: Model, customers: CustomerFile) -> _Cells:
    of_file = np.full(len(customers.header), -1, dtype=np.int64)
    names = dict.fromkeys((model.schema.id_column, *model.schema.needed_columns))
    number_of = {name: number for number, name in enumerate(names)}
    for name, number in number_of.items():
        if name in customers.called:
            of_file[customers.header.index(customers.called[name])] = number
    revenue = model.schema.revenue_column
    return _Cells(
        len(names),
        of_file,
        tuple(number_of[column.name] for column in model.schema.columns),
        None if revenue is None else number_of[revenue],
        tuple(number_of[name] for name in model.schema.numbers),
    )


@lru_cache(maxsize=1)
def _words(model: Model) -> list[kernel.Words]:
    """Return for each column the words that a plain cell may be, with their bins."""
    sizes = model.bins.sizes.tolist()
    return [
        _words_of(column, size - 1)
        for column, size in zip(model.schema.columns, sizes, strict=True)
    ]


def _words_of(column: Column, missing: int) -> kernel.Words:
    bins = {spelled: missing for blank in column.blank_words for spelled in _spellings(blank)}
    if column.kind == "boolean":
        for found, known in enumerate((NO, YES)):
            bins |= {spelled: found for word in known for spelled in _spellings(word)}
    if column.kind == "categorical":
        bins |= {category: code for code, category in enumerate(column.categories)}
    size = 1 << (2 * len(bins)).bit_length()
    slots = np.full(size, -1, dtype=np.int64)
    keys = [_key(word) for word in bins]
    for number, key in enumerate(keys):
        slot = kernel.slot_of(*key, size - 1)
        while slots[slot] >= 0:
            slot = (slot + 1) & (size - 1)
        slots[slot] = number
    spelled = [word.encode() for word in bins]
    return kernel.Words(
        slots=slots,
        keys=np.array(keys, dtype=np.uint64).reshape(-1, 2),
        letters=_letters(b"".join(spelled)),
        first_letter=starts([len(word) for word in spelled]),
        bins=np.array(list(bins.values()), dtype=np.int64),
    )


def _key(word: str) -> tuple[np.uint64, np.uint64]:
    text = _padded(word.encode())
    first, last = kernel.key_of(text.eights, 0, len(text.eights) - 1)
    return np.uint64(first), np.uint64(last)  # compiled code returns Python's own numbers


def _blank_out(
    text: kernel.Text, words: kernel.Words, rows: kernel.Rows, count: int, kept: int
) -> None:
    """Make the cells blank that are one of these words."""
    found = rows._replace(bins=np.empty((1, count), dtype=np.uint16), odd=rows.odd.copy())
    is_blank = ~found.odd[:count]
    kernel.read_words(text, words, 0, found, count, kept, 0)
    is_blank &= ~found.odd[:count]
    rows.ends[kept, :count][is_blank] = rows.starts[kept, :count][is_blank]


def _spellings(word: str) -> tuple[str, ...]:
    return word.lower(), word.upper(), word.capitalize()


def _date_places(column: Column) -> NDArray[np.int64]:
    """Tell where in ten characters year, month, day and the two marks are, and which mark it is."""
    form = column.date_format or ISO
    spelled = form.replace("%Y", "yyyy").replace("%m", "mm").replace("%d", "dd")
    marks = [at for at, letter in enumerate(spelled) if not letter.isalpha()]
    return np.array([*map(spelled.index, "ymd"), *marks, ord(spelled[marks[0]])], dtype=np.int64)


@lru_cache(maxsize=1)
def _phrases(model: Model) -> tuple[kernel.Phrases, int]:
    """Make ready what a result of the model says; and the most bytes that a row has of it."""
    columns, sizes = model.schema.columns, model.bins.sizes.tolist()
    spans: dict[str, tuple[int, int]] = {}
    letters = bytearray()

    def span(text: str) -> tuple[int, int]:
        if text not in spans:
            begin = len(letters)
            letters.extend(text.replace('"', '""').encode())
            spans[text] = (begin, len(letters))
        return spans[text]

    first_bin = starts(sizes)
    heads = np.zeros((first_bin[-1], 2, 2), dtype=np.int64)
    tails = np.full((first_bin[-1], 2, 2), -1, dtype=np.int64)
    longest = 0
    for position, (column, size) in enumerate(zip(columns, sizes, strict=True)):
        for found in range(size):
            at = first_bin[position] + found
            for raises, effect in enumerate(_DIRECTIONS):
                said = sentence(column, model.bins, position, found, _CELL, effect)
                text = result.neutral(said)
                if not model.bins.codes[position] and found < size - 1:
                    head, _, tail = text.rpartition(f" {_CELL} ")
                    heads[at, raises], tails[at, raises] = span(f"{head} "), span(f" {tail}")
                else:
                    heads[at, raises] = span(text)
                longest = max(longest, 2 * len(text.encode()))
    labels = [span(result.neutral(word)) for word in (model.schema.negative, model.schema.positive)]
    bands = [span(result.neutral(band.name)) for band in model.schema.bands]
    others = max(end - start for start, end in labels) + max(end - start for start, end in bands)
    phrases = kernel.Phrases(
        letters=_letters(bytes(letters)),
        heads=heads,
        tails=tails,
        first_bin=first_bin,
        labels=np.array(labels, dtype=np.int64),
        bands=np.array(bands, dtype=np.int64),
    )
    return phrases, REASONS * longest + others + _BETWEEN + _NUMBERS


_BETWEEN = 3 * (6 + REASONS) + 2
"""Bytes of a row between its cells, of which six are no reasons, and at its end."""
_NUMBERS = 20 + 8 + 20
"""Bytes of the longest row number, probability and amount of money."""


def _padded(raw: bytes) -> kernel.Text:
    if len(raw) > np.iinfo(np.int32).max:
        raise ValueError("a text of more than 2 GiB is to be read in parts")
    letters = np.frombuffer(raw + kernel.PADDING, dtype=np.uint8)
    eights = np.ndarray(len(raw) + 1, dtype="<u8", buffer=letters.data, strides=(1,))
    return kernel.Text(letters, eights)


def _letters(raw: bytes) -> NDArray[np.uint8]:
    return np.frombuffer(raw, dtype=np.uint8)
