"""Takes over the predictions of the service's first version, from an export of its table.

The export is a CSV file in UTF-8, separated by commas, with a header. It needs these columns, in
any order and any capitals; others are passed over:

    id          what the first version called the prediction: 10, or #10; no id twice
    owner       whose it is: an account, or a name that `take_over` is told the account of
    status      QUEUED, PROCESSING, COMPLETED or FAILED, in any capitals
    upload_key  key of the customer file in the uploads bucket; may be empty
    output_key  key of the result in the results or the uploads bucket; may be empty
    created_at  ISO 8601, such as 2024-03-01T10:00:00Z; UTC where it names no zone

What becomes of a row:

    QUEUED, PROCESSING  QUEUED: it waited for a worker that could not read its message, or whose
                        worker is gone; it is sent in today's format
    COMPLETED           COMPLETED with its file, where that is at output_key or in RESULT_PLACES;
                        else QUEUED, to be scored anew; FAILED where its upload is gone too
    FAILED              FAILED

A file that is still needed is copied to where today's files are. The old objects stay as they are:
whoever takes the account over removes them, for nothing here knows of them any more. That includes
the right to be forgotten: deleting a taken-over prediction erases its copies only.

A row has the same new id each time, and its record is written once, in one call with the mark that
it was: so the same export may be taken over again, after a kill at any point as well. What was
deleted since does not come back. The first version may still run meanwhile; if its worker swallows
a message, today's sweeper sends it again.
"""

from __future__ import annotations

import csv
import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import PurePosixPath

from pydantic import TypeAdapter, ValidationError
from ulid import ULID

from predictions.customer_file import CustomerFile
from predictions.errors import BadCustomerFile, BadExport
from predictions.files import Files, SummaryFile, upload_key
from predictions.record import (
    AccountId,
    Failure,
    InputFile,
    Prediction,
    ResultFile,
    RowErrorCount,
    Status,
    Summary,
    utc_now,
)
from predictions.refusals import in_quotes
from predictions.store import Store
from predictions.work_queue import WorkQueue

COLUMNS = ("id", "owner", "status", "upload_key", "output_key", "created_at")
RESULT_PLACES = (
    "results/{id}.csv",
    "results/{id}/result.csv",
    "predictions/{id}/output.csv",
    "outputs/{id}.csv",
)
"""Where the first version put results that it did not note in its table; `{id}` without the #."""
MODEL = "first-version"
"""Stands for the version of the model, which the first version did not note."""
PROBABILITY_COLUMNS = ("churn_probability", "probability", "churn_score", "score")
"""What the first version called the column with the churn probability, from 0 to 1."""
THRESHOLD = 0.5
"""From this probability on, the first version predicted that a customer leaves."""

FAILED_BEFORE = Failure(
    code="failed-before",
    message="The file could not be scored by an earlier version of this service.",
    hint="Retry, or upload the file again.",
)
FILES_LOST = Failure(
    code="files-lost",
    message="Neither the uploaded file nor a readable result was kept by an earlier version.",
    hint="Upload the file again.",
)

_MOST_FAULTS = 25
_ROWS_AT_A_TIME = 20_000
_ATTEMPT = 1
_UNSCORED = "no-score"
_AN_ID = re.compile(r"#?([0-9A-Za-z][0-9A-Za-z_.-]{0,99})")
_OF_THIS_VERSION = re.compile(r"(uploads|results)/[^/]+/[0-7][0-9A-Z]{25}/")
_AN_ACCOUNT = TypeAdapter[str](AccountId)


@dataclass(frozen=True)
class Row:
    """One row of the first version's table."""

    line: int
    """Where it stands in the export; the header is line 1."""
    id: str
    """Without the #."""
    owner: str
    status: Status
    upload_key: str
    """May be empty, as the next one."""
    output_key: str
    created_at: datetime

    @property
    def prediction_id(self) -> str:
        """The id that it has here: always the same, and in order among those made before and after.

        Whole seconds only, so that exports of different precision agree.
        """
        time_ms = int(self.created_at.timestamp()) * 1000
        return str(ULID(time_ms.to_bytes(6, "big") + self._digest[:10]))

    @property
    def traceparent(self) -> str:
        """The trace under which it goes on."""
        text = self._digest.hex()
        return f"00-{text[:32]}-{text[32:48]}-01"

    @property
    def _digest(self) -> bytes:
        return hashlib.sha256(f"first-version/{self.id}".encode()).digest()


class Outcome(StrEnum):
    """What became of one row."""

    QUEUED = "queued"
    COMPLETED = "completed"
    SCORED_ANEW = "scored anew"
    FAILED = "failed"
    FILES_LOST = "files lost"
    ALREADY_THERE = "already there"


@dataclass(frozen=True)
class TakenOver:
    """What became of all rows."""

    counts: Mapping[Outcome, int]
    """How many rows there are of each outcome; 0 for one that did not occur."""
    refused: tuple[str, ...]
    """A line for each row that cannot be taken over: where it stands and why."""


