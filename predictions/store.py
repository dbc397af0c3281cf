"""The life of a prediction in DynamoDB: each step is one conditional write.

    submit        (nothing)  → QUEUED      attempt 1
    claim         QUEUED     → PROCESSING  owner
    renew         PROCESSING → PROCESSING  beat + 1, progress
    complete      PROCESSING → COMPLETED   with the result's key, in the same write
    fail          PROCESSING → FAILED      with code, message and hint
    give_up       QUEUED     → FAILED      its last message is a dead letter: nothing takes it
    hand_back     PROCESSING → QUEUED      same attempt: given back on purpose
    put_off       PROCESSING → QUEUED      same attempt, later: a dependency is down
    put_back      PROCESSING → QUEUED      attempt + 1: its worker or its job died
    call_off      unfinished → FAILED      an operator ended it, whoever holds it
    requeue       FAILED     → QUEUED      attempt + 1: a person asked for it
    delete        any        → (nothing)   and an order to erase its files
    take_over     (nothing)  → any but PROCESSING: from the first version, once

Every write names the state that it leaves and, out of PROCESSING, the owner and the attempt:

    A  claims 1 --- stalls ------------- completes 1: refused
                      lease ends ^ put back as 2
    B                          claims 2 ------------ completes 2: accepted

Giving up names the attempt and the time of the next resend, which every other step sets anew:

    A  reads QUEUED ------------------------------------- gives up: refused
    B                 resends, or claims and hands back

Calling off names no owner, as it is meant for whoever that is, but the attempt that was looked at:

    A  claims 1 ------------------ completes 1: refused
    B             calls off 1
    B  reads 1 --------------------------------- calls off 1: refused
    A             dies ^ put back as 2

The table's items, by sort key `id`: a ULID is a prediction; `idempotency/…` remembers an
Idempotency-Key; `erasure/…` orders the removal of a deleted prediction's files; `columns` remembers
what the account calls the model's columns; `first-version/…` remembers that a prediction was taken
over, also after it is deleted. Capital letters and digits sort before small ones, so a
query for ids below `_NO_MORE_IDS` sees predictions only.

Unfinished records and erasure orders carry `unfinished` and `due_at`, which put them in a sparse
index: what may be stuck is found by a query that costs nothing when nothing is.
"""

from __future__ import annotations

import hashlib
import heapq
import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from typing import TYPE_CHECKING, Any, cast

import structlog
from boto3.dynamodb.conditions import Attr, ConditionBase, Key
from boto3.dynamodb.types import TypeDeserializer
from botocore.exceptions import ClientError
from pydantic import ValidationError

from predictions.errors import (
    AlreadySubmitted,
    LeaseLost,
    NotFound,
    UnreadableRecord,
    WrongStatus,
)
from predictions.record import (
    UNFINISHED,
    Claim,
    Failure,
    Frozen,
    InputFile,
    Page,
    Prediction,
    Remembered,
    ResultFile,
    Status,
    Summary,
    utc_now,
)

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.service_resource import Table

UNFINISHED_INDEX = "unfinished"
ID_INDEX = "by-id"
STATUS_INDEX = "by-status"
IDEMPOTENCY_TTL_S = 24 * 3600
ERASE_AFTER_S = 15 * 60
"""From a deletion to the removal of its files: far longer than a job needs to notice."""
LONGEST_RESEND_S = 12 * 3600
"""The doubling of the resend time ends here, well inside the queue's retention."""

log = structlog.get_logger()

_NO_MORE_IDS = "8"  # ULIDs start with 0 to 7
_CONFLICT_PAUSES_S = (0.05, 0.1, 0.2, 0.4)
_ERASE = "ERASE"
_ERASURE = "erasure/"
_COLUMN_MATCHES = "columns"
_TAKEN_OVER = "first-version/"
# Each kept as JSON text, one value: as maps of maps they took the SDK most of the time of a list.
# They are read in both forms.
_TEXTS: dict[str, type[Frozen]] = {
    "input": InputFile,
    "result": ResultFile,
    "summary": Summary,
    "failure": Failure,
}


@dataclass(frozen=True)
class Erasure:
    """The files of a deleted prediction that are still to be removed."""

    account: str
    prediction_id: str


