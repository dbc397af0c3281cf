"""Watches every write as the cloud takes it, and says what must never be."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from failures.plan import Plan, Planned
from predictions import message
from predictions.record import UNFINISHED, Status

Item = Mapping[str, Any]
Key = tuple[str, str]


@dataclass(frozen=True)
class Change:
    """One step of a record's history."""

    at_s: float
    by: str
    key: Key
    before: str
    after: str

    def __str__(self) -> str:
        return f"{self.at_s:9.3f} {self.by:12} {self.key[1][-6:]} {self.before} → {self.after}"


@dataclass
class Found:
    """What was wrong, by its kind; each is a sentence for whoever looks into it."""

    lost: list[str] = field(default_factory=list)
    stranded: list[str] = field(default_factory=list)
    committed_twice: list[str] = field(default_factory=list)
    illegal: list[str] = field(default_factory=list)

    def counts(self) -> dict[str, int]:
        return {kind: len(told) for kind, told in vars(self).items()}

    def all(self) -> list[str]:
        return [f"{kind}: {one}" for kind, told in vars(self).items() for one in told]


@dataclass
class Outcome:
    """What came of a run.

    struck: what of the plan came to happen, in that order. calls: to AWS. took_s: by the clock of
    the run. history: a line for each change of a record.
    """

    plan: Plan
    struck: tuple[Planned, ...]
    found: Found
    calls: int
    took_s: float
    history: list[str] = field(repr=False)


class Audit:
    """The history of the records and messages of one run.

    lease_s: how long a lease must stand still before anybody may take it away.
    """

    def __init__(self, lease_s: float) -> None:
        self._lease_s = lease_s
        self.found = Found()
        self.history: list[Change] = []
        self.records: dict[Key, Item] = {}
        self._claimed_by: dict[str, str] = {}  # owner → process
        self._moved_at: dict[Key, float] = {}
        self._deleted: set[Key] = set()
        self._receipts: dict[str, tuple[str, str]] = {}  # receipt → message, body
        self._live: Counter[tuple[str, int]] = Counter()  # messages that ask for an attempt
        self._gone: set[str] = set()

    # ---- what was seen ----

    def records_are(self, items: Iterable[Item], by: str, at_s: float) -> None:
        """Compare all records with what they were before this write of `by`."""
        now = {(item["account"], item["id"]): item for item in items if "status" in item}
        for key in self.records.keys() - now.keys():
            self._note(key, by, at_s, _short(self.records.pop(key)), "deleted")
            if key not in self._deleted:
                self.found.lost.append(f"{key}: the record is gone, and nobody deleted it")
        for key, item in now.items():
            self.record_is(key, item, by, at_s)

    def record_is(self, key: Key, item: Item, by: str, at_s: float) -> None:
        """Compare one record with what it was before this write of `by`."""
        before = self.records.get(key)
        if before == item:
            return
        self.records[key] = item
        self._note(key, by, at_s, _short(before), _short(item))
        if before is not None:
            wrong = self._what_is_wrong(key, before, item, by, at_s)
            if wrong:
                self.found.illegal.append(f"{self.history[-1]}: {wrong}")
        elif (item["status"], int(item["attempt"])) != (Status.QUEUED, 1):
            self.found.illegal.append(f"{self.history[-1]}: it did not begin QUEUED")
        if _pulse(before) != _pulse(item):
            self._moved_at[key] = at_s

    def person_deletes(self, key: Key) -> None:
        """A deletion of this record is wanted."""
        self._deleted.add(key)

    def sent(self, body: str) -> None:
        """The queue took a message."""
        if asked := _asked(body):
            self._live[asked] += 1

    def received(self, receipt: str, message_id: str, body: str) -> None:
        """The queue gave a message."""
        self._receipts[receipt] = (message_id, body)

    def receipts(self) -> list[str]:
        """The receipts of all messages that were given and not acknowledged."""
        return [receipt for receipt, (id_, _) in self._receipts.items() if id_ not in self._gone]

    def acknowledged(self, receipt: str, by: str, at_s: float) -> None:
        """The queue forgot a message. Its record must not need it any more."""
        message_id, body = self._receipts[receipt]
        asked = _asked(body)
        if asked is None or message_id in self._gone:
            return
        self._gone.add(message_id)
        self._live[asked] -= 1
        for key, item in self.records.items():
            needs_it = item["status"] in UNFINISHED and (key[1], int(item["attempt"])) == asked
            if needs_it and self._live[asked] <= 0:
                self.found.illegal.append(
                    f"{at_s:.3f} {by} acknowledged {asked}, which is {_short(item)}"
                )

    # ---- what is allowed ----

    def _what_is_wrong(self, key: Key, before: Item, after: Item, by: str, at_s: float) -> str:
        was, now = Status(before["status"]), Status(after["status"])
        was_attempt, attempt = int(before["attempt"]), int(after["attempt"])
        match was, now:
            case Status.QUEUED, Status.PROCESSING:
                self._claimed_by[after["owner"]] = by
                return "" if attempt == was_attempt else "another attempt was claimed"
            case Status.QUEUED, Status.QUEUED:
                only_resent = attempt == was_attempt and after["resends"] > before["resends"]
                return "" if only_resent else "a waiting record was changed"
            case Status.FAILED, Status.QUEUED:
                return "" if attempt == was_attempt + 1 else "a retry is the next attempt"
            case ((Status.COMPLETED | Status.FAILED), _):
                if now is Status.COMPLETED:
                    self.found.committed_twice.append(str(self.history[-1]))
                return "it had ended"
            case Status.QUEUED, _:
                return "nobody had claimed it"
        # It leaves PROCESSING, or is renewed.
        is_holder = self._claimed_by.get(before.get("owner", "")) == by
        stood_still_s = at_s - self._moved_at[key]
        if now is Status.COMPLETED:
            if after["completed_by"] != before.get("owner") or not is_holder:
                self.found.committed_twice.append(str(self.history[-1]))
                return "another claim's record was completed"
            return "" if attempt == was_attempt else "another attempt was completed"
        if now is Status.PROCESSING:
            same = (before.get("owner"), was_attempt) == (after.get("owner"), attempt)
            return "" if same and is_holder else "another claim's lease was renewed"
        if not is_holder and stood_still_s < self._lease_s:
            return f"a lease that had moved {stood_still_s:.3f} s ago was taken away"
        if now is Status.QUEUED:
            lost = attempt == was_attempt + 1 and after["crashes"] == before["crashes"] + 1
            kept = attempt == was_attempt and is_holder
            return "" if lost or kept else "it is neither the same attempt nor the next"
        return ""

    def _note(self, key: Key, by: str, at_s: float, before: str, after: str) -> None:
        self.history.append(Change(at_s, by, key, before, after))


def _pulse(item: Item | None) -> tuple[Any, ...]:
    names = ("status", "attempt", "owner", "beat")
    return () if item is None else tuple(item.get(name) for name in names)


def _asked(body: str) -> tuple[str, int] | None:
    request = message.read(body)
    if not isinstance(request, message.Request):
        return None
    return request.data.prediction_id, request.data.attempt


def _short(item: Item | None) -> str:
    if item is None:
        return "nothing"
    told = f"{item['status']} {item['attempt']}"
    if "owner" in item:
        told += f" of {item['owner'][-4:]} beat {item.get('beat')}"
    if failure := item.get("failure"):
        told += f" {json.loads(failure)['code']}"
    return told
