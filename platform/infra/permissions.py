"""What each service's code may do, derived from the calls it makes and nothing more.

tests/localcloud/test_permissions.py makes the services' calls under these policies: taking any
action away makes one of them fail.
"""

from __future__ import annotations

from collections.abc import Sequence

import pulumi
import pulumi_aws as aws

from infra.identity import Account, Statement, allow
from infra.keys import DataKey
from infra.queues import PredictionsQueue
from infra.storage import PrivateBucket, Storage

_RECORD_STEPS = (
    "dynamodb:GetItem",
    "dynamodb:PutItem",
    "dynamodb:UpdateItem",
    "dynamodb:DeleteItem",
)


def web(
    storage: Storage, queues: PredictionsQueue, key: DataKey, account: Account
) -> Sequence[Statement]:
    """Take uploads in, show their records, hand results out."""
    uploads, results = storage.uploads, storage.results
    return [
        allow(*_RECORD_STEPS, on=storage.table.arn),
        allow("dynamodb:Query", on=[storage.table.arn, _index(storage.table, "by-status")]),
        allow("sqs:SendMessage", "sqs:GetQueueAttributes", on=queues.queue.arn),
        allow(
            "s3:PutObject",
            "s3:AbortMultipartUpload",
            "s3:GetObject",  # what is there after an upload, and in which version
            on=_objects(uploads, "uploads"),
        ),
        allow("s3:GetObject", on=_objects(results, "results")),
        # HeadBucket, with which /readyz asks whether they answer.
        allow("s3:ListBucket", on=[uploads.arn, results.arn]),
        _through_the_key(key, account),
    ]


def worker(
    storage: Storage,
    queues: PredictionsQueue,
    key: DataKey,
    account: Account,
    cluster: str,
) -> Sequence[Statement]:
    """Process what is queued, sweep what got stuck, erase what was deleted."""
    uploads, results = storage.uploads, storage.results
    return [
        allow(*_RECORD_STEPS, on=storage.table.arn),
        allow(
            "dynamodb:Query",
            on=[_index(storage.table, "unfinished"), _index(storage.table, "by-id")],
        ),
        allow(
            "sqs:ReceiveMessage",
            "sqs:DeleteMessage",
            "sqs:ChangeMessageVisibility",
            "sqs:SendMessage",
            on=queues.queue.arn,
        ),
        allow("sqs:SendMessage", on=queues.dlq.arn),
        # The version that the record names, never the newest.
        allow("s3:GetObjectVersion", on=_objects(uploads, "uploads")),
        # Turns the 403 for an upload that is gone into a 404, which the person is told.
        allow("s3:ListBucket", on=uploads.arn),
        allow("s3:PutObject", "s3:AbortMultipartUpload", on=_objects(results, "results")),
        # To erase is to mark as deleted, which reaches the copies, and to delete every version.
        allow("s3:ListBucketVersions", on=[uploads.arn, results.arn]),
        allow(
            "s3:DeleteObject",
            "s3:DeleteObjectVersion",
            on=[_objects(uploads, "uploads"), _objects(results, "results")],
        ),
        _through_the_key(key, account),
        # Keeps its own task while a job runs; ECS names tasks, so no narrower is there.
        allow("ecs:UpdateTaskProtection", on=account.arn("ecs", f"task/{cluster}/*")),
    ]


def _through_the_key(key: DataKey, account: Account) -> Statement:
    """Let S3, SQS and DynamoDB use the stack's key for a service; itself it cannot use it."""
    via = [f"{one}.{account.region}.amazonaws.com" for one in ("dynamodb", "s3", "sqs")]
    return allow(
        "kms:Decrypt",
        "kms:GenerateDataKey",
        on=key.arn,
        when={"StringEquals": {"kms:ViaService": via}},
    )


def _index(table: aws.dynamodb.Table, name: str) -> pulumi.Output[str]:
    return pulumi.Output.concat(table.arn, "/index/", name)


def _objects(bucket: PrivateBucket, prefix: str) -> pulumi.Output[str]:
    return pulumi.Output.concat(bucket.arn, f"/{prefix}/*")