class Store:
    """Predictions in one DynamoDB table.

    `resend_after_s` is how long a record may be QUEUED before its message is sent again; it
    doubles with each resend. `clock` gives Unix time in seconds and is replaced in tests.
    """

    def __init__(
        self, table: Table, *, resend_after_s: float, clock: Callable[[], float] = time.time
    ) -> None:
        self._table = table
        self._resend_after_s = resend_after_s
        self._clock = clock

    # ---- reading -------------------------------------------------------------------------

    def get(self, account: str, prediction_id: str) -> Prediction:
        """Return one prediction of this account. Raises NotFound, also for another account's."""
        found = self._table.get_item(
            Key={"account": account, "id": prediction_id}, ConsistentRead=True
        ).get("Item")
        if found is None or "status" not in found:
            raise NotFound(prediction_id)
        return _as_prediction(found)

    def find(self, prediction_id: str) -> Prediction:
        """Return a prediction by its id alone, for operators and old messages. Raises NotFound."""
        keys = self._table.query(
            IndexName=ID_INDEX, KeyConditionExpression=Key("id").eq(prediction_id)
        )["Items"]
        if not keys:
            raise NotFound(prediction_id)
        return self.get(str(keys[0]["account"]), prediction_id)

    def page(
        self,
        account: str,
        *,
        status: Status | None = None,
        cursor: str | None = None,
        limit: int = 25,
    ) -> Page:
        """Return `limit` predictions older than `cursor`, newest first."""
        older = Key("id").lt(cursor or _NO_MORE_IDS)
        ask: dict[str, Any] = {"ScanIndexForward": False}
        if status is None:
            ask["KeyConditionExpression"] = Key("account").eq(account) & older
            ask["ConsistentRead"] = True
        else:
            ask["KeyConditionExpression"] = Key("account_status").eq(f"{account}/{status}") & older
            ask["IndexName"] = STATUS_INDEX
        items: list[Mapping[str, Any]] = []
        # One more than asked for tells whether there is a next page. An answer ends at 1 MB.
        while len(items) <= limit:
            answer = self._table.query(**ask, Limit=limit + 1 - len(items))
            items += answer["Items"]
            if "LastEvaluatedKey" not in answer:
                break
            ask["ExclusiveStartKey"] = answer["LastEvaluatedKey"]
        shown = items[:limit]
        return Page(
            predictions=tuple(_readable(shown)),
            next_cursor=str(shown[-1]["id"]) if len(items) > limit else None,
        )

    def newest_unfinished(self, status: Status, limit: int) -> list[Prediction]:
        """Return the `limit` newest predictions of all accounts that are QUEUED or PROCESSING.

        Reads the keys of all of them, as the index is in the order of their due times.
        """
        newest = heapq.nlargest(limit, self._unfinished(status), key=lambda key: key["id"])
        return [one for key in newest for one in self._still(key, status)]

    def queued_and_due(self) -> Iterator[Prediction]:
        """Yield QUEUED records whose resend time has come."""
        for key in self._unfinished(Status.QUEUED, due_before=self._clock()):
            yield from self._still(key, Status.QUEUED)

    def queued(self) -> Iterator[Prediction]:
        """Yield every QUEUED record, the next that is due first."""
        for key in self._unfinished(Status.QUEUED):
            yield from self._still(key, Status.QUEUED)

    def processing(self) -> Iterator[Prediction]:
        """Yield every PROCESSING record: as many as there are jobs at work, whatever their age."""
        for key in self._unfinished(Status.PROCESSING):
            yield from self._still(key, Status.PROCESSING)

    def erasures_due(self) -> Iterator[Erasure]:
        """Yield the deleted predictions whose files may be removed now."""
        for key in self._unfinished(_ERASE, due_before=self._clock()):
            yield Erasure(key["account"], key["id"].removeprefix(_ERASURE))

    def remembered(self, account: str, idempotency_key: str) -> Remembered | None:
        """Return what this account used the key for in the last day, if it did."""
        item = self._table.get_item(
            Key={"account": account, "id": _idempotency_id(idempotency_key)}, ConsistentRead=True
        ).get("Item")
        # TTL removes items some days late, so an expired one may still be here.
        if item is None or float(str(item["expires_at"])) <= self._clock():
            return None
        return Remembered.model_validate(item)

    def column_matches(self, account: str) -> dict[str, str]:
        """Return what the account calls the model's columns where the names differ."""
        item = self._table.get_item(
            Key={"account": account, "id": _COLUMN_MATCHES}, ConsistentRead=True
        ).get("Item")
        return _matches_in(item)

    def remember_column_matches(self, account: str, matches: Mapping[str, str]) -> None:
        """Replace what the account calls the model's columns: column of the model → of the file."""
        self._table.put_item(
            Item={"account": account, "id": _COLUMN_MATCHES, "matches": dict(matches)}
        )

    def change_column_matches(
        self, account: str, change: Callable[[Mapping[str, str]], Mapping[str, str]]
    ) -> None:
        """Replace the matches by what `change` makes of them; what another writes is not lost.

        Then `change` is called again, with what was written.
        """
        key = {"account": account, "id": _COLUMN_MATCHES}
        while True:  # who is refused has been overtaken: somebody gets on each time
            found = self._table.get_item(Key=key, ConsistentRead=True).get("Item")
            if found is None:
                as_read: ConditionBase = Attr("id").not_exists()
            else:
                as_read = Attr("matches").eq(found["matches"])
            changed = change(_matches_in(found))
            with suppress(self._table.meta.client.exceptions.ConditionalCheckFailedException):
                self._table.put_item(
                    Item={**key, "matches": dict(changed)}, ConditionExpression=as_read
                )
                return

    def ping(self) -> None:
        """Make one cheap read; raises the SDK's error when the table cannot be read."""
        self._table.get_item(Key={"account": "readiness", "id": "readiness"})

    # ---- a life, in its order ------------------------------------------------------------

    def submit(
        self,
        account: str,
        prediction_id: str,
        input_file: InputFile,
        *,
        traceparent: str,
        submitted_by: str | None = None,
        idempotency_key: str | None = None,
    ) -> Prediction:
        """Record a new prediction as QUEUED. Its file must be in S3 already.

        Raises AlreadySubmitted when another request used the same key first.
        """
        now = utc_now()
        prediction = Prediction(
            account=account,
            id=prediction_id,
            status=Status.QUEUED,
            attempt=1,
            input=input_file,
            created_at=now,
            updated_at=now,
            queued_at=now,
            traceparent=traceparent,
            submitted_by=submitted_by,
            due_at=self._clock() + self._resend_after_s,
        )
        item = _as_item(prediction) | _index_keys(account, Status.QUEUED)
        # The upload's own erasure order, made before it began, ends with the same write.
        order = {"account": account, "id": _erasure_id(prediction_id)}
        writes: list[Any] = [
            self._put_if_new(item),
            {"Delete": {"TableName": self._table.name, "Key": order}},
        ]
        if idempotency_key is not None:
            remember = {
                "account": account,
                "id": _idempotency_id(idempotency_key),
                "prediction_id": prediction_id,
                "sha256": input_file.sha256,
                "expires_at": int(self._clock() + IDEMPOTENCY_TTL_S),
            }
            item["idempotency_id"] = remember["id"]
            writes.append(self._put_if_new(remember, or_expired=True))
        try:
            self._transact(writes)
        except self._table.meta.client.exceptions.TransactionCanceledException:
            earlier = idempotency_key and self.remembered(account, idempotency_key)
            if not earlier:
                raise
            raise AlreadySubmitted(earlier) from None
        return prediction

    def was_taken_over(self, account: str, old_id: str) -> bool:
        """Say whether the first version's prediction of this id has had its record here."""
        key = {"account": account, "id": _TAKEN_OVER + old_id}
        return "Item" in self._table.get_item(Key=key, ConsistentRead=True)

    def take_over(self, prediction: Prediction, old_id: str) -> bool:
        """Record a prediction of the first version; False when it has, or had, its record here.

        Its files must be in S3 already. QUEUED, it is due as after `submit`.
        """
        if prediction.status is Status.PROCESSING:
            raise ValueError("nobody holds the first version's claims: record it as QUEUED")
        if prediction.status is Status.QUEUED:
            due_at = self._clock() + self._resend_after_s
            prediction = prediction.model_copy(update={"due_at": due_at})
        account = prediction.account
        mark = {"account": account, "id": _TAKEN_OVER + old_id, "prediction_id": prediction.id}
        item = _as_item(prediction) | _index_keys(account, prediction.status)
        try:
            self._transact([self._put_if_new(item), self._put_if_new(mark)])
        except self._table.meta.client.exceptions.TransactionCanceledException as exc:
            if "ConditionalCheckFailed" not in _cancellation_codes(exc):
                raise
            return False
        return True

    def claim(self, account: str, prediction_id: str, attempt: int, owner: str) -> Prediction:
        """QUEUED → PROCESSING for this owner, who must be new for each claim.

        Raises NotFound, or WrongStatus when it is not QUEUED at this attempt.
        """
        try:
            return self._step(
                {"account": account, "id": prediction_id},
                leaving=Attr("status").eq(Status.QUEUED) & Attr("attempt").eq(attempt),
                to=Status.PROCESSING,
                put={
                    "owner": owner,
                    "beat": 0,
                    "started_at": utc_now().isoformat(),
                    "rows_done": 0,
                    "fraction_done": 0,
                    # Only orders the index: the sweeper looks at every PROCESSING record.
                    "due_at": self._clock(),
                },
                refused=lambda found: WrongStatus(found, f"QUEUED at attempt {attempt}"),
            )
        except WrongStatus:
            # The SDK repeats a call whose answer was lost, and is refused by its own success.
            found = self.get(account, prediction_id)
            if found.owner != owner:
                raise
            return found

    def renew(self, claim: Claim, *, rows_done: int, fraction_done: float) -> None:
        """Show that the claim is alive, and how far it is. Raises LeaseLost."""
        self._leave_processing(
            claim,
            to=Status.PROCESSING,
            # Rounded: DynamoDB refuses a number as small as a float may be.
            put={"rows_done": rows_done, "fraction_done": round(fraction_done, 4)},
            add={"beat": 1},
        )

    def complete(self, claim: Claim, result: ResultFile, summary: Summary) -> Prediction:
        """PROCESSING → COMPLETED, with the result's key in the same write. Raises LeaseLost."""
        try:
            return self._leave_processing(
                claim,
                to=Status.COMPLETED,
                put={
                    "result": _as_text(result),
                    "summary": _as_text(summary),
                    "rows_done": result.rows,
                    "fraction_done": 1,
                    "finished_at": utc_now().isoformat(),
                    "completed_by": claim.owner,
                },
            )
        except LeaseLost as lost:
            # The SDK repeats a call whose answer was lost, and is refused by its own success.
            with suppress(NotFound):
                found = self.get(claim.account, claim.id)
                if found.completed_by == claim.owner:
                    return found
            raise lost

    def fail(self, claim: Claim, failure: Failure, *, beat: int | None = None) -> Prediction:
        """PROCESSING → FAILED for a reason that its owner is told. Raises LeaseLost."""
        return self._leave_processing(
            claim,
            to=Status.FAILED,
            put={"failure": _as_text(failure), "finished_at": utc_now().isoformat()},
            beat=beat,
        )

    def give_up(self, queued: Prediction, failure: Failure) -> Prediction:
        """QUEUED → FAILED, if nothing has happened to it since it was read as `queued`.

        Raises NotFound, or WrongStatus when it was claimed, sent again, handed back or finished.
        """
        due_at = Attr("due_at")
        as_read = (
            due_at.not_exists() if queued.due_at is None else due_at.eq(Decimal(str(queued.due_at)))
        )
        return self._step(
            {"account": queued.account, "id": queued.id},
            # Status and attempt are also those of a record that was claimed and handed back.
            leaving=Attr("status").eq(Status.QUEUED) & Attr("attempt").eq(queued.attempt) & as_read,
            to=Status.FAILED,
            put={"failure": _as_text(failure), "finished_at": utc_now().isoformat()},
            refused=lambda found: WrongStatus(found, f"QUEUED as at {queued.updated_at}"),
        )

    def call_off(self, unfinished: Prediction, failure: Failure) -> Prediction:
        """QUEUED or PROCESSING → FAILED, at the attempt that `unfinished` was read at.

        Whoever holds the claim loses it: every write of a claim's names PROCESSING and its owner.
        Raises NotFound, or WrongStatus when it is finished or at another attempt.
        """
        attempt = unfinished.attempt
        return self._step(
            {"account": unfinished.account, "id": unfinished.id},
            leaving=Attr("status").is_in(sorted(UNFINISHED)) & Attr("attempt").eq(attempt),
            to=Status.FAILED,
            put={"failure": _as_text(failure), "finished_at": utc_now().isoformat()},
            refused=lambda found: WrongStatus(found, f"unfinished at attempt {attempt}"),
        )

    def hand_back(self, claim: Claim) -> Prediction:
        """PROCESSING → QUEUED at the same attempt: given back on purpose. Raises LeaseLost."""
        return self._leave_processing(claim, to=Status.QUEUED, put=self._queued_again())

    def put_off(self, claim: Claim, *, delay_s: float) -> Prediction:
        """PROCESSING → QUEUED at the same attempt, to be tried again in `delay_s`.

        What it depends on is down, for which it is not to blame. Raises LeaseLost.
        """
        return self._leave_processing(
            claim,
            to=Status.QUEUED,
            put=self._queued_again(in_s=delay_s),
            add={"delays": 1},
        )

    def put_back(self, claim: Claim, *, beat: int | None = None) -> Prediction:
        """PROCESSING → QUEUED at the next attempt, after its worker or its job process died.

        With `beat` only if the lease has not been renewed since. Raises LeaseLost.
        """
        return self._leave_processing(
            claim,
            to=Status.QUEUED,
            put=self._queued_again(),
            add={"attempt": 1, "crashes": 1},
            beat=beat,
        )

    def requeue(self, account: str, prediction_id: str) -> Prediction:
        """FAILED → QUEUED at the next attempt: a person asked for it.

        Raises NotFound, or WrongStatus when it is not FAILED.
        """
        return self._step(
            {"account": account, "id": prediction_id},
            leaving=Attr("status").eq(Status.FAILED),
            to=Status.QUEUED,
            put={**self._queued_again(), "crashes": 0, "delays": 0},
            add={"attempt": 1},
            refused=lambda found: WrongStatus(found, "FAILED"),
        )

    def take_resend(self, queued: Prediction) -> bool:
        """Take the right to send this record's message again; False when another sweeper has it.

        The next resend is twice as far away, so that a long backlog is not sent again wholesale.
        """
        wait_s = min(self._resend_after_s * 2 ** (queued.resends + 1), LONGEST_RESEND_S)
        try:
            self._step(
                {"account": queued.account, "id": queued.id},
                leaving=Attr("status").eq(Status.QUEUED)
                & Attr("attempt").eq(queued.attempt)
                & Attr("resends").eq(queued.resends),
                to=Status.QUEUED,
                put={"due_at": self._clock() + wait_s},
                add={"resends": 1},
                refused=lambda found: WrongStatus(found, "due"),
            )
        except (NotFound, WrongStatus):
            return False
        return True

    def delete(
        self, account: str, prediction_id: str, *, erase_after_s: float = ERASE_AFTER_S
    ) -> None:
        """Make a prediction unreachable at once, and order the removal of its files.

        They go `erase_after_s` later: by then a job that was at work on it has noticed.
        Raises NotFound.
        """
        gone = self._table.get_item(
            Key={"account": account, "id": prediction_id}, ConsistentRead=True
        ).get("Item")
        if gone is None or "status" not in gone:
            raise NotFound(prediction_id)
        name = self._table.name
        erasure = self._erasure(account, prediction_id, erase_after_s)
        writes: list[Any] = [
            {"Delete": {"TableName": name, "Key": {"account": account, "id": prediction_id}}},
            {"Put": {"TableName": name, "Item": erasure}},
        ]
        self._transact(writes)
        if "idempotency_id" in gone:
            self._forget_key(account, str(gone["idempotency_id"]), prediction_id)

    def order_erasure(self, account: str, prediction_id: str, *, after_s: float = 0) -> None:
        """Order the removal, `after_s` from now, of files that no record points to.

        They are an upload that is about to begin and may never become a record, one that came
        second, what a job wrote after its prediction was deleted, or what a lost attempt stored.
        """
        self._table.put_item(Item=self._erasure(account, prediction_id, after_s))

    def erased(self, erasure: Erasure) -> None:
        """Forget an erasure order: its files are gone."""
        key = {"account": erasure.account, "id": _erasure_id(erasure.prediction_id)}
        self._table.delete_item(Key=key)

    # ---- how ----------------------------------------------------------------------------

    def _leave_processing(
        self,
        claim: Claim,
        *,
        to: Status,
        put: dict[str, Any],
        add: dict[str, int] | None = None,
        beat: int | None = None,
    ) -> Prediction:
        # Status alone would let a superseded worker in while its successor is PROCESSING.
        ours = (
            Attr("status").eq(Status.PROCESSING)
            & Attr("owner").eq(claim.owner)
            & Attr("attempt").eq(claim.attempt)
        )
        if beat is not None:
            ours = ours & Attr("beat").eq(beat)
        try:
            return self._step(
                {"account": claim.account, "id": claim.id},
                leaving=ours,
                to=to,
                put=put,
                add=add,
                refused=lambda found: LeaseLost(
                    claim, f"{found.status} attempt {found.attempt} of {found.owner}"
                ),
            )
        except NotFound:
            raise LeaseLost(claim, "nothing: it was deleted", deleted=True) from None

    def _step(
        self,
        key: dict[str, str],
        *,
        leaving: ConditionBase,
        to: Status,
        put: dict[str, Any],
        add: dict[str, int] | None = None,
        refused: Callable[[Prediction], Exception],
    ) -> Prediction:
        values = {
            **put,
            **_index_keys(key["account"], to),
            "status": to,
            "updated_at": utc_now().isoformat(),
        }
        drop = () if to in UNFINISHED else ("unfinished", "due_at")
        if to is not Status.PROCESSING:
            drop = (*drop, "owner")
        if to is not Status.FAILED:
            drop = (*drop, "failure")
        if to is Status.QUEUED:  # these are of the attempt that ended
            drop = (*drop, "started_at", "finished_at")
        update, names, bound = _update_expression(values, add or {}, drop)
        try:
            answer = self._table.update_item(
                Key=key,
                ConditionExpression=leaving,
                UpdateExpression=update,
                ExpressionAttributeNames=names,
                ExpressionAttributeValues=bound,
                ReturnValues="ALL_NEW",
                ReturnValuesOnConditionCheckFailure="ALL_OLD",
            )
        except self._table.meta.client.exceptions.ConditionalCheckFailedException as exc:
            found = cast("dict[str, Any]", exc.response).get("Item")
            if found is None:
                raise NotFound(key["id"]) from None
            raise refused(_as_prediction(_plain(found))) from None
        return _as_prediction(answer["Attributes"])

    def _transact(self, writes: list[Any]) -> None:
        """Write all or nothing; again when another write of the same items was under way.

        The SDK repeats what was throttled, but not this: a renewal beside a deletion, say, or two
        uploads with one Idempotency-Key. Raises TransactionCanceledException for any other reason.
        """
        client = self._table.meta.client
        for pause_s in (*_CONFLICT_PAUSES_S, None):
            try:
                client.transact_write_items(TransactItems=writes)
                return
            except client.exceptions.TransactionCanceledException as exc:
                if pause_s is None or "TransactionConflict" not in _cancellation_codes(exc):
                    raise
            time.sleep(pause_s)

    def _queued_again(self, in_s: float = 0) -> dict[str, Any]:
        due_at = Decimal(str(self._clock() + in_s + self._resend_after_s))
        return {
            "due_at": due_at,
            "queued_at": utc_now().isoformat(),
            "resends": 0,
            "rows_done": 0,
            "fraction_done": 0,
        }

    def _forget_key(self, account: str, idempotency_id: str, prediction_id: str) -> None:
        """Forget a deleted prediction's key, unless it was used anew for another one."""
        # A refused condition is the "unless".
        with suppress(self._table.meta.client.exceptions.ConditionalCheckFailedException):
            self._table.delete_item(
                Key={"account": account, "id": idempotency_id},
                ConditionExpression=Attr("prediction_id").eq(prediction_id),
            )

    def _unfinished(
        self, kind: str, *, due_before: float | None = None
    ) -> Iterator[dict[str, str]]:
        condition: Any = Key("unfinished").eq(kind)
        if due_before is not None:
            condition = condition & Key("due_at").lte(Decimal(str(due_before)))
        start: dict[str, Any] = {}
        while True:
            answer = self._table.query(
                IndexName=UNFINISHED_INDEX, KeyConditionExpression=condition, **start
            )
            for item in answer["Items"]:
                yield {"account": str(item["account"]), "id": str(item["id"])}
            if "LastEvaluatedKey" not in answer:
                return
            start = {"ExclusiveStartKey": answer["LastEvaluatedKey"]}

    def _still(self, key: dict[str, str], status: Status) -> Iterator[Prediction]:
        """Yield the record as it is now: the index may be a moment behind."""
        found = self._table.get_item(Key=key, ConsistentRead=True).get("Item")
        for prediction in _readable([found] if found else []):
            if prediction.status is status:
                yield prediction

    def _put_if_new(self, item: dict[str, Any], *, or_expired: bool = False) -> dict[str, Any]:
        put: dict[str, Any] = {
            "TableName": self._table.name,
            "Item": item,
            "ConditionExpression": "attribute_not_exists(id)",
        }
        if or_expired:
            put["ConditionExpression"] += " OR expires_at <= :now"
            put["ExpressionAttributeValues"] = {":now": int(self._clock())}
        return {"Put": put}

    def _erasure(self, account: str, prediction_id: str, after_s: float) -> dict[str, Any]:
        return {
            "account": account,
            "id": _erasure_id(prediction_id),
            "unfinished": _ERASE,
            "due_at": Decimal(str(self._clock() + after_s)),
        }


