"""Single steps of the store that the state machine in test_life.py does not reach."""

from dataclasses import replace

import pytest
from boto3.dynamodb.conditions import Key

from memory_cloud import TRACEPARENT
from predictions.errors import (
    AlreadySubmitted,
    LeaseLost,
    NotFound,
    UnreadableRecord,
    WrongStatus,
)
from predictions.record import (
    Band,
    Failure,
    InputFile,
    Remembered,
    ResultFile,
    RowErrorCount,
    Status,
    Summary,
    new_id,
)
from predictions.store import IDEMPOTENCY_TTL_S, UNFINISHED_INDEX, Store
from predictions.sweeper import claim_of

FILE = InputFile(key="uploads/demo/x/input.csv", name="a.csv", size_bytes=1, sha256="aa", etag="e")
BAD = Failure(code="c", message="m", hint="h")
A_RESULT = ResultFile(key="k", summary_key="s", rows=1, rows_failed=0, model="m")
A_SUMMARY = Summary(expected_churners=0, predicted_churners=0, bands=(), top_reasons=())


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
    assert refused.value.remembered == Remembered(prediction_id=first, sha256=FILE.sha256)
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


@pytest.mark.parametrize("status", [None, "QUEUED"])
@pytest.mark.parametrize("answered", [[2, 2], [0, 1, 0, 3], [0, 0]])
def test_a_page_goes_on_where_an_answer_of_the_table_ends(store, monkeypatch, status, answered):
    """DynamoDB answers with 1 MB at most, and may find nothing on the way."""
    ids = sorted((submit(store) for _ in range(6)), reverse=True)
    query, left = store._table.query, list(answered)

    def ends_early(*, Limit, **asked):  # noqa: N803 - as the SDK calls it
        if not left:
            return query(Limit=Limit, **asked)
        size = min(left.pop(0), Limit)
        if size:
            return query(Limit=size, **asked)
        nowhere = {"account": "demo", "id": "8", "account_status": "demo/QUEUED"}
        start = asked.get("ExclusiveStartKey", nowhere)
        return {"Items": [], "LastEvaluatedKey": start}

    monkeypatch.setattr(store._table, "query", ends_early)

    first = store.page("demo", status=status, limit=4)
    second = store.page("demo", status=status, cursor=first.next_cursor, limit=4)

    assert [p.id for p in first.predictions] == ids[:4]
    assert [p.id for p in second.predictions] == ids[4:]
    assert second.next_cursor is None


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


def test_a_record_is_taken_for_what_it_is_though_the_index_is_behind(
    store, clock, cloud, monkeypatch
):
    """DynamoDB lets an index follow the table when it likes."""
    started, deleted = submit(store), submit(store)
    clock[0] += 60
    stale = cloud.table.query(
        IndexName=UNFINISHED_INDEX, KeyConditionExpression=Key("unfinished").eq("QUEUED")
    )
    assert stale["Count"] == 2
    store.claim("demo", started, 1, "me")
    store.delete("demo", deleted, erase_after_s=0)
    monkeypatch.setattr(cloud.table, "query", lambda **_: stale)

    assert list(store.queued_and_due()) == []
    assert [found.id for found in store.processing()] == [started]


def test_deleting_an_old_prediction_leaves_the_key_to_the_newer_one(store, clock):
    old = submit(store, key="k")
    clock[0] += IDEMPOTENCY_TTL_S
    new = submit(store, key="k")
    store.delete("demo", old, erase_after_s=0)
    assert store.remembered("demo", "k").prediction_id == new


def test_an_upload_that_becomes_a_record_loses_its_erasure_order(store):
    kept, orphan = new_id(), new_id()
    for prediction_id in (kept, orphan):
        store.order_erasure("demo", prediction_id)
    store.submit("demo", kept, FILE, traceparent=TRACEPARENT)
    assert [order.prediction_id for order in store.erasures_due()] == [orphan]


def test_a_claim_whose_answer_was_lost_is_still_ours(store):
    prediction_id = submit(store)
    first = store.claim("demo", prediction_id, 1, "me")
    assert store.claim("demo", prediction_id, 1, "me") == first


def test_a_completion_whose_answer_was_lost_is_still_ours(store):
    claim = claim_of(store.claim("demo", submit(store), 1, "me"))
    first = store.complete(claim, A_RESULT, A_SUMMARY)
    assert store.complete(claim, A_RESULT, A_SUMMARY) == first
    with pytest.raises(LeaseLost):
        store.complete(replace(claim, owner="another"), A_RESULT, A_SUMMARY)


