"""Whose clock the sweeper goes by; what it does to records is in test_life.py."""

import pytest

from predictions.record import Status
from predictions.store import Store
from predictions.sweeper import Sweeper, claim_of

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