def _as_prediction(item: Mapping[str, Any]) -> Prediction:
    """Read a record. Raises UnreadableRecord, which names it and the fields, not what they hold."""
    values = dict(item)
    wrong = []
    for name, kind in _TEXTS.items():
        if isinstance(text := item.get(name), str):
            try:
                values[name] = _from_text(kind, text)
            except ValidationError:
                wrong.append(name)
    try:
        if not wrong:
            return Prediction.model_validate(values)
    except ValidationError as exc:
        wrong = [str(error["loc"][0]) for error in exc.errors(include_input=False)]
    raise UnreadableRecord(f"{item.get('account')}/{item.get('id')}: {', '.join(wrong)}")


def _readable(items: Iterable[Mapping[str, Any]]) -> Iterator[Prediction]:
    """Yield the records; one that cannot be read must not keep the others from being found."""
    for item in items:
        try:
            yield _as_prediction(item)
        except UnreadableRecord as exc:
            log.error("record_unreadable", record=str(exc))


def _matches_in(item: Mapping[str, Any] | None) -> dict[str, str]:
    return {} if item is None else dict(item["matches"])


def _plain(item: Mapping[str, Any]) -> dict[str, Any]:
    """Read the item of a refused write, which the SDK leaves in DynamoDB's own notation."""
    read = TypeDeserializer().deserialize
    return {name: read(value) for name, value in item.items()}


