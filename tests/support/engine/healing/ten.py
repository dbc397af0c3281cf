"""A program of ten resources whose every version changes, replaces or moves each of them."""

from __future__ import annotations

from string import Template

from emulator import Emulator

STACK = "dev"
NAME = "dev-retainwise"
EMPTY = 0
"""The version in which nothing is declared."""

# Replaced in both ways: `tasks` is deleted first, the subscription is created first.
_PROGRAM = Template("""
import json

import pulumi
import pulumi_aws as aws

version = $version
name = "dev-retainwise"

ecs = {"Service": "ecs-tasks.amazonaws.com"}
trust = {"Effect": "Allow", "Principal": ecs, "Action": "sts:AssumeRole"}
role = aws.iam.Role(
    "role",
    name=f"{name}-role",
    assume_role_policy=json.dumps({"Version": "2012-10-17", "Statement": [trust]}),
    max_session_duration=3600 + version,
)
letters = aws.sqs.Queue("letters", name=f"{name}-letters", message_retention_seconds=600 + version)
jobs = aws.sqs.Queue(
    "jobs",
    name=f"{name}-jobs",
    visibility_timeout_seconds=30 + version,
    redrive_policy=letters.arn.apply(
        lambda arn: json.dumps({"deadLetterTargetArn": arn, "maxReceiveCount": 3})
    ),
)
tasks = aws.sqs.Queue(
    "tasks",
    name=f"{name}-tasks-{version % 2}",
    opts=pulumi.ResourceOptions(delete_before_replace=True),
)
send = {"Effect": "Allow", "Action": "sqs:SendMessage", "Sid": f"v{version}"}
aws.iam.RolePolicy(
    "send",
    name="send",
    role=role.name,
    policy=jobs.arn.apply(
        lambda arn: json.dumps({"Version": "2012-10-17", "Statement": [send | {"Resource": arn}]})
    ),
)
topic = aws.sns.Topic("news", name=f"{name}-news", tags={"version": str(version)})
aws.sns.TopicSubscription(
    "reader", topic=topic.arn, protocol="sqs", endpoint=(letters if version % 2 else jobs).arn
)
aws.cloudwatch.LogGroup("log", name=f"{name}-log", retention_in_days=7 if version % 2 else 14)
aws.cloudwatch.EventRule(
    "hourly", name=f"{name}-hourly", schedule_expression=f"rate({1 + version} hours)"
)
aws.cloudwatch.MetricAlarm(
    "waiting",
    name=f"{name}-waiting",
    comparison_operator="GreaterThanThreshold",
    evaluation_periods=1,
    metric_name="ApproximateNumberOfMessagesVisible",
    namespace="AWS/SQS",
    period=60,
    statistic="Sum",
    threshold=float(version),
    dimensions={"QueueName": jobs.name},
    alarm_actions=[topic.arn],
)
""")

MAY_GO = ("letters", "jobs", "tasks", "log")
"""What holds data in it, and may be replaced and deleted."""


def program(version: int) -> str:
    """Return the program of a version."""
    return "" if version == EMPTY else _PROGRAM.substitute(version=version)


def in_account(emulator: Emulator) -> dict[str, list[str]]:
    """List what is in the account by type, whoever made it; nothing of the bootstrap's."""
    client = emulator.client
    queues = client("sqs").list_queues().get("QueueUrls", [])
    roles = [one["RoleName"] for one in client("iam").list_roles()["Roles"]]
    role = f"{NAME}-role"
    policies = client("iam").list_role_policies(RoleName=role) if role in roles else {}
    log_groups = client("logs").describe_log_groups(logGroupNamePrefix=NAME)["logGroups"]
    alarms = client("cloudwatch").describe_alarms()["MetricAlarms"]
    subscriptions = client("sns").list_subscriptions()["Subscriptions"]
    return {
        "alarms": sorted(one["AlarmName"] for one in alarms),
        "log groups": sorted(one["logGroupName"] for one in log_groups),
        "policies": sorted(policies.get("PolicyNames", [])),
        "queues": sorted(_last(one, "/") for one in queues),
        "roles": sorted(set(roles) & {role}),
        "rules": sorted(one["Name"] for one in client("events").list_rules()["Rules"]),
        "subscriptions": sorted(_last(one["Endpoint"]) for one in subscriptions),
        "topics": sorted(_last(one["TopicArn"]) for one in client("sns").list_topics()["Topics"]),
    }


def declared(version: int) -> dict[str, list[str]]:
    """Say what `in_account` has to list for a version."""
    if version == EMPTY:
        return {kind: [] for kind in declared(1)}
    odd = version % 2
    queues = [f"{NAME}-jobs", f"{NAME}-letters", f"{NAME}-tasks-{odd}"]
    return {
        "alarms": [f"{NAME}-waiting"],
        "log groups": [f"{NAME}-log"],
        "policies": ["send"],
        "queues": queues,
        "roles": [f"{NAME}-role"],
        "rules": [f"{NAME}-hourly"],
        "subscriptions": [queues[1] if odd else queues[0]],
        "topics": [f"{NAME}-news"],
    }


def changes(before: int, after: int) -> int:
    """Count what a deploy makes, changes and deletes between two versions."""
    if EMPTY in (before, after):
        return 10
    # What is odd or even replaces two, which is two changes each, and changes the log group.
    return 12 if (before + after) % 2 else 7


def _last(text: str, separator: str = ":") -> str:
    return text.rpartition(separator)[2]
