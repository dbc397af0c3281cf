"""Scores a customer file: one row out for each row in, in order, in a bounded amount of memory."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from model.artifact import Model
from model.scoring import result
from model.scoring.file_mark import FileMark
from model.scoring.lines import LineScorer, ScoredText
from model.scoring.scores import score
from model.scoring.tally import Tally
from predictions.customer_file import Block, CustomerFile, open_customer_file
from predictions.record import CustomerAtRisk, NewValue, RowError, Summary
from predictions.unfinished import unfinished_in


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
    reasons: bool = True,
) -> Scored:
    """Score the customers in `source` and write the result to `target`.

    threads: how many score at a time; it changes nothing in the result.
    matches: what the file calls columns of the model where the names differ.
    progress: called after each part with the rows done and the share of bytes read, in [0, 1].
    reasons: without them neither the result nor the summary says why.
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
    with unfinished_in(target.parent) as folder:
        unfinished = folder / "result.csv"
        with opened() as customers, unfinished.open("wb") as out:
            called = customers.called
            tally = Tally(model, called)
            header = result.header(schema, called.get(schema.id_column or ""), reasons=reasons)
            out.write(result.line(header).encode())
            mark = FileMark(opened, model)
            for part in _in_order(_parts(customers, model, mark, reasons=reasons), threads):
                out.write(part.text)
                for scores in part.scores:
                    tally.add(scores)
                progress(tally.rows, customers.bytes_read / size_bytes)
        unfinished.replace(target)
    return Scored(
        tally.rows,
        tally.rows_failed,
        tally.summary(),
        tally.customers_at_risk,
        tuple(tally.row_errors),
        new_values=tally.new_values,
        ids_are_row_numbers=schema.id_column not in called,
    )


Work = Callable[[], ScoredText]


def _parts(
    customers: CustomerFile, model: Model, mark: FileMark, *, reasons: bool
) -> Iterator[Work]:
    """Read the file and yield what scores each part of it."""
    lines = LineScorer(model, customers, reasons=reasons)
    for part in lines.parts():
        if isinstance(part, Block):
            yield partial(_score_block, part, model, customers.called, mark, reasons)
        else:
            yield partial(lines.score, part, mark)


def _score_block(
    block: Block, model: Model, called: Mapping[str, str], mark: FileMark, reasons: bool
) -> ScoredText:
    scores = score(block, model, called, mark=mark.for_block(block), reasons=reasons)
    lines = (result.line_of(scores, row) for row in range(len(block)))
    return ScoredText("".join(lines).encode(), (scores,))


def _in_order(parts: Iterator[Work], threads: int) -> Iterator[ScoredText]:
    """Score parts, several at a time, and yield what came of them in their order."""
    if threads == 1:
        for part in parts:
            yield part()
        return
    # One thread reads and writes. Few parts wait, so that memory does not grow with the file.
    with ThreadPoolExecutor(threads - 1) as pool:
        waiting: deque[Future[ScoredText]] = deque()
        for part in parts:
            waiting.append(pool.submit(part))
            if len(waiting) > threads:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
