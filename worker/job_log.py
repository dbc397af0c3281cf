"""What the log says of a job: one line for each change that its worker makes, after the write.

Lost attempts are told where the sweeper tells of its own: `predictions.sweeper`. Which metrics the
lines carry says `predictions.telemetry`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import structlog

from predictions import trace
from predictions.message import Request
from predictions.record import Failure, Prediction, Status
from predictions.telemetry import ids_of, step
from worker.job import Finished
from worker.lease import Lease
from worker.memory import memory_of_this_process

log = structlog.get_logger()


@contextmanager
def attempt(claimed: Prediction) -> Iterator[Prediction]:
    """Say that a job has started; give its prediction with a span of this attempt's own.

    Every line of the block is about it.
    """
    prediction = claimed.model_copy(update={"traceparent": trace.child_of(claimed.traceparent)})
    with structlog.contextvars.bound_contextvars(**ids_of(prediction)):
        log.info(
            "job_started",
            **step(prediction, Status.QUEUED, Status.PROCESSING),
            parent_id=trace.span_id(claimed.traceparent),
            waited_s=_waited_s(claimed),
        )
        yield prediction


def completed(prediction: Prediction, lease: Lease, finished: Finished) -> None:
    """Say that the result is committed."""
    took_s, result = lease.held_s, finished.result
    log.info(
        "job_completed",
        **step(prediction, Status.PROCESSING, Status.COMPLETED),
        rows=result.rows,
        rows_failed=result.rows_failed,
        took_s=took_s,
        rows_per_s=round(result.rows / took_s, 1),
        renewals=lease.renewals,
        **_memory(finished),
    )


def failed(prediction: Prediction, lease: Lease, failure: Failure) -> None:
    """Say that the file was refused for good; its words are for its owner alone."""
    log.info(
        "job_failed",
        **step(prediction, Status.PROCESSING, Status.FAILED),
        code=failure.code,
        took_s=lease.held_s,
        renewals=lease.renewals,
    )


def handed_back(prediction: Prediction, lease: Lease) -> None:
    """Say that the record waits for another worker."""
    log.info(
        "job_handed_back",
        **step(prediction, Status.PROCESSING, Status.QUEUED),
        renewals=lease.renewals,
    )


def ids_in(request: Request) -> dict[str, Any]:
    """Say which prediction a message is about; what is no trace context could be anything."""
    data = request.data
    return {
        "prediction": data.prediction_id,
        "account": data.account,
        "attempt": data.attempt,
        "traceparent": request.traceparent if trace.trace_id(request.traceparent) else None,
    }


def _waited_s(claimed: Prediction) -> float:
    """Say how long this attempt waited for the claim, seconds, by the clocks of two machines."""
    started_at = claimed.started_at or claimed.queued_at
    return max(0.0, round((started_at - claimed.queued_at).total_seconds(), 3))


def _memory(finished: Finished) -> dict[str, int]:
    """Say how much memory this process and the job process have, where the system tells."""
    both = {"worker": memory_of_this_process(), "job": finished.memory}
    return {
        f"{name}{what}_bytes": size
        for name, memory in both.items()
        if memory is not None
        for what, size in (("", memory.now_bytes), ("_peak", memory.peak_bytes))
    }
