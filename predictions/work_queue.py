"""The predictions queue and its dead-letter queue: one method for each SQS call.

An error of the SDK comes through as it is; it names the operation, and the caller logs the ids.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from predictions.message import Request
from predictions.record import Prediction

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

UNKNOWN_ACCOUNT = "unknown"


@dataclass(frozen=True)
class Received:
    """A message that is in flight to us."""

    id: str
    body: str
    receipt: str
    receive_count: int


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

    def receive(self, *, wait_s: int) -> Received | None:
        """Wait up to `wait_s` (at most 20) for one message; None when none came."""
        answer = self._sqs.receive_message(
            QueueUrl=self._url,
            MaxNumberOfMessages=1,
            WaitTimeSeconds=wait_s,
            MessageSystemAttributeNames=["ApproximateReceiveCount"],
        )
        for message in answer.get("Messages", ()):
            return Received(
                id=message["MessageId"],
                body=message["Body"],
                receipt=message["ReceiptHandle"],
                receive_count=int(message["Attributes"]["ApproximateReceiveCount"]),
            )
        return None

    def extend(self, received: Received, visibility_s: int) -> None:
        """Hide the message for another `visibility_s` from now."""
        self._sqs.change_message_visibility(
            QueueUrl=self._url, ReceiptHandle=received.receipt, VisibilityTimeout=visibility_s
        )

    def hand_back(self, received: Received) -> None:
        """Let another worker receive the message at once."""
        self.extend(received, 0)

    def delete(self, received: Received) -> None:
        """Acknowledge: the message is done with."""
        self._sqs.delete_message(QueueUrl=self._url, ReceiptHandle=received.receipt)

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
