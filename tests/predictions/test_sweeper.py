"""Whose clock the sweeper goes by, and what it removes; the rest of it is in test_life.py."""

from __future__ import annotations

import pytest

from finished import FAILURE, RESULT, SUMMARY
from predictions.files import SummaryFile
from predictions.record import ResultFile, Status
from predictions.store import ERASE_AFTER_S, Store
from predictions.sweeper import (
    MOST_DELAYS,
    Sweeper,
    claim_of,
    put_back_or_fail,
    put_off_or_fail,
)

LEASE_S = 30
A_DAY_S = 24 * 3600


@pytest.mark.parametrize("ahead_s", [-A_DAY_S, 0, A_DAY_S])
def test_a_worker_is_left_its_lease_whatever_its_clock_says(cloud, ahead_s):
    workers = Store(cloud.table, resend_after_s=60, clock=lambda: 1_000_000.0 + ahead_s)
    prediction = cloud.submit(b"id\n1\n")
    claim = claim_of(workers.claim(prediction.account, prediction.id, 1, "a worker"))
    now = [0.0]  # of the sweeper, in seconds since nobody knows when
    sweeper = Sweeper(
        Store(cloud.table, resend_after_s=60, clock=lambda: 1_000_000.0),
        cloud.queue,
        cloud.files,
        lease_s=LEASE_S,
        max_attempts=3,
        clock=lambda: now[0],
    )

    def put_back():
        return sweeper.sweep().put_back

    assert put_back() == 0
    now[0] += LEASE_S - 1
    workers.renew(claim, rows_done=1, fraction_done=0.5)
    assert put_back() == 0
    now[0] += LEASE_S - 1
    assert put_back() == 0
    now[0] += 1
    assert put_back() == 1
    assert cloud.store.get(prediction.account, prediction.id).status is Status.QUEUED


def test_a_worker_is_left_its_lease_though_the_sweep_before_took_longer(cloud):
    now = [0.0]

    class SlowStore(Store):
        def processing(self):
            for one in super().processing():
                now[0] += slowness_s
                yield one

    store = SlowStore(cloud.table, resend_after_s=60)
    prediction = cloud.submit(b"id\n1\n")
    store.claim(prediction.account, prediction.id, 1, "a worker")
    sweeper = Sweeper(
        store, cloud.queue, cloud.files, lease_s=LEASE_S, max_attempts=3, clock=lambda: now[0]
    )
    slowness_s = LEASE_S - 1
    sweeper.sweep()
    slowness_s = 0
    now[0] += 5
    assert sweeper.sweep().put_back == 0, "it was first seen five seconds ago"
    now[0] += LEASE_S - 5
    assert sweeper.sweep().put_back == 1


class Life:
    """A store whose time a test moves, and its sweeper."""

    def __init__(self, cloud, folder):
        self.cloud, self.folder = cloud, folder
        self.now = 1_000_000.0
        self.store = Store(cloud.table, resend_after_s=60, clock=lambda: self.now)
        self.sweeper = Sweeper(
            self.store,
            cloud.queue,
            cloud.files,
            lease_s=LEASE_S,
            max_attempts=2,
            clock=lambda: self.now,
        )

    def claimed(self, prediction):
        return self.store.claim(prediction.account, prediction.id, prediction.attempt, "me")

    def stored(self, prediction):
        """Store the result of an attempt, and commit nothing."""
        path = self.folder / "result.csv"
        path.write_text(RESULT)
        summary = SummaryFile(
            prediction=prediction.id,
            model="m1",
            rows=2,
            rows_failed=0,
            summary=SUMMARY,
            customers_at_risk=(),
        )
        where = (prediction.account, prediction.id, prediction.attempt)
        key, summary_key = self.cloud.files.put_result(*where, path, summary)
        return ResultFile(key=key, summary_key=summary_key, rows=2, rows_failed=0, model="m1")

    def lose(self, prediction):
        """Store a result and die; return what the prediction is then."""
        claimed = self.claimed(prediction)
        self.stored(claimed)
        put_back_or_fail(self.store, self.cloud.queue, claimed, 2)
        return self.store.get(prediction.account, prediction.id)

    def attempts_stored(self):
        listed = self.cloud.s3.list_object_versions(Bucket=self.cloud.results_bucket)
        return {int(one["Key"].split("/")[3]) for one in listed.get("Versions", ())}

    def much_later(self):
        self.now += ERASE_AFTER_S
        self.sweeper.sweep()


