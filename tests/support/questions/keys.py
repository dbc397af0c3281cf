"""What everything is encrypted with, and whom the keys let in."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from operations.graph import ACCOUNT_ID, Graph, outputs_of
from questions.asking import in_policy, question, setting

LONGEST_WINDOW_DAYS = 30
"""docs.aws.amazon.com/kms/latest/APIReference/API_ScheduleKeyDeletion.html"""

SAYS_NOT_FOR_WHOM = {"events.amazonaws.com"}
"""Of EventBridge no condition can be asked: docs.aws.amazon.com/eventbridge/latest/userguide/
eb-use-resource-based.html"""


@question(
    setting("Key", enableKeyRotation=False),
    setting("Key", multiRegion=False),
    setting("Key", deletionWindowInDays=7),
    setting("ReplicaKey", deletionWindowInDays=7),
    setting("ReplicaKey", primaryKeyArn="arn:aws:kms:eu-west-1:111122223333:key/other"),
)
def a_key_is_renewed_can_be_copied_and_goes_as_late_as_aws_lets_it(graph: Graph) -> Iterator[str]:
    """With a key goes all that it has encrypted, and none can be made multi-region later."""
    keys = graph.all_of("Key")
    assert keys
    for name, key in keys.items():
        if not (key.inputs["enableKeyRotation"] and key.inputs["multiRegion"]):
            yield name
    arns = {outputs_of(key, graph.region)["arn"] for key in keys.values()}
    for name, key in graph.all_of("Key", "ReplicaKey").items():
        if key.inputs["deletionWindowInDays"] != LONGEST_WINDOW_DAYS:
            yield f"{name}: gone after {key.inputs['deletionWindowInDays']} days"
        if key.inputs.get("primaryKeyArn", min(arns)) not in arns:
            yield f"{name}: of another key"


def _principals(statement: Mapping[str, Any], kind: str) -> list[str]:
    found = statement["Principal"].get(kind, [])
    return [found] if isinstance(found, str) else found


def _for_every_log(statement: dict[str, Any]) -> None:
    statement["Condition"]["StringLike"]["kms:EncryptionContext:aws:logs:arn"] = "*"


@question(
    in_policy("Key", lambda one: one.pop("Condition"), about="logs."),
    in_policy("Key", _for_every_log, about="logs."),
    in_policy("ReplicaKey", lambda one: one.pop("Condition"), about="logs."),
    in_policy(
        "Key",
        lambda one: one.update(Principal={"Service": "logs.us-east-1.amazonaws.com"}),
        about="logs.",
    ),
    in_policy("Key", lambda one: one.pop("Condition"), about="budgets."),
    in_policy(
        "Key", lambda one: one.update(Principal={"Service": "sns.amazonaws.com"}), about="events."
    ),
    in_policy("Key", lambda one: one.update(Action=["kms:Decrypt"]), about="events."),
    in_policy("Key", lambda one: one.update(Principal={"AWS": "arn:aws:iam::999999999999:root"})),
)
def a_key_lets_in_this_account_and_the_services_that_need_it_for_this_account(
    graph: Graph,
) -> Iterator[str]:
    tell = {
        service
        for policy in graph.all_of("TopicPolicy").values()
        for statement in json.loads(policy.inputs["policy"])["Statement"]
        if statement["Effect"] == "Allow"
        for service in _principals(statement, "Service")
    }
    assert tell
    for name, key in graph.all_of("Key", "ReplicaKey").items():
        region = key.inputs.get("region", graph.region)
        logs, let_in = f"logs.{region}.amazonaws.com", {}
        for statement in json.loads(key.inputs["policy"])["Statement"]:
            for principal in _principals(statement, "AWS"):
                if principal != f"arn:aws:iam::{ACCOUNT_ID}:root":
                    yield f"{name}: lets in {principal}"
            for service in _principals(statement, "Service"):
                let_in[service] = set(statement["Action"])
                if not _is_for_this_account(service, statement, region):
                    yield f"{name}: lets {service} in for whichever account"
        # docs.aws.amazon.com/AmazonCloudWatch/latest/logs/encrypt-log-data-kms.html: where a log
        # group is there. .../sns/latest/dg/sns-key-management.html: who writes to a topic.
        needed = {logs: {"kms:Decrypt", "kms:Encrypt", "kms:GenerateDataKey"}}
        if "region" not in key.inputs:
            needed |= {service: {"kms:Decrypt", "kms:GenerateDataKey"} for service in tell}
        for service in needed.keys() ^ let_in.keys():
            if service in needed or "region" not in key.inputs:
                yield f"{name}: {service}"
        for service in needed.keys() & let_in.keys():
            if not needed[service] <= let_in[service]:
                yield f"{name}: {service} lacks {needed[service] - let_in[service]}"


def _is_for_this_account(service: str, statement: Mapping[str, Any], region: str) -> bool:
    condition = statement.get("Condition", {})
    if service.startswith("logs."):
        groups = condition.get("StringLike", {}).get("kms:EncryptionContext:aws:logs:arn", "*")
        return str(groups).startswith(f"arn:aws:logs:{region}:{ACCOUNT_ID}:log-group:")
    account = condition.get("StringEquals", {}).get("aws:SourceAccount")
    return account == ACCOUNT_ID or service in SAYS_NOT_FOR_WHOM
