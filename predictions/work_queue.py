"""The predictions queue and its dead-letter queue: one method for each SQS call.

An error of the SDK comes through as it is; it names the operation, and the caller logs the ids.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from predictions.message import Request
from predictions.record import Prediction

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_sqs.type_defs import BatchResultErrorEntryTypeDef

UNKNOWN_ACCOUNT = "unknown"
MOST_AT_ONCE = 10
"""SQS's own limit on the messages of one call."""


@dataclass(frozen=True)
class Received:
    """A message that is in flight to us."""

    id: str
    body: str
    receipt: str


class WorkQueue:
    """The queue that workers receive from. `dlq_url` is for those who receive."""

    def __init__(self, sqs: SQSClient, url: str, dlq_url: str | None = None) -> None:
        self._sqs = sqs
        self._url = url
        self._dlq_url = dlq_url

    def send(self, prediction: Prediction, *, delay_s: int = 0) -> None:
        """Ask for a QUEUED prediction to be processed, `delay_s` (at most 900) from now."""
        self._sqs.send_message(
            QueueUrl=self._url,
            MessageBody=Request.to_process(prediction).model_dump_json(),
            # Fair queues: one account's flood does not starve the others.
            MessageGroupId=prediction.account,
            DelaySeconds=delay_s,
        )

    def receive(self, *, wait_s: int, most: int = 1) -> list[Received]:
        """Wait up to `wait_s` (at most 20) for messages: up to `most` (at most 10), or none."""
        answer = self._sqs.receive_message(
            QueueUrl=self._url,
            MaxNumberOfMessages=most,
            WaitTimeSeconds=wait_s,
        )
        return [
            Received(
                id=message["MessageId"],
                body=message["Body"],
                receipt=message["ReceiptHandle"],
            )
            for message in answer.get("Messages", ())
        ]

    def extend(self, *received: Received, visibility_s: int) -> None:
        """Hide up to ten messages for another `visibility_s` from now."""
        answer = self._sqs.change_message_visibility_batch(
            QueueUrl=self._url,
            Entries=[
                {"Id": number, "ReceiptHandle": one.receipt, "VisibilityTimeout": visibility_s}
                for number, one in _numbered(received)
            ],
        )
        _raise_refused(answer.get("Failed", ()), "ChangeMessageVisibilityBatch")

    def hand_back(self, *received: Received) -> None:
        """Let another worker receive up to ten messages at once."""
        self.extend(*received, visibility_s=0)

    def delete(self, *received: Received) -> None:
        """Acknowledge up to ten messages: they are done with."""
        answer = self._sqs.delete_message_batch(
            QueueUrl=self._url,
            Entries=[
                {"Id": number, "ReceiptHandle": one.receipt} for number, one in _numbered(received)
            ],
        )
        _raise_refused(answer.get("Failed", ()), "DeleteMessageBatch")

    def dead_letter(self, received: Received, reason: str) -> None:
        """Move a message that nobody can act on to the dead-letter queue, saying why."""
        if self._dlq_url is None:
            raise ValueError("this side of the queue has no dead-letter queue")
        self._sqs.send_message(
            QueueUrl=self._dlq_url,
            MessageBody=received.body,
            MessageGroupId=UNKNOWN_ACCOUNT,
            MessageAttributes={"reason": {"DataType": "String", "StringValue": reason}},
        )
        # Killed in between, the message comes again: twice in the dead-letter queue, never lost.
        self.delete(received)

    def ping(self) -> None:
        """Make one cheap call; raises the SDK's error when the queue is out of reach."""
        self._sqs.get_queue_attributes(QueueUrl=self._url, AttributeNames=["QueueArn"])


def _numbered(received: Sequence[Received]) -> Iterator[tuple[str, Received]]:
    """Give each message the name by which the answer to a batch calls it."""
    return ((str(number), one) for number, one in enumerate(received))


def _raise_refused(refused: Sequence[BatchResultErrorEntryTypeDef], operation: str) -> None:
    """Raise the first of what was refused, as the call for one message would have."""
    for one in refused:
        raise ClientError(
            {"Error": {"Code": one["Code"], "Message": one.get("Message", "")}}, operation
        )