@pytest.mark.parametrize("name", ["attempt", "input", "failure"])
@pytest.mark.parametrize("nonsense", ["secret of a customer", '{"secret": 1}', "[1"])
def test_one_unreadable_record_does_not_hide_the_others(store, clock, cloud, name, nonsense):
    broken, sound = submit(store), submit(store)
    cloud.table.update_item(
        Key={"account": "demo", "id": broken},
        UpdateExpression="SET #name = :nonsense",
        ExpressionAttributeNames={"#name": name},
        ExpressionAttributeValues={":nonsense": nonsense},
    )
    clock[0] += 60
    assert [p.id for p in store.queued_and_due()] == [sound]
    assert [p.id for p in store.page("demo").predictions] == [sound]
    with pytest.raises(UnreadableRecord, match=f"demo/{broken}: {name}") as refused:
        store.get("demo", broken)
    assert "secret" not in str(refused.value)


def test_a_retry_forgets_the_times_of_the_attempt_before(store):
    prediction_id = submit(store)
    claimed = store.claim("demo", prediction_id, 1, "me")
    assert claimed.started_at
    failed = store.fail(claim_of(claimed), BAD)
    assert failed.finished_at
    queued = store.requeue("demo", prediction_id)
    assert (queued.started_at, queued.finished_at) == (None, None)
    assert queued.queued_at > failed.queued_at
    assert store.take_resend(queued)
    assert store.get("demo", prediction_id).queued_at == queued.queued_at


@pytest.mark.parametrize("conflicts", [1, 4])
def test_a_write_that_met_another_one_is_repeated(store, cloud, monkeypatch, conflicts):
    client = store._table.meta.client
    write = client.transact_write_items
    left = [conflicts]

    def meets_another(**request):
        if left[0]:
            left[0] -= 1
            raise client.exceptions.TransactionCanceledException(
                {"Error": {"Code": "T"}, "CancellationReasons": [{"Code": "TransactionConflict"}]},
                "TransactWriteItems",
            )
        return write(**request)

    monkeypatch.setattr(client, "transact_write_items", meets_another)
    store.delete("demo", submit(store), erase_after_s=0)
    assert left == [0]
    assert store.page("demo").predictions == ()


def test_what_nobody_takes_is_given_up_once(store):
    queued = store.get("demo", submit(store))
    given_up = store.give_up(queued, BAD)
    assert (given_up.status, given_up.attempt, given_up.failure) == (Status.FAILED, 1, BAD)
    assert given_up.finished_at
    assert given_up.due_at is None
    with pytest.raises(WrongStatus) as refused:
        store.give_up(queued, BAD)
    assert refused.value.found is Status.FAILED


def retried(store, queued):
    fail_and_retry(store, claim_of(store.claim("demo", queued.id, 1, "me")))


def fail_and_retry(store, claim):
    store.fail(claim, BAD)
    store.requeue(claim.account, claim.id)


@pytest.mark.parametrize(
    "meanwhile",
    [
        lambda store, queued: store.take_resend(queued),
        lambda store, queued: store.claim("demo", queued.id, 1, "me"),
        lambda store, queued: store.hand_back(claim_of(store.claim("demo", queued.id, 1, "me"))),
        lambda store, queued: store.put_back(claim_of(store.claim("demo", queued.id, 1, "me"))),
        retried,
    ],
    ids=["resent", "claimed", "handed back", "put back", "retried"],
)
def test_what_moved_since_it_was_read_is_not_given_up(store, clock, meanwhile):
    queued = store.get("demo", submit(store))
    clock[0] += 0.001
    meanwhile(store, queued)
    moved = store.get("demo", queued.id)
    with pytest.raises(WrongStatus):
        store.give_up(queued, BAD)
    assert store.get("demo", queued.id) == moved


def test_what_was_deleted_since_it_was_read_is_not_given_up(store):
    queued = store.get("demo", submit(store))
    store.delete("demo", queued.id)
    with pytest.raises(NotFound):
        store.give_up(queued, BAD)


def test_a_record_without_a_resend_time_can_be_given_up(store, cloud):
    """Nothing finds it: it is in no index."""
    prediction_id = submit(store)
    cloud.table.update_item(
        Key={"account": "demo", "id": prediction_id}, UpdateExpression="REMOVE due_at"
    )
    assert store.give_up(store.get("demo", prediction_id), BAD).status is Status.FAILED


