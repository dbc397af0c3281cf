"""The deploy lease against the emulator's DynamoDB: one has it, and who died blocks nobody."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from operations.lease import DamagedLease, DeployLease, LeaseLost, LeaseTaken

TABLE = "local-retainwise-deploy-lease"


def ahead(dynamodb, stack, by_s, length_s=60.0):
    """The lease as somebody sees it whose clock is ahead."""
    return DeployLease(dynamodb, TABLE, stack, length_s, clock=lambda: time.time() + by_s)


def put(dynamodb, stack, **attributes):
    whole = {
        "stack": {"S": stack},
        "token": {"S": "1"},
        "owner": {"S": "alice@host"},
        "what": {"S": "deploy 1a2b3c4"},
        "since": {"N": "1700000000"},
        "renewed": {"N": "1700000000"},
        "expires": {"N": "99999999999"},
    }
    item = {name: value for name, value in (whole | attributes).items() if value is not None}
    dynamodb.put_item(TableName=TABLE, Item=item)


def test_of_eight_who_take_at_once_one_wins(dynamodb, stack):
    leases = [DeployLease(dynamodb, TABLE, stack) for _ in range(8)]
    start = threading.Barrier(len(leases))

    def take(number):
        start.wait(20)
        try:
            return leases[number].take(f"engineer {number}", "deploy")
        except LeaseTaken as taken:
            return taken

    with ThreadPoolExecutor(len(leases)) as pool:
        for _ in range(50):
            outcomes = list(pool.map(take, range(len(leases))))
            [won] = [one for one in outcomes if not isinstance(one, LeaseTaken)]
            refused = [one for one in outcomes if one is not won]
            assert {one.holder.token for one in refused} == {won.token}
            assert leases[0].holder() == leases[0].last()
            leases[0].release(won)


def test_who_finds_it_taken_is_told_who_has_it(lease):
    held = lease.take("alice@host", "deploy 1a2b3c4")
    with pytest.raises(LeaseTaken) as refused:
        lease.take("bob@host", "deploy 5d6e7f8")
    assert refused.value.holder.token == held.token
    said = str(refused.value)
    assert "alice@host holds the deploy lease since " in said
    assert f"{held.since:%H:%M:%S} UTC to deploy 1a2b3c4; renewed 0 s ago" in said
    assert f"ends by itself at {held.expires:%H:%M:%S} UTC" in said


def test_a_time_of_another_day_is_told_with_its_day(dynamodb, lease, stack):
    put(dynamodb, stack)
    with pytest.raises(LeaseTaken, match="since 2023-11-14 22:13:20 UTC to deploy 1a2b3c4"):
        lease.take("bob@host", "deploy")


def test_one_stack_s_lease_is_not_another_s(dynamodb, stack):
    DeployLease(dynamodb, TABLE, stack).take("alice@host", "deploy")
    DeployLease(dynamodb, TABLE, f"{stack}b").take("bob@host", "deploy")


def test_what_was_released_is_free_and_tells_who_had_it(lease):
    assert lease.last() is None
    held = lease.take("alice@host", "deploy 1a2b3c4")
    lease.release(held)
    assert lease.holder() is None
    last = lease.last()
    assert (last.owner, last.what) == ("alice@host", "deploy 1a2b3c4")
    assert last.released >= last.since
    again = lease.take("bob@host", "deploy 5d6e7f8")
    assert lease.holder().token == again.token


def test_what_has_ended_is_free_and_what_has_not_is_not(dynamodb, lease, stack):
    held = lease.take("alice@host", "deploy")
    with pytest.raises(LeaseTaken):
        ahead(dynamodb, stack, 58).take("bob@host", "deploy")
    after = ahead(dynamodb, stack, 61)
    assert after.holder() is None
    assert after.last().token == held.token
    assert after.take("bob@host", "deploy").owner == "bob@host"


def test_a_renewal_puts_the_end_off(dynamodb, lease, stack):
    held = lease.take("alice@host", "deploy")
    renewed = ahead(dynamodb, stack, 40).renew(held)
    assert renewed.expires > held.expires
    assert (renewed.token, renewed.since) == (held.token, held.since)
    with pytest.raises(LeaseTaken, match="renewed 21 s ago"):
        ahead(dynamodb, stack, 61).take("bob@host", "deploy")


def test_what_has_ended_and_nobody_took_can_be_renewed(dynamodb, lease, stack):
    held = lease.take("alice@host", "deploy")
    ahead(dynamodb, stack, 100).renew(held)
    assert ahead(dynamodb, stack, 120).holder().token == held.token


def test_what_another_took_is_lost(dynamodb, lease, stack):
    held = lease.take("alice@host", "deploy")
    taken = ahead(dynamodb, stack, 61).take("bob@host", "deploy 5d6e7f8")
    with pytest.raises(LeaseLost, match=r"alice@host has lost .*: bob@host took it at .* 5d6e7f8"):
        lease.renew(held)
    lease.release(held)  # and it is the other's still
    assert lease.last().token == taken.token
    assert lease.holder().released is None


def test_what_was_released_cannot_be_renewed(lease):
    held = lease.take("alice@host", "deploy")
    lease.release(held)
    with pytest.raises(LeaseLost, match="it was released"):
        lease.renew(held)
    assert lease.holder() is None


def test_what_was_deleted_is_lost(dynamodb, lease, stack):
    held = lease.take("alice@host", "deploy")
    dynamodb.delete_item(TableName=TABLE, Key={"stack": {"S": stack}})
    with pytest.raises(LeaseLost, match="its item was deleted"):
        lease.renew(held)
    lease.release(held)
    assert lease.last() is None  # neither brings it back


def test_a_taking_whose_answer_got_lost_is_ours(bootstrapped, stack):
    """The SDK tries again, and finds what it wrote itself."""
    dynamodb = bootstrapped.client("dynamodb", bootstrapped.cloud.session("eu-west-1"))
    failed = []

    def lose(response, **_):
        if not failed:
            failed.append(response)
            return 0.0  # seconds after which it is sent again
        return None

    dynamodb.meta.events.register_first("needs-retry.dynamodb.PutItem", lose)
    lease = DeployLease(dynamodb, TABLE, stack)
    held = lease.take("alice@host", "deploy")
    assert failed
    assert lease.holder().token == held.token


@pytest.mark.parametrize(
    ("attributes", "said"),
    [
        ({"expires": None}, "expires must be a number, seconds since the epoch, not None"),
        ({"expires": {"N": "1e30"}}, "expires must be a number"),
        ({"since": {"S": "yesterday"}}, "since must be a number"),
        ({"released": {"S": ""}, "since": {"N": "1"}}, "released must be a number"),
        ({"token": None}, "token must be a text"),
        ({"owner": {"S": "alice\x1b[2J"}}, "owner must be a text that can be printed"),
    ],
)
def test_a_damaged_item_says_what_is_wrong_with_it(dynamodb, lease, stack, attributes, said):
    put(dynamodb, stack, **attributes)
    with pytest.raises(DamagedLease, match=said) as damaged:
        lease.holder()
    assert f'delete the item "{stack}"' in str(damaged.value)


def test_a_damaged_item_is_not_taken_for_a_free_one(dynamodb, lease, stack):
    put(dynamodb, stack, expires=None)
    with pytest.raises(DamagedLease, match="expires"):
        lease.take("bob@host", "deploy")


def test_a_text_that_could_not_be_shown_is_not_written(lease):
    with pytest.raises(ValueError, match="owner must be a text"):
        lease.take("alice\n", "deploy")
    assert lease.last() is None


def test_what_is_left_is_known_until_it_is_settled(dynamodb, lease, stack):
    """Though the next one dies as well, and the one after gives back what it could not settle."""
    first = lease.take("alice@host", "deploy")
    second = ahead(dynamodb, stack, 61).take("bob@host", "deploy")
    assert second.left_since == first.since
    third = ahead(dynamodb, stack, 122).take("carol@host", "deploy")
    assert third.left_since == first.since
    ahead(dynamodb, stack, 130).release(third)
    fourth = ahead(dynamodb, stack, 140).take("dave@host", "deploy")
    assert fourth.left_since == first.since
    ahead(dynamodb, stack, 141).note_all_settled(fourth)
    ahead(dynamodb, stack, 142).release(fourth)
    assert ahead(dynamodb, stack, 150).take("erin@host", "deploy").left_since is None


def test_what_was_broken_cannot_be_renewed_and_is_free_at_its_end_only(dynamodb, lease, stack):
    held = lease.take("alice@host", "deploy")
    lease.break_(held, "bob@host")
    with pytest.raises(LeaseLost, match="bob@host has broken it"):
        lease.renew(held)
    with pytest.raises(LeaseTaken):
        lease.take("bob@host", "deploy")
    after = ahead(dynamodb, stack, 61)
    assert after.take("bob@host", "deploy").left_since == held.since
    with pytest.raises(LeaseLost, match="bob@host took it"):
        lease.break_(held, "carol@host")


def test_the_time_is_aws_s_and_not_the_machine_s(dynamodb, stack, monkeypatch):
    monkeypatch.setattr(time, "time", lambda: 1_000_000.0)
    held = DeployLease(dynamodb, TABLE, stack).take("alice@host", "deploy")
    assert held.since.year >= 2026
