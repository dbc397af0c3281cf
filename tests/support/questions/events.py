"""Who is told of what is no number: events, and the topic that all goes through."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from operations.graph import ACCOUNT_ID, Graph
from questions.asking import Break, changed, question, without

_JOB_FIELDS: Mapping[str, frozenset[str]] = {"statusMessage": frozenset()}
EVENTS: Mapping[tuple[str, str], Mapping[str, frozenset[str]]] = {
    # docs.aws.amazon.com/AmazonECS/latest/developerguide/ecs_service_deployment_events.html
    ("aws.ecs", "ECS Deployment State Change"): {
        "eventName": frozenset(
            {
                "SERVICE_DEPLOYMENT_COMPLETED",
                "SERVICE_DEPLOYMENT_FAILED",
                "SERVICE_DEPLOYMENT_IN_PROGRESS",
            }
        ),
        "reason": frozenset(),
    },
    # docs.aws.amazon.com/aws-backup/latest/devguide/eventbridge.html
    ("aws.backup", "Backup Job State Change"): _JOB_FIELDS
    | {"state": frozenset({"ABORTED", "COMPLETED", "CREATED", "EXPIRED", "FAILED", "RUNNING"})},
    ("aws.backup", "Copy Job State Change"): _JOB_FIELDS
    | {"state": frozenset({"COMPLETED", "CREATED", "FAILED", "RUNNING"})},
}
"""What AWS sends, of what is of use here: the fields of the detail with their values."""

MUST_BE_TOLD = {
    ("ECS Deployment State Change", "SERVICE_DEPLOYMENT_FAILED"),
    ("Backup Job State Change", "ABORTED"),
    ("Backup Job State Change", "EXPIRED"),
    ("Backup Job State Change", "FAILED"),
    ("Copy Job State Change", "FAILED"),
}
"""Ends that nobody would notice otherwise."""


@question(without("EventTarget"), without("TopicSubscription"))
def every_event_reaches_somebody(graph: Graph) -> Iterator[str]:
    for name in graph.all_of("EventRule"):
        if name not in graph.all_of("EventTarget"):
            yield f"{name} tells nobody"
    if graph.stack == "prod" and not graph.all_of("TopicSubscription"):
        yield "nobody is there to be told"
    for name, policy in graph.all_of("TopicPolicy").items():
        for service in ("budgets", "cloudwatch", "events"):
            if f'"{service}.amazonaws.com"' not in policy.inputs["policy"]:
                yield f"{name}: not from {service}"


def _in_pattern(change: Callable[[dict[str, Any]], object], end: str) -> Break:
    def run(inputs: dict[str, Any]) -> None:
        pattern = json.loads(inputs["eventPattern"])
        change(pattern)
        inputs["eventPattern"] = json.dumps(pattern)

    return changed("EventRule", run, end)


@question(
    _in_pattern(lambda one: one.update(source=["ecs"]), "-deploy-rolled-back"),
    _in_pattern(
        lambda one: one.update({"detail-type": ["ECS Service Deployment"]}), "-deploy-rolled-back"
    ),
    _in_pattern(
        lambda one: one.update(detail={"eventName": ["SERVICE_DEPLOYMENT_FAIL"]}),
        "-deploy-rolled-back",
    ),
    _in_pattern(lambda one: one["resources"].pop(), "-deploy-rolled-back"),
    _in_pattern(lambda one: one.update(detail={"status": ["FAILED"]}), "-backup-failed"),
    _in_pattern(lambda one: one["detail-type"].pop(), "-backup-failed"),
    _in_pattern(lambda one: one["detail"]["state"].remove("FAILED"), "-backup-failed"),
    changed(
        "EventTarget",
        lambda inputs: inputs["inputTransformer"]["inputPaths"].update(reason="$.detail.why"),
    ),
    changed("EventTarget", lambda inputs: inputs["inputTransformer"]["inputPaths"].pop("reason")),
)
def each_event_that_is_waited_for_is_one_that_aws_sends(graph: Graph) -> Iterator[str]:
    awaited = set()
    for name, rule in graph.all_of("EventRule").items():
        pattern = json.loads(rule.inputs["eventPattern"])
        details = pattern["detail"]
        for source in pattern["source"]:
            for kind in pattern["detail-type"]:
                sent = EVENTS.get((source, kind))
                if sent is None:
                    yield f"{name}: {source} sends no {kind}"
                    continue
                awaited |= {(kind, value) for one in details.values() for value in one}
                yield from (f"{name}: {kind} has no {key}" for key in details.keys() - sent.keys())
                yield from _worded(graph.all_of("EventTarget")[name].inputs, sent)
        known = {value for sent in EVENTS.values() for values in sent.values() for value in values}
        for values in details.values():
            yield from (f"{name}: {value}" for value in set(values) - known)
        if "resources" in pattern and not all(
            any(_matches(wanted, arn) for wanted in pattern["resources"])
            for arn in _services(graph)
        ):
            yield f"{name}: not of every service"
    yield from (f"nobody waits for {missed}" for missed in sorted(MUST_BE_TOLD - awaited))


def _worded(target: Mapping[str, Any], sent: Mapping[str, Any]) -> Iterator[str]:
    """What a message says that is in no event."""
    paths = target["inputTransformer"]["inputPaths"]
    for path in paths.values():
        field = path.removeprefix("$.detail.")
        if field not in sent and path != "$.resources[0]":
            yield f"{target['rule']}: no event has {path}"
    for word in re.findall(r"<(\w+)>", target["inputTransformer"]["inputTemplate"]):
        if word not in paths:
            yield f"{target['rule']}: {word} stands for nothing"


def _services(graph: Graph) -> list[str]:
    """The ARNs of the services, as ECS names them in its events."""
    return [
        f"arn:aws:ecs:{graph.region}:{ACCOUNT_ID}:service/"
        f"{one.inputs['cluster'].rpartition('/')[2]}/{one.inputs['name']}"
        for one in graph.all_of("Service").values()
    ]


def _matches(wanted: str | Mapping[str, str], value: str) -> bool:
    """Match as EventBridge does: a text, or what it begins with."""
    return value == wanted if isinstance(wanted, str) else value.startswith(wanted["prefix"])
