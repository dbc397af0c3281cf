"""Whose lock is taken away, and what a state becomes in which something was noted as begun."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from emulator import REGION
from infra.lease_item import Holder
from localcloud.cloud import ACCOUNT_ID
from localcloud.kinds.base import Ambiguous, Found
from localcloud.kinds.sqs import Queue
from localcloud.program import SERVICE
from operations.account import StackAccount
from operations.heal import _was_left
from operations.pending import CannotSettle, Settled, settle
from operations.state import Lock

NOW = datetime(2026, 3, 3, 2, 30, tzinfo=UTC)
OURS = Holder("2", "ana@here", "deploy", NOW, NOW, NOW + timedelta(minutes=1), host="here")
AFTER = replace(
    OURS,
    left_since=NOW - timedelta(minutes=60),
    left_until=NOW - timedelta(minutes=20),
    left_by=frozenset({"runner-1"}),
)


def lock(host, minutes_ago):
    written = NOW - timedelta(minutes=minutes_ago)
    return Lock("locks/1.json", written, "ana", host, 4711)


@pytest.mark.parametrize(
    ("holder", "found", "is_left"),
    [
        (AFTER, lock("runner-1", 30), True),
        (AFTER, lock("runner-1", 90), False),  # from before any of them
        (AFTER, lock("laptop", 30), False),  # of somebody who had no lease
        (AFTER, lock("runner-1", 10), False),  # of somebody who came there afterwards
        (AFTER, lock(None, 30), False),
        (OURS, lock("here", 0), False),  # nothing was left, and we have not begun
        (OURS, lock("runner-1", -1), False),
    ],
)
def test_a_lock_is_of_a_former_holder_by_its_machine_and_its_time(holder, found, is_left):
    assert _was_left(found, holder) is is_left


@pytest.mark.parametrize("text", [b"", b"[]", b"4", b'{"pid": "x"}'])
def test_a_lock_that_says_nothing_is_one_all_the_same(text):
    assert str(Lock.of("1.json", NOW, text)) == "somebody who left no name"


class Stack:
    """Stands where an engine stands, with a state that can be read and written."""

    def __init__(self, deployment):
        self.exported_ = {"version": 3, "deployment": deployment}

    def exported(self):
        return json.loads(json.dumps(self.exported_))

    def write_state(self, exported):
        self.exported_ = exported

    def import_(self, file):
        document = json.loads(file.read_text("utf-8"))
        for one in document["resources"]:
            urn = f"urn:pulumi:local::retainwise::{one['type']}::{one['logicalName']}"
            assert urn not in [there["urn"] for there in self.resources if not there.get("delete")]
            self.resources.append({"urn": urn, "type": one["type"], "id": one["id"]})

    @property
    def resources(self):
        return self.exported_["deployment"]["resources"]


@pytest.fixture
def account(bootstrapped, monkeypatch):
    bootstrapped.as_root(monkeypatch)
    return StackAccount("local", REGION, ACCOUNT_ID, bootstrapped.cloud.session(REGION))


def queue(name, urn="jobs", **more):
    type_ = "aws:sqs/queue:Queue"
    return {
        "urn": f"urn:pulumi:local::retainwise::{type_}::{urn}",
        "type": type_,
        "custom": True,
        "inputs": {"name": name, "__defaults": []},
        **more,
    }


def url(account, name):
    return account.session.client("sqs").create_queue(QueueName=name)["QueueUrl"]


def pending(what, resource, *known):
    return Stack(
        {"resources": [*known], "pending_operations": [{"type": what, "resource": resource}]}
    )


def test_what_was_made_and_not_noted_is_written_down(account):
    there = url(account, "local-retainwise-made")
    stack = pending("creating", queue("local-retainwise-made"))
    [settled] = settle(account, stack, SERVICE)
    assert str(settled).endswith("Queue jobs was being made when the last run was killed; it is "
                                 "there: taken over")  # fmt: skip
    assert [one["id"] for one in stack.resources] == [there]
    assert stack.exported_["deployment"]["pending_operations"] == []


def test_what_was_not_made_is_dropped(account):
    stack = pending("creating", queue("local-retainwise-never"))
    [settled] = settle(account, stack, SERVICE)
    assert str(settled).endswith("it is not there")
    assert stack.resources == []


def test_what_it_was_made_to_replace_is_marked_as_replaced(account):
    old, new = (url(account, f"local-retainwise-{name}") for name in ("old", "new"))
    before = queue("local-retainwise-old", id=old, outputs={})
    stack = pending("creating", queue("local-retainwise-new"), before)
    settle(account, stack, SERVICE)
    assert [(one["id"], one.get("delete", False)) for one in stack.resources] == [
        (old, True),
        (new, False),
    ]


def test_what_was_deleted_to_be_replaced_is_not_there_twice(account):
    new = url(account, "local-retainwise-next")
    before = queue("local-retainwise-last", id="gone", pendingReplacement=True)
    stack = pending("creating", queue("local-retainwise-next"), before)
    settle(account, stack, SERVICE)
    assert [one["id"] for one in stack.resources] == [new]


def test_what_is_known_already_is_not_taken_for_the_new_one(account):
    there = url(account, "local-retainwise-kept")
    known = queue("local-retainwise-kept", id=there)
    stack = pending("creating", queue("local-retainwise-kept"), known)
    [settled] = settle(account, stack, SERVICE)
    assert settled.id is None
    assert stack.resources == [known]


@pytest.mark.parametrize("what", ["updating", "deleting"])
def test_what_was_changed_or_deleted_stays_for_the_refresh(account, what):
    known = queue("local-retainwise-kept", id="some")
    stack = pending(what, known, known)
    settle(account, stack, SERVICE)
    assert stack.resources == [known]
    assert stack.exported_["deployment"]["pending_operations"] == []


def test_of_several_that_fit_the_new_one_is_who_is_not_known(account, monkeypatch):
    fitting = [Found(id=name, properties={}) for name in ("old", "new")]

    def look_for(*_):
        raise Ambiguous(fitting)

    monkeypatch.setattr(Queue, "look_for", look_for)
    monkeypatch.setattr(Queue, "get", lambda _self, one: Found(one, {}))
    stack = pending("creating", queue("x"), queue("x", id="old"))
    settle(account, stack, SERVICE)
    assert [one["id"] for one in stack.resources] == ["old", "new"]
    unclear = pending("creating", queue("x"))
    before = unclear.exported_
    with pytest.raises(CannotSettle, match="new and old: each could be the one"):
        settle(account, unclear, SERVICE)
    assert unclear.exported_ is before


def test_a_state_with_nothing_begun_is_not_written(account):
    stack = Stack(None)
    assert settle(account, stack, SERVICE) == []
    assert stack.exported_["deployment"] is None


@pytest.mark.parametrize(
    ("settled", "said"),
    [
        (Settled("creating", "aws:sqs/queue:Queue", "jobs", "url"), "it is there: taken over"),
        (Settled("creating", "aws:sqs/queue:Queue", "jobs", None), "it is not there"),
        (
            Settled("creating", "aws:sqs/queue:Queue", "jobs", None, is_looked_for=False),
            "that cannot be looked for, and is made anew",
        ),
    ],
)
def test_what_became_of_what_was_being_made_is_told(settled, said):
    assert str(settled) == f"Queue jobs was being made when the last run was killed; {said}"
