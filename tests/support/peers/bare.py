"""No worker at all: what SQS and the SDK alone take, receive(10) and delete(10).

Its client checks no parameters, as RetainWise's does not.
"""

import boto3
from botocore.config import Config

from peers import job

sqs = boto3.client("sqs", config=Config(parameter_validation=False))


def send(count):
    for first in range(0, count, 10):
        entries = [{"Id": str(n), "MessageBody": "{}"} for n in range(min(10, count - first))]
        sqs.send_message_batch(QueueUrl=job.QUEUE_URL, Entries=entries)


def work():
    while True:
        received = sqs.receive_message(
            QueueUrl=job.QUEUE_URL, MaxNumberOfMessages=10, WaitTimeSeconds=20
        ).get("Messages", [])
        for _ in received:
            job.run()
        entries = [
            {"Id": str(n), "ReceiptHandle": one["ReceiptHandle"]} for n, one in enumerate(received)
        ]
        if entries:
            sqs.delete_message_batch(QueueUrl=job.QUEUE_URL, Entries=entries)
