"""What is measured, and which alarm rings when."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from infra.metrics import CARRIED, DIMENSION, NAMESPACE
from operations.graph import Graph, kind_of, outputs_of
from questions.asking import changed, question, setting, without

RUNBOOKS = Path(__file__).parents[3] / "runbooks"

AWS_METRICS: Mapping[str, tuple[Mapping[str, str], frozenset[str]]] = {
    # docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/
    # sqs-available-cloudwatch-metrics.html
    "AWS/SQS": (
        {"QueueName": "Queue"},
        frozenset(
            {
                "ApproximateAgeOfOldestMessage",
                "ApproximateNumberOfMessagesNotVisible",
                "ApproximateNumberOfMessagesVisible",
                "NumberOfMessagesSent",
            }
        ),
    ),
    # docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/Container-Insights-metrics-ECS.html
    "ECS/ContainerInsights": (
        {"ClusterName": "Cluster", "ServiceName": "Service"},
        frozenset({"DesiredTaskCount", "PendingTaskCount", "RunningTaskCount"}),
    ),
    # docs.aws.amazon.com/elasticloadbalancing/latest/application/
    # load-balancer-cloudwatch-metrics.html
    "AWS/ApplicationELB": (
        {"LoadBalancer": "LoadBalancer"},
        frozenset(
            {
                "HTTPCode_ELB_5XX_Count",
                "HTTPCode_Target_4XX_Count",
                "HTTPCode_Target_5XX_Count",
                "RequestCount",
                "TargetResponseTime",
            }
        ),
    ),
    # docs.aws.amazon.com/AmazonS3/latest/userguide/metrics-dimensions.html
    "AWS/S3": (
        {
            "SourceBucket": "Bucket",
            "DestinationBucket": "Bucket",
            "RuleId": "BucketReplicationConfig",
        },
        frozenset({"OperationsFailedReplication"}),
    ),
}
"""What AWS makes, of those that are of use here: the type that each dimension names, the names."""


@question(setting("MetricAlarm", tags={"runbook": "https://example.com/runbooks/none.md"}))
def every_alarm_leads_to_a_runbook_that_exists(graph: Graph) -> Iterator[str]:
    alarms = graph.all_of("MetricAlarm", "EventRule", "Budget")
    for name, alarm in alarms.items():
        pages_nobody = name.endswith("-idle")  # it scales, and says so
        address = alarm.inputs["tags"].get("runbook", "")
        if pages_nobody:
            continue
        if not (RUNBOOKS / address.rpartition("/")[2]).is_file() or not address.endswith(".md"):
            yield f"{name}: {address or 'no runbook'}"
        words = alarm.inputs.get("alarmDescription", alarm.inputs.get("description"))
        if words is not None and address not in words:
            yield f"{name} does not say where to read on"
        if kind_of(alarm) == "MetricAlarm" and not alarm.inputs["alarmActions"]:
            yield f"{name} tells nobody"


def asked_for(graph: Graph) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Each metric that somebody looks at: an alarm, scaling, the dashboard."""
    for name, alarm in graph.all_of("MetricAlarm").items():
        for query in alarm.inputs["metricQueries"]:
            if "metric" in query:
                yield f"alarm {name}", query["metric"]
    for name, policy in graph.all_of("Policy").items():
        follows = policy.inputs.get("targetTrackingScalingPolicyConfiguration", {})
        for query in follows.get("customizedMetricSpecification", {}).get("metrics", ()):
            if "metricStat" in query:
                metric = query["metricStat"]["metric"]
                named = {one["name"]: one["value"] for one in metric["dimensions"]}
                yield f"scaling {name}", metric | {"dimensions": named}
    for name, page in graph.all_of("Dashboard").items():
        for widget in json.loads(page.inputs["dashboardBody"])["widgets"]:
            for namespace, metric_name, *rest in widget["properties"].get("metrics", ()):
                words = [one for one in rest if isinstance(one, str)]
                named = dict(zip(words[::2], words[1::2], strict=True))
                metric = {"namespace": namespace, "metricName": metric_name, "dimensions": named}
                yield f"dashboard {name}", metric


