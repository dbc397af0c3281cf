"""A short soak: `make soak` is the long one."""

import pytest

from soak import Figures, Memory, Plan, soak

PLAN = Plan(
    seed=7,
    predictions=60,
    workers=2,
    accounts=3,
    kill_after_s=(0.2, 0.5),
    most_kills=2,
    sigterm_share=0.5,
    settings={"LEASE_S": "3", "SWEEP_EVERY_S": "1", "POLL_WAIT_S": "1"},
)


@pytest.mark.timeout(300)
def test_killed_workers_lose_nothing_and_do_nothing_twice(tmp_path):
    figures = soak(PLAN, tmp_path)
    assert 1 <= figures.sigkills + figures.sigterms <= PLAN.most_kills
    assert figures.statuses == {"COMPLETED": PLAN.predictions}
    assert figures.faults == []


@pytest.mark.parametrize(
    ("fault", "changed"),
    [
        ("1 not COMPLETED", {"statuses": {"COMPLETED": 59, "FAILED": 1}}),
        ("1 committed twice", {"committed_twice": 1}),
        ("2 without all of their rows", {"not_whole": 2}),
        ("1 workers that ended otherwise, [1]", {"bad_exits": [1]}),
        ("1 dead letters", {"dead_letters": 1}),
        ("1 worker whose memory grew", {"memory": Memory(1000, 70, 71, 190, 199)}),
    ],
)
def test_what_must_not_be_is_a_fault(fault, changed):
    good = {"statuses": {"COMPLETED": 60}, "memory": Memory(1000, 70, 77, 190, 197)}
    assert Figures(7, 60, 2, 3, **good).faults == []
    assert Figures(7, 60, 2, 3, **(good | changed)).faults == [fault]
