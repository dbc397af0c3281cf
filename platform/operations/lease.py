"""The deploy lease: one at a time changes a stack, and whoever dies holding it blocks nobody.

Taking it is one conditional write. It is renewed while the work goes on and ends by itself when
that stops; the item stays, so that it can be told who had it last. Renewing and releasing name the
token of their own taking: whoever lost the lease can do no harm to the next holder's.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, cast

from botocore.exceptions import BotoCoreError, ClientError
from ulid import ULID

from infra.lease_item import DamagedLease, Holder, Item, as_item, as_number, read_item, table_name
from operations.errors import Exit, OperationError

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

__all__ = [
    "DamagedLease",
    "DeployLease",
    "Holder",
    "LeaseLost",
    "LeaseTaken",
    "clock_time",
    "table_name",
]

# Free is what was never taken, what was given back, and what ended by itself.
#
#     A  takes --- renews --- renews --- stalls ............... renews: refused
#                                   the lease's end ^
#     B     refused                                  takes --- renews ---
#
# The end was written by A's clock and is read by B's. A renews at a third: what B sees has at least
# two thirds of the length left while A is well, so B's clock may be ahead by so much (40 s of 60)
# before it takes what is not free. Even then A is refused at its next renewal, and stops. A clock
# that is behind only makes B wait.
_IS_FREE = "attribute_not_exists(#stack) OR attribute_exists(#released) OR #expires < :now"
_IS_OURS = "#token = :token AND attribute_not_exists(#released)"

_RENEW_AT = 1 / 3  # of the length
_RETRY_AT = 1 / 12  # after a renewal that got no answer
# Who cannot renew gives up so much of the length before others may take it: what runs under the
# lease needs a moment to stop, and the clocks may differ.
_GIVE_UP_AT = 5 / 6


class LeaseTaken(OperationError):
    """Somebody else holds the lease."""

    code = Exit.HELD

    def __init__(self, stack: str, holder: Holder, now: datetime) -> None:
        self.stack, self.holder = stack, holder
        renewed_s = max(0, round((now - holder.renewed).total_seconds()))
        super().__init__(
            f"{stack}: {holder.owner} holds the deploy lease since {clock_time(holder.since, now)} "
            f"to {holder.what}; renewed {renewed_s} s ago, it ends by itself at "
            f"{clock_time(holder.expires, now)} unless it is renewed again"
        )


class LeaseLost(OperationError):
    """The lease is not ours any more: what runs under it has to stop."""


class DeployLease:
    """The lease of one stack.

    length_s: how long a holder that died blocks others; the same for all who take it.
    clock: seconds since the epoch.
    """

    def __init__(
        self,
        dynamodb: DynamoDBClient,
        table: str,
        stack: str,
        length_s: float = 60,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._dynamodb = dynamodb
        self._table = table
        self._stack = stack
        self._length = timedelta(seconds=length_s)
        self._clock = clock

    def take(self, owner: str, what: str) -> Holder:
        """Take the lease. Raises LeaseTaken, which says who has it, and DamagedLease."""
        now = self._now()
        holder = Holder(str(ULID()), owner, what, now, now, now + self._length)
        try:
            self._dynamodb.put_item(
                TableName=self._table,
                Item=as_item(self._stack, holder),
                ConditionExpression=_IS_FREE,
                ExpressionAttributeNames=_names("stack", "released", "expires"),
                ExpressionAttributeValues={":now": as_number(now)},
                ReturnValuesOnConditionCheckFailure="ALL_OLD",
            )
        except self._dynamodb.exceptions.ConditionalCheckFailedException as exc:
            found = read_item(self._stack, _item_of(exc))
            # When the answer to the first try got lost, the SDK's next one finds our own item.
            if found.token != holder.token:
                raise LeaseTaken(self._stack, found, now) from exc
        return holder

    def renew(self, holder: Holder) -> Holder:
        """Put the end off. Raises LeaseLost when it was released or somebody else took it."""
        now = self._now()
        renewed = replace(holder, renewed=now, expires=now + self._length)
        try:
            self._dynamodb.update_item(
                TableName=self._table,
                Key=self._key,
                # Also when its end has passed: as long as nobody took it, it is ours.
                ConditionExpression=_IS_OURS,
                UpdateExpression="SET #renewed = :renewed, #expires = :expires",
                ExpressionAttributeNames=_names("token", "released", "renewed", "expires"),
                ExpressionAttributeValues={
                    ":token": {"S": holder.token},
                    ":renewed": as_number(renewed.renewed),
                    ":expires": as_number(renewed.expires),
                },
                ReturnValuesOnConditionCheckFailure="ALL_OLD",
            )
        except self._dynamodb.exceptions.ConditionalCheckFailedException as exc:
            raise LeaseLost(self._lost_to(holder, _item_of(exc))) from exc
        return renewed

    def release(self, holder: Holder) -> None:
        """Give it back; the item stays, to tell who had it. One that was lost is left alone."""
        with suppress(self._dynamodb.exceptions.ConditionalCheckFailedException):
            self._dynamodb.update_item(
                TableName=self._table,
                Key=self._key,
                ConditionExpression=_IS_OURS,
                UpdateExpression="SET #released = :now",
                ExpressionAttributeNames=_names("token", "released"),
                ExpressionAttributeValues={
                    ":token": {"S": holder.token},
                    ":now": as_number(self._now()),
                },
            )

    def holder(self) -> Holder | None:
        """Return who holds it now; none when it is free. Raises DamagedLease."""
        last = self.last()
        return last if last is not None and last.holds(self._now()) else None

    def last(self) -> Holder | None:
        """Return who holds it or had it last; none when nobody ever did. Raises DamagedLease."""
        answer = self._dynamodb.get_item(TableName=self._table, Key=self._key, ConsistentRead=True)
        return read_item(self._stack, answer["Item"]) if "Item" in answer else None

    @contextmanager
    def held(self, owner: str, what: str, on_lost: Callable[[LeaseLost], None]) -> Iterator[Holder]:
        """Hold the lease for the block, renewed by a thread.

        on_lost: called once, by another thread, when the lease was lost: the block has to stop.
        """
        asked = time.monotonic()
        holder = self.take(owner, what)
        keeper = _Keeper(self, holder, asked, self._length.total_seconds(), on_lost)
        try:
            yield holder
        finally:
            keeper.stop()
            # What cannot be released ends by itself; what the block has to say matters more.
            with suppress(BotoCoreError, ClientError):
                self.release(holder)

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self._clock(), UTC)

    @property
    def _key(self) -> dict[str, dict[str, str]]:
        return {"stack": {"S": self._stack}}

    def _lost_to(self, holder: Holder, item: Item) -> str:
        lost = f"{self._stack}: {holder.owner} has lost the deploy lease"
        try:
            found = read_item(self._stack, item) if item else None
        except DamagedLease as exc:
            return f"{lost}: {exc}"
        if found is None:
            return f"{lost}: its item was deleted"
        if found.token == holder.token:
            return f"{lost}: it was released"
        taken = clock_time(found.since, self._now())
        return f"{lost}: {found.owner} took it at {taken} to {found.what}"


class _Keeper:
    """Renews a lease until it is stopped or the lease is lost.

    A call may hang for longer than the lease lasts, so the end is watched by a thread of its own.
    """

    def __init__(
        self,
        lease: DeployLease,
        holder: Holder,
        asked: float,
        length_s: float,
        on_lost: Callable[[LeaseLost], None],
    ) -> None:
        self._lease = lease
        self._holder = holder
        self._length_s = length_s
        self._on_lost = on_lost
        self._end = asked + _GIVE_UP_AT * length_s
        self._is_over = threading.Event()
        self._turn = threading.Lock()
        for work in (self._renew, self._watch):
            threading.Thread(target=work, name="deploy lease", daemon=True).start()

    def stop(self) -> None:
        """End it. A renewal that is still under way is refused once the lease is released."""
        with self._turn:
            self._is_over.set()

    def _renew(self) -> None:
        pause = _RENEW_AT
        while not self._is_over.wait(pause * self._length_s):
            # From before the call: when the answer is late, the lease was renewed earlier.
            asked = time.monotonic()
            try:
                self._lease.renew(self._holder)
            except LeaseLost as exc:
                self._lose(exc)
            except (BotoCoreError, ClientError):
                pause = _RETRY_AT
            else:
                self._end = asked + _GIVE_UP_AT * self._length_s
                pause = _RENEW_AT

    def _watch(self) -> None:
        while not self._is_over.wait(self._end - time.monotonic()):
            if time.monotonic() >= self._end:
                self._lose(
                    LeaseLost("the deploy lease could not be renewed before its end: no answer")
                )

    def _lose(self, lost: LeaseLost) -> None:
        with self._turn:
            if self._is_over.is_set():
                return
            self._is_over.set()
        self._on_lost(lost)


def clock_time(time: datetime, now: datetime) -> str:
    """Write a time for people, with its day where that is not today."""
    return f"{time:%H:%M:%S} UTC" if time.date() == now.date() else f"{time:%Y-%m-%d %H:%M:%S} UTC"


def _names(*names: str) -> dict[str, str]:
    """Let expressions say what may be a word of DynamoDB's own."""
    return {f"#{name}": name for name in names}


def _item_of(refusal: ClientError) -> Item:
    """Return the item that a refused write brings back; empty when there is none."""
    return cast(Item, refusal.response.get("Item", {}))
