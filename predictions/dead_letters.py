"""The dead-letter queue: what its messages name, sending them again, settling what they stand for.

A dead letter is judged by the records that it names, never by anything else in its body:

    FAIL    the record is QUEUED and this was the last message sent for it: nobody will take it
    DELETE  finished, at another attempt, or sent again since: the record does not need this message
    LEAVE   PROCESSING, which the sweeper settles; or an item that cannot be read as a record
    ORPHAN  it names no record that exists

One that names several records is left if any of them asks for it, else fails what is to be failed.

Which message was the last is told without comparing two machines' clocks: who sends one has written
the record just before, so a message older than its record's last step is not the last. One in
another format bears no time of ours: it stands for a record that was queued once and never again.

A letter is deleted only once its records are settled, or it is in the predictions queue. Killed in
between, it is there twice; that is harmless, as the record decides.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from enum import IntEnum
from types import TracebackType
from typing import TYPE_CHECKING, Self

from botocore.exceptions import BotoCoreError, ClientError

from predictions import message
from predictions.errors import NotFound, UnreadableRecord, WrongStatus
from predictions.record import UNFINISHED, Failure, Prediction, Status
from predictions.store import Store
from predictions.work_queue import UNKNOWN_ACCOUNT

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_sqs.type_defs import MessageTypeDef

VISIBILITY_S = 300
"""How long letters stay hidden after a command on them was killed."""
RENEW_EVERY_S = 60
NOT_TAKEN = Failure(
    code="not-taken",
    message="The file was not scored: no worker could take it up, however often it was sent.",
    hint="Retry; if it fails again, ask the operator.",
)
NO_REASON = "no reason"

_BATCH = 10  # SQS's own limit
_EMPTY_POLLS = 5
"""A short poll asks some of SQS's servers only: one that brings nothing proves little."""


class Fate(IntEnum):
    """What `settle` makes of a letter; the highest among those of its records."""

    ORPHAN = 0
    DELETE = 1
    FAIL = 2
    LEAVE = 3


@dataclass(frozen=True)
class Named:
    """A prediction that a letter names, and its record if it can be had."""

    prediction_id: str
    record: Prediction | None
    fate: Fate

    @property
    def state(self) -> str:
        """The record's status, `orphan` or `unreadable record`."""
        if self.record is not None:
            return self.record.status
        return "orphan" if self.fate is Fate.ORPHAN else "unreadable record"


@dataclass(frozen=True)
class Letter:
    """A dead letter that is in flight to us."""

    id: str
    body: str = field(repr=False)
    sent_at: datetime
    receive_count: int
    """Counts each look at it, too."""
    reason: str
    """What the worker gave; NO_REASON where SQS moved it, after too many receives."""
    named: tuple[Named, ...]

    @property
    def fate(self) -> Fate:
        """What is to become of it, by its records as they were when they were read."""
        return max((one.fate for one in self.named), default=Fate.ORPHAN)

    @property
    def kind(self) -> str:
        """The states of what it names, each once."""
        return ", ".join(dict.fromkeys(one.state for one in self.named)) or "orphan"

    @property
    def account(self) -> str | None:
        """Whose the first record is that it names; none for an orphan."""
        return next((one.record.account for one in self.named if one.record), None)


@dataclass(frozen=True)
class _Asked:
    """What a message asks for."""

    account: str | None
    prediction_id: str
    attempt: int
    sent_at: datetime | None
    """By the clock of whoever sent it; none in another format."""


