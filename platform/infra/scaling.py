"""How many tasks run: more under load, fewer when there is less to do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

import pulumi
import pulumi_aws as aws

from infra.metrics import query, queue_metric
from infra.settings import ServiceSettings

_OUT_COOLDOWN_S = 60
_IN_COOLDOWN_S = 300
# With fewer jobs than half the tasks for so long, half of them are idle.
_IDLE_MINUTES, _JOBS_PER_TASK = 10, 0.5


@dataclass(frozen=True)
class ByLoad:
    """Tasks follow the processors' average load."""

    cpu_percent: int


@dataclass(frozen=True)
class ByBacklog:
    """Tasks follow the jobs that wait, and half of them go when most have nothing to do."""

    queue: pulumi.Output[str]
    """Name of the queue."""
    per_task: int


Scaling: TypeAlias = ByLoad | ByBacklog


def scale(
    name: str,
    service: aws.ecs.Service,
    cluster: str,
    settings: ServiceSettings,
    scaling: Scaling,
) -> None:
    """Let a service's tasks go from `tasks` to `max_tasks`."""
    target = aws.appautoscaling.Target(
        name,
        service_namespace="ecs",
        scalable_dimension="ecs:service:DesiredCount",
        resource_id=pulumi.Output.concat("service/", cluster, "/", service.name),
        min_capacity=settings.tasks,
        max_capacity=settings.max_tasks or settings.tasks,
        opts=pulumi.ResourceOptions(parent=service),
    )
    match scaling:
        case ByLoad():
            _follow(
                name,
                target,
                scaling.cpu_percent,
                predefined_metric_specification={
                    "predefined_metric_type": "ECSServiceAverageCPUUtilization"
                },
            )
        case ByBacklog():
            _follow(
                name,
                target,
                scaling.per_task,
                # Few waiting says nothing of the jobs that run: `_leave_when_idle` looks at both.
                disable_scale_in=True,
                customized_metric_specification={
                    "metrics": _backlog_per_task(scaling, cluster, service.name)
                },
            )
            _leave_when_idle(name, target, scaling.queue, cluster)


def _follow(
    name: str, target: aws.appautoscaling.Target, value: int, **what: object
) -> aws.appautoscaling.Policy:
    configuration = aws.appautoscaling.PolicyTargetTrackingScalingPolicyConfigurationArgs
    return aws.appautoscaling.Policy(
        f"{name}-follows",
        name=f"{name}-follows",
        policy_type="TargetTrackingScaling",
        service_namespace=target.service_namespace,
        scalable_dimension=target.scalable_dimension,
        resource_id=target.resource_id,
        target_tracking_scaling_policy_configuration=configuration(
            target_value=value,
            scale_out_cooldown=_OUT_COOLDOWN_S,
            scale_in_cooldown=_IN_COOLDOWN_S,
            **what,
        ),
        opts=pulumi.ResourceOptions(parent=target, delete_before_replace=True),
    )


def _backlog_per_task(
    scaling: ByBacklog, cluster: str, service: pulumi.Output[str]
) -> list[dict[str, Any]]:
    """Jobs that wait for each task that runs; all of them where none runs."""
    waiting = {
        "namespace": "AWS/SQS",
        "metric_name": "ApproximateNumberOfMessagesVisible",
        "dimensions": [{"name": "QueueName", "value": scaling.queue}],
    }
    namespace, metric_name = _RUNNING
    running = {
        "namespace": namespace,
        "metric_name": metric_name,
        "dimensions": [
            {"name": "ClusterName", "value": cluster},
            {"name": "ServiceName", "value": service},
        ],
    }
    return [
        {"id": "waiting", "metric_stat": {"metric": waiting, "stat": "Sum"}, "return_data": False},
        {
            "id": "running",
            "metric_stat": {"metric": running, "stat": "Average"},
            "return_data": False,
        },
        {"id": "per_task", "expression": "IF(running > 0, waiting / running, waiting)"},
    ]


def _leave_when_idle(
    name: str, target: aws.appautoscaling.Target, queue: pulumi.Output[str], cluster: str
) -> None:
    """Halve the tasks while most of them have nothing to do.

    A task that runs a job is kept by its own scale-in protection.
    """
    policy = aws.appautoscaling.Policy(
        f"{name}-leaves",
        name=f"{name}-leaves",
        policy_type="StepScaling",
        service_namespace=target.service_namespace,
        scalable_dimension=target.scalable_dimension,
        resource_id=target.resource_id,
        step_scaling_policy_configuration={
            "adjustment_type": "PercentChangeInCapacity",
            "min_adjustment_magnitude": 1,
            "cooldown": _IN_COOLDOWN_S,
            "metric_aggregation_type": "Maximum",
            "step_adjustments": [{"metric_interval_upper_bound": "0", "scaling_adjustment": -50}],
        },
        opts=pulumi.ResourceOptions(parent=target, delete_before_replace=True),
    )
    jobs = "IF(running > 0, (waiting + in_flight) / running, 1)"
    aws.cloudwatch.MetricAlarm(
        f"{name}-idle",
        name=f"{name}-idle",
        alarm_description="Most tasks have nothing to do: fewer of them. Pages nobody.",
        comparison_operator="LessThanThreshold",
        threshold=_JOBS_PER_TASK,
        evaluation_periods=_IDLE_MINUTES,
        treat_missing_data="notBreaching",
        metric_queries=[
            *(queue_metric(id_, metric, queue) for id_, metric in _WAITING_OR_RUNNING.items()),
            query("running", *_RUNNING, {"ClusterName": cluster, "ServiceName": name}, "Average"),
            {"id": "jobs", "expression": jobs, "return_data": True},
        ],
        alarm_actions=[policy.arn],
        opts=pulumi.ResourceOptions(parent=policy, delete_before_replace=True),
    )


_RUNNING = ("ECS/ContainerInsights", "RunningTaskCount")
_WAITING_OR_RUNNING = {
    "waiting": "ApproximateNumberOfMessagesVisible",
    "in_flight": "ApproximateNumberOfMessagesNotVisible",
}
