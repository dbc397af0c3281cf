"""Who is told of what, and what is noted down."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from operations.graph import Graph, kind_of
from questions.asking import question, setting, without

RUNBOOKS = Path(__file__).parents[3] / "runbooks"


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


@question(
    setting("LogMetricFilter", metricTransformation={"namespace": "RetainWise", "name": "other"})
)
def each_alarm_looks_at_a_metric_that_is_made(graph: Graph) -> Iterator[str]:
    made = {
        one.inputs["metricTransformation"]["name"]
        for one in graph.all_of("LogMetricFilter").values()
    }
    asked = {
        query["metric"]["metricName"]
        for alarm in graph.all_of("MetricAlarm").values()
        for query in alarm.inputs["metricQueries"]
        if query.get("metric", {}).get("namespace") == "RetainWise"
    }
    yield from sorted(asked - made)


@question(without("EventTarget"))
def every_event_reaches_somebody(graph: Graph) -> Iterator[str]:
    for name in graph.all_of("EventRule"):
        if name not in graph.all_of("EventTarget"):
            yield f"{name} tells nobody"
    for name, policy in graph.all_of("TopicPolicy").items():
        for service in ("budgets", "cloudwatch", "events"):
            if f'"{service}.amazonaws.com"' not in policy.inputs["policy"]:
                yield f"{name}: not from {service}"


@question(setting("LogGroup", retentionInDays=None))
def logs_are_kept_for_a_time_and_not_for_ever(graph: Graph) -> Iterator[str]:
    for name, group in graph.all_of("LogGroup").items():
        if not group.inputs.get("retentionInDays"):
            yield name
