"""The product's table, buckets and queues, made by plain SDK calls.

Where, the SDK's own variables say: in the memory of a test, in a server of the machine, in AWS.
"""

from __future__ import annotations

import io
import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from predictions.aws import dynamodb_table, s3_client, sqs_client
from predictions.files import Files
from predictions.record import Prediction, new_id
from predictions.store import ID_INDEX, STATUS_INDEX, UNFINISHED_INDEX, Store
from predictions.work_queue import WorkQueue

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.service_resource import Table
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_sqs import SQSClient

TRACEPARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


@dataclass(frozen=True)
class Cloud:
    """An account with the product's table, buckets and queues."""

    s3: S3Client
    sqs: SQSClient
    table: Table
    queue_url: str
    dlq_url: str
    uploads_bucket: str
    results_bucket: str
    store: Store
    files: Files
    queue: WorkQueue

    def submit(
        self, content: bytes, *, account: str = "demo", name: str = "customers.csv"
    ) -> Prediction:
        """Upload a file and record it as QUEUED, as the web app does; no message is sent."""
        prediction_id = new_id()
        uploaded = self.files.put_upload(account, prediction_id, io.BytesIO(content), name=name)
        return self.store.submit(account, prediction_id, uploaded, traceparent=TRACEPARENT)

    def messages(self, url: str | None = None) -> tuple[int, int]:
        """Count what may be received now, and what is hidden: in flight, or delayed.

        url: of the predictions queue unless another one is asked for.
        """
        asked: Any = [f"ApproximateNumberOfMessages{of}" for of in ("", "NotVisible", "Delayed")]
        answer = self.sqs.get_queue_attributes(QueueUrl=url or self.queue_url, AttributeNames=asked)
        visible, in_flight, delayed = (int(answer["Attributes"][name]) for name in asked)
        return visible, in_flight + delayed

    def environment(self) -> dict[str, str]:
        """Give the variables that the services read, without the SDK's own."""
        return {
            "RETAINWISE_ENV": "test",
            "PREDICTIONS_QUEUE_URL": self.queue_url,
            "PREDICTIONS_DLQ_URL": self.dlq_url,
            "PREDICTIONS_TABLE": self.table.name,
            "UPLOADS_BUCKET": self.uploads_bucket,
            "RESULTS_BUCKET": self.results_bucket,
        }

    def with_queues(
        self, name: str, *, visibility_s: int = 30, max_receives: int | None = None
    ) -> Cloud:
        """Make two queues more; give the same cloud with them in place of its own."""
        queue_url, dlq_url = _make_queues(self.sqs, name, visibility_s, max_receives)
        queue = WorkQueue(self.sqs, queue_url, dlq_url)
        return replace(self, queue_url=queue_url, dlq_url=dlq_url, queue=queue)

    def remove_queues(self) -> None:
        """Delete the queues."""
        for url in (self.queue_url, self.dlq_url):
            self.sqs.delete_queue(QueueUrl=url)

    def remove(self) -> None:
        """Delete all of it, with what is in it."""
        self.remove_queues()
        self.table.delete()
        for bucket in (self.uploads_bucket, self.results_bucket):
            pages = self.s3.get_paginator("list_object_versions").paginate(Bucket=bucket)
            for page in list(pages):
                for version in [*page.get("Versions", ()), *page.get("DeleteMarkers", ())]:
                    self.s3.delete_object(
                        Bucket=bucket, Key=version["Key"], VersionId=version["VersionId"]
                    )
            self.s3.delete_bucket(Bucket=bucket)


def make_cloud(name: str, *, buckets_end: str = "") -> Cloud:
    """Make it all, under names that begin with `name`."""
    s3, sqs = s3_client(), sqs_client()
    table = dynamodb_table(f"{name}-predictions")
    _make_table(table)
    uploads_bucket, results_bucket = (
        f"{name}-{one}{buckets_end}" for one in ("uploads", "results")
    )
    for bucket in (uploads_bucket, results_bucket):
        _make_bucket(s3, bucket)
    queue_url, dlq_url = _make_queues(sqs, name)
    return Cloud(
        s3=s3,
        sqs=sqs,
        table=table,
        queue_url=queue_url,
        dlq_url=dlq_url,
        uploads_bucket=uploads_bucket,
        results_bucket=results_bucket,
        store=Store(table, resend_after_s=60),
        files=Files(s3, uploads_bucket=uploads_bucket, results_bucket=results_bucket),
        queue=WorkQueue(sqs, queue_url, dlq_url),
    )


def _make_table(table: Table) -> None:
    def index(name: str, *keys: str) -> dict[str, Any]:
        return {
            "IndexName": name,
            "KeySchema": _key_schema(*keys),
            "Projection": {"ProjectionType": "ALL" if name == STATUS_INDEX else "KEYS_ONLY"},
        }

    table.meta.client.create_table(
        TableName=table.name,
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[
            {"AttributeName": name, "AttributeType": "N" if name == "due_at" else "S"}
            for name in ("account", "id", "account_status", "unfinished", "due_at")
        ],
        KeySchema=_key_schema("account", "id"),
        GlobalSecondaryIndexes=[
            index(UNFINISHED_INDEX, "unfinished", "due_at"),
            index(ID_INDEX, "id"),
            index(STATUS_INDEX, "account_status", "id"),
        ],
    )


def _key_schema(*names: str) -> list[Any]:
    return [
        {"AttributeName": name, "KeyType": kind}
        for name, kind in zip(names, ("HASH", "RANGE"), strict=False)
    ]


def _make_bucket(s3: S3Client, bucket: str) -> None:
    region: Any = s3.meta.region_name
    s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": region})
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})


def _make_queues(
    sqs: SQSClient, name: str, visibility_s: int = 30, max_receives: int | None = None
) -> tuple[str, str]:
    dlq_url = sqs.create_queue(QueueName=f"{name}-predictions-dlq")["QueueUrl"]
    attributes: Any = {"VisibilityTimeout": str(visibility_s)}
    if max_receives is not None:
        asked = sqs.get_queue_attributes(QueueUrl=dlq_url, AttributeNames=["QueueArn"])
        target = asked["Attributes"]["QueueArn"]
        attributes["RedrivePolicy"] = json.dumps(
            {"deadLetterTargetArn": target, "maxReceiveCount": max_receives}
        )
    queue = sqs.create_queue(QueueName=f"{name}-predictions-queue", Attributes=attributes)
    return queue["QueueUrl"], dlq_url