@dataclass(frozen=True)
class _Scores:
    """What a result file of the first version says."""

    rows: int
    rows_failed: int
    summary: Summary | None


# ---- the export -----------------------------------------------------------------------------


def read_rows(lines: Iterable[str]) -> list[Row]:
    """Read an export: an open text file, `newline=""`, or its lines.

    Raises BadExport, which names each fault by line and column.
    """
    faults: list[str] = []
    rows: list[Row] = []
    first_line: dict[str, int] = {}
    for line, cells in _cells(lines):
        try:
            row = _row(line, cells)
        except _Faults as exc:
            faults += exc.faults
            continue
        if (first := first_line.setdefault(row.id, line)) != line:
            faults.append(f"line {line}, id: {in_quotes(row.id)} is in line {first} already")
        rows.append(row)
    if faults:
        raise _bad(faults)
    return rows


class _Faults(Exception):
    def __init__(self, faults: list[str]) -> None:
        self.faults = faults


def _cells(lines: Iterable[str]) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield each row's line and its cells by the names of the columns."""
    reader = csv.reader(lines, strict=True)
    header: list[str] | None = None
    line = 1
    try:
        for record in reader:
            start, line = line, reader.line_num + 1
            if not any(map(str.strip, record)):
                continue
            if header is None:
                header = [name.strip().lstrip("\ufeff").lower() for name in record]
                _check_header(header, start)
            elif len(record) != len(header):
                raise _bad([f"line {start}: {len(record)} cells, the header has {len(header)}"])
            else:
                yield start, dict(zip(header, map(str.strip, record), strict=True))
    except csv.Error as exc:
        raise _bad([f"line {line}: {exc}"]) from exc
    except UnicodeDecodeError as exc:
        raise _bad([f"after line {reader.line_num}: not UTF-8 text"]) from exc
    if header is None:
        raise _bad(["it is empty: it needs a header with " + ", ".join(COLUMNS)])


def _check_header(header: list[str], line: int) -> None:
    names = Counter(header)
    faults = [f"line {line}: no column {name}" for name in COLUMNS if name not in names]
    faults += [f"line {line}: two columns {name}" for name in COLUMNS if names[name] > 1]
    if faults:
        raise _bad(faults)


def _row(line: int, cells: Mapping[str, str]) -> Row:
    faults = []
    an_id = _AN_ID.fullmatch(cells["id"])
    if an_id is None:
        wrong = f"{in_quotes(cells['id'])} is none" if cells["id"] else "missing"
        faults.append(f"line {line}, id: {wrong}")
    if not cells["owner"]:
        faults.append(f"line {line}, owner: missing")
    status = cells["status"].upper()
    if status not in set(Status):
        known = ", ".join(Status)
        faults.append(f"line {line}, status: {in_quotes(cells['status'])} is none of {known}")
    created_at = _moment(cells["created_at"])
    if created_at is None:
        faults.append(f"line {line}, created_at: {in_quotes(cells['created_at'])} is no date")
    faults += [
        f"line {line}, {column}: {in_quotes(cells[column])} is a file of this version's, and so "
        "another prediction's"
        for column in ("upload_key", "output_key")
        if _OF_THIS_VERSION.match(cells[column])
    ]
    if an_id is None or created_at is None or faults:
        raise _Faults(faults)
    return Row(
        line=line,
        id=an_id[1],
        owner=cells["owner"],
        status=Status(status),
        upload_key=cells["upload_key"],
        output_key=cells["output_key"],
        created_at=created_at,
    )


def _moment(text: str) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text)
        moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    # An id holds the milliseconds since 1970 in 48 bits: more than a year has digits for.
    return moment if moment.year >= 1970 else None


def _bad(faults: list[str]) -> BadExport:
    more = len(faults) - _MOST_FAULTS
    shown = faults[:_MOST_FAULTS] + ([f"and {more:,} more"] if more > 0 else [])
    return BadExport(tuple(shown))


# ---- taking it over ---------------------------------------------------------------------------


def take_over(
    rows: Iterable[Row],
    store: Store,
    files: Files,
    queue: WorkQueue,
    *,
    accounts: Mapping[str, str] | None = None,
) -> TakenOver:
    """Make a record of each row that has none yet; see the top of this file.

    accounts: owner of the first version → account of today, for owners that are called otherwise.
    Errors of the SDK come through; take the same rows over again then.
    """
    counts: Counter[Outcome] = Counter(dict.fromkeys(Outcome, 0))
    refused = []
    for row in rows:
        try:
            account = _AN_ACCOUNT.validate_python((accounts or {}).get(row.owner, row.owner))
        except ValidationError:
            refused.append(
                f"line {row.line}, #{row.id}: the owner {in_quotes(row.owner)} is no account "
                "(small letters, digits and hyphens, 64 at most): say which one it is"
            )
            continue
        counts[_take_over(row, account, store, files, queue)] += 1
    return TakenOver(counts, tuple(refused))


