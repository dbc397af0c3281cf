"""What the product relies on from DynamoDB, through the store."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from decimal import Decimal
from itertools import count
from threading import Barrier

import pytest
from boto3.dynamodb.conditions import Key
from botocore.exceptions import ClientError

from finished import FAILURE, SUMMARY
from made_cloud import TRACEPARENT
from predictions.errors import AlreadySubmitted, LeaseLost, NotFound, WrongStatus
from predictions.record import Claim, InputFile, Prediction, ResultFile, Status, new_id
from predictions.store import IDEMPOTENCY_TTL_S, UNFINISHED_INDEX, Store
from predictions.sweeper import claim_of

FILE = InputFile(key="uploads/a/x/input.csv", name="a.csv", size_bytes=1, sha256="aa", etag="e")
RESULT = ResultFile(key="k", summary_key="s", rows=2, rows_failed=0, model="m1")
# Those of a refused step, whichever it is.
REFUSALS = (AlreadySubmitted, LeaseLost, NotFound, WrongStatus)
# An index follows the table at once, or soon: AWS names no time.
SOON_S = 15


class Life:
    """Predictions of one account, brought to where the next step can be taken."""

    def __init__(self, store: Store, account: str) -> None:
        self.store = store
        self.account = account
        self.owners = (f"worker-{number}" for number in count(1))

    def queued(self, key: str | None = None) -> Prediction:
        return self.store.submit(
            self.account, new_id(), FILE, traceparent=TRACEPARENT, idempotency_key=key
        )

    def processing(self) -> Claim:
        return self.claim(self.queued())

    def claim(self, queued: Prediction) -> Claim:
        owner = next(self.owners)
        return claim_of(self.store.claim(queued.account, queued.id, queued.attempt, owner))

    def completed(self) -> Prediction:
        return self.store.complete(self.processing(), RESULT, SUMMARY)

    def failed(self) -> Prediction:
        return self.store.fail(self.processing(), FAILURE)

    def now(self, prediction: Prediction | Claim) -> Prediction:
        return self.store.get(prediction.account, prediction.id)


@pytest.fixture
def store(cloud):
    return Store(cloud.table, resend_after_s=0)


@pytest.fixture
def life(store, account):
    return Life(store, account)


def soon(look, expected):
    """Look at an index until it has followed."""
    end = time.monotonic() + SOON_S
    while (seen := look()) != expected and time.monotonic() < end:
        time.sleep(0.05)
    assert seen == expected


def at_one_moment(*calls):
    """Run each in a thread; return what each returned, or raised."""
    ready = Barrier(len(calls))

    def run(call):
        ready.wait()
        try:
            return call()
        except (*REFUSALS, ClientError) as exc:
            return exc

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(run, calls))


# ---- the steps of a life -----------------------------------------------------------------


def submitting_under_one_key(life):
    return lambda: life.queued(key="k")


def taking_over(life):
    brought = life.queued().model_copy(update={"status": Status.FAILED, "failure": FAILURE})
    return lambda: life.store.take_over(brought.model_copy(update={"id": new_id()}), "old-1")


def claiming(life):
    queued = life.queued()
    return lambda: life.claim(queued)


def putting_off(life):
    claim = life.processing()
    return lambda: life.store.put_off(claim, delay_s=4)


def failing(life):
    claim = life.processing()
    return lambda: life.store.fail(claim, FAILURE)


def handing_back(life):
    claim = life.processing()
    return lambda: life.store.hand_back(claim)


def putting_back(life):
    claim = life.processing()
    return lambda: life.store.put_back(claim)


def putting_back_at_a_beat(life):
    claim = life.processing()
    life.store.renew(claim, rows_done=1, fraction_done=0.5)
    return lambda: life.store.put_back(claim, beat=1)


def calling_off(life):
    looked_at = life.queued()
    life.store.claim(looked_at.account, looked_at.id, 1, "me")
    return lambda: life.store.call_off(looked_at, FAILURE)


def requeuing(life):
    failed = life.failed()
    return lambda: life.store.requeue(failed.account, failed.id)


def taking_a_resend(life):
    queued = life.queued()
    return lambda: life.store.take_resend(queued)


def deleting(life):
    queued = life.queued()
    return lambda: life.store.delete(queued.account, queued.id)


@pytest.mark.parametrize(
    "prepare",
    [
        submitting_under_one_key,
        taking_over,
        claiming,
        putting_off,
        failing,
        handing_back,
        putting_back,
        putting_back_at_a_beat,
        calling_off,
        requeuing,
        taking_a_resend,
        deleting,
    ],
)
def test_each_step_is_accepted_once_and_refused_twice(life, prepare: Callable):
    step = prepare(life)
    accepted = []
    for _ in range(3):
        try:
            accepted.append(step() is not False)
        except REFUSALS:
            accepted.append(False)
    assert accepted == [True, False, False]


def test_completing_is_accepted_once_and_its_owner_may_repeat_it(life):
    """As the SDK does when the answer was lost."""
    claim = life.processing()
    done = life.store.complete(claim, RESULT, SUMMARY)
    assert life.store.complete(claim, RESULT, SUMMARY) == done
    with pytest.raises(REFUSALS):
        life.store.complete(replace(claim, owner="another"), RESULT, SUMMARY)


def test_a_record_is_not_written_over(life):
    record = life.queued()
    with pytest.raises(ClientError) as refused:
        life.store.submit(life.account, record.id, FILE, traceparent="another")
    reasons = [reason["Code"] for reason in refused.value.response["CancellationReasons"]]
    assert reasons == ["ConditionalCheckFailed", "None"], "each write says whether it was to blame"
    assert life.now(record) == record


def test_a_refusal_brings_back_what_was_found(life):
    claim = life.processing()
    with pytest.raises(WrongStatus) as claimed:
        life.store.claim(claim.account, claim.id, 1, "another")
    assert (claimed.value.found, claimed.value.attempt) == (Status.PROCESSING, 1)
    life.store.put_back(claim)
    with pytest.raises(LeaseLost, match="found QUEUED attempt 2 of None"):
        life.store.complete(claim, RESULT, SUMMARY)


def test_a_refusal_says_when_nothing_was_found(life):
    claim = life.processing()
    life.store.delete(claim.account, claim.id)
    with pytest.raises(LeaseLost) as lost:
        life.store.renew(claim, rows_done=1, fraction_done=0.5)
    assert lost.value.deleted


def test_a_superseded_claim_may_write_nothing_and_its_successor_all(life):
    old = life.processing()
    new = life.claim(life.store.put_back(old))
    for write in (
        lambda: life.store.renew(old, rows_done=1, fraction_done=0.5),
        lambda: life.store.complete(old, RESULT, SUMMARY),
        lambda: life.store.fail(old, FAILURE),
        lambda: life.store.hand_back(old),
    ):
        with pytest.raises(LeaseLost):
            write()
    life.store.renew(new, rows_done=1, fraction_done=0.5)
    assert life.store.complete(new, RESULT, SUMMARY).status is Status.COMPLETED


def test_only_the_beat_that_was_seen_is_put_back(life):
    claim = life.processing()
    life.store.renew(claim, rows_done=1, fraction_done=0.5)
    with pytest.raises(LeaseLost):
        life.store.put_back(claim, beat=0)


def test_numbers_are_added_to_and_what_is_over_is_removed(life, cloud):
    claim = life.processing()
    back = life.store.put_back(claim)
    assert (back.attempt, back.crashes, back.owner) == (2, 1, None)
    again = life.claim(back)
    life.store.fail(again, FAILURE)
    life.store.requeue(claim.account, claim.id)
    third = life.claim(life.now(claim))
    life.store.complete(third, RESULT, SUMMARY)
    key = {"account": claim.account, "id": claim.id}
    item = cloud.table.get_item(Key=key, ConsistentRead=True)["Item"]
    assert (item["attempt"], item["crashes"]) == (3, 0)
    assert not {"owner", "failure", "unfinished", "due_at"} & item.keys()


# ---- transactions ------------------------------------------------------------------------


def test_a_transaction_writes_all_or_nothing(life, cloud):
    life.queued(key="k")
    second = new_id()
    life.store.order_erasure(life.account, second)
    with pytest.raises(AlreadySubmitted):
        life.store.submit(life.account, second, FILE, traceparent=TRACEPARENT, idempotency_key="k")
    with pytest.raises(NotFound):
        life.store.get(life.account, second)
    order = {"account": life.account, "id": f"erasure/{second}"}
    assert "Item" in cloud.table.get_item(Key=order, ConsistentRead=True)


def test_an_expired_key_is_free_again_and_the_newer_prediction_keeps_it(cloud, account):
    clock = [1_000_000.0]
    store = Store(cloud.table, resend_after_s=60, clock=lambda: clock[0])
    life = Life(store, account)
    old = life.queued(key="k")
    clock[0] += IDEMPOTENCY_TTL_S
    new = life.queued(key="k")
    store.delete(account, old.id)
    assert store.remembered(account, "k").prediction_id == new.id
    store.delete(account, new.id)
    assert store.remembered(account, "k") is None


def test_a_transaction_that_is_sent_twice_is_written_once(cloud, account):
    """The SDK gives each a token and repeats it with the same when the answer was lost."""
    put = {
        "TableName": cloud.table.name,
        "Item": {"account": account, "id": new_id()},
        "ConditionExpression": "attribute_not_exists(id)",
    }
    for _ in range(2):
        cloud.table.meta.client.transact_write_items(
            TransactItems=[{"Put": put}], ClientRequestToken=account
        )


# ---- at one moment -----------------------------------------------------------------------


def test_of_two_claims_at_one_moment_exactly_one_wins(life):
    record = life.queued()
    for _ in range(100):
        claims = at_one_moment(*[lambda: life.claim(record)] * 2)  # noqa: B023 - called at once
        won = [claim for claim in claims if isinstance(claim, Claim)]
        lost = [claim for claim in claims if isinstance(claim, WrongStatus)]
        assert (len(won), len(lost)) == (1, 1), claims
        record = life.store.hand_back(won[0])  # refused to whom the record does not name


def test_of_two_uploads_at_one_moment_under_one_key_exactly_one_is_recorded(life):
    for number in range(20):
        key = f"key {number}"
        made = at_one_moment(*[lambda: life.queued(key)] * 2)  # noqa: B023 - called at once
        [first] = [one for one in made if isinstance(one, Prediction)]
        [second] = [one for one in made if isinstance(one, AlreadySubmitted)]
        assert second.remembered.prediction_id == first.id
    assert len(life.store.page(life.account, limit=100).predictions) == 20


def test_of_two_changes_at_one_moment_none_is_lost(life):
    def adding(name):
        return lambda: life.store.change_column_matches(
            life.account, lambda matches: {**matches, name: "x"}
        )

    for number in range(10):
        at_one_moment(adding(f"a{number}"), adding(f"b{number}"))
    assert len(life.store.column_matches(life.account)) == 20


# ---- reading -----------------------------------------------------------------------------


def test_a_read_sees_the_write_before_it(life):
    claim = life.processing()
    for beat in range(1, 16):
        life.store.renew(claim, rows_done=beat, fraction_done=0.5)
        assert life.now(claim).beat == beat


def test_numbers_come_back_as_they_were_given(cloud, account):
    store = Store(cloud.table, resend_after_s=60, clock=lambda: 1_763_000_000.123457)
    life = Life(store, account)
    record = life.queued()
    assert life.now(record).due_at == 1_763_000_060.123457
    claim = life.claim(record)
    store.renew(claim, rows_done=2**53, fraction_done=1 / 3)
    shown = life.now(record)
    assert (shown.rows_done, shown.fraction_done) == (2**53, 0.3333)


def test_a_decimal_keeps_its_38_digits(cloud, account):
    numbers = [Decimal("0.1"), Decimal("1234567890.1234567890123456789012345678"), Decimal("-1E-9")]
    item = {"account": account, "id": new_id(), "numbers": numbers}
    cloud.table.put_item(Item=item)
    [found] = cloud.table.query(
        KeyConditionExpression=Key("account").eq(account), ConsistentRead=True
    )["Items"]
    assert found == item


def test_unfinished_records_and_erasure_orders_are_in_the_sparse_index_and_no_other(life, cloud):
    queued, processing, failed = life.queued(), life.processing(), life.failed()
    life.completed()
    life.store.delete(life.account, failed.id, erase_after_s=0)

    def indexed(kind):
        answer = cloud.table.query(
            IndexName=UNFINISHED_INDEX, KeyConditionExpression=Key("unfinished").eq(kind)
        )
        return [item["id"] for item in answer["Items"] if item["account"] == life.account]

    soon(lambda: indexed("QUEUED"), [queued.id])
    soon(lambda: indexed("PROCESSING"), [processing.id])
    soon(lambda: indexed("ERASE"), [f"erasure/{failed.id}"])
    assert [indexed("COMPLETED"), indexed("FAILED")] == [[], []]
    life.store.complete(processing, RESULT, SUMMARY)
    soon(lambda: indexed("PROCESSING"), [])


def test_what_is_due_is_found_when_it_is_and_not_before(cloud, account):
    clock = [1_000_000.0]
    store = Store(cloud.table, resend_after_s=60, clock=lambda: clock[0])
    record = Life(store, account).queued()

    def due():
        return [one.id for one in store.queued_and_due() if one.account == account]

    clock[0] += 60
    soon(due, [record.id])
    clock[0] -= 0.5
    assert due() == []


def test_a_page_goes_on_where_the_last_one_ended_though_that_item_is_gone(
    cloud, account, monkeypatch
):
    store = Store(cloud.table, resend_after_s=60, clock=lambda: 1000.0)  # before all others' orders
    for _ in range(5):
        store.order_erasure(account, new_id())
    soon(lambda: len(list(store.erasures_due())), 5)
    query = cloud.table.query
    monkeypatch.setattr(cloud.table, "query", lambda **asked: query(**asked, Limit=2))

    erased = 0
    for order in store.erasures_due():
        store.erased(order)
        erased += 1

    assert erased == 5


def test_a_record_is_found_by_its_id_alone(life):
    record = life.queued()

    def found():
        with suppress(NotFound):
            return life.store.find(record.id)

    soon(found, record)


def test_pages_follow_each_other_newest_first(life):
    failed = life.failed()
    queued = sorted((life.queued().id for _ in range(5)), reverse=True)
    assert pages(life, None) == [*queued, failed.id]
    soon(lambda: pages(life, Status.QUEUED), queued)
    soon(lambda: pages(life, Status.FAILED), [failed.id])


def pages(life, status):
    seen, cursor = [], None
    while True:
        page = life.store.page(life.account, status=status, cursor=cursor, limit=2)
        seen += [one.id for one in page.predictions]
        cursor = page.next_cursor
        if cursor is None:
            return seen


def test_a_table_that_is_not_there_is_out_of_reach(cloud):
    cloud.store.ping()
    elsewhere = type(cloud.table)("not-there", client=cloud.table.meta.client)
    with pytest.raises(ClientError):
        Store(elsewhere, resend_after_s=60).ping()
