"""What is kept: closed, encrypted, protected, and to be had back."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from infra.deletions import HOOK
from operations.graph import Graph, kind_of
from questions.asking import changed, in_policy, question, setting, without

STATEFUL = {
    "Bucket",
    "Table",
    "Queue",
    "Key",
    "ReplicaKey",
    "UserPool",
    "Vault",
    "LoadBalancer",
    "Stack",
}
# Of these two with one name can be there at a time, or a new one is a new revision.
SAME_NAME_TWICE = {
    "Plan": "AWS gives plans ids",
    "Record": "a record is written over",
    "Selection": "AWS gives selections ids",
    "UserPoolClient": "AWS gives clients ids",
}


def _has_denial_of_plain_http(document: Mapping[str, Any]) -> bool:
    return any(
        statement["Effect"] == "Deny"
        and statement["Principal"] == "*"
        and statement.get("Condition") == {"Bool": {"aws:SecureTransport": "false"}}
        for statement in document["Statement"]
    )


@question(in_policy("BucketPolicy", lambda statement: statement.update(Effect="Allow")))
def every_bucket_queue_and_topic_refuses_plain_http(graph: Graph) -> Iterator[str]:
    kinds = {"Bucket": "BucketPolicy", "Queue": "QueuePolicy", "Topic": "TopicPolicy"}
    for kind, policy_kind in kinds.items():
        policies = graph.all_of(policy_kind).values()
        for name, one in graph.all_of(kind).items():
            key = {"Bucket": "bucket", "Queue": "queueUrl", "Topic": "arn"}[kind]
            own = [policy for policy in policies if str(policy.inputs[key]).endswith(name)]
            if not any(_has_denial_of_plain_http(json.loads(p.inputs["policy"])) for p in own):
                yield f"{kind} {name}"
            assert one


@question(without("BucketPublicAccessBlock"))
def every_bucket_is_closed_versioned_encrypted_and_tidied(graph: Graph) -> Iterator[str]:
    settings = {
        "BucketPublicAccessBlock": lambda i: all(
            v for k, v in i.items() if k not in {"bucket", "region"}
        ),
        "BucketVersioning": lambda i: i["versioningConfiguration"] == {"status": "Enabled"},
        "BucketServerSideEncryptionConfiguration": lambda i: bool(i["rules"]),
        "BucketOwnershipControls": lambda i: (
            i["rule"] == {"objectOwnership": "BucketOwnerEnforced"}
        ),
        "BucketLifecycleConfiguration": lambda i: any(
            "abortIncompleteMultipartUpload" in rule for rule in i["rules"]
        ),
    }
    for name in graph.all_of("Bucket"):
        for kind, is_good in settings.items():
            own = [one for one in graph.all_of(kind).values() if one.inputs["bucket"] == name]
            if not own or not all(is_good(one.inputs) for one in own):
                yield f"{name}: {kind}"


def _without_key(inputs: dict[str, Any]) -> None:
    inputs["templateBody"] = inputs["templateBody"].replace("KmsKeyId", "Tags")


@question(setting("Queue", kmsMasterKeyId=None), changed("Stack", _without_key))
def what_is_kept_is_encrypted_with_the_stacks_key(graph: Graph) -> Iterator[str]:
    places = {
        "Queue": "kmsMasterKeyId",
        "Topic": "kmsMasterKeyId",
        "LogGroup": "kmsKeyId",
        "Vault": "kmsKeyArn",
        "Table": "serverSideEncryption",
        "Stack": "parameters",
    }
    for kind, key in places.items():
        for name, one in graph.all_of(kind).items():
            if ":key/" not in json.dumps(one.inputs.get(key)):
                yield f"{kind} {name}"
    for name, one in graph.all_of("Stack").items():
        for secret in json.loads(one.inputs["templateBody"])["Resources"].values():
            if secret["Properties"].get("KmsKeyId") != {"Ref": "KeyArn"}:
                yield f"Stack {name}: its secret"
    for name, one in graph.all_of("BucketServerSideEncryptionConfiguration").items():
        # What the load balancer writes, no key of ours can encrypt.
        if ":key/" not in json.dumps(one.inputs["rules"]) and "-access-logs-" not in name:
            yield name


@question(setting("Table", pointInTimeRecovery={"enabled": False}))
def the_table_can_be_had_back(graph: Graph) -> Iterator[str]:
    for name, table in graph.all_of("Table").items():
        if table.inputs.get("pointInTimeRecovery") != {"enabled": True}:
            yield f"{name}: as it was at any time"
        if not any(graph.refers(one, table) for one in graph.all_of("Selection").values()):
            yield f"{name}: from a backup"


@question(changed("Key", lambda _: None, protect=False))
def what_holds_data_is_protected_unless_the_stack_can_be_torn_down(graph: Graph) -> Iterator[str]:
    is_guarded = graph.stack != "dev"
    for one in graph.resources:
        if kind_of(one) not in STATEFUL or "-access-logs-" in one.name:
            continue
        if one.protect != is_guarded:
            yield f"{kind_of(one)} {one.name}"
    own = {
        "Table": ("deletionProtectionEnabled", is_guarded),
        "Bucket": ("forceDestroy", not is_guarded),
        "LoadBalancer": ("enableDeletionProtection", is_guarded),
        "Vault": ("forceDestroy", not is_guarded),
        "UserPool": ("deletionProtection", "ACTIVE" if is_guarded else "INACTIVE"),
    }
    for kind, (key, value) in own.items():
        for name, one in graph.all_of(kind).items():
            if one.inputs[key] != value and "-access-logs-" not in name:
                yield f"{kind} {name}: {key}"


@question(changed("Subnet", lambda _: None, before_delete=()))
def only_a_deploy_deletes_anything_unless_the_stack_can_be_torn_down(
    graph: Graph,
) -> Iterator[str]:
    fence = () if graph.stack == "dev" else (HOOK,)
    for one in graph.resources:
        if one.before_delete != fence:
            yield f"{kind_of(one)} {one.name}"


@question(changed("Queue", lambda _: None, delete_before_replace=False))
def what_has_a_fixed_name_goes_before_its_successor_comes(graph: Graph) -> Iterator[str]:
    for one in graph.resources:
        names = {"name", "bucket"} if kind_of(one) == "Bucket" else {"name"}
        is_named = any(one.inputs.get(key) for key in names)
        if is_named and not one.delete_before_replace and kind_of(one) not in SAME_NAME_TWICE:
            yield f"{kind_of(one)} {one.name}"


@question(changed("Queue", lambda inputs: inputs.update(visibilityTimeoutSeconds=31), "-queue"))
def a_message_is_hidden_for_exactly_the_lease(graph: Graph) -> Iterator[str]:
    environment = graph.containers()["worker"]["environment"]
    [lease] = [one["value"] for one in environment if one["name"] == "LEASE_S"]
    queue = graph.all_of("Queue")[f"{graph.stack}-retainwise-predictions-queue"]
    if str(queue.inputs["visibilityTimeoutSeconds"]) != lease:
        yield f"hidden for {queue.inputs['visibilityTimeoutSeconds']} s, leased for {lease} s"


@question(changed("Queue", lambda inputs: inputs.update(messageRetentionSeconds=60), "-dlq"))
def dead_letters_are_kept_longer_than_messages_and_come_from_one_queue(
    graph: Graph,
) -> Iterator[str]:
    prefix, queues = f"{graph.stack}-retainwise-predictions", graph.all_of("Queue")
    queue, dlq = queues[f"{prefix}-queue"].inputs, queues[f"{prefix}-dlq"].inputs
    if dlq["messageRetentionSeconds"] <= queue["messageRetentionSeconds"]:
        yield "the dead-letter queue forgets first"
    if not json.loads(queue["redrivePolicy"])["deadLetterTargetArn"].endswith(f":{prefix}-dlq"):
        yield "dead letters go elsewhere"
    [allowed] = graph.all_of("RedriveAllowPolicy").values()
    source = f"{prefix}-queue"
    policy = json.loads(allowed.inputs["redriveAllowPolicy"])
    if policy["redrivePermission"] != "byQueue" or source not in policy["sourceQueueArns"][0]:
        yield "any queue may use the dead-letter queue"