def _named(graph: Graph, kind: str) -> set[str]:
    """How metrics name the resources of a type."""
    there = graph.all_of(kind).values()
    if kind == "LoadBalancer":
        return {outputs_of(one, graph.region)["arnSuffix"] for one in there}
    if kind == "BucketReplicationConfig":
        rules = [rule for one in there for rule in one.inputs["rules"]]
        return {rule["id"] for rule in rules if "metrics" in rule["destination"]}
    return {one.inputs["bucket" if kind == "Bucket" else "name"] for one in there}


def _metric(**changes: object) -> Callable[[dict[str, Any]], object]:
    """Change what the first part of an alarm asks for."""
    return lambda inputs: inputs["metricQueries"][0]["metric"].update(changes)


@question(
    setting("Cluster", settings=[]),
    changed("MetricAlarm", _metric(metricName="ApproximateAgeOfOldestMessages"), "-queue-age"),
    changed("MetricAlarm", _metric(namespace="AWS/ECS"), "-worker-silent"),
    changed("MetricAlarm", _metric(dimensions={"QueueName": "predictions"}), "-queue-age"),
    changed("MetricAlarm", _metric(dimensions={"LoadBalancer": "prod"}), "-slow-pages"),
    changed("MetricAlarm", _metric(metricName="JobsDone"), "-failed-jobs"),
    changed("MetricAlarm", _metric(dimensions={}), "-failed-jobs"),
    changed("MetricAlarm", _metric(dimensions={"Environment": "dev"}), "-stuck-records"),
    changed(
        "MetricAlarm",
        lambda inputs: inputs["metricQueries"][0]["metric"]["dimensions"].update(RuleId="all"),
        "-replication-failed",
    ),
    changed(
        "Dashboard",
        lambda inputs: inputs.update(
            dashboardBody=inputs["dashboardBody"].replace("ELB_5XX", "ELB_5xx")
        ),
    ),
)
def each_metric_that_is_looked_at_is_made_for_something_that_is_there(
    graph: Graph,
) -> Iterator[str]:
    """Of others there is never a value, and no alarm that waits for one rings."""
    carried = {one.name for of_service in CARRIED.values() for one in of_service}
    environments = {
        one["value"]
        for container in graph.containers().values()
        for one in container["environment"]
        if one["name"] == "RETAINWISE_ENV"
    }
    for who, metric in asked_for(graph):
        namespace, name, named = metric["namespace"], metric["metricName"], metric["dimensions"]
        if namespace == NAMESPACE and name in carried:
            if [*named] != [DIMENSION] or {*named.values()} != environments:
                yield f"{who}: no service's lines carry {name} by {named}"
            continue
        dimensions, names = AWS_METRICS.get(namespace, ({}, ()))
        if name not in names or named.keys() != dimensions.keys():
            yield f"{who}: {namespace} {name} by {', '.join(named)}"
            continue
        for key, value in named.items():
            if value not in _named(graph, dimensions[key]):
                yield f"{who}: there is no {dimensions[key]} {value}"
    for name, cluster in graph.all_of("Cluster").items():
        insights = [
            one["value"] for one in cluster.inputs["settings"] if one["name"] == "containerInsights"
        ]
        if insights not in (["enabled"], ["enhanced"]):
            yield f"{name} says nothing of its tasks"


@question(
    without("MetricAlarm", "-dead-letters"),
    changed(
        "MetricAlarm",
        _metric(dimensions={"QueueName": "prod-retainwise-predictions-queue"}),
        "-dead-letters",
    ),
    changed("MetricAlarm", _metric(metricName="NumberOfMessagesSent"), "-queue-age"),
    changed(
        "MetricAlarm",
        _metric(
            dimensions={"ClusterName": "prod-retainwise", "ServiceName": "prod-retainwise-web"}
        ),
        "-worker-silent",
    ),
    changed("MetricAlarm", lambda inputs: inputs.update(threshold=1), "-worker-silent"),
)
def each_alarm_looks_at_what_its_runbook_is_about(graph: Graph) -> Iterator[str]:
    name, alarms = f"{graph.stack}-retainwise", graph.all_of("MetricAlarm")
    [worker] = [one for end, one in graph.all_of("Service").items() if end.endswith("-worker")]
    environment = {one["name"]: one["value"] for one in graph.containers()["worker"]["environment"]}
    queue, dlq = (
        environment[f"PREDICTIONS_{what}_URL"].rpartition("/")[2] for what in ("QUEUE", "DLQ")
    )
    about = {
        "queue-age": ("ApproximateAgeOfOldestMessage", queue),
        "dead-letters": ("ApproximateNumberOfMessagesVisible", dlq),
        "no-progress": ("ApproximateNumberOfMessagesVisible", queue),
        "worker-silent": ("RunningTaskCount", worker.inputs["name"]),
    }
    for short, (metric, what) in about.items():
        if f"{name}-{short}" not in alarms:
            yield f"there is no {short}"
            continue
        asked = alarms[f"{name}-{short}"].inputs["metricQueries"][0]["metric"]
        if asked["metricName"] != metric or what not in asked["dimensions"].values():
            yield f"{short}: {asked['metricName']} of {asked['dimensions']}"
    silent = alarms.get(f"{name}-worker-silent")
    if silent and silent.inputs["threshold"] != worker.inputs["desiredCount"]:
        yield "worker-silent: another number of workers than is asked for"


