"""AWS as far as the product uses it, in memory: moto, in the process of the test."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from unittest import mock

import boto3
from moto import mock_aws

from predictions.aws import dynamodb_table, s3_client, sqs_client
from predictions.files import Files
from predictions.record import Prediction, new_id
from predictions.store import ID_INDEX, STATUS_INDEX, UNFINISHED_INDEX, Store
from predictions.work_queue import WorkQueue

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.service_resource import Table
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_sqs import SQSClient

REGION = "eu-central-1"
TABLE = "test-retainwise-predictions"
UPLOADS = "test-retainwise-uploads"
RESULTS = "test-retainwise-results"
TRACEPARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


@dataclass(frozen=True)
class Cloud:
    """An emulated AWS account with the product's table, buckets and queues."""

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


@contextmanager
def memory_cloud() -> Iterator[Cloud]:
    """Give an empty account. It lives in this process: no child can reach it."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    environment |= {"AWS_REGION": REGION, "AWS_DEFAULT_REGION": REGION}
    with mock.patch.dict(os.environ, environment, clear=True), mock_aws():
        s3, sqs = s3_client(), sqs_client()
        _create_table()
        for bucket in (UPLOADS, RESULTS):
            s3.create_bucket(
                Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": REGION}
            )
            s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
        queue_url = sqs.create_queue(QueueName="test-retainwise-predictions-queue")["QueueUrl"]
        dlq_url = sqs.create_queue(QueueName="test-retainwise-predictions-dlq")["QueueUrl"]
        table = dynamodb_table(TABLE)
        yield Cloud(
            s3=s3,
            sqs=sqs,
            table=table,
            queue_url=queue_url,
            dlq_url=dlq_url,
            uploads_bucket=UPLOADS,
            results_bucket=RESULTS,
            store=Store(table, resend_after_s=60),
            files=Files(s3, uploads_bucket=UPLOADS, results_bucket=RESULTS),
            queue=WorkQueue(sqs, queue_url, dlq_url),
        )


def _create_table() -> None:
    def index(name: str, *keys: str) -> dict[str, Any]:
        return {
            "IndexName": name,
            "KeySchema": _key_schema(*keys),
            "Projection": {"ProjectionType": "ALL" if name == STATUS_INDEX else "KEYS_ONLY"},
        }

    boto3.client("dynamodb").create_table(
        TableName=TABLE,
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
