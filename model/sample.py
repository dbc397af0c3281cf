"""Makes customer files of any length that look like the Telco file: for trials and benchmarks.

Each row is one of the real customers, so that what goes together stays together, with another
tenure and other charges near theirs and an id of its own.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

TELCO = Path(__file__).parent / "data" / "telco.csv"
BLOCK_ROWS = 50_000
LONGEST_TENURE = 72
"""Months, as in the Telco file."""
TENURE_SPREAD = 3
"""Months: standard deviation around the real customer's."""
CHARGES_SPREAD = 0.03
"""Relative: standard deviation around the real customer's."""

DIGITS, LETTERS = 10, 26
IDS = DIGITS**4 * LETTERS**5
"""Ids like 7590-VHVEG that there are."""
ID_STRIDE = 4_294_967_291
"""Prime and no factor of IDS: stepping by it visits every id once before any comes again."""


@dataclass(frozen=True)
class Telco:
    """The real customers, a row each."""

    header: str
    before_tenure: list[str]
    """The cells between the id and the tenure, as they are in the file."""
    before_charges: list[str]
    """The cells between the tenure and the charges, as they are in the file."""
    tenure: NDArray[np.int64]
    monthly: NDArray[np.float64]
    paid: NDArray[np.float64]
    """Total charges over tenure x monthly charges: about 1, prices changed over the years."""


def sample(rows: int, seed: int, out: BinaryIO, progress: Callable[[float], None]) -> None:
    """Write a header and so many customers as CSV; the same seed gives the same file.

    progress: called after each block with the share that is written, in [0, 1].
    """
    random = np.random.default_rng(seed)
    telco = _telco()
    first_id = int(random.integers(IDS))
    out.write(telco.header.encode())
    for start in range(0, rows, BLOCK_ROWS):
        stop = min(start + BLOCK_ROWS, rows)
        ids = _ids((first_id + np.arange(start, stop) * ID_STRIDE) % IDS)
        out.write("".join(_lines(telco, ids, random)).encode())
        progress(stop / rows)


def _telco() -> Telco:
    with TELCO.open(encoding="utf-8", newline="") as file:
        header, *rows = csv.reader(file)
    names = header[: header.index("Churn")]
    tenure_at, monthly_at, total_at = map(names.index, ("tenure", "MonthlyCharges", "TotalCharges"))
    tenure = np.array([int(row[tenure_at]) for row in rows])
    monthly = np.array([float(row[monthly_at]) for row in rows])
    total = np.array([float(row[total_at].strip() or 0) for row in rows])
    return Telco(
        header=",".join(names) + "\n",
        before_tenure=[",".join(row[1:tenure_at]) for row in rows],
        before_charges=[",".join(row[tenure_at + 1 : monthly_at]) for row in rows],
        tenure=tenure,
        monthly=monthly,
        paid=total / np.maximum(tenure * monthly, 1),
    )


def _lines(telco: Telco, ids: list[str], random: np.random.Generator) -> Iterator[str]:
    count = len(ids)
    chosen = random.integers(len(telco.tenure), size=count)
    real = telco.tenure[chosen]
    moved = np.rint(real + random.normal(0, TENURE_SPREAD, count)).astype(np.int64)
    # Tenure 0, total blank: a customer who has not paid yet stays one.
    tenure = np.where(real == 0, 0, np.clip(moved, 1, LONGEST_TENURE))
    monthly = np.round(telco.monthly[chosen] * random.normal(1, CHARGES_SPREAD, count), 2)
    total = np.round(tenure * monthly * telco.paid[chosen], 2)
    columns = zip(
        ids, chosen.tolist(), tenure.tolist(), monthly.tolist(), total.tolist(), strict=True
    )
    for customer, row, months, charge, charges in columns:
        paid = f"{charges:.2f}" if months else ""
        yield (
            f"{customer},{telco.before_tenure[row]},{months},{telco.before_charges[row]},"
            f"{charge:.2f},{paid}\n"
        )


def _ids(numbers: NDArray[np.int64]) -> list[str]:
    """Spell numbers below IDS as four digits, a hyphen and five letters."""
    characters = np.empty((len(numbers), 10), dtype=np.uint8)
    characters[:, 4] = ord("-")
    for position in range(9, 4, -1):
        numbers, letter = np.divmod(numbers, LETTERS)
        characters[:, position] = letter + ord("A")
    for position in range(3, -1, -1):
        numbers, digit = np.divmod(numbers, DIGITS)
        characters[:, position] = digit + ord("0")
    ids: list[str] = characters.view("S10").ravel().astype(str).tolist()
    return ids
