"""What runs inside the job process: fetch the upload, score it, store the result.

It commits nothing: it says what it did, and the parent, which holds the lease, commits. It is
started with `spawn`, loads the model once and then takes one job after another. When its parent
dies, it ends at once, in the middle of whatever it does.
"""

from __future__ import annotations

import faulthandler
import multiprocessing
import os
import shutil
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING

from structlog.contextvars import bind_contextvars

from predictions.aws import may_pass
from predictions.errors import BadCustomerFile, InputChanged, InputMissing
from predictions.record import Failure, Prediction, ResultFile, Summary
from worker.memory import Memory, memory_of_this_process

if TYPE_CHECKING:
    from model.artifact import Model
    from predictions.files import Files

_PROGRESS_EVERY_S = 0.2
_MISSING = Failure(
    code="input-missing",
    message="The uploaded file is gone.",
    hint="Upload it again.",
)
_CHANGED = Failure(
    code="input-changed",
    message="The uploaded file is no longer what was uploaded.",
    hint="Upload it again. A retry helps only once the file is back as it was.",
)


@dataclass(frozen=True)
class JobSettings:
    """What a job process needs to know at its start."""

    model_dir: Path
    threads: int
    uploads_bucket: str
    results_bucket: str


@dataclass(frozen=True)
class Job:
    """One attempt to score; `folder` is for its files alone, and is left empty."""

    prediction: Prediction
    folder: Path


@dataclass(frozen=True)
class Ready:
    """The model is loaded: jobs may come."""


@dataclass(frozen=True)
class Unusable:
    """The process cannot work at all, and why."""

    reason: str


@dataclass(frozen=True)
class Progress:
    """How far the job is."""

    rows_done: int
    fraction_done: float
    bytes_moved: int = 0
    """Fetched and stored: a large file takes its time before the first row and after the last."""


@dataclass(frozen=True)
class Finished:
    """The result is stored; what is left is to commit it."""

    result: ResultFile
    summary: Summary
    memory: Memory | None = None
    """Of the job process; None where the system does not tell."""


@dataclass(frozen=True)
class Refused:
    """The file cannot be scored, now or later."""

    failure: Failure


@dataclass(frozen=True)
class Broke:
    """The job failed in a way that another attempt may survive. `error` holds no customer data."""

    error: str


@dataclass(frozen=True)
class Later:
    """What the job depends on is down; it is to be tried again later. `error` is of which kind."""

    error: str


Event = Ready | Unusable | Progress | Finished | Refused | Later | Broke


def main(pipe: Connection, stacks: Connection, settings: JobSettings) -> None:
    """Run jobs until the parent closes the pipe; on SIGUSR1, write where it is to `stacks`."""
    # In C, at once: neither an endless loop nor a library that holds the interpreter can stop it.
    faulthandler.register(signal.SIGUSR1, file=stacks.fileno())
    # The parent decides when a job ends; a Ctrl-C in the terminal reaches the whole group.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    threading.Thread(target=_end_with_the_parent, daemon=True).start()

    from model.artifact import load
    from model.scoring.warm_up import warm_up
    from predictions import log
    from predictions.aws import s3_client
    from predictions.files import Files
    from predictions.telemetry import ids_of

    log.configure("job")
    try:
        artifact = load(settings.model_dir)
        warm_up(artifact)
    except Exception as exc:  # noqa: BLE001 - whatever is wrong with it, the operator is told
        pipe.send(Unusable(f"the model in {settings.model_dir} cannot be used: {exc}"))
        return
    files = Files(
        s3_client(),
        uploads_bucket=settings.uploads_bucket,
        results_bucket=settings.results_bucket,
    )
    pipe.send(Ready())
    with suppress(EOFError, OSError):  # the parent has closed it, or is gone
        while True:
            job: Job = pipe.recv()
            # What a library warns of is then known to be about this one.
            bind_contextvars(**ids_of(job.prediction))
            pipe.send(attempt(job, artifact, files, settings.threads, pipe))


