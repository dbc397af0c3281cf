"""The compiled inner loops of scoring. All in one file: Numba compiles anew when the file changes.

They check nothing: what calls them keeps every index within its array.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from model.scoring.compiled import compiled


class Tables(NamedTuple):
    """Tables over the bins of a few columns each, laid end to end.

    `first_x[i]` is where the i-th begins in x, and `first_x[i + 1]` where it ends.
    """

    base: float
    """Log-odds of the average customer: what no column adds."""
    columns: NDArray[np.int64]
    """Of each table its columns."""
    first_column: NDArray[np.int64]
    places: NDArray[np.int32]
    """Of each of these columns, by bin: what it adds to the number of the table's cell."""
    first_place: NDArray[np.int64]
    sums: NDArray[np.float64]
    """Of each table, by cell: what all of its columns add, log-odds."""
    first_sum: NDArray[np.int64]
    effects: NDArray[np.float64]
    """Of each table, by cell and by column: what that column adds, log-odds."""
    first_effect: NDArray[np.int64]


@compiled
def leaf_effects(value: float, shares: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the SHAP values of one leaf for every row there can be.

    shares: (n_columns,): as TreeSHAP's zero fractions.
    Returns (2 ** n_columns, n_columns): by pattern, whose bit i says whether the row takes the path
        where it asks about column i; log-odds, as is `value`.
    """
    count = len(shares)
    # Of s known columns among all but one: s! (count - 1 - s)! / count!
    weights = np.empty(count)
    weights[0] = 1.0 / count
    for known in range(1, count):
        weights[known] = weights[known - 1] * known / (count - known)
    effects = np.zeros((1 << count, count))
    polynomial = np.empty(count)
    for pattern in range(1 << count):
        for column in range(count):
            # Its coefficient s: the sum of what the sets of s known columns are worth.
            polynomial[:] = 0.0
            polynomial[0] = 1.0
            degree = 0
            for other in range(count):
                if other == column:
                    continue
                takes = float((pattern >> other) & 1)
                degree += 1
                for s in range(degree, 0, -1):
                    polynomial[s] = polynomial[s] * shares[other] + polynomial[s - 1] * takes
                polynomial[0] *= shares[other]
            worth = 0.0
            for s in range(count):
                worth += weights[s] * polynomial[s]
            gain = float((pattern >> column) & 1) - shares[column]
            effects[pattern, column] = value * gain * worth
    return effects


@compiled
def add_leaves(
    values: NDArray[np.float64],
    shares: NDArray[np.float64],
    takes: NDArray[np.bool_],
    first_class: NDArray[np.int64],
    sums: NDArray[np.float64],
    effects: NDArray[np.float64],
) -> None:
    """Add leaves of the same columns to a table with a cell for each combination of classes.

    values: (n_leaves,), log-odds. shares: (n_leaves, n_columns), as in `leaf_effects`.
    takes: (n_leaves, n_classes of all columns): whether the path goes on there. first_class:
    (n_columns + 1,): where a column's classes begin in it. sums: (n_cells,), the classes of the
    last column next to each other. effects: (n_cells, n_columns).
    """
    columns = shares.shape[1]
    for leaf in range(len(values)):
        by_pattern = leaf_effects(values[leaf], shares[leaf])
        for cell in range(len(sums)):
            rest, pattern = cell, 0
            for column in range(columns - 1, -1, -1):
                first = first_class[column]
                width = first_class[column + 1] - first
                if takes[leaf, first + rest % width]:
                    pattern |= 1 << column
                rest //= width
            for column in range(columns):
                effect = by_pattern[pattern, column]
                effects[cell, column] += effect
                sums[cell] += effect


@compiled
def add_sums(tables: Tables, bins: NDArray[np.uint16], log_odds: NDArray[np.float64]) -> None:
    """Set the log-odds of rows.

    bins: (n_columns, n_rows). log_odds: (n_rows,).
    """
    rows = bins.shape[1]
    cells = np.empty(rows, dtype=np.int32)
    log_odds[:] = tables.base
    for table in range(len(tables.first_sum) - 1):
        _find_cells(tables, table, bins, cells)
        sums = tables.sums[tables.first_sum[table] : tables.first_sum[table + 1]]
        for row in range(rows):
            log_odds[row] += sums[cells[row]]


@compiled
def add_effects(tables: Tables, bins: NDArray[np.uint16], effects: NDArray[np.float64]) -> None:
    """Set each column's contribution to the log-odds of rows.

    bins, effects: (n_columns, n_rows).
    """
    rows = bins.shape[1]
    cells = np.empty(rows, dtype=np.int32)
    effects[:] = 0.0
    for table in range(len(tables.first_sum) - 1):
        _find_cells(tables, table, bins, cells)
        first = tables.first_column[table]
        width = tables.first_column[table + 1] - first
        start = tables.first_effect[table]
        of_table = tables.effects[start : tables.first_effect[table + 1]]
        for place in range(width):
            of_column = effects[tables.columns[first + place]]
            for row in range(rows):
                of_column[row] += of_table[cells[row] * width + place]


@compiled
def _find_cells(
    tables: Tables, table: int, bins: NDArray[np.uint16], cells: NDArray[np.int32]
) -> None:
    cells[:] = 0
    for at in range(tables.first_column[table], tables.first_column[table + 1]):
        places = tables.places[tables.first_place[at] : tables.first_place[at + 1]]
        of_column = bins[tables.columns[at]]
        for row in range(len(cells)):
            cells[row] += places[of_column[row]]


UNKNOWN, UNTOLD, POINT, COMMA = 0, 1, 2, 3
"""The decimal mark of a file: not looked for yet, not to be told by its cells, or what it is."""
LONGEST_NUMBER = 15
"""Digits. A whole number of so many is exact in 64 bits, as is a power of ten up to the 22nd, and
their quotient is rounded once: as good as any reader of decimals."""
GRID = 256
"""Squares over the cuts of a column, each with the cut where to look from: about two for a cut."""
LONGEST_DIGITS = 22
"""With zeros before and after it: the largest power of ten that is exact."""
LONGEST_CELL = 128 * 1024
LONGEST_ROW = 1024 * 1024
"""As where a file is read row by row, in bytes: what may be longer is left to it."""

_QUOTE, _NEWLINE, _RETURN, _SPACE, _TAB = ord('"'), ord("\n"), ord("\r"), ord(" "), ord("\t")
_ZERO, _NINE, _PLUS, _MINUS = ord("0"), ord("9"), ord("+"), ord("-")
_POINT, _COMMA, _BAR, _SEMICOLON = ord("."), ord(","), ord("|"), ord(";")
_UPPER_A, _UPPER_Z, _LOWER_A, _LOWER_Z = ord("A"), ord("Z"), ord("a"), ord("z")


class Words(NamedTuple):
    """The words that a column's cells may be, as a hash table with open addressing."""

    slots: NDArray[np.int64]
    """A word's number, or -1; as many as a power of two, or none."""
    keys: NDArray[np.uint64]
    """(n_words, 2): as `key_of` has them."""
    letters: NDArray[np.uint8]
    """All words, end to end."""
    first_letter: NDArray[np.int64]
    """(n_words + 1,): where each begins in the letters."""
    bins: NDArray[np.int64]
    """(n_words,)"""


class Rows(NamedTuple):
    """Rows as they were read. All arrays have room for the rows of a piece of text."""

    starts: NDArray[np.int32]
    """(n_kept, n_rows): where the kept cells begin in the text."""
    ends: NDArray[np.int32]
    bins: NDArray[np.uint16]
    """(n_columns, n_rows)"""
    filled: NDArray[np.bool_]
    """Which rows have a cell that is not blank, of those that the model asks for."""
    odd: NDArray[np.bool_]
    """Which rows are left to who reads a row cell by cell: the arrays say nothing of them."""
    row_starts: NDArray[np.int32]
    row_ends: NDArray[np.int32]


class Text(NamedTuple):
    """A text in UTF-8."""

    letters: NDArray[np.uint8]
    """With `PADDING` after its end."""
    eights: NDArray[np.uint64]
    """The eight bytes from each place, and from its end."""


PADDING = b"\n" + bytes(7)
"""What follows a text: it ends a cell, and eight bytes can be read wherever there is a letter."""
_MASKS = np.array([(1 << 8 * count) - 1 for count in range(9)], dtype=np.uint64)
_POWERS = 10.0 ** np.arange(23)


@compiled
def key_of(eights: NDArray[np.uint64], start: int, end: int) -> tuple[np.uint64, np.uint64]:
    """Return the first eight letters of a word and the last eight.

    Words of one length, sixteen letters at most, are the same where these are.
    eights: the eight bytes from each place of a text.
    """
    if end - start < 8:
        return eights[start] & _MASKS[end - start], np.uint64(0)
    return eights[start], eights[end - 8]


@compiled
def slot_of(first: np.uint64, last: np.uint64, mask: int) -> int:
    """Return where in a hash table a word of this key is looked for first."""
    mixed = first * np.uint64(0x9E3779B97F4A7C15) ^ last * np.uint64(0xC2B2AE3D27D4EB4F)
    return int(mixed >> np.uint64(40)) & mask


@compiled
def find_cells(text: Text, delimiter: int, kept: NDArray[np.int64], rows: Rows) -> tuple[int, int]:
    r"""Find the cells of rows from the start of a text whose lines end in \n or \r\n.

    kept: (n_cells,): which of the kept cells a cell of a row is; -1: it is not kept. The first is
    the id; the others are kept without spaces around them.
    Returns how many rows were read and where the next one begins. It stops before a row that may
    go on in the next line, before one that is too long, and where there is no more room.
    """
    letters, end = text.letters, len(text.eights) - 1
    starts, ends, odd, filled = rows.starts, rows.ends, rows.odd, rows.filled
    row_starts, row_ends = rows.row_starts, rows.row_ends
    ends_cell = np.zeros(256, dtype=np.bool_)
    ends_cell[delimiter] = ends_cell[_NEWLINE] = ends_cell[_QUOTE] = True
    count = at = 0
    while at < end:
        if letters[at] == _NEWLINE or letters[at] == _RETURN:  # a line with nothing on it is no row
            at += 1
            continue
        row_start = at
        if count == len(odd):
            return count, row_start
        cells = 0
        has_quotes = False
        while True:
            if letters[at] == _QUOTE and at < end:
                at += 1
                start = at
                while at < end and letters[at] != _NEWLINE:
                    if letters[at] == _QUOTE:
                        if letters[at + 1] != _QUOTE:
                            break
                        has_quotes = True  # written twice: one in the cell
                        at += 1
                    at += 1
                if at == end or letters[at] == _NEWLINE:
                    return count, row_start
                stop = at
                at += 1
                if letters[at] == _RETURN and letters[at + 1] == _NEWLINE:
                    at += 1
                if at < end and letters[at] != delimiter and letters[at] != _NEWLINE:
                    return count, row_start
            else:
                start = at
                while not ends_cell[letters[at]]:  # a line end follows the text
                    at += 1
                while letters[at] == _QUOTE:  # in the middle of a cell it is a letter
                    has_quotes = True
                    at += 1
                    while not ends_cell[letters[at]]:
                        at += 1
                stop = at
                if stop > start and letters[stop - 1] == _RETURN and letters[at] == _NEWLINE:
                    stop -= 1
            if stop - start > LONGEST_CELL or at - row_start + 2 > LONGEST_ROW:
                return count, row_start
            if cells < len(kept) and kept[cells] >= 0:
                if kept[cells] > 0:  # the id stays as it is
                    while start < stop and (letters[start] == _SPACE or letters[start] == _TAB):
                        start += 1
                    while start < stop and (
                        letters[stop - 1] == _SPACE or letters[stop - 1] == _TAB
                    ):
                        stop -= 1
                starts[kept[cells], count] = start
                ends[kept[cells], count] = stop
            cells += 1
            if at == end:
                break
            at += 1
            if letters[at - 1] == _NEWLINE:
                break
        odd[count] = has_quotes or cells != len(kept)
        filled[count] = False
        row_starts[count] = row_start
        row_ends[count] = at
        count += 1
    return count, at


@compiled
def read_words(
    text: Text, words: Words, missing: int, rows: Rows, count: int, kept: int, column: int
) -> None:
    """Find the bins of a column of words; a row with another one becomes odd.

    missing: the bin of a blank cell. kept, column: the column's place among the kept cells, and in
    the model.
    """
    letters, eights = text.letters, text.eights
    slots, keys, spelled = words.slots, words.keys, words.letters
    first_letter, word_bins = words.first_letter, words.bins
    starts, ends, bins = rows.starts[kept], rows.ends[kept], rows.bins[column]
    odd, filled = rows.odd, rows.filled
    for row in range(count):
        if odd[row]:
            bins[row] = missing
            continue
        start, end = starts[row], ends[row]
        bins[row] = missing
        if start == end:
            continue
        filled[row] = True
        first, last = key_of(eights, start, end)
        slot = slot_of(first, last, len(slots) - 1)
        while True:
            word = slots[slot]
            if word < 0:
                odd[row] = True
                break
            letter = first_letter[word]
            is_same = (
                keys[word, 0] == first
                and keys[word, 1] == last
                and first_letter[word + 1] - letter == end - start
            )
            if is_same:
                at = start + 8
                while at < end - 8 and letters[at] == spelled[letter + at - start]:
                    at += 1
                if at >= end - 8:
                    bins[row] = word_bins[word]
                    break
            slot = (slot + 1) & (len(slots) - 1)


@compiled
def read_numbers(
    text: Text,
    mark: int,
    rows: Rows,
    count: int,
    kept: int,
    values: NDArray[np.float64],
) -> bool:
    """Read a column of plain numbers, without grouping and exponent, as `numbers.numbers` does.

    mark: the decimal mark of the file. values: (n_rows,), is set; NaN where a cell is blank.
    A row with anything else becomes odd.
    Returns whether there is a cell that may be two numbers as long as the mark is unknown.
    """
    letters = text.letters
    starts, ends = rows.starts[kept], rows.ends[kept]
    odd, filled = rows.odd, rows.filled
    asks_for_mark = False
    for row in range(count):
        values[row] = np.nan
        if odd[row]:
            continue
        start, end = starts[row], ends[row]
        if start == end:
            continue
        filled[row] = True
        first = start
        is_negative = letters[start] == _MINUS
        if is_negative or letters[start] == _PLUS:
            first += 1
        whole, digits, mark_at, decimal = np.int64(0), 0, -1, 0
        at = first
        while at < end:
            letter = letters[at]
            if letter >= _ZERO and letter <= _NINE:
                whole = whole * 10 + (letter - _ZERO)
                if whole > 0:
                    digits += 1
                    if digits > LONGEST_NUMBER:
                        break
            elif mark_at < 0 and (letter == _POINT or letter == _COMMA):  # noqa: SIM109
                mark_at, decimal = at, letter
            else:
                break
            at += 1
        before = (mark_at if mark_at >= 0 else end) - first
        after = end - mark_at - 1 if mark_at >= 0 else 0
        if at < end or before + after == 0 or before + after > LONGEST_DIGITS:
            odd[row] = True
            continue
        if after == 3 and before >= 1 and before <= 3 and letters[first] != _ZERO:
            # It may be thousands.
            if mark == UNKNOWN:
                odd[row] = asks_for_mark = True
                continue
            if mark == UNTOLD:
                if decimal == _COMMA:
                    odd[row] = True
                    continue
            elif (mark == POINT) != (decimal == _POINT):
                after = 0
        value = float(whole) / _POWERS[after]
        values[row] = -value if is_negative else value
    return asks_for_mark


@compiled
def count_marks(text: Text, rows: Rows, count: int, kept: int) -> tuple[int, int]:
    """Count the plain numbers of a column that have a decimal point for sure, and a comma."""
    letters = text.letters
    starts, ends, odd = rows.starts[kept], rows.ends[kept], rows.odd
    points = commas = 0
    for row in range(count):
        if odd[row]:
            continue
        first, end = starts[row], ends[row]
        if first < end and (letters[first] == _MINUS or letters[first] == _PLUS):
            first += 1
        for at in range(first, end):
            is_point, is_comma = letters[at] == _POINT, letters[at] == _COMMA
            if is_point or is_comma:
                may_group = end - at == 4 and at > first and at <= first + 3
                if not may_group or letters[first] == _ZERO:
                    points += is_point
                    commas += is_comma
    return points, commas


@compiled
def read_dates(
    text: Text,
    places: NDArray[np.int64],
    rows: Rows,
    count: int,
    kept: int,
    values: NDArray[np.float64],
) -> None:
    """Read a column of dates of ten characters: days since 1970-01-01.

    places: where in it are year, month, day and its two marks, and which character a mark is.
    values, odd rows: as in `read_numbers`.
    """
    letters = text.letters
    starts, ends = rows.starts[kept], rows.ends[kept]
    odd, filled = rows.odd, rows.filled
    for row in range(count):
        values[row] = np.nan
        if odd[row]:
            continue
        start, end = starts[row], ends[row]
        if start == end:
            continue
        filled[row] = True
        odd[row] = True
        if end - start != 10:
            continue
        if letters[start + places[3]] != places[5] or letters[start + places[4]] != places[5]:
            continue
        year = month = day = 0
        is_date = True
        for part in range(3):
            number = 0
            for at in range(4 if part == 0 else 2):
                letter = int(letters[start + places[part] + at])
                is_date &= letter >= _ZERO and letter <= _NINE
                number = number * 10 + (letter - _ZERO)
            if part == 0:
                year = number
            elif part == 1:
                month = number
            else:
                day = number
        is_date &= year >= 1 and month >= 1 and month <= 12 and day >= 1 and day <= 31
        if not is_date or (day > 28 and (month == 2 or (day == 31 and month in (4, 6, 9, 11)))):
            continue  # if the 29th of February is one, who reads it alone says
        odd[row] = False
        # Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms", days_from_civil.
        shifted = year - (1 if month <= 2 else 0)
        era = shifted // 400
        of_era = shifted - era * 400
        of_year = (153 * (month + (-3 if month > 2 else 9)) + 2) // 5 + day - 1
        days = era * 146_097 + of_era * 365 + of_era // 4 - of_era // 100 + of_year - 719_468
        values[row] = days


@compiled
def find_bins(
    cuts: NDArray[np.float32],
    missing: int,
    values: NDArray[np.float64],
    count: int,
    bins: NDArray[np.uint16],
) -> None:
    """Set each value's bin: how many of the cuts it reaches, or that of a missing value.

    cuts: ascending. It begins near the bin, which a grid over the cuts tells, and looks around it.
    """
    last = len(cuts)
    guide = np.zeros(GRID + 1, dtype=np.int64)
    scale = 0.0
    if last > 1 and cuts[last - 1] > cuts[0]:
        scale = GRID / (np.float64(cuts[last - 1]) - np.float64(cuts[0]))
        for square in range(GRID + 1):
            guide[square] = np.searchsorted(cuts, np.float32(cuts[0] + square / scale))
    for row in range(count):
        if np.isnan(values[row]):
            bins[row] = missing
            continue
        number = np.float32(values[row])
        place = (np.float64(number) - cuts[0]) * scale if last else 0.0
        at = guide[int(min(place, GRID))] if place > 0.0 else 0
        while at < last and cuts[at] <= number:
            at += 1
        while at > 0 and cuts[at - 1] > number:
            at -= 1
        bins[row] = at


@compiled
def check_rows(text: Text, rows: Rows, count: int, has_ids: bool) -> None:
    """Find more odd rows: those that are blank, and those whose id `result.neutral` may change."""
    letters = text.letters
    starts, ends, odd, filled = rows.starts[0], rows.ends[0], rows.odd, rows.filled
    for row in range(count):
        if odd[row]:
            continue
        if not filled[row]:
            odd[row] = True
            continue
        if not has_ids or starts[row] == ends[row]:
            continue
        first = letters[starts[row]]
        is_harmless = (
            (first >= _ZERO and first <= _NINE)
            or (first >= _UPPER_A and first <= _UPPER_Z)
            or (first >= _LOWER_A and first <= _LOWER_Z)
        )
        for at in range(starts[row], ends[row]):
            letter = letters[at]
            if letter == _SEMICOLON or letter == _BAR or letter == _TAB or letter == _RETURN:  # noqa: SIM109
                is_harmless = False
        odd[row] = not is_harmless


@compiled
def rank(
    effects: NDArray[np.float64], columns: NDArray[np.int64], strongest: NDArray[np.float64]
) -> None:
    """Find each row's largest contributions by absolute value; the earlier column on a tie.

    effects: (n_columns, n_rows). columns, strongest: (n_ranks, n_rows), the largest first; 0 where
    there are not so many columns.
    """
    ranks, rows = columns.shape
    columns[:] = 0
    strongest[:] = 0.0
    for column in range(effects.shape[0]):
        for row in range(rows):
            effect = effects[column, row]
            size = abs(effect)
            if size <= abs(strongest[ranks - 1, row]):
                continue
            place = ranks - 1
            while place > 0 and size > abs(strongest[place - 1, row]):
                strongest[place, row] = strongest[place - 1, row]
                columns[place, row] = columns[place - 1, row]
                place -= 1
            strongest[place, row] = effect
            columns[place, row] = column


@compiled
def count_bins(
    bins: NDArray[np.uint16],
    scored: NDArray[np.bool_],
    numbers: NDArray[np.int64],
    first_bin: NDArray[np.int64],
    rows: NDArray[np.int64],
    first_rows: NDArray[np.int64],
) -> None:
    """Count the scored rows in each bin, and note the number of the first.

    bins: (n_columns, n_rows). scored, numbers: (n_rows,). first_bin: where a column's bins begin in
    rows and first_rows, (n_bins of all columns,), which are added to.
    """
    for column in range(bins.shape[0]):
        for row in range(bins.shape[1]):
            if scored[row]:
                found = first_bin[column] + bins[column, row]
                if rows[found] == 0 or numbers[row] < first_rows[found]:
                    first_rows[found] = numbers[row]
                rows[found] += 1


class Phrases(NamedTuple):
    """What the result file says, ready to be copied, with quotation marks where they belong."""

    letters: NDArray[np.uint8]
    heads: NDArray[np.int64]
    """(n_bins of all columns, 2, 2): by bin and by whether it raises the risk, where what is before
    the cell begins and ends in the letters."""
    tails: NDArray[np.int64]
    """The same for what is after the cell; it begins at -1 where the cell is not quoted."""
    first_bin: NDArray[np.int64]
    """(n_columns,): where a column's bins begin in `heads` and `tails`."""
    labels: NDArray[np.int64]
    """(2, 2): where the word for who stays, and for who leaves, begins and ends."""
    bands: NDArray[np.int64]
    """(n_bands, 2)"""


@compiled
def write_rows(
    phrases: Phrases,
    text: NDArray[np.uint8],
    rows: Rows,
    kept: NDArray[np.int64],
    first_row: int,
    micros: NDArray[np.int64],
    positive: NDArray[np.bool_],
    bands: NDArray[np.int64],
    at_risk: NDArray[np.float64],
    columns: NDArray[np.int64],
    strongest: NDArray[np.float64],
    out: NDArray[np.uint8],
    ends: NDArray[np.int64],
    left: NDArray[np.bool_],
) -> int:
    """Write the rows of the result that are not odd.

    kept: (n_columns,): which of the kept cells is the column's.
    first_row: number of the first row, for a file without ids; 0: it has ids.
    micros: probabilities in millionths. at_risk: revenue at risk, NaN where there is none; no entry
    where the model knows no revenue. columns, strongest: as `rank` makes them; no rank: the result
    has no reasons. out: has room for all.
    ends: is set to where each row's text ends in `out`.
    left: is set where a row is not odd, and was not written: its money is between two cents.
    Returns how many bytes were written.
    """
    at = 0
    letters = phrases.letters
    for row in range(len(micros)):
        if rows.odd[row]:
            ends[row] = at
            continue
        cents = 0
        has_money = len(at_risk) > 0 and not np.isnan(at_risk[row])
        if has_money:
            exact = at_risk[row] * 100.0
            cents = int(exact + 0.5)
            edge = abs(exact + 0.5 - np.rint(exact + 0.5))
            if not (0.0 <= exact < 1e15) or edge < 1e-6 + exact * 1e-14:
                left[row] = True
                ends[row] = at
                continue
        out[at] = _QUOTE
        at += 1
        if first_row:
            at = _digits(out, at, first_row + row)
        else:
            at = _copy(out, at, text, rows.starts[0, row], rows.ends[0, row])
        at = _between(out, at)
        at = _decimal(out, at, micros[row], 6)
        at = _between(out, at)
        label = phrases.labels[int(positive[row])]
        at = _copy(out, at, letters, label[0], label[1])
        at = _between(out, at)
        band = phrases.bands[bands[row]]
        at = _copy(out, at, letters, band[0], band[1])
        for place in range(columns.shape[0]):
            at = _between(out, at)
            effect = strongest[place, row]
            if effect == 0.0:
                continue
            column = columns[place, row]
            found = phrases.first_bin[column] + rows.bins[column, row]
            head = phrases.heads[found, int(effect > 0.0)]
            tail = phrases.tails[found, int(effect > 0.0)]
            at = _copy(out, at, letters, head[0], head[1])
            if tail[0] >= 0:
                cell = kept[column]
                at = _copy(out, at, text, rows.starts[cell, row], rows.ends[cell, row])
                at = _copy(out, at, letters, tail[0], tail[1])
        if len(at_risk) > 0:
            at = _between(out, at)
            if has_money:
                at = _decimal(out, at, cents, 2)
        at = _between(out, at)
        out[at] = _QUOTE
        out[at + 1] = _RETURN
        out[at + 2] = _NEWLINE
        at += 3
        ends[row] = at
    return at


@compiled
def _copy(out: NDArray[np.uint8], at: int, text: NDArray[np.uint8], start: int, end: int) -> int:
    for place in range(start, end):
        out[at] = text[place]
        at += 1
    return at


@compiled
def _between(out: NDArray[np.uint8], at: int) -> int:
    out[at] = _QUOTE
    out[at + 1] = _COMMA
    out[at + 2] = _QUOTE
    return at + 3


@compiled
def _decimal(out: NDArray[np.uint8], at: int, number: int, places: int) -> int:
    """Write a whole number of units of the last of so many decimal places."""
    unit = 10**places
    at = _digits(out, at, number // unit)
    out[at] = _POINT
    rest = number % unit
    for place in range(places, 0, -1):
        out[at + place] = _ZERO + rest % 10
        rest //= 10
    return at + 1 + places


@compiled
def _digits(out: NDArray[np.uint8], at: int, number: int) -> int:
    count = 1
    rest = number // 10
    while rest:
        count += 1
        rest //= 10
    for place in range(count - 1, -1, -1):
        out[at + place] = _ZERO + number % 10
        number //= 10
    return at + count
