"""Copies of what must never be lost: in another region, and from each night."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from operations.graph import Graph, outputs_of
from questions.asking import Break, changed, question, setting, without

EACH_NIGHT = re.compile(r"cron\(\d+ \d+ \* \* \? \*\)")
"""At one time of each day: docs.aws.amazon.com/aws-backup/latest/devguide/API_BackupRule.html"""

POINT_IN_TIME_DAYS = 35
"""How far DynamoDB goes back by itself, at the most and by default."""


def _away(graph: Graph) -> bool:
    """Whether the stack has a recovery region."""
    return bool(graph.all_of("ReplicaKey"))


def _encrypted_with(graph: Graph, bucket: str) -> str:
    [rule] = graph.all_of("BucketServerSideEncryptionConfiguration")[bucket].inputs["rules"]
    key: str = rule["applyServerSideEncryptionByDefault"]["kmsMasterKeyId"]
    return key


def _copying(**changes: object) -> Break:
    """Change how the first bucket is copied."""
    return changed("BucketReplicationConfig", lambda inputs: inputs["rules"][0].update(changes))


@question(
    without("BucketReplicationConfig"),
    _copying(status="Disabled"),
    _copying(filter={"prefix": "results/"}),
    _copying(deleteMarkerReplication={"status": "Disabled"}),
    _copying(sourceSelectionCriteria={}),
    changed(
        "BucketReplicationConfig",
        lambda inputs: inputs["rules"][0]["destination"].update(
            encryptionConfiguration={
                "replicaKmsKeyId": "arn:aws:kms:eu-west-1:111122223333:key/prod-retainwise"
            }
        ),
    ),
    changed(
        "BucketReplicationConfig",
        lambda inputs: inputs["rules"][0]["destination"].update(
            bucket="arn:aws:s3:::prod-retainwise-uploads-111122223333"
        ),
    ),
)
def all_of_each_file_s_bucket_is_copied_with_the_key_of_where_it_goes(
    graph: Graph,
) -> Iterator[str]:
    """Without the criteria S3 leaves out what KMS has encrypted, which is everything.

    docs.aws.amazon.com/AmazonS3/latest/userguide/replication-config-for-kms-objects.html
    """
    if not _away(graph):
        return
    buckets = graph.all_of("Bucket")
    copied = {one.inputs["bucket"] for one in graph.all_of("BucketReplicationConfig").values()}
    for name, bucket in buckets.items():
        if name not in copied and not bucket.inputs.get("region") and "-access-logs-" not in name:
            yield f"{name} is not copied"
    on = {"status": "Enabled"}
    for name, one in graph.all_of("BucketReplicationConfig").items():
        [rule] = one.inputs["rules"]
        if rule["status"] != "Enabled" or rule["filter"] != {"prefix": ""}:
            yield f"{name}: not all"
        if rule["deleteMarkerReplication"] != on:
            yield f"{name}: what was erased stays in the copy"
        if rule.get("sourceSelectionCriteria") != {"sseKmsEncryptedObjects": on}:
            yield f"{name}: nothing that is encrypted"
        destination = rule["destination"]
        copy = destination["bucket"].removeprefix("arn:aws:s3:::")
        if buckets[copy].inputs.get("region") in (None, graph.region):
            yield f"{name}: into the same region"
        key = destination["encryptionConfiguration"]["replicaKmsKeyId"]
        if key != _encrypted_with(graph, copy):
            yield f"{name}: encrypted with {key}"


def _may(change: Any) -> Break:
    """Change what the role that copies the first bucket may do."""

    def run(inputs: dict[str, Any]) -> None:
        document = json.loads(inputs["policy"])
        change(document["Statement"])
        inputs["policy"] = json.dumps(document)

    return changed("RolePolicy", run, "-results-recovery")


@question(
    _may(lambda statements: statements[3].update(Resource=["arn:aws:kms:eu-west-1:1:key/other"])),
    _may(lambda statements: statements.pop(3)),
    _may(lambda statements: statements[4].update(Action=["kms:Decrypt", "kms:Encrypt"])),
    _may(lambda statements: statements[1].update(Resource=["arn:aws:s3:::prod-retainwise-*/*"])),
    _may(lambda statements: statements[2]["Action"].append("s3:ObjectOwnerOverrideToBucketOwner")),
)
def who_copies_reads_the_one_bucket_and_writes_the_other_with_their_keys(
    graph: Graph,
) -> Iterator[str]:
    """docs.aws.amazon.com/AmazonS3/latest/userguide/setting-repl-config-perm-overview.html"""
    for name, one in graph.all_of("BucketReplicationConfig").items():
        source, role = one.inputs["bucket"], one.inputs["role"].rpartition("/")[2]
        copy = one.inputs["rules"][0]["destination"]["bucket"].removeprefix("arn:aws:s3:::")
        needed = {
            *(
                (f"s3:{action}", f"arn:aws:s3:::{source}")
                for action in ("GetReplicationConfiguration", "ListBucket")
            ),
            *(
                (f"s3:GetObjectVersion{what}", f"arn:aws:s3:::{source}/*")
                for what in ("Acl", "ForReplication", "Tagging")
            ),
            *(
                (f"s3:Replicate{what}", f"arn:aws:s3:::{copy}/*")
                for what in ("Delete", "Object", "Tags")
            ),
            ("kms:Decrypt", _encrypted_with(graph, source)),
            ("kms:Encrypt", _encrypted_with(graph, copy)),
            ("kms:GenerateDataKey", _encrypted_with(graph, copy)),
        }
        granted = {
            (action, resource)
            for statement in json.loads(graph.all_of("RolePolicy")[role].inputs["policy"])[
                "Statement"
            ]
            for action in statement["Action"]
            for resource in statement["Resource"]
        }
        if granted != needed:
            yield f"{name}: {granted ^ needed}"


def _backing_up(**changes: object) -> Break:
    """Change the rule of the backups."""
    return changed("Plan", lambda inputs: inputs["rules"][0].update(changes))


def _region_of(vault_arn: str) -> str:
    return vault_arn.split(":")[3]


@question(
    without("Plan"),
    _backing_up(schedule="cron(0 3 1 1 ? *)"),
    _backing_up(lifecycle=None),
    _backing_up(lifecycle={"deleteAfter": 1}),
    _backing_up(copyActions=[]),
    changed(
        "Plan",
        lambda inputs: inputs["rules"][0]["copyActions"][0].update(lifecycle={"deleteAfter": 1}),
    ),
    changed(
        "Plan",
        lambda inputs: inputs["rules"][0]["copyActions"][0].update(
            destinationVaultArn="arn:aws:backup:eu-west-1:111122223333:backup-vault:prod-retainwise-backup"
        ),
    ),
    _backing_up(targetVaultName="elsewhere"),
    setting("Selection", planId="another"),
)
def the_records_are_backed_up_each_night_and_copied_away_for_as_long(
    graph: Graph,
) -> Iterator[str]:
    """One that goes before what the table can do by itself would be of no use."""
    vaults = graph.all_of("Vault")
    arns = {outputs_of(one, graph.region)["arn"] for one in vaults.values()}
    rules = [
        (name, rule) for name, one in graph.all_of("Plan").items() for rule in one.inputs["rules"]
    ]
    if not rules:
        yield "there are no backups"
    for name, rule in rules:
        if not EACH_NIGHT.fullmatch(rule["schedule"]):
            yield f"{name}: {rule['schedule']}"
        if rule["targetVaultName"] not in vaults:
            yield f"{name}: into {rule['targetVaultName']}"
        kept_days = (rule["lifecycle"] or {}).get("deleteAfter")
        if kept_days is None:
            yield f"{name}: kept for ever"
        elif kept_days < POINT_IN_TIME_DAYS and graph.stack != "dev":
            yield f"{name}: kept for {kept_days} days"
        copies = rule.get("copyActions", [])
        if bool(copies) != _away(graph):
            yield f"{name}: copied to {copies}"
        for copy in copies:
            arn = copy["destinationVaultArn"]
            if arn not in arns or _region_of(arn) == graph.region:
                yield f"{name}: copied to {arn}"
            if copy["lifecycle"] != rule["lifecycle"]:
                yield f"{name}: its copy is kept for {copy['lifecycle']}"
    for name, plan in graph.all_of("Plan").items():
        if not any(graph.refers(one, plan) for one in graph.all_of("Selection").values()):
            yield f"{name}: of nothing"