def _end_with_the_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:  # as always in a child
        parent.join()
        os._exit(0)  # with the parent, the lease is gone


def attempt(job: Job, model: Model, files: Files, threads: int, pipe: Connection) -> Event:
    """Run a job, and say how it ended."""
    try:
        with _emptied(job.folder):
            return run(job, model, files, threads, pipe)
    except BadCustomerFile as exc:
        return Refused(exc.failure)
    except InputMissing:
        return Refused(_MISSING)
    except InputChanged:
        return Refused(_CHANGED)
    except Exception as exc:  # noqa: BLE001 - any other error may pass: the parent retries
        # The kind only: a message may quote a customer's data.
        return (Later if may_pass(exc) else Broke)(type(exc).__name__)


@contextmanager
def _emptied(folder: Path) -> Iterator[None]:
    """Have the folder for the block, and nothing in it afterwards: it is a customer's."""
    folder.mkdir(mode=0o700, exist_ok=True)  # idle for days, it may have been tidied away
    try:
        yield
    finally:
        with suppress(OSError):  # how the job ended counts; what stays goes with the process
            for left in folder.iterdir():
                shutil.rmtree(left) if left.is_dir() else left.unlink()


def run(job: Job, model: Model, files: Files, threads: int, pipe: Connection) -> Finished:
    """Score one upload and store the result; `pipe` is told how far it is.

    Raises BadCustomerFile, InputMissing and InputChanged where the file cannot be scored. Columns
    are found by their names alone: a model that asks for others than the upload was checked for
    scores it if they are there, and else refuses it.
    """
    from model.scoring.predict import score_file
    from predictions.customer_file import TOLD_BY_THE_COLUMNS
    from predictions.files import SummaryFile
    from predictions.refusals import model_mismatch

    prediction = job.prediction
    source, target = job.folder / "input.csv", job.folder / "result.csv"
    done, told_at = Progress(rows_done=0, fraction_done=0.0), 0.0

    def tell(now: Progress) -> None:
        nonlocal done, told_at
        done = now
        if time.monotonic() - told_at >= _PROGRESS_EVERY_S:
            told_at = time.monotonic()
            pipe.send(done)

    def moved(count: int) -> None:
        tell(replace(done, bytes_moved=done.bytes_moved + count))

    def scored_so_far(rows_done: int, fraction_done: float) -> None:
        tell(replace(done, rows_done=rows_done, fraction_done=fraction_done))

    files.fetch_upload(prediction.input, source, moved=moved)
    facts = prediction.input.facts
    try:
        scored = score_file(
            source,
            target,
            model,
            threads=threads,
            progress=scored_so_far,
            matches=facts.matches if facts else None,
        )
    except BadCustomerFile as exc:
        checked_for = facts.model if facts else None
        is_as_checked = checked_for in (None, model.version)
        if is_as_checked or exc.failure.code not in TOLD_BY_THE_COLUMNS:
            raise
        mismatch = model_mismatch(str(checked_for), model.version, exc.failure)
        raise BadCustomerFile(mismatch) from exc
    summary = SummaryFile(
        prediction=prediction.id,
        model=model.version,
        rows=scored.rows,
        rows_failed=scored.rows_failed,
        summary=scored.summary,
        customers_at_risk=scored.customers_at_risk,
        ids_are_row_numbers=scored.ids_are_row_numbers,
        row_errors=scored.row_errors,
        new_values=scored.new_values,
    )
    key, summary_key = files.put_result(
        prediction.account,
        prediction.id,
        prediction.attempt,
        target,
        summary,
        traceparent=prediction.traceparent,
        moved=moved,
    )
    result = ResultFile(
        key=key,
        summary_key=summary_key,
        rows=scored.rows,
        rows_failed=scored.rows_failed,
        model=model.version,
    )
    return Finished(result, scored.summary, memory_of_this_process())