@question(
    changed(
        "MetricAlarm",
        lambda inputs: inputs.update(treatMissingData="notBreaching"),
        "-worker-silent",
    ),
    changed(
        "MetricAlarm", lambda inputs: inputs.update(treatMissingData="missing"), "-worker-silent"
    ),
    changed(
        "MetricAlarm", lambda inputs: inputs.update(treatMissingData="breaching"), "-queue-age"
    ),
)
def silence_rings_where_something_must_be_heard_and_nowhere_else(graph: Graph) -> Iterator[str]:
    """A dead worker sends no number that is too low but none; so does an idle queue."""
    topics = {outputs_of(one, graph.region)["arn"] for one in graph.all_of("Topic").values()}
    for name, alarm in graph.all_of("MetricAlarm").items():
        is_low = alarm.inputs["comparisonOperator"].startswith("LessThan")
        rings = topics >= set(alarm.inputs["alarmActions"])
        expected = "breaching" if is_low and rings else "notBreaching"
        if alarm.inputs["treatMissingData"] != expected:
            yield f"{name}: {alarm.inputs['treatMissingData']}"


def _of_containers(inputs: dict[str, Any], **changes: object) -> None:
    """Change how the containers of a task log."""
    definitions = json.loads(inputs["containerDefinitions"])
    for one in definitions:
        one["logConfiguration"].update(changes)
    inputs["containerDefinitions"] = json.dumps(definitions)


@question(
    changed("LogGroup", lambda inputs: inputs.update(logGroupClass="INFREQUENT_ACCESS"), "-worker"),
    changed(
        "TaskDefinition", lambda inputs: _of_containers(inputs, logDriver="json-file"), "-worker"
    ),
    changed(
        "TaskDefinition",
        lambda inputs: _of_containers(inputs, options={"awslogs-group": "other"}),
        "-web",
    ),
)
def metrics_are_taken_out_of_each_services_log(graph: Graph) -> Iterator[str]:
    """CloudWatch does it, without being told to, in log groups of the standard class alone."""
    groups = graph.all_of("LogGroup")
    for name, container in graph.containers().items():
        logs = container["logConfiguration"]
        group = groups.get(logs["options"]["awslogs-group"])
        if logs["logDriver"] != "awslogs" or group is None:
            yield f"{name}: its lines go to no log group of CloudWatch's"
        elif group.inputs.get("logGroupClass", "STANDARD") != "STANDARD":
            yield f"{name}: no metrics are taken out of {group.name}"


@question(
    changed("MetricAlarm", lambda inputs: inputs.pop("datapointsToAlarm"), "-replication-failed"),
    changed("MetricAlarm", lambda inputs: inputs.update(evaluationPeriods=3), "-server-errors"),
)
def where_no_data_is_taken_for_a_good_minute_one_may_be_late(graph: Graph) -> Iterator[str]:
    """The newest minute is not there yet: it would always be good, and the alarm never ring."""
    for name, alarm in graph.all_of("MetricAlarm").items():
        periods = alarm.inputs["evaluationPeriods"]
        expressions = [one.get("expression", "") for one in alarm.inputs.get("metricQueries", ())]
        is_filled = any(one.startswith("FILL(") for one in expressions)
        if is_filled and alarm.inputs.get("datapointsToAlarm", periods) >= periods:
            yield name
