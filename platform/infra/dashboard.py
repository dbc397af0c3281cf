"""One page for whoever is paged: is work done, how fast, what fails; and the runbooks.

Every metric that the services' log lines carry is on it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import pulumi
import pulumi_aws as aws

from infra import metrics
from infra.alarms import Watched

_WIDTH, _HEIGHT = 8, 6  # three to a row, of 24

Metric: TypeAlias = list[Any]

_SUM, _SPREAD, _MOST = ("Sum",), ("p50", "p95"), ("Maximum",)
_CARRIED: Mapping[str, tuple[Sequence[str], *tuple[metrics.Metric, ...]]] = {
    "Jobs that end": (
        _SUM,
        metrics.JOBS_COMPLETED,
        metrics.JOBS_FAILED,
        metrics.JOBS_LOST,
        metrics.JOBS_PUT_OFF,
        metrics.JOBS_HANDED_BACK,
    ),
    "Waiting and running, seconds": (_SPREAD, metrics.QUEUE_WAIT, metrics.RUN_TIME),
    "Rows per second of a job": (_SPREAD, metrics.ROWS_PER_SECOND),
    "Memory, bytes": (
        _MOST,
        metrics.WORKER_MEMORY,
        metrics.WORKER_MEMORY_PEAK,
        metrics.JOB_MEMORY,
        metrics.JOB_MEMORY_PEAK,
    ),
    "Leases": (
        _SUM,
        metrics.LEASE_RENEWALS,
        metrics.LEASE_RENEWALS_FAILED,
        metrics.LEASES_LOST,
    ),
    "Messages that start nothing": (
        _SUM,
        metrics.MESSAGES_SUPERSEDED,
        metrics.MESSAGES_UNREADABLE,
    ),
    "What the sweepers do": (
        _SUM,
        metrics.PREDICTIONS_RESENT,
        metrics.RECORDS_STUCK,
        metrics.FILES_ERASED,
    ),
    "What people ask for": (
        _SUM,
        metrics.PREDICTIONS_SUBMITTED,
        metrics.PREDICTIONS_REQUEUED,
        metrics.PREDICTIONS_DELETED,
    ),
}
"""By the title of a graph: the statistics, and of which metrics that log lines carry."""


def dashboard(
    name: str,
    region: str,
    watched: Watched,
    runbooks: Mapping[str, str],
    opts: pulumi.ResourceOptions | None = None,
) -> aws.cloudwatch.Dashboard:
    """Declare the stack's dashboard."""
    widgets = [
        _graph("Waiting and in flight", region, _of_queue(watched)),
        _graph("Oldest message, seconds", region, _of_sqs("AgeOfOldestMessage", watched.queue)),
        _graph("Dead letters", region, _of_sqs("NumberOfMessagesVisible", watched.dlq)),
        *(_graph(title, region, _carried(watched, *what)) for title, what in _CARRIED.items()),
        _graph("Tasks", region, _of_tasks(watched)),
    ]
    if watched.edge is not None:
        widgets += _of_pages(watched, region)
    widgets.append({"type": "text", "properties": {"markdown": _links(runbooks)}})
    return aws.cloudwatch.Dashboard(
        name,
        dashboard_name=name,
        dashboard_body=pulumi.Output.json_dumps({"widgets": _placed(widgets)}, sort_keys=True),
        opts=opts,
    )


def _of_queue(watched: Watched) -> list[Metric]:
    return [
        *_of_sqs("NumberOfMessagesVisible", watched.queue),
        *_of_sqs("NumberOfMessagesNotVisible", watched.queue),
    ]


def _of_sqs(metric: str, queue: pulumi.Input[str]) -> list[Metric]:
    return [["AWS/SQS", f"Approximate{metric}", "QueueName", queue, {"stat": "Maximum"}]]


def _carried(watched: Watched, stats: Sequence[str], *carried: metrics.Metric) -> list[Metric]:
    """Show metrics that log lines carry, each by every one of the statistics."""
    of_this_stack = [metrics.DIMENSION, watched.environment]
    return [
        [metrics.NAMESPACE, one.name, *of_this_stack, {"stat": stat}]
        for one in carried
        for stat in stats
    ]


def _of_tasks(watched: Watched) -> list[Metric]:
    return [
        ["ECS/ContainerInsights", "RunningTaskCount", "ClusterName", watched.cluster,
         "ServiceName", service, {"stat": "Average"}]
        for service in (watched.web, watched.worker)
    ]  # fmt: skip


def _of_pages(watched: Watched, region: str) -> list[dict[str, Any]]:
    assert watched.edge is not None  # noqa: S101 - asked before
    balancer = watched.edge.load_balancer.arn_suffix

    def of(metric: str, stat: str) -> Metric:
        return ["AWS/ApplicationELB", metric, "LoadBalancer", balancer, {"stat": stat}]

    return [
        _graph("Requests", region, [of("RequestCount", "Sum")]),
        _graph("Time to answer, seconds", region, [
            of("TargetResponseTime", stat) for stat in ("p50", "p95", "p99")
        ]),
        _graph("Errors", region, [
            of(f"HTTPCode_{code}_Count", "Sum")
            for code in ("Target_4XX", "Target_5XX", "ELB_5XX")
        ]),
    ]  # fmt: skip


def _graph(title: str, region: str, metrics: Sequence[Metric]) -> dict[str, Any]:
    properties = {"title": title, "region": region, "metrics": [*metrics], "period": 60}
    return {"type": "metric", "properties": properties}


def _links(runbooks: Mapping[str, str]) -> str:
    lines = [f"- [{name}]({address})" for name, address in sorted(runbooks.items())]
    return "\n".join(["### Runbooks", *lines])


def _placed(widgets: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    return [
        widget | {"x": place % 3 * _WIDTH, "y": place // 3 * _HEIGHT, "width": _WIDTH,
                  "height": _HEIGHT}
        for place, widget in enumerate(widgets)
    ]  # fmt: skip
