"""The deploy lease: one at a time changes a stack, and whoever dies holding it blocks nobody.

Taking it is one conditional write. It is renewed while the work goes on and ends by itself when
that stops; the item stays, so that it can be told who had it last. Renewing and releasing name the
token of their own taking: whoever lost the lease can do no harm to the next holder's. What they
could still do to the stack itself, `fence` ends.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, cast

from botocore.exceptions import ClientError
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

LENGTH_S = 60.0
"""How long a holder that died blocks others, seconds; the same for all who take a lease.

Below 12 the whole seconds of AWS's clock and of a session's policy take too much of it; above 900 a
session, of AWS's shortest, would end first. Messages say "within a minute".
"""

# Free is what was never taken, what was given back, and what ended by itself.
#
#     A  takes --- renews --- renews --- stalls         A's sessions end     renews: refused
#                                                              ^       ^ the lease's end
#     B     refused                                                     takes --- renews ---
#
# All times are by AWS's clock, as the table's answers tell it: no machine's own is compared with
# another's. The answers tell whole seconds, so two who look at them may differ by one and the time
# that an answer takes; between the end of A's sessions and the lease's is a sixth of its length.
_IS_FREE = "attribute_exists(#released) OR #expires < :now"
_NOBODY_CAME_BETWEEN = {True: "#token = :seen", False: "attribute_not_exists(#token)"}
_IS_OURS = "#token = :token AND attribute_not_exists(#released)"
# A renewal that comes late, after the one that followed it, must not take from the lease's end.
_MAY_GO_ON = f"{_IS_OURS} AND attribute_not_exists(#broken_by) AND #expires <= :expires"


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
    """The lease is not ours any more: what runs under it has to stop.

    is_taken: whether it is another's, or was broken; else it could not be renewed.
    cause: why it could not, where there was an answer.
    """

    def __init__(
        self, message: str, *, is_taken: bool = True, cause: Exception | None = None
    ) -> None:
        super().__init__(message)
        self.is_taken, self.cause = is_taken, cause


class DeployLease:
    """The lease of one stack.

    length_s: by default LENGTH_S.
    clock: seconds since the epoch; by default AWS's own, as the table's answers tell it.
    """

    def __init__(
        self,
        dynamodb: DynamoDBClient,
        table: str,
        stack: str,
        length_s: float | None = None,
        *,
        clock: Callable[[], float] | None = None,
    ) -> None:
        self._dynamodb = dynamodb
        self._table = table
        self.stack = stack
        self.length = timedelta(seconds=LENGTH_S if length_s is None else length_s)
        self._clock = clock or _AwsClock(dynamodb)

    def take(self, owner: str, what: str) -> Holder:
        """Take the lease. Raises LeaseTaken, which says who has it, and DamagedLease."""
        while True:
            seen = self.last()  # its answer tells the time as well
            now = self.now()
            if seen is not None and seen.holds(now):
                raise LeaseTaken(self.stack, seen, now)
            holder = self._next(seen, owner, what, now)
            if self._is_put(holder, seen):
                return holder

    def _next(self, seen: Holder | None, owner: str, what: str, now: datetime) -> Holder:
        """Begin a taking, and carry on what those before have left."""
        ours = Holder(
            *(str(ULID()), owner, what, now, now, now + self.length), host=socket.gethostname()
        )
        if seen is None:
            return ours
        if seen.released is not None:
            left_since, left_until, left_by = seen.left_since, seen.left_until, seen.left_by
        else:
            left_since, left_until = _left_since(seen), seen.expires
            left_by = seen.left_by | ({seen.host} if seen.host else set())
        return replace(ours, left_since=left_since, left_until=left_until, left_by=left_by)

    def _is_put(self, holder: Holder, seen: Holder | None) -> bool:
        """Write a taking unless somebody came between; then it has to be looked at anew."""
        names, values = ["token"], {}
        condition = _NOBODY_CAME_BETWEEN[seen is not None]
        if seen is not None:
            condition += f" AND ({_IS_FREE})"
            names += ["released", "expires"]
            values = {":seen": {"S": seen.token}, ":now": as_number(holder.since)}
        try:
            self._dynamodb.put_item(
                TableName=self._table,
                Item=as_item(self.stack, holder),
                ConditionExpression=condition,
                ExpressionAttributeNames=_names(*names),
                ReturnValuesOnConditionCheckFailure="ALL_OLD",
                **cast(Any, {"ExpressionAttributeValues": values} if values else {}),
            )
        except self._dynamodb.exceptions.ConditionalCheckFailedException as exc:
            # When the answer to the first try got lost, the SDK's next one finds our own item.
            item = _item_of(exc)
            return bool(item) and read_item(self.stack, item).token == holder.token
        return True

    def renew(self, holder: Holder) -> Holder:
        """Put the end off. Raises LeaseLost when it was broken, released or taken by another."""
        now = self.now()
        renewed = replace(holder, renewed=now, expires=now + self.length)
        try:
            self._dynamodb.update_item(
                TableName=self._table,
                Key=self._key,
                # Also when its end has passed: as long as nobody took it, it is ours.
                ConditionExpression=_MAY_GO_ON,
                UpdateExpression="SET #renewed = :renewed, #expires = :expires",
                ExpressionAttributeNames=_names(
                    "token", "released", "broken_by", "renewed", "expires"
                ),
                ExpressionAttributeValues={
                    ":token": {"S": holder.token},
                    ":renewed": as_number(renewed.renewed),
                    ":expires": as_number(renewed.expires),
                },
                ReturnValuesOnConditionCheckFailure="ALL_OLD",
            )
        except self._dynamodb.exceptions.ConditionalCheckFailedException as exc:
            item = _item_of(exc)
            if self._is_renewed_already(holder, item):
                return renewed
            raise LeaseLost(self._lost_to(holder, item)) from exc
        return renewed

    def _is_renewed_already(self, holder: Holder, item: Item) -> bool:
        """Whether a later renewal came first."""
        try:
            found = read_item(self.stack, item)
        except DamagedLease:
            return False
        is_ours = found.token == holder.token and found.released is None
        return is_ours and found.broken_by is None

    def release(self, holder: Holder, *, is_left: bool = False) -> None:
        """Give it back; the item stays, to tell who had it. One that was lost is left alone.

        is_left: whether the next holder has to look for what this one left.
        """
        expression = "SET #released = :now"
        values: dict[str, Any] = {":now": as_number(self.now())}
        if is_left:
            expression += ", #left_since = :left_since, #left_until = :now, #left_by = :left_by"
            values[":left_since"] = as_number(_left_since(holder))
            values[":left_by"] = {"SS": sorted({*holder.left_by, holder.host})}
        with suppress(self._dynamodb.exceptions.ConditionalCheckFailedException):
            self._change(holder, expression, values)

    def note_all_settled(self, holder: Holder) -> None:
        """Note that nothing is left of those before. Raises LeaseLost."""
        try:
            self._change(holder, "REMOVE #left_since, #left_until, #left_by", {})
        except self._dynamodb.exceptions.ConditionalCheckFailedException as exc:
            raise LeaseLost(self._lost_to(holder, _item_of(exc))) from exc

    def break_(self, holder: Holder, by: str) -> None:
        """End it early: it cannot be renewed any more, and is free at its end.

        Not before: until then its holder's sessions can change the stack. Raises LeaseLost when it
        is not this holder's any more.
        """
        try:
            self._change(holder, "SET #broken_by = :by", {":by": {"S": by}})
        except self._dynamodb.exceptions.ConditionalCheckFailedException as exc:
            raise LeaseLost(self._lost_to(holder, _item_of(exc))) from exc

    def _change(self, holder: Holder, expression: str, values: dict[str, Any]) -> None:
        names = [word.strip("#,") for word in expression.split() if word.startswith("#")]
        self._dynamodb.update_item(
            TableName=self._table,
            Key=self._key,
            ConditionExpression=_IS_OURS,
            UpdateExpression=expression,
            ExpressionAttributeNames=_names("token", "released", *names),
            ExpressionAttributeValues={":token": {"S": holder.token}, **values},
            ReturnValuesOnConditionCheckFailure="ALL_OLD",
        )

    def holder(self) -> Holder | None:
        """Return who holds it now; none when it is free. Raises DamagedLease."""
        last = self.last()
        return last if last is not None and last.holds(self.now()) else None

    def last(self) -> Holder | None:
        """Return who holds it or had it last; none when nobody ever did. Raises DamagedLease."""
        answer = self._dynamodb.get_item(TableName=self._table, Key=self._key, ConsistentRead=True)
        return read_item(self.stack, answer["Item"]) if "Item" in answer else None

    def now(self) -> datetime:
        """Return the time by which the lease is judged: AWS's, once an answer has told it."""
        return datetime.fromtimestamp(round(self._clock(), 3), UTC)  # as the item has it

    @property
    def _key(self) -> dict[str, dict[str, str]]:
        return {"stack": {"S": self.stack}}

    def _lost_to(self, holder: Holder, item: Item) -> str:
        lost = f"{self.stack}: {holder.owner} has lost the deploy lease"
        try:
            found = read_item(self.stack, item) if item else None
        except DamagedLease as exc:
            return f"{lost}: {exc}"
        if found is None:
            return f"{lost}: its item was deleted"
        if found.token == holder.token:
            return f"{lost}: " + (
                f"{found.broken_by} has broken it" if found.broken_by else "it was released"
            )
        taken = clock_time(found.since, self.now())
        return f"{lost}: {found.owner} took it at {taken} to {found.what}"


