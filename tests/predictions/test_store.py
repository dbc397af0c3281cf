"""Single steps of the store that the state machine in test_life.py does not reach."""

import pytest

from memory_cloud import TRACEPARENT
from predictions.errors import NotFound
from predictions.record import InputFile, new_id
from predictions.store import IDEMPOTENCY_TTL_S, AlreadySubmitted, Remembered, Store

FILE = InputFile(key="uploads/demo/x/input.csv", name="a.csv", size_bytes=1, sha256="aa", etag="e")


@pytest.fixture
def clock():
    return [1_000_000.0]


@pytest.fixture
def store(cloud, clock):
    return Store(cloud.table, resend_after_s=60, clock=lambda: clock[0])


def submit(store, key=None, account="demo"):
    prediction_id = new_id()
    store.submit(account, prediction_id, FILE, traceparent=TRACEPARENT, idempotency_key=key)
    return prediction_id


def test_a_key_stands_for_the_first_prediction_only(store):
    first = submit(store, key="k")
    with pytest.raises(AlreadySubmitted) as refused:
        submit(store, key="k")
    assert refused.value.remembered == Remembered(first, FILE.sha256)
    assert [p.id for p in store.page("demo").predictions] == [first]


def test_a_key_is_the_accounts_own(store):
    submit(store, key="k")
    assert store.remembered("other", "k") is None
    submit(store, key="k", account="other")


def test_a_key_is_forgotten_after_a_day(store, clock):
    submit(store, key="k")
    clock[0] += IDEMPOTENCY_TTL_S
    assert store.remembered("demo", "k") is None
    assert submit(store, key="k") == store.remembered("demo", "k").prediction_id


def test_a_key_is_forgotten_with_its_prediction(store):
    store.delete("demo", submit(store, key="k"), erase_after_s=0)
    assert store.remembered("demo", "k") is None
    submit(store, key="k")


def test_pages_follow_each_other_without_gap_or_repeat(store):
    ids = sorted((submit(store) for _ in range(5)), reverse=True)
    seen, cursor = [], None
    while True:
        page = store.page("demo", cursor=cursor, limit=2)
        seen += [p.id for p in page.predictions]
        cursor = page.next_cursor
        if cursor is None:
            break
    assert seen == ids


def test_the_last_full_page_has_no_next(store):
    submit(store), submit(store)
    assert store.page("demo", limit=2).next_cursor is None


def test_find_knows_a_prediction_by_its_id_alone(store):
    prediction_id = submit(store, account="other")
    assert store.find(prediction_id).account == "other"
    with pytest.raises(NotFound):
        store.find(new_id())


def test_an_erasure_order_or_a_key_is_not_a_prediction(store):
    prediction_id = submit(store, key="k")
    store.delete("demo", prediction_id, erase_after_s=0)
    for name in (f"erasure/{prediction_id}", prediction_id):
        with pytest.raises(NotFound):
            store.get("demo", name)


def test_resends_come_at_doubling_times_and_to_one_sweeper_only(store, clock):
    submit(store)
    waits = []
    for _ in range(4):
        start = clock[0]
        while not (due := list(store.queued_and_due())):
            clock[0] += 10
        waits.append(clock[0] - start)
        assert store.take_resend(due[0])
        assert not store.take_resend(due[0]), "a second sweeper was let in"
    assert waits == [60, 120, 240, 480]
