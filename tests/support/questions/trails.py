"""What is noted down, for whoever looks into an incident, and what is left out of it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from operations.graph import ACCOUNT_ID, Graph, outputs_of
from questions.asking import changed, in_policy, question, setting, without

OPENS_DOORS = {"authorization", "cookie"}
"""Headers by which somebody else could come in: a log is read by more people than may do that."""


@question(setting("LogGroup", retentionInDays=None))
def logs_are_kept_for_a_time_and_not_for_ever(graph: Graph) -> Iterator[str]:
    for name, group in graph.all_of("LogGroup").items():
        if not group.inputs.get("retentionInDays"):
            yield name


def _takes(graph: Graph, bucket: str, service: str, path: str) -> bool:
    """Tell whether a bucket's policy lets a service of AWS write under a path, for this account."""
    policy = graph.all_of("BucketPolicy").get(bucket)
    statements = json.loads(policy.inputs["policy"])["Statement"] if policy else []
    return any(
        one["Effect"] == "Allow"
        and one["Principal"] == {"Service": f"{service}.amazonaws.com"}
        and one["Action"] == "s3:PutObject"
        and f"arn:aws:s3:::{bucket}/{path}".startswith(one["Resource"].removesuffix("*"))
        and ACCOUNT_ID in json.dumps(one["Condition"])
        for one in statements
    )


def _closing(about: str) -> Any:
    """Take back a bucket's permission for AWS to write."""
    return in_policy(
        "BucketPolicy",
        lambda one: one.update(Effect="Deny"),
        f"-access-logs-{ACCOUNT_ID}",
        about=about,
    )


@question(
    changed("LoadBalancer", lambda inputs: inputs["accessLogs"].update(enabled=False)),
    changed("LoadBalancer", lambda inputs: inputs["accessLogs"].update(bucket="elsewhere")),
    _closing("LoadBalancerWrites"),
    without("FlowLog"),
    setting("FlowLog", trafficType="ACCEPT"),
    _closing("AWSLogDeliveryWrite"),
    without("BucketLogging"),
    _closing("BucketsWrite"),
)
def who_came_in_and_who_was_refused_is_noted_where_it_can_be(graph: Graph) -> Iterator[str]:
    if not graph.all_of("LoadBalancer"):  # on one machine there is nobody to note
        return
    for name, balancer in graph.all_of("LoadBalancer").items():
        log = balancer.inputs["accessLogs"]
        if not log["enabled"]:
            yield f"{name}: no access log"
        path = f"AWSLogs/{ACCOUNT_ID}/log"
        if not _takes(graph, log["bucket"], "logdelivery.elasticloadbalancing", path):
            yield f"{name}: {log['bucket']} does not take its log"
    for name, vpc in graph.all_of("Vpc").items():
        flows = [one for one in graph.all_of("FlowLog").values() if graph.refers(one, vpc)]
        if not any(one.inputs["trafficType"] in {"ALL", "REJECT"} for one in flows):
            yield f"{name}: nobody notes what is refused"
        for flow in flows:
            bucket, _, folder = (
                flow.inputs["logDestination"].removeprefix("arn:aws:s3:::").partition("/")
            )
            if not _takes(graph, bucket, "delivery.logs", f"{folder}AWSLogs/{ACCOUNT_ID}/log"):
                yield f"{name}: {bucket} does not take its log"
    logged = {one.inputs["bucket"]: one.inputs for one in graph.all_of("BucketLogging").values()}
    for name, bucket in graph.all_of("Bucket").items():
        if "-access-logs-" in name or bucket.inputs.get("region"):  # of itself, or a copy
            continue
        log = logged.get(name)
        if log is None:
            yield f"{name}: no access log"
        elif not _takes(graph, log["targetBucket"], "logging.s3", f"{log['targetPrefix']}log"):
            yield f"{name}: {log['targetBucket']} does not take its log"


@question(
    without("WebAclLoggingConfiguration"),
    setting("WebAclLoggingConfiguration", redactedFields=[{"singleHeader": {"name": "cookie"}}]),
    setting("WebAclLoggingConfiguration", logDestinationConfigs=["arn:aws:s3:::elsewhere"]),
    changed(
        "WebAclLoggingConfiguration",
        lambda inputs: inputs["loggingFilter"].update(defaultBehavior="KEEP"),
    ),
    changed("LogGroup", lambda inputs: inputs.update(name="prod-retainwise-firewall"), "-firewall"),
    changed(
        "WebAcl",
        lambda inputs: inputs["rules"][1]["visibilityConfig"].update(sampledRequestsEnabled=True),
    ),
    changed(
        "WebAcl", lambda inputs: inputs["visibilityConfig"].update(sampledRequestsEnabled=True)
    ),
)
def the_firewall_notes_what_it_refuses_and_nothing_that_opens_a_door(
    graph: Graph,
) -> Iterator[str]:
    groups = {
        outputs_of(one, graph.region)["arn"]: one for one in graph.all_of("LogGroup").values()
    }
    for name, acl in graph.all_of("WebAcl").items():
        logs = [
            one
            for one in graph.all_of("WebAclLoggingConfiguration").values()
            if graph.refers(one, acl)
        ]
        if not logs:
            yield f"{name}: notes nothing"
        for log in logs:
            hidden = {one["singleHeader"]["name"] for one in log.inputs["redactedFields"]}
            if not hidden >= OPENS_DOORS:
                yield f"{name}: notes {OPENS_DOORS - hidden}"
            if not _only_refused(log.inputs["loggingFilter"]):
                yield f"{name}: notes what it lets pass"
            for destination in log.inputs["logDestinationConfigs"]:
                group = groups.get(destination)
                # docs.aws.amazon.com/waf/latest/developerguide/logging-cw-logs.html
                if group is None or not group.inputs["name"].startswith("aws-waf-logs-"):
                    yield f"{name}: its log can not go to {destination}"
        # A sample is kept with its headers, and is redacted by nothing of the above.
        for one in (acl.inputs, *acl.inputs["rules"]):
            if one["visibilityConfig"]["sampledRequestsEnabled"]:
                yield f"{name}: keeps samples of {one['name']}"


def _only_refused(filters: Mapping[str, Any]) -> bool:
    kept = {
        one["actionCondition"]["action"]
        for each in filters["filters"]
        for one in each["conditions"]
        if each["behavior"] == "KEEP"
    }
    return filters["defaultBehavior"] == "DROP" and "BLOCK" in kept and "ALLOW" not in kept