class _AwsClock:
    """The time by AWS's clock, as a client's answers tell it; until the first, the machine's."""

    def __init__(self, client: DynamoDBClient) -> None:
        self._began = time.time() - elapsed_s()
        self._ahead: float | None = None  # of the monotonic clock
        client.meta.events.register("after-call", self._look)

    def __call__(self) -> float:
        return elapsed_s() + (self._began if self._ahead is None else self._ahead)

    def _look(self, http_response: Any, **_: object) -> None:  # noqa: ANN401 - botocore's own
        try:
            told = parsedate_to_datetime(http_response.headers["date"]).timestamp()
        except (KeyError, TypeError, ValueError):
            return
        # Told in whole seconds and heard later, it is behind: the most that was told is nearest.
        ahead = told - elapsed_s()
        self._ahead = ahead if self._ahead is None else max(self._ahead, ahead)


def elapsed_s() -> float:
    """Tell seconds from some moment on; a machine's sleep counts, where it can tell."""
    clock = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
    return time.clock_gettime(clock)


def _left_since(holder: Holder) -> datetime:
    """Since when there may be something left, where a holder has left something, too."""
    return min(holder.left_since or holder.since, holder.since)


def clock_time(time: datetime, now: datetime) -> str:
    """Write a time for people, with its day where that is not today."""
    return f"{time:%H:%M:%S} UTC" if time.date() == now.date() else f"{time:%Y-%m-%d %H:%M:%S} UTC"


def _names(*names: str) -> dict[str, str]:
    """Let expressions say what may be a word of DynamoDB's own."""
    return {f"#{name}": name for name in names}


def _item_of(refusal: ClientError) -> Item:
    """Return the item that a refused write brings back; empty when there is none."""
    return cast(Item, refusal.response.get("Item", {}))
