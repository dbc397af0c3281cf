"""What is measured: AWS's own metrics, and those that are made of the services' log lines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_aws as aws

NAMESPACE = "RetainWise"
PERIOD_S = 60


@dataclass(frozen=True)
class Count:
    """A metric that counts the lines of a service's log that match a pattern."""

    metric: str
    pattern: str


JOBS_COMPLETED = Count("JobsCompleted", '{ $.event = "job_completed" }')
JOBS_FAILED = Count("JobsFailed", '{ $.event = "job_failed" }')
JOBS_LOST = Count("JobsLost", '{ $.event = "prediction_put_back" || $.event = "job_died" }')
RECORDS_STUCK = Count(
    "RecordsStuck",
    '{ ($.event = "prediction_resent" && $.resends >= 3) || $.event = "prediction_failed" }',
)
"""Sent a third time without being taken, or given up after the last attempt."""
MESSAGES_UNREADABLE = Count("MessagesUnreadable", '{ $.event = "message_unreadable" }')

OF_WORKER = (JOBS_COMPLETED, JOBS_FAILED, JOBS_LOST, RECORDS_STUCK, MESSAGES_UNREADABLE)


def count(name: str, log_group: aws.cloudwatch.LogGroup, counts: Sequence[Count]) -> None:
    """Make metrics of the lines of a service's log."""
    for one in counts:
        aws.cloudwatch.LogMetricFilter(
            f"{name}-{one.metric}",
            name=f"{name}-{one.metric}",
            log_group_name=log_group.name,
            pattern=one.pattern,
            metric_transformation=aws.cloudwatch.LogMetricFilterMetricTransformationArgs(
                namespace=NAMESPACE,
                name=f"{name}-{one.metric}",
                value="1",
                default_value="0",
            ),
            opts=pulumi.ResourceOptions(parent=log_group, delete_before_replace=True),
        )


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


def counted(id_: str, service: str, what: Count, period_s: int = PERIOD_S) -> dict[str, Any]:
    """Ask for a metric that is made of a service's log; `service` is its whole name."""
    return query(id_, NAMESPACE, f"{service}-{what.metric}", {}, "Sum", period_s)
