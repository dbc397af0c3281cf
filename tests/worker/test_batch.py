"""How many messages a consumer takes, keeps and hands back, by how long its jobs take."""

from __future__ import annotations

import threading

import pytest
import structlog
from botocore.exceptions import EndpointConnectionError

from worker.batch import Batch

LEASE_S = 30


class PlayedQueue:
    """Has messages without end, and notes each call."""

    def __init__(self):
        self.calls = []
        self.serial = 0

    def receive(self, *, wait_s, most):
        self.calls.append(("receive", most))
        first = self.serial
        self.serial += most
        return [f"m{number}" for number in range(first, self.serial)]

    def extend(self, *messages, visibility_s):
        self.calls.append(("extend", *messages))
        assert visibility_s == LEASE_S

    def hand_back(self, *messages):
        self.calls.append(("hand_back", *messages))

    def delete(self, *messages):
        self.calls.append(("delete", *messages))

    def said(self, what):
        return [call[1:] for call in self.calls if call[0] == what]


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def queue():
    return PlayedQueue()


@pytest.fixture
def batch(queue, clock):
    return Batch(queue, lease_s=LEASE_S, clock=clock)


def work(batch, clock, *took_s):
    for seconds in took_s:
        message = batch.next(wait_s=0)
        clock.now += seconds
        batch.keep()
        batch.done(message)


def test_while_nobody_knows_how_long_jobs_take_one_is_received(batch, queue):
    batch.next(wait_s=0)
    assert queue.said("receive") == [(1,)]


@pytest.mark.parametrize(("took_s", "most"), [(0.01, 10), (3, 10), (5, 6), (16, 1), (90, 1)])
def test_as_many_are_received_as_are_done_within_one_lease(batch, queue, clock, took_s, most):
    work(batch, clock, took_s)
    batch.next(wait_s=0)
    assert queue.said("receive")[-1] == (most,)


def test_the_longest_of_the_last_jobs_counts(batch, queue, clock):
    work(batch, clock, 0.01, *[0.01] * 9, 10.1)
    batch.acknowledge()
    batch.hand_back()
    batch.next(wait_s=0)
    assert queue.said("receive")[-1] == (2,)


def test_small_jobs_are_acknowledged_ten_at_a_time(batch, queue, clock):
    work(batch, clock, *[0.01] * 21)
    batch.wait_acknowledged()
    assert [len(messages) for messages in queue.said("delete")] == [1, 10, 10]


def test_what_waits_is_kept_hidden(batch, queue, clock):
    work(batch, clock, 2.9, *[2.9] * 4)
    [waiting] = queue.said("extend")
    assert waiting == ("m5", "m6", "m7", "m8", "m9", "m10")
    assert queue.said("hand_back") == []


def test_the_rest_is_handed_back_the_moment_a_job_turns_long(batch, queue, clock):
    work(batch, clock, 0.01)
    batch.next(wait_s=0)
    clock.now += 9.9
    batch.keep()
    assert queue.said("hand_back") == []
    clock.now += 0.2
    batch.keep()
    [rest] = queue.said("hand_back")
    assert len(rest) == 9
    assert queue.said("extend") == []


def test_what_is_done_is_acknowledged_when_a_job_turns_long(batch, queue, clock):
    work(batch, clock, 0.01, 0.01)
    batch.next(wait_s=0)
    clock.now += 10.1
    batch.keep()
    batch.wait_acknowledged()
    assert queue.said("delete")[-1] == ("m1",)


@pytest.mark.parametrize("jobs", [1, 11], ids=["fewer than ten", "ten at a time"])
def test_the_next_are_received_while_what_is_done_is_acknowledged(
    batch, queue, clock, monkeypatch, jobs
):
    received = threading.Event()
    receive = queue.receive

    def delete(*messages):
        assert received.wait(10), "nothing was received meanwhile"
        queue.calls.append(("delete", *messages))

    def receive_next(**how):
        received.set()
        return receive(**how)

    work(batch, clock, *[0.01] * (jobs - 1))
    last = batch.next(wait_s=0)
    monkeypatch.setattr(queue, "delete", delete)
    monkeypatch.setattr(queue, "receive", receive_next)
    batch.done(last)
    batch.next(wait_s=0)
    batch.wait_acknowledged()
    assert queue.said("delete")[-1][-1] == last


def test_an_end_waits_until_all_is_acknowledged_and_handed_back(batch, queue, clock):
    work(batch, clock, 0.01)
    batch.done(batch.next(wait_s=0))
    batch.end()
    assert queue.said("delete")[-1] == ("m1",)
    [rest] = queue.said("hand_back")
    assert len(rest) == 9


@pytest.mark.parametrize(
    ("error", "level"),
    [
        (EndpointConnectionError(endpoint_url="http://sqs"), "warning"),
        (ZeroDivisionError(), "error"),
    ],
)
def test_an_acknowledgement_that_fails_is_told_and_holds_nothing_up(
    batch, queue, clock, monkeypatch, error, level
):
    def fail(*_):
        raise error

    monkeypatch.setattr(fail, "__name__", "delete")
    delete = queue.delete
    monkeypatch.setattr(queue, "delete", fail)
    with structlog.testing.capture_logs() as lines:
        work(batch, clock, 0.01)
        batch.done(batch.next(wait_s=0))
        batch.wait_acknowledged()
    monkeypatch.setattr(queue, "delete", delete)
    batch.end()
    told = {"event": "queue_call_failed", "call": "delete", "error": type(error).__name__}
    assert lines == [told | {"log_level": level}]
    assert queue.said("delete") == [("m1",)]


def test_a_job_does_not_wait_for_an_acknowledgement(batch, queue, clock, monkeypatch):
    goes_on, gave_up = threading.Event(), []
    monkeypatch.setattr(queue, "delete", lambda *_: gave_up.append(not goes_on.wait(10)))
    work(batch, clock, 0.01, 0.01)  # the first is being acknowledged, the second waits for that
    batch.next(wait_s=0)
    clock.now += 10.1
    batch.keep()
    assert len(queue.said("hand_back")) == 1
    goes_on.set()
    batch.end()
    assert not any(gave_up)
