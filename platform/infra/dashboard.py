"""One page for whoever is paged: is work done, how fast, what fails; and the runbooks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import pulumi
import pulumi_aws as aws

from infra.alarms import Watched
from infra.metrics import JOBS_COMPLETED, JOBS_FAILED, JOBS_LOST, NAMESPACE, RECORDS_STUCK

_WIDTH, _HEIGHT = 8, 6  # three to a row, of 24

Metric: TypeAlias = list[Any]


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
        _graph("Jobs", region, _of_jobs(watched)),
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


def _of_jobs(watched: Watched) -> list[Metric]:
    counts = (JOBS_COMPLETED, JOBS_FAILED, JOBS_LOST, RECORDS_STUCK)
    return [[NAMESPACE, f"{watched.worker}-{one.metric}", {"stat": "Sum"}] for one in counts]


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