@pytest.mark.parametrize("is_held", [False, True])
def test_what_is_called_off_ends_for_whoever_holds_it(store, is_held):
    looked_at = store.get("demo", submit(store))
    claim = claim_of(store.claim("demo", looked_at.id, 1, "me"))
    if not is_held:
        store.hand_back(claim)
    called_off = store.call_off(looked_at, BAD)
    assert (called_off.status, called_off.failure) == (Status.FAILED, BAD)
    assert (called_off.owner, called_off.due_at) == (None, None)
    for step in (
        lambda: store.renew(claim, rows_done=1, fraction_done=0.5),
        lambda: store.complete(claim, A_RESULT, A_SUMMARY),
        lambda: store.put_back(claim),
    ):
        with pytest.raises(LeaseLost):
            step()
    assert store.get("demo", looked_at.id) == called_off


@pytest.mark.parametrize(
    "meanwhile",
    [
        lambda store, claim: store.put_back(claim),
        lambda store, claim: store.fail(claim, BAD),
        lambda store, claim: store.complete(claim, A_RESULT, A_SUMMARY),
        fail_and_retry,
    ],
    ids=["put back", "failed", "completed", "retried"],
)
def test_another_attempt_or_what_is_finished_is_not_called_off(store, meanwhile):
    looked_at = store.get("demo", submit(store))
    meanwhile(store, claim_of(store.claim("demo", looked_at.id, 1, "me")))
    moved = store.get("demo", looked_at.id)
    with pytest.raises(WrongStatus):
        store.call_off(looked_at, BAD)
    assert store.get("demo", looked_at.id) == moved


def test_the_newest_unfinished_are_found_in_all_accounts_whatever_is_due_first(store, clock):
    ids = [submit(store, account=account) for account in ("anna", "ben", "anna")]
    store.take_resend(store.get("anna", ids[0]))  # due last, though it is the oldest
    assert [one.id for one in store.newest_unfinished(Status.QUEUED, 2)] == sorted(ids)[:0:-1]
    assert {one.id for one in store.queued()} == set(ids)
    store.claim("ben", ids[1], 1, "me")
    assert {one.id for one in store.queued()} == {ids[0], ids[2]}
    assert [one.id for one in store.newest_unfinished(Status.PROCESSING, 2)] == [ids[1]]


def test_column_matches_are_remembered_for_their_account_alone(cloud):
    assert cloud.store.column_matches("demo") == {}

    cloud.store.remember_column_matches("demo", {"MonthlyCharges": "Monthly fee"})
    cloud.store.remember_column_matches("demo", {"tenure": "Months, “all”"})

    assert cloud.store.column_matches("demo") == {"tenure": "Months, “all”"}
    assert cloud.store.column_matches("other") == {}
    assert cloud.store.page("demo").predictions == ()


@pytest.mark.parametrize("before", [None, {}, {"gender": "sex"}])
def test_a_change_of_column_matches_loses_no_other_one(cloud, before):
    if before is not None:
        cloud.store.remember_column_matches("demo", before)
    others = iter([{"tenure": "Months"}, {"tenure": "Months", "Contract": "Plan"}])

    def change(remembered):
        """Add one, while somebody else writes in between, twice."""
        if (other := next(others, None)) is not None:
            cloud.store.remember_column_matches("demo", other)
        return {**remembered, "MonthlyCharges": "Fee"}

    cloud.store.change_column_matches("demo", change)

    assert cloud.store.column_matches("demo") == {
        "tenure": "Months",
        "Contract": "Plan",
        "MonthlyCharges": "Fee",
    }


def test_a_summary_is_read_back_as_it_was_written(store):
    """Nulls are not kept in the table: a row error of no column must be readable without one."""
    submitted = submit(store)
    claim = claim_of(store.claim("demo", submitted, 1, "worker-1"))
    whole_rows = RowErrorCount(kind="cell-count", column=None, rows=2, first_row=3)
    summary = Summary(
        expected_churners=0.5,
        predicted_churners=0,
        bands=(Band(name="low", customers=1),),
        top_reasons=(),
        row_errors=(whole_rows,),
    )
    result = ResultFile(key="k", summary_key="s", rows=3, rows_failed=2, model="m1")

    store.complete(claim, result, summary)

    assert store.get("demo", submitted).summary == summary


def test_a_record_with_maps_in_it_is_read_too(cloud):
    """As they were written before nested values became text."""
    queued = cloud.submit(b"a,b\n1,2\n")
    cloud.table.update_item(
        Key={"account": "demo", "id": queued.id},
        UpdateExpression="SET #input = :input",
        ExpressionAttributeNames={"#input": "input"},
        ExpressionAttributeValues={":input": queued.input.model_dump(exclude_none=True)},
    )

    assert cloud.store.get("demo", queued.id) == queued
