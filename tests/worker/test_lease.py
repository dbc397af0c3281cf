"""When a lease is renewed, and what ends it."""

import pytest
from botocore.exceptions import ClientError, ConnectTimeoutError

from predictions.errors import LeaseLost
from predictions.sweeper import claim_of
from worker.lease import Lease

LEASE_S = 30


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def held(cloud, clock):
    """Give a lease on a claimed prediction whose message is in flight to us."""
    prediction = cloud.submit(b"id\n1\n")
    cloud.queue.send(prediction)
    [received] = cloud.queue.receive(wait_s=0)
    claimed = cloud.store.claim(prediction.account, prediction.id, 1, "me")
    return Lease(
        cloud.store, cloud.queue, claim_of(claimed), received, lease_s=LEASE_S, clock=clock
    )


def beat(cloud, held):
    return cloud.store.get(held.claim.account, held.claim.id).beat


def test_it_is_renewed_at_a_third_of_its_length(cloud, clock, held):
    for clock.now, expected in ((9.9, 0), (10, 1), (19.9, 1), (20, 2), (35, 3)):
        held.keep(0, 0.0)
        assert beat(cloud, held) == expected


def test_progress_is_shown_twice_a_second(cloud, clock, held):
    for clock.now, done in ((0.25, 0.1), (0.5, 0.2), (0.75, 0.3), (1.0, 0.4)):
        held.keep(int(done * 10), done)
    assert beat(cloud, held) == 2
    assert cloud.store.get(held.claim.account, held.claim.id).rows_done == 4


def test_without_new_progress_nothing_is_shown(cloud, clock, held):
    for clock.now in (0.5, 1.0, 1.5):
        held.keep(1, 0.1)
    assert beat(cloud, held) == 1


def test_a_late_answer_renews_it_from_when_it_was_asked_for(clock, cloud, held, monkeypatch):
    def late(*_, **__):
        clock.now += 15

    monkeypatch.setattr(cloud.store, "renew", late)
    clock.now = 10
    held.keep(0, 0.0)
    clock.now = 10 + LEASE_S - 1
    assert held.may_hold
    clock.now = 10 + LEASE_S
    assert not held.may_hold


def test_the_message_stays_invisible_with_it(cloud, clock, held, monkeypatch):
    extended = []
    monkeypatch.setattr(
        cloud.queue,
        "extend",
        lambda received, visibility_s: extended.append((clock.now, visibility_s)),
    )
    for second in range(31):
        clock.now = second
        held.keep(second, second / 31)
    assert extended == [(10, LEASE_S), (20, LEASE_S), (30, LEASE_S)]


def test_a_superseded_claim_ends_it(cloud, clock, held):
    cloud.store.put_back(held.claim)
    clock.now = 10
    with pytest.raises(LeaseLost, match="QUEUED attempt 2"):
        held.keep(0, 0.0)


def test_deletion_ends_it(cloud, clock, held):
    cloud.store.delete(held.claim.account, held.claim.id, erase_after_s=0)
    clock.now = 10
    with pytest.raises(LeaseLost, match="deleted"):
        held.keep(0, 0.0)


def test_silence_of_the_table_ends_it_after_its_whole_length(clock, cloud, held, monkeypatch):
    def no_answer(*_, **__):
        raise ConnectTimeoutError(endpoint_url="table")

    monkeypatch.setattr(cloud.store, "renew", no_answer)
    for clock.now in (10, 20):
        held.keep(0, 0.0)
    clock.now = LEASE_S
    with pytest.raises(LeaseLost, match="no answer"):
        held.keep(0, 0.0)


def test_a_refused_extension_ends_nothing(cloud, clock, held, monkeypatch):
    """SQS may refuse a receipt whose time is over; the record is the fence."""

    def refused(*_, **__):
        raise ClientError({"Error": {"Code": "MessageNotInflight"}}, "ChangeMessageVisibility")

    monkeypatch.setattr(cloud.queue, "extend", refused)
    for clock.now in (10, 20, 30, 40):
        held.keep(0, 0.0)
    assert beat(cloud, held) == 4


def test_it_knows_how_long_it_was_held_and_how_often_renewed(cloud, clock, held, monkeypatch):
    assert (held.renewals, held.held_s) == (0, 0.001)
    for clock.now in (10, 20):
        held.keep(0, 0.0)

    def no_answer(*_, **__):
        raise ConnectTimeoutError(endpoint_url="table")

    monkeypatch.setattr(cloud.store, "renew", no_answer)
    clock.now = 30.1234
    held.keep(0, 0.0)
    assert (held.renewals, held.held_s) == (2, 30.123)
