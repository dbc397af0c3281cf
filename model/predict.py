"""Scores a customer file: one row out for each row in, in order, in a bounded amount of memory."""

from __future__ import annotations

import csv
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from model import result
from model.artifact import Model
from model.file_mark import FileMark
from model.scoring import score
from model.tally import Tally
from predictions.customer_file import open_customer_file
from predictions.record import CustomerAtRisk, NewValue, RowError, Summary

BLOCK_ROWS = 20_000


@dataclass(frozen=True)
class Scored:
    """What came out of a file."""

    rows: int
    rows_failed: int
    summary: Summary
    customers_at_risk: tuple[CustomerAtRisk, ...]
    """The 20 customers most likely to leave, most likely first; file order on a tie."""
    row_errors: tuple[RowError, ...]
    """All that is wrong with each of the first hundred rows without a score."""
    new_values: tuple[NewValue, ...]
    """The first value of each column that the model does not know."""
    ids_are_row_numbers: bool
    """The file has no id column."""


def score_file(
    source: Path,
    target: Path,
    model: Model,
    *,
    threads: int,
    progress: Callable[[int, float], None],
    matches: Mapping[str, str] | None = None,
) -> Scored:
    """Score the customers in `source` and write the result to `target`.

    matches: what the file calls columns of the model where the names differ.
    progress: called after each block with the rows done and the share of bytes read, in [0, 1].
    Raises BadCustomerFile when the file as a whole cannot be scored; `target` is then as it was.
    """
    schema = model.schema
    size_bytes = source.stat().st_size
    opened = partial(
        open_customer_file,
        source,
        schema.needed_columns,
        optional=schema.optional_columns,
        matches=matches,
    )
    mark = FileMark(opened, schema)
    # A folder of our own, so that no file of the person's is in the way; on the target's disk.
    with tempfile.TemporaryDirectory(prefix=".retainwise-", dir=target.parent) as folder:
        unfinished = Path(folder) / "result.csv"
        with opened() as customers, unfinished.open("w", encoding="utf-8", newline="") as out:
            called = customers.called
            tally = Tally(schema, called)
            writer = csv.writer(out, quoting=csv.QUOTE_ALL)
            writer.writerow(result.header(schema, called.get(schema.id_column or "")))
            for block in customers.blocks(BLOCK_ROWS):
                scores = score(block, model, called, threads, mark=mark.for_block(block))
                writer.writerows(result.rows(schema, scores))
                tally.add(scores)
                progress(tally.rows, customers.bytes_read / size_bytes)
        unfinished.replace(target)
    return Scored(
        tally.rows,
        tally.rows_failed,
        tally.summary(),
        tuple(tally.customers_at_risk),
        tuple(tally.row_errors),
        new_values=tally.new_values,
        ids_are_row_numbers=schema.id_column not in called,
    )