def _cancellation_codes(error: ClientError) -> set[str]:
    """Return why a transaction was cancelled; a write of it that was not to blame says `None`."""
    reasons = cast("dict[str, Any]", error.response).get("CancellationReasons", [])
    return {reason.get("Code", "None") for reason in reasons}


def _erasure_id(prediction_id: str) -> str:
    return _ERASURE + prediction_id


def _idempotency_id(key: str) -> str:
    return "idempotency/" + hashlib.sha256(key.encode()).hexdigest()


def _index_keys(account: str, status: Status) -> dict[str, Any]:
    keys = {"account_status": f"{account}/{status}"}
    return keys | {"unfinished": str(status)} if status in UNFINISHED else keys


def _as_item(prediction: Prediction) -> dict[str, Any]:
    """Give a record as DynamoDB takes it: no nulls, decimals for floats, values in it as text."""
    item: dict[str, Any] = json.loads(
        prediction.model_dump_json(exclude_none=True, exclude=set(_TEXTS)), parse_float=Decimal
    )
    nested = {name: getattr(prediction, name) for name in _TEXTS}
    return item | {name: _as_text(value) for name, value in nested.items() if value is not None}


def _as_text(value: Frozen) -> str:
    return value.model_dump_json(exclude_none=True)


@lru_cache(maxsize=1024)
def _from_text(kind: type[Frozen], text: str) -> Frozen:
    """Read a value; the same ones are on the first page of the list whenever it is looked at."""
    return kind.model_validate_json(text)


def _update_expression(
    values: dict[str, Any], add: dict[str, int], drop: tuple[str, ...]
) -> tuple[str, dict[str, str], dict[str, Any]]:
    names = {f"#{name}": name for name in (*values, *add, *drop)}
    bound = {
        f":{name}": Decimal(str(value)) if isinstance(value, float) else value
        for name, value in (*values.items(), *add.items())
    }
    expression = "SET " + ", ".join(f"#{name} = :{name}" for name in values)
    if add:
        expression += " ADD " + ", ".join(f"#{name} :{name}" for name in add)
    if drop:
        expression += " REMOVE " + ", ".join(f"#{name}" for name in drop)
    return expression, names, bound