class DeadLetters:
    """The dead letters of one stack, held for the block: hidden from others until it ends.

    At its end those that are still there are visible again at once; killed, after VISIBILITY_S. SQS
    gives out 120,000 at a time, and an operator beside us sees only what we do not hold.
    Errors of the SDK come through.
    """

    def __init__(self, sqs: SQSClient, queue_url: str, dlq_url: str, store: Store) -> None:
        self._sqs = sqs
        self._queue_url = queue_url
        self._dlq_url = dlq_url
        self._store = store
        self._receipts: dict[str, str] = {}  # of what is held, by message id
        self._ended = threading.Event()
        self._keeper = threading.Thread(target=self._keep, daemon=True)
        self._received: list[Letter] = []
        self.about = 0
        """How many there were at the start, held by others too; SQS's approximation."""

    def __enter__(self) -> Self:
        """Count the letters, and begin to renew what will be held."""
        counts = self._sqs.get_queue_attributes(
            QueueUrl=self._dlq_url,
            AttributeNames=[
                "ApproximateNumberOfMessages",
                "ApproximateNumberOfMessagesNotVisible",
            ],
        )["Attributes"]
        self.about = sum(map(int, counts.values()))
        self._keeper.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, _: BaseException | None, __: TracebackType | None
    ) -> None:
        """Let others see what is left."""
        self._ended.set()
        self._keeper.join()
        self._set_visibility(0)

    @property
    def letters(self) -> list[Letter]:
        """What was received, oldest first."""
        return sorted(self._received, key=lambda letter: (letter.sent_at, letter.id))

    @property
    def elsewhere(self) -> int:
        """About how many there are that we could not receive."""
        return max(0, self.about - len(self._received))

    def receive(self, on_received: Callable[[int], object] = lambda _: None) -> None:
        """Receive every letter and read the records that it names.

        on_received: called with the number of each batch.
        """
        empty = 0
        while empty < _EMPTY_POLLS:
            try:
                answer = self._sqs.receive_message(
                    QueueUrl=self._dlq_url,
                    MaxNumberOfMessages=_BATCH,
                    WaitTimeSeconds=0,
                    VisibilityTimeout=VISIBILITY_S,
                    MessageAttributeNames=["reason"],
                    MessageSystemAttributeNames=["SentTimestamp", "ApproximateReceiveCount"],
                )
            except self._sqs.exceptions.OverLimit:  # 120,000 are held: that is all for now
                return
            found = answer.get("Messages", [])
            new = [one for one in found if one["MessageId"] not in self._receipts]
            # Also what came twice: the newest receipt is the one that counts.
            self._receipts |= {one["MessageId"]: one["ReceiptHandle"] for one in found}
            self._received += map(self._letter, new)
            empty = 0 if new else empty + 1
            on_received(len(new))

    def redrive(self, letter: Letter) -> None:
        """Send a letter to the predictions queue as it was, and delete it here."""
        self._sqs.send_message(
            QueueUrl=self._queue_url,
            MessageBody=letter.body,
            MessageGroupId=letter.account or UNKNOWN_ACCOUNT,
        )
        self._delete(letter)

    def settle(self, letter: Letter, *, drop_orphan: bool = False) -> Letter:
        """Do what the letter's fate says, and return it with the fate that it had.

        drop_orphan: delete it, too, if it names no record.
        """
        try:
            for one in letter.named:
                if letter.fate is Fate.FAIL is one.fate and one.record:
                    self._store.give_up(one.record, NOT_TAKEN)
        except (NotFound, WrongStatus):  # something happened to it since it was read: look again
            again = replace(letter, named=self._named(letter.body))
            return self.settle(again, drop_orphan=drop_orphan)
        if letter.fate in (Fate.FAIL, Fate.DELETE) or (letter.fate is Fate.ORPHAN and drop_orphan):
            self._delete(letter)
        return letter

    # ---- how ------------------------------------------------------------------------------

    def _letter(self, found: MessageTypeDef) -> Letter:
        attributes = found["Attributes"]
        given = found.get("MessageAttributes", {})
        return Letter(
            id=found["MessageId"],
            body=found["Body"],
            sent_at=datetime.fromtimestamp(int(attributes["SentTimestamp"]) / 1000, UTC),
            receive_count=int(attributes["ApproximateReceiveCount"]),
            reason=given["reason"]["StringValue"] if "reason" in given else NO_REASON,
            named=self._named(found["Body"]),
        )

    def _named(self, body: str) -> tuple[Named, ...]:
        return tuple(self._look_up(asked) for asked in _asked(body))

    def _look_up(self, asked: _Asked) -> Named:
        try:
            if asked.account is None:
                record = self._store.find(asked.prediction_id)
            else:
                record = self._store.get(asked.account, asked.prediction_id)
        except NotFound:
            return Named(asked.prediction_id, None, Fate.ORPHAN)
        except UnreadableRecord:
            return Named(asked.prediction_id, None, Fate.LEAVE)
        return Named(asked.prediction_id, record, _fate(asked, record))

    def _delete(self, letter: Letter) -> None:
        receipt = self._receipts[letter.id]
        self._sqs.delete_message(QueueUrl=self._dlq_url, ReceiptHandle=receipt)
        del self._receipts[letter.id]

    def _keep(self) -> None:
        while not self._ended.wait(RENEW_EVERY_S):
            self._set_visibility(VISIBILITY_S)

    def _set_visibility(self, visibility_s: int) -> None:
        """Hide what is held for so long from now; 0 shows it.

        What cannot be changed is visible by itself when its time ends, which harms nothing.
        """
        receipts = list(self._receipts.values())
        with suppress(BotoCoreError, ClientError):
            for start in range(0, len(receipts), _BATCH):
                if visibility_s and self._ended.is_set():
                    return
                self._sqs.change_message_visibility_batch(
                    QueueUrl=self._dlq_url,
                    Entries=[
                        {"Id": str(n), "ReceiptHandle": one, "VisibilityTimeout": visibility_s}
                        for n, one in enumerate(receipts[start : start + _BATCH])
                    ],
                )


def _asked(body: str) -> list[_Asked]:
    match message.read(body):
        case message.Request(data=data, time=time):
            return [_Asked(data.account, data.prediction_id, data.attempt, time)]
        case message.OtherFormat(prediction_ids):
            return [_Asked(None, one, 1, None) for one in prediction_ids]
    return []


def _fate(asked: _Asked, record: Prediction) -> Fate:
    if record.status not in UNFINISHED or record.attempt != asked.attempt:
        return Fate.DELETE
    if record.status is Status.PROCESSING:
        return Fate.LEAVE
    if asked.sent_at is None:
        is_last = record.queued_at == record.created_at and record.resends == 0
    else:
        is_last = asked.sent_at >= record.updated_at
    return Fate.FAIL if is_last else Fate.DELETE
