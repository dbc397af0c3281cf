"""What works under the deploy lease keeps it, and is told in time when it cannot."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest
from botocore.config import Config
from botocore.exceptions import EndpointConnectionError

from operations.keeping import Ends, keep
from operations.lease import DeployLease, LeaseLost, LeaseTaken

TABLE = "local-retainwise-deploy-lease"
SHORT_S = 0.6
LONG_ENOUGH_S = 8.0  # a sixth of it is more than the second by which clocks may differ


@pytest.fixture
def short(dynamodb, stack) -> DeployLease:
    return DeployLease(dynamodb, TABLE, stack, SHORT_S)


def never(lost: LeaseLost) -> None:
    raise AssertionError(lost)


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_while_it_is_held_it_is_renewed_and_then_released(short):
    with keep(short, "alice@host", "deploy", never) as taking:
        held = taking.holder
        wait_until(lambda: short.last().renewed >= held.since + 3 * (held.expires - held.since))
        assert short.holder().token == held.token
        with pytest.raises(LeaseTaken):
            short.take("bob@host", "deploy")
    assert short.holder() is None
    assert short.last().released is not None


def test_it_is_released_when_the_block_fails(short):
    with pytest.raises(RuntimeError), keep(short, "alice@host", "deploy", never):
        raise RuntimeError
    assert short.holder() is None


def test_who_holds_it_is_told_once_when_another_took_it(dynamodb, short, stack):
    lost = []
    with keep(short, "alice@host", "deploy", lost.append):
        later = DeployLease(dynamodb, TABLE, stack, SHORT_S, clock=lambda: time.time() + 61)
        taken = later.take("bob@host", "deploy")
        wait_until(lambda: bool(lost))
        time.sleep(SHORT_S)
    assert len(lost) == 1
    assert "bob@host took it" in str(lost[0])
    assert short.last().token == taken.token
    assert short.last().released is None


@pytest.fixture
def on_a_bad_line(bootstrapped, stack):
    """A lease whose renewals fail for as long as `cut` is set; it says how many did."""

    class Line:
        def __init__(self) -> None:
            self.cut, self.failed = threading.Event(), 0

        def send(self, **_: object) -> None:
            if self.cut.is_set():
                self.failed += 1
                raise EndpointConnectionError(endpoint_url="https://dynamodb")

    line = Line()
    once = Config(retries={"total_max_attempts": 1})
    dynamodb = bootstrapped.cloud.session("eu-west-1").client(
        "dynamodb", endpoint_url=bootstrapped.endpoint, config=once
    )
    dynamodb.meta.events.register("before-send.dynamodb.UpdateItem", line.send)
    return DeployLease(dynamodb, TABLE, stack, LONG_ENOUGH_S), line


def test_a_renewal_that_gets_no_answer_is_tried_again(on_a_bad_line, lease):
    short, line = on_a_bad_line
    with keep(short, "alice@host", "deploy", never) as taking:
        held = taking.holder
        line.cut.set()
        wait_until(lambda: line.failed >= 2)
        line.cut.clear()
        wait_until(lambda: lease.last().renewed > held.since)
        wait_until(lambda: lease.last().renewed > held.expires)
    assert lease.last().released is not None


def test_who_cannot_renew_is_told_before_others_may_take_it(on_a_bad_line, lease):
    short, line = on_a_bad_line
    lost = []

    def told(why: LeaseLost) -> None:
        lost.append((why, lease.holder()))

    silent = []
    with keep(
        short, "alice@host", "deploy", told, on_silence=lambda _cause: silent.append(len(lost))
    ) as taking:
        line.cut.set()
        wait_until(lambda: bool(lost))
        line.cut.clear()
        time.sleep(1)
    [(why, holder)] = lost
    assert silent == [0]  # before, so that what runs can end in order
    assert "could not be renewed" in str(why)
    assert holder.token == taking.holder.token
    # It may still be at work in AWS: it is not given back, and ends by itself.
    assert lease.last().released is None


def test_a_holder_that_shows_no_life_is_outlived(dynamodb, stack):
    dead = DeployLease(dynamodb, TABLE, stack, 2.0).take("alice@host", "deploy 1a2b3c4")
    waited, lost = [], []
    lease = DeployLease(dynamodb, TABLE, stack, 2.0)
    with keep(lease, "bob@host", "deploy", lost.append, on_wait=waited.append) as taking:
        assert [one.token for one in waited] == [dead.token]
        assert taking.holder.since > dead.expires
        assert taking.holder.left_since == dead.since
        assert taking.holder.left_by == {dead.host}
        lease.note_all_settled(taking.holder)
    assert (lease.last().left_since, lease.last().left_by) == (None, frozenset())


def test_a_holder_that_renews_is_not(dynamodb, stack):
    lost = []
    theirs, ours = (DeployLease(dynamodb, TABLE, stack, LONG_ENOUGH_S) for _ in range(2))
    with (
        keep(theirs, "alice@host", "deploy", lost.append),
        pytest.raises(LeaseTaken, match="alice@host holds"),
        keep(ours, "bob@host", "deploy", lost.append),
    ):
        pass
    assert lost == []


def test_a_lease_is_given_back_at_once_where_no_session_can_be_had(lease):
    def refuse(_holder):
        raise EndpointConnectionError(endpoint_url="https://sts")

    with (
        pytest.raises(EndpointConnectionError),
        keep(lease, "alice@host", "deploy", never, on_held=refuse),
    ):
        raise AssertionError
    assert lease.last().released is not None


def test_who_was_killed_in_the_middle_does_not_give_it_back(short):
    with keep(short, "alice@host", "deploy", never) as taking:
        taking.ends = Ends.BY_ITSELF
    assert short.last().released is None


def test_who_left_something_gives_it_back_and_the_next_is_told(lease):
    with keep(lease, "alice@host", "deploy", never) as taking:
        taking.ends = Ends.LEFT
    last = lease.last()
    assert last.released is not None
    following = lease.take("bob@host", "deploy")
    assert following.left_since == taking.holder.since
    assert following.left_by == {taking.holder.host}


def test_a_renewal_that_hangs_does_not_put_off_the_news(bootstrapped, stack):
    dynamodb = bootstrapped.cloud.session("eu-west-1").client(
        "dynamodb", endpoint_url=bootstrapped.endpoint
    )
    hangs, lost = threading.Event(), []

    def hang(**_: object) -> None:
        hangs.wait(20)

    dynamodb.meta.events.register("before-send.dynamodb.UpdateItem", hang)
    with keep(DeployLease(dynamodb, TABLE, stack, SHORT_S), "alice@host", "deploy", lost.append):
        wait_until(lambda: bool(lost))
        assert not hangs.is_set()
        hangs.set()
    assert len(lost) == 1
