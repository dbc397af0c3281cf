"""What the services' log lines say of a prediction, and which metrics they carry.

Each state change is one line. `LINES` says which metrics a line carries; a processor of the log
adds them to it in CloudWatch's embedded metric format, and CloudWatch Logs takes them out again.
So nothing is sent on the side, and what is counted is what can be read.

The alarms and the dashboard read these metrics by the names in `infra/metrics.py`, which may not
import this; a test compares the two.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

import structlog

from predictions.record import Prediction, Status

NAMESPACE = "RetainWise"
DIMENSION = "Environment"
"""The only one: CloudWatch asks for money for each value of each metric."""


class Metric(NamedTuple):
    """A metric as CloudWatch knows it."""

    name: str
    unit: Literal["Bytes", "Count", "Count/Second", "Seconds"]


QUEUE_WAIT = Metric("QueueWait", "Seconds")
RUN_TIME = Metric("RunTime", "Seconds")
ROWS_PER_SECOND = Metric("RowsPerSecond", "Count/Second")
JOBS_COMPLETED = Metric("JobsCompleted", "Count")
JOBS_FAILED = Metric("JobsFailed", "Count")
JOBS_LOST = Metric("JobsLost", "Count")
JOBS_PUT_OFF = Metric("JobsPutOff", "Count")
JOBS_HANDED_BACK = Metric("JobsHandedBack", "Count")
LEASES_LOST = Metric("LeasesLost", "Count")
LEASE_RENEWALS = Metric("LeaseRenewals", "Count")
LEASE_RENEWALS_FAILED = Metric("LeaseRenewalsFailed", "Count")
WORKER_MEMORY = Metric("WorkerMemory", "Bytes")
WORKER_MEMORY_PEAK = Metric("WorkerMemoryPeak", "Bytes")
JOB_MEMORY = Metric("JobMemory", "Bytes")
JOB_MEMORY_PEAK = Metric("JobMemoryPeak", "Bytes")
RECORDS_STUCK = Metric("RecordsStuck", "Count")
MESSAGES_SUPERSEDED = Metric("MessagesSuperseded", "Count")
MESSAGES_UNREADABLE = Metric("MessagesUnreadable", "Count")
PREDICTIONS_SUBMITTED = Metric("PredictionsSubmitted", "Count")
PREDICTIONS_REQUEUED = Metric("PredictionsRequeued", "Count")
PREDICTIONS_DELETED = Metric("PredictionsDeleted", "Count")
PREDICTIONS_RESENT = Metric("PredictionsResent", "Count")
FILES_ERASED = Metric("FilesErased", "Count")

LINES: Mapping[str, Mapping[Metric, int | str]] = {
    "prediction_submitted": {PREDICTIONS_SUBMITTED: 1},
    "prediction_requeued": {PREDICTIONS_REQUEUED: 1},
    "prediction_deleted": {PREDICTIONS_DELETED: 1},
    "prediction_resent": {PREDICTIONS_RESENT: 1, RECORDS_STUCK: "stuck"},
    "job_started": {QUEUE_WAIT: "waited_s"},
    # The three that one alarm reckons with always come together: where one had no value, the
    # others would not count.
    "job_completed": {
        JOBS_COMPLETED: 1,
        JOBS_FAILED: 0,
        JOBS_LOST: 0,
        RUN_TIME: "took_s",
        ROWS_PER_SECOND: "rows_per_s",
        LEASE_RENEWALS: "renewals",
        WORKER_MEMORY: "worker_bytes",
        WORKER_MEMORY_PEAK: "worker_peak_bytes",
        JOB_MEMORY: "job_bytes",
        JOB_MEMORY_PEAK: "job_peak_bytes",
    },
    "job_failed": {
        JOBS_COMPLETED: 0,
        JOBS_FAILED: 1,
        JOBS_LOST: 0,
        RUN_TIME: "took_s",
        LEASE_RENEWALS: "renewals",
    },
    "prediction_put_back": {
        JOBS_COMPLETED: 0,
        JOBS_FAILED: 0,
        JOBS_LOST: 1,
        LEASE_RENEWALS: "renewals",
    },
    "prediction_failed": {
        JOBS_COMPLETED: 0,
        JOBS_FAILED: 0,
        JOBS_LOST: "lost",
        RECORDS_STUCK: 1,
        LEASE_RENEWALS: "renewals",
    },
    "prediction_put_off": {JOBS_PUT_OFF: 1, LEASE_RENEWALS: "renewals"},
    "job_handed_back": {JOBS_HANDED_BACK: 1, LEASE_RENEWALS: "renewals"},
    "lease_lost": {LEASES_LOST: 1, LEASE_RENEWALS: "renewals"},
    "renewal_failed": {LEASE_RENEWALS_FAILED: 1},
    "message_superseded": {MESSAGES_SUPERSEDED: 1},
    "message_of_deleted_prediction": {MESSAGES_SUPERSEDED: 1},
    "message_unreadable": {MESSAGES_UNREADABLE: 1},
    "files_erased": {FILES_ERASED: "files"},
}
"""By a line's event, the metrics that it carries: each a fixed number, or the number in a field.

Whatever has no number in its field, or no such field, is left out.
"""


def step(prediction: Prediction, left: Status | None, to: Status | None) -> dict[str, Any]:
    """Say which prediction left which status for which; None: there is no record."""
    return {**ids_of(prediction), "from": left, "to": to}


def ids_of(prediction: Prediction) -> dict[str, Any]:
    """Say which prediction a line is about, at which attempt, and in which trace.

    The account is an id too: it is in every key and message, and names no person.
    """
    return {
        "prediction": prediction.id,
        "account": prediction.account,
        "attempt": prediction.attempt,
        "traceparent": prediction.traceparent,
    }


def carry_metrics(environment: str) -> structlog.typing.Processor:
    """Make the processor that turns a line's numbers into metrics of this environment.

    A number goes under its metric's name then, where CloudWatch looks for it.
    """

    def embed(
        _logger: object, _method: str, line: structlog.typing.EventDict
    ) -> structlog.typing.EventDict:
        found = []
        for metric, value in LINES.get(line["event"], {}).items():
            number = line.pop(value, None) if isinstance(value, str) else value
            if number is not None:
                line[metric.name] = number
                found.append({"Name": metric.name, "Unit": metric.unit})
        if found:
            line[DIMENSION] = environment
            line["_aws"] = {
                "Timestamp": time.time_ns() // 1_000_000,
                "CloudWatchMetrics": [
                    {"Namespace": NAMESPACE, "Dimensions": [[DIMENSION]], "Metrics": found}
                ],
            }
        return line

    return embed
