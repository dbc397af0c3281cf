"""One account's flood and another's single job, in a model of SQS's fair queues."""

from __future__ import annotations

from dataclasses import replace

import pytest

from fair_queue import (
    RELIABILITY,
    Clock,
    FairQueue,
    Sent,
    sent_by_the_product,
    waits_s,
    with_table,
)


@pytest.mark.parametrize(("workers", "job_s", "held"), [(2, 3, 10), (2, 60, 1), (20, 60, 1)])
def test_a_single_job_waits_for_what_a_worker_holds_and_not_for_the_flood(workers, job_s, held):
    flood, single = sent_by_the_product()
    case = {"workers": workers, "job_s": job_s, "after_s": 70}
    fair = waits_s(flood, single, **case, is_fair=True)
    unfair = waits_s(flood, single, **case, is_fair=False)
    assert fair <= held * job_s < unfair / 10


def test_without_message_groups_it_would_wait_for_all_of_the_flood():
    flood, single = (replace(one, group=None) for one in sent_by_the_product())
    case = {"workers": 2, "job_s": 3, "after_s": 70}
    fair = waits_s(flood, single, **case, is_fair=True)
    assert fair == waits_s(flood, single, **case, is_fair=False) > 1000


def test_the_document_says_what_the_model_says():
    text = RELIABILITY.read_text()
    assert text == with_table(text)


# ---- the model --------------------------------------------------------------------------------


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def queue(clock):
    return FairQueue(clock)


def send(queue, **numbers):
    for group, number in numbers.items():
        for n in range(number):
            queue.send(Sent(f"{group} {n}", group))


def given(queue, most=10):
    return [one.body for one in queue.receive(wait_s=0, most=most)]


def hold(queue, number):
    for _ in range(number // 10):
        assert len(given(queue)) == 10


@pytest.mark.parametrize(("in_flight", "first"), [(20, "flood 20"), (30, "quiet 0")])
def test_thirty_in_flight_are_noisy_and_fewer_are_not(queue, in_flight, first):
    send(queue, flood=100)
    hold(queue, in_flight)
    send(queue, quiet=1)
    assert given(queue, 1) == [first]


def test_a_tenth_of_the_time_is_noisy_however_few_are_in_flight(queue, clock):
    send(queue, slow=2)
    [first] = queue.receive(wait_s=0)
    clock.now = 60
    queue.delete(first)
    send(queue, quiet=1)
    assert given(queue, 1) == ["quiet 0"]
    assert given(queue, 1) == ["slow 1"], "when nobody else waits"


def test_the_time_that_counts_is_of_late(queue, clock):
    send(queue, slow=2)
    [first] = queue.receive(wait_s=0)
    clock.now = 60
    queue.delete(first)
    clock.now = 361
    queue.send_copies()  # so that it is not quiet for having sent nothing
    send(queue, quiet=1)
    assert given(queue, 1) == ["slow 1"]


def test_of_two_noisy_ones_the_one_with_fewer_in_flight_comes_first(queue):
    send(queue, one=50, two=100)
    hold(queue, 110)
    # 50 of the one and 60 of the other are in flight; of the one, nothing waits.
    send(queue, one=1)
    assert given(queue, 1) == ["one 0"]


@pytest.mark.parametrize(("seconds", "first"), [(299, "quiet 0"), (300, "flood 30")])
def test_who_has_sent_nothing_for_five_minutes_is_quiet(queue, clock, seconds, first):
    send(queue, flood=100)
    hold(queue, 30)
    clock.now = seconds
    send(queue, quiet=1)
    assert given(queue, 1) == [first]


def test_what_is_handed_back_keeps_its_place(queue):
    send(queue, one=3)
    queue.hand_back(*queue.receive(wait_s=0, most=2))
    assert given(queue) == ["one 0", "one 1", "one 2"]
