"""What is measured: AWS's own metrics, and those that the services' log lines carry.

A service's line has its metrics in it, in CloudWatch's embedded metric format, and CloudWatch Logs
takes them out: nothing has to be declared for it, and nothing here makes a metric. This says which
there are, for who looks at them and for what they cost.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pulumi

NAMESPACE = "RetainWise"
DIMENSION = "Environment"
PERIOD_S = 60


@dataclass(frozen=True)
class Metric:
    """A metric that a service's log lines carry, by the one dimension."""

    name: str
    unit: str


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

CARRIED: Mapping[str, tuple[Metric, ...]] = {
    "web": (PREDICTIONS_SUBMITTED, PREDICTIONS_REQUEUED, PREDICTIONS_DELETED),
    "worker": (
        QUEUE_WAIT,
        RUN_TIME,
        ROWS_PER_SECOND,
        JOBS_COMPLETED,
        JOBS_FAILED,
        JOBS_LOST,
        JOBS_PUT_OFF,
        JOBS_HANDED_BACK,
        LEASES_LOST,
        LEASE_RENEWALS,
        LEASE_RENEWALS_FAILED,
        WORKER_MEMORY,
        WORKER_MEMORY_PEAK,
        JOB_MEMORY,
        JOB_MEMORY_PEAK,
        RECORDS_STUCK,
        MESSAGES_SUPERSEDED,
        MESSAGES_UNREADABLE,
        PREDICTIONS_RESENT,
        FILES_ERASED,
    ),
}
"""By service. Each costs as a custom metric in every month in which it has a value."""


def query(
    id_: str,
    namespace: str,
    metric: str,
    dimensions: Mapping[str, pulumi.Input[str]],
    stat: str,
    period_s: int = PERIOD_S,
) -> dict[str, Any]:
    """Ask for a metric as a part of an expression."""
    return {
        "id": id_,
        "metric": {
            "namespace": namespace,
            "metric_name": metric,
            "dimensions": {**dimensions},
            "period": period_s,
            "stat": stat,
        },
        "return_data": False,
    }


def queue_metric(id_: str, metric: str, queue: pulumi.Input[str]) -> dict[str, Any]:
    """Ask for one of SQS's own metrics."""
    return query(id_, "AWS/SQS", metric, {"QueueName": queue}, "Maximum")


def counted(id_: str, environment: str, what: Metric, period_s: int = PERIOD_S) -> dict[str, Any]:
    """Ask for the sum of what the log lines of a stack's services carry."""
    return query(id_, NAMESPACE, what.name, {DIMENSION: environment}, "Sum", period_s)
