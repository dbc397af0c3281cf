"""What each service's code may do, derived from the calls it makes and nothing more.

The services' own tests run under these policies: taking any action away makes one fail.
"""

from __future__ import annotations

from collections.abc import Sequence

import pulumi
import pulumi_aws as aws

from infra.identity import Statement, allow
from infra.queues import PredictionsQueue
from infra.storage import Storage

_RECORD_STEPS = (
    "dynamodb:GetItem",
    "dynamodb:PutItem",
    "dynamodb:UpdateItem",
    "dynamodb:DeleteItem",
    "dynamodb:Query",
)


def web(storage: Storage, queues: PredictionsQueue) -> Sequence[Statement]:
    """Take uploads in, show their records, hand results out."""
    uploads, results = storage.uploads, storage.results
    return [
        allow(*_RECORD_STEPS, on=storage.table.arn),
        allow("dynamodb:Query", on=_index(storage.table, "by-status")),
        allow("sqs:SendMessage", "sqs:GetQueueAttributes", on=queues.queue.arn),
        allow(
            "s3:PutObject",
            "s3:AbortMultipartUpload",
            "s3:GetObject",
            "s3:GetObjectVersion",
            on=_objects(uploads, "uploads"),
        ),
        allow("s3:GetObject", on=_objects(results, "results")),
        allow("s3:ListBucket", on=[uploads.arn, results.arn]),  # /readyz asks whether they answer
    ]


def worker(storage: Storage, queues: PredictionsQueue) -> Sequence[Statement]:
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
            "sqs:GetQueueAttributes",
            on=queues.queue.arn,
        ),
        allow("sqs:SendMessage", on=queues.dlq.arn),
        allow("s3:GetObject", "s3:GetObjectVersion", on=_objects(uploads, "uploads")),
        allow("s3:PutObject", "s3:AbortMultipartUpload", on=_objects(results, "results")),
        # To erase is to delete every version.
        allow("s3:ListBucket", "s3:ListBucketVersions", on=[uploads.arn, results.arn]),
        allow(
            "s3:DeleteObject",
            "s3:DeleteObjectVersion",
            on=[_objects(uploads, "uploads"), _objects(results, "results")],
        ),
    ]


def _index(table: aws.dynamodb.Table, name: str) -> pulumi.Output[str]:
    return pulumi.Output.concat(table.arn, "/index/", name)


def _objects(bucket: aws.s3.Bucket, prefix: str) -> pulumi.Output[str]:
    return pulumi.Output.concat(bucket.arn, f"/{prefix}/*")