def _take_over(row: Row, account: str, store: Store, files: Files, queue: WorkQueue) -> Outcome:
    if store.was_taken_over(account, row.id):
        return Outcome.ALREADY_THERE
    prediction, outcome = _brought(row, account, files)
    if not store.take_over(prediction, row.id):
        return Outcome.ALREADY_THERE
    # Killed before the send, the record is due and the sweeper sends it. A second run does not: it
    # cannot know.
    if prediction.status is Status.QUEUED:
        queue.send(prediction)
    return outcome


def _brought(row: Row, account: str, files: Files) -> tuple[Prediction, Outcome]:
    """Bring a row's files to their new places, and say what its record is."""
    input_file, is_there = _input(row, account, files)
    base = _record(row, account, input_file)
    if row.status is Status.FAILED:
        return _failed(base, FAILED_BEFORE), Outcome.FAILED
    if row.status is Status.COMPLETED:
        if completed := _completed(row, base, files):
            return completed, Outcome.COMPLETED
        if is_there:
            return base, Outcome.SCORED_ANEW
    elif is_there:
        return base, Outcome.QUEUED
    return _failed(base, FILES_LOST, finished_at=base.updated_at), Outcome.FILES_LOST


def _input(row: Row, account: str, files: Files) -> tuple[InputFile, bool]:
    """Return the upload as it is now, and whether it is there at all."""
    name = PurePosixPath(row.upload_key).name or f"{row.id}.csv"
    old = files.find_upload(row.upload_key) if row.upload_key else None
    if old is not None:
        return files.copy_upload(old, account, row.prediction_id, name=name), True
    key = upload_key(account, row.prediction_id)
    return InputFile(key=key, name=name, size_bytes=0, sha256="", etag=""), False


def _record(row: Row, account: str, input_file: InputFile) -> Prediction:
    now = utc_now()
    return Prediction(
        account=account,
        id=row.prediction_id,
        status=Status.QUEUED,
        attempt=_ATTEMPT,
        input=input_file,
        created_at=row.created_at,
        updated_at=now,
        queued_at=now,
        traceparent=row.traceparent,
        submitted_by=row.owner,
    )


def _failed(
    base: Prediction, failure: Failure, *, finished_at: datetime | None = None
) -> Prediction:
    return base.model_copy(
        update={"status": Status.FAILED, "failure": failure, "finished_at": finished_at}
    )


def _completed(row: Row, base: Prediction, files: Files) -> Prediction | None:
    """Bring the first file that is a result; None where there is none."""
    places = [place.format(id=row.id) for place in RESULT_PLACES]
    for old in files.find_results([row.output_key, *places] if row.output_key else places):
        scores = _scores(files.read_old(old))
        if scores is None:
            continue
        summary = SummaryFile(
            prediction=base.id,
            model=MODEL,
            rows=scores.rows,
            rows_failed=scores.rows_failed,
            summary=scores.summary,
            customers_at_risk=(),
        )
        key, summary_key = files.copy_result(old, base.account, base.id, _ATTEMPT, summary)
        result = ResultFile(
            key=key,
            summary_key=summary_key,
            rows=scores.rows,
            rows_failed=scores.rows_failed,
            model=MODEL,
        )
        return base.model_copy(
            update={
                "status": Status.COMPLETED,
                "result": result,
                "summary": scores.summary,
                "rows_done": scores.rows,
                "fraction_done": 1.0,
                "finished_at": old.modified_at,
            }
        )
    return None


def _scores(chunks: Iterable[bytes]) -> _Scores | None:
    """Sum a result file up; None when it is not one: no CSV, or without a row.

    Where no cell of it is a probability it has no summary: the file is all that is known.
    """
    scored = leavers = first_unscored = 0
    expected = 0.0
    try:
        result = CustomerFile(chunks, (), optional=PROBABILITY_COLUMNS)
        names = {name.lower(): name for name in result.header}
        name = next((names[one] for one in PROBABILITY_COLUMNS if one in names), None)
        for block in result.blocks(_ROWS_AT_A_TIME, all_columns=True):
            for number, cell in enumerate(block.columns[name] if name else (), block.first_row):
                probability = _probability(cell)
                if probability is None:
                    first_unscored = first_unscored or number
                    continue
                scored += 1
                expected += probability
                leavers += probability >= THRESHOLD
    except BadCustomerFile:
        return None
    rows = result.rows_read
    if not scored:
        return _Scores(rows, rows_failed=0, summary=None)
    unscored = RowErrorCount(kind=_UNSCORED, rows=rows - scored, first_row=first_unscored)
    summary = Summary(
        expected_churners=expected,
        predicted_churners=leavers,
        bands=(),
        top_reasons=(),
        row_errors=(unscored,) if unscored.rows else (),
    )
    return _Scores(rows, unscored.rows, summary)


def _probability(cell: str) -> float | None:
    try:
        number = float(cell)
    except ValueError:
        return None
    return number if 0 <= number <= 1 else None