@pytest.fixture
def life(cloud, tmp_path):
    return Life(cloud, tmp_path)


def test_once_another_attempt_has_completed_the_lost_one_s_files_are_removed(life, cloud):
    again = life.lose(cloud.submit(b"id\n1\n"))
    claimed = life.claimed(again)
    life.store.complete(claim_of(claimed), life.stored(claimed), SUMMARY)
    assert life.attempts_stored() == {1, 2}
    life.much_later()
    assert life.attempts_stored() == {2}
    cloud.files.open_result(life.store.get(again.account, again.id))
    assert list(life.store.erasures_due()) == []


def test_while_it_waits_or_runs_nothing_is_removed(life, cloud):
    again = life.lose(cloud.submit(b"id\n1\n"))
    life.much_later()
    claimed = life.claimed(again)
    result = life.stored(claimed)
    life.now += ERASE_AFTER_S
    life.store.renew(claim_of(claimed), rows_done=1, fraction_done=0.5)
    life.sweeper.sweep()
    assert life.attempts_stored() == {1, 2}
    life.store.complete(claim_of(claimed), result, SUMMARY)
    life.much_later()
    assert life.attempts_stored() == {2}


def test_when_it_fails_nothing_of_any_attempt_is_kept_but_the_upload(life, cloud):
    again = life.lose(cloud.submit(b"id\n1\n"))
    claimed = life.claimed(again)
    life.stored(claimed)
    life.store.fail(claim_of(claimed), FAILURE)
    life.much_later()
    assert life.attempts_stored() == set()
    cloud.files.fetch_upload(again.input, life.folder / "input.csv")


def test_a_retry_that_began_meanwhile_keeps_its_files(life, cloud, monkeypatch):
    """It begins between the look at the record and the removal."""
    life.lose(life.lose(cloud.submit(b"id\n1\n")))
    erase = cloud.files.erase_attempts

    def retry_first(account, prediction_id, **which):
        claimed = life.claimed(life.store.requeue(account, prediction_id))
        life.store.complete(claim_of(claimed), life.stored(claimed), SUMMARY)
        return erase(account, prediction_id, **which)

    monkeypatch.setattr(cloud.files, "erase_attempts", retry_first)
    life.much_later()
    assert life.attempts_stored() == {3}


def test_given_up_for_want_of_a_dependency_nothing_half_stored_is_kept(life, cloud):
    """The result was stored each time, its summary never."""
    claimed = life.claimed(cloud.submit(b"id\n1\n"))
    life.stored(claimed)
    given_up = claimed.model_copy(update={"delays": MOST_DELAYS})
    assert not put_off_or_fail(life.store, cloud.queue, given_up)
    life.much_later()
    assert life.attempts_stored() == set()


def test_a_record_that_cannot_be_read_ends_no_sweep_and_keeps_its_files(life, cloud):
    lost, other = (life.lose(cloud.submit(b"id\n1\n")) for _ in range(2))
    cloud.table.update_item(
        Key={"account": lost.account, "id": lost.id},
        UpdateExpression="SET attempt = :nonsense",
        ExpressionAttributeValues={":nonsense": "x"},
    )
    life.store.delete(other.account, other.id)
    life.much_later()
    there = cloud.s3.list_objects_v2(Bucket=cloud.results_bucket)["Contents"]
    assert {one["Key"].split("/")[2] for one in there} == {lost.id}
    assert list(life.store.erasures_due()) == []
    life.now += ERASE_AFTER_S
    assert [one.prediction_id for one in life.store.erasures_due()] == [lost.id], "it is kept"
