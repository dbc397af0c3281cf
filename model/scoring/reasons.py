"""Why a customer got the probability: the strongest contributions, in words.

A contribution is a SHAP value in log-odds: how far this customer's value of one column moves the
prediction away from the model's average. All of a customer's contributions and the average add up
to the log-odds of the prediction, so the largest are the reasons, exactly. The words are those of a
person who knows the customers and not the model: "Month-to-month contract raises the risk".
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from model.dates import as_text
from model.scoring.tables import Bins, above
from predictions.record import Reason
from predictions.refusals import shown
from predictions.schema import Column

REASONS = 3
LONGEST_ACRONYM = 4
"""Letters of a name in capitals that is none written loudly: NPS, ARPU."""
_BETWEEN_WORDS = re.compile(r"[\s_\-]+")
_LINKS = re.compile(r" (?:of|per|in|since|with|for|to|from|by|on|at) ")
_NO_PLURAL = ("ss", "us", "is")


@lru_cache(maxsize=1_000)
def in_words(name: str) -> str:
    """Write a column's name as a person would: MonthlyCharges, monthly_charges: monthly charges."""
    is_loud = name.isupper() and len(name) > LONGEST_ACRONYM
    apart = name.lower() if is_loud else "".join(_apart(name))
    words = [
        word if len(word) > 1 and word.isupper() else word.lower()  # ARPU stays ARPU
        for word in _BETWEEN_WORDS.split(apart)
    ]
    return shown(" ".join(filter(None, words)) or name)


def sentence(
    column: Column, bins: Bins, position: int, found: int, cell: str, effect: float
) -> str:
    """Say that a value raises or lowers the risk.

    position: the column's place in the model. found: the value's bin. cell: as the file has it.
    effect: log-odds; the sentence is empty where it is 0.
    """
    if effect == 0:
        return ""
    name = in_words(column.name)
    size = int(bins.sizes[position])
    if found == size - 1:
        subject = f"Missing {name}"
    elif column.kind == "date":
        subject = f"{_capital(name)} {shown(cell)}"
    elif column.kind == "numeric":
        subject = f"{_capital(name)} of {shown(cell)}"
    elif found == size - 2:
        subject = f"New {name} “{shown(cell)}”"
    else:
        subject = _of_word(column, name, found)
    return f"{subject} {_verb(name, effect > 0)}"


def group(column: Column, bins: Bins, position: int, found: int) -> str:
    """Say it of all customers whose values are alike: numbers are on one side of the average."""
    name = in_words(column.name)
    size = int(bins.sizes[position])
    if found < size - 1 and column.kind in ("numeric", "date") and column.average is not None:
        is_above = found > np.searchsorted(bins.cuts[position], above(column.average))
        sides = ("up to", "after") if column.kind == "date" else ("at or below", "above")
        side = sides[int(is_above)]
        return f"{_capital(name)} {side} the average of {_average(column)} {_verb(name, True)}"
    if found == size - 2:
        return f"New {name} {_verb(name, True)}"
    return sentence(column, bins, position, found, "", 1.0)


class RaisingReasons:
    """Counts what raises the risk over a whole file; numbers are grouped around their average."""

    def __init__(self, columns: tuple[Column, ...], bins: Bins) -> None:
        self._columns, self._bins = columns, bins
        self._first = np.concatenate([[0], np.cumsum(bins.sizes)])
        self._customers = np.zeros(self._first[-1], dtype=np.int64)

    def add(
        self, bins: NDArray[np.uint16], columns: NDArray[np.int64], effects: NDArray[np.float64]
    ) -> None:
        """Count rows.

        bins: (n_columns, n_rows). columns, effects: (n_ranks, n_rows), the strongest.
        """
        for of_rank, effect in zip(columns, effects, strict=True):
            raising = effect > 0
            chosen = of_rank[raising]
            found = self._first[chosen] + bins[chosen, np.flatnonzero(raising)]
            self._customers += np.bincount(found, minlength=len(self._customers))

    def most_frequent(self, limit: int) -> tuple[Reason, ...]:
        """Return the reasons that most customers have, most frequent first."""
        customers: dict[str, int] = {}
        for at in np.flatnonzero(self._customers).tolist():
            position = int(np.searchsorted(self._first, at, side="right")) - 1
            found = at - int(self._first[position])
            reason = group(self._columns[position], self._bins, position, found)
            customers[reason] = customers.get(reason, 0) + int(self._customers[at])
        ranked = sorted(customers.items(), key=lambda item: -item[1])[:limit]
        return tuple(Reason(reason=reason, customers=count) for reason, count in ranked)


def _apart(name: str) -> Iterator[str]:
    for before, letter, after in zip(f" {name}", name, f"{name[1:]} ", strict=False):
        follows = before.islower() or before.isdigit() or (before.isupper() and after.islower())
        yield f" {letter}" if letter.isupper() and follows else letter


def _of_word(column: Column, name: str, found: int) -> str:
    if column.kind == "boolean":
        return f"{_capital(name)} ({'yes' if found else 'no'})"
    word = shown(column.categories[found])
    if word.casefold() in ("yes", "no"):
        return f"{_capital(name)} ({word.lower()})"
    if word.casefold().startswith("no "):  # No phone service (multiple lines)
        return f"{word} ({name})"
    if not any(map(str.isalpha, word)):  # a code
        return f"{_capital(name)} {word}"
    return f"{word} {name}"


def _verb(name: str, raises: bool) -> str:
    head = _LINKS.split(name, maxsplit=1)[0]
    is_plural = head.endswith("s") and not head.endswith(_NO_PLURAL)
    verb = "raise" if raises else "lower"
    return f"{verb}{'' if is_plural else 's'} the risk"


def _average(column: Column) -> str:
    if column.kind == "date" and column.average is not None:
        return as_text(column.average, column.date_format)
    return f"{column.average:g}"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
