"""The failure matrix in simulated time, shortened: `make matrix` plays all of it.

What a run found is replayed with `python -m failures.matrix --seed 1 --replay NUMBER`.
"""

from __future__ import annotations

import re

import pytest

from failures.broken import MUTATIONS
from failures.matrix import numbers_of, simulated
from failures.plan import MAINS, Fault, plan
from failures.world import play

SEED = 1
EVERY = 5
"""Of the first round, in which each fault strikes at each step once, one in so many is played."""
NOTICED_BY = {
    "the fence is broken": numbers_of(Fault.STALL),
    "renewals are skipped": numbers_of(Fault.SIGTERM),
    "messages are acknowledged early": numbers_of(Fault.NONE),
}
AN_ID = re.compile(r"\b[0-9A-HJKMNP-TV-Z]{4,6}\b")  # the end of one: each run has its own


@pytest.mark.parametrize("number", range(0, len(MAINS), EVERY))
def test_whatever_goes_wrong_nothing_is_lost_or_done_twice(number):
    run = simulated(SEED, number)
    assert run.told == ()
    main = plan(SEED, number).main
    assert main.fault is Fault.NONE or main in run.struck, "it did not come to that"


@pytest.mark.parametrize("mutation", MUTATIONS)
def test_what_is_broken_on_purpose_is_noticed(mutation):
    for number in NOTICED_BY[mutation]:
        if simulated(SEED, number, mutation).told:
            return
    raise AssertionError(f"no run was the worse for it that {mutation}")


def test_a_run_is_played_again_as_it_was(tmp_path):
    [number, *_] = numbers_of(Fault.STALL)

    def history():
        outcome = play(plan(SEED, number), tmp_path)
        return [AN_ID.sub("…", line) for line in outcome.history]

    first = history()
    assert len(first) > 4
    assert history() == first


def test_each_fault_strikes_at_each_step_in_the_first_round():
    pairs = {(main.fault, main.step) for main in MAINS}
    assert len(pairs) == len(MAINS)
    assert {plan(SEED, number).main.fault for number in range(len(MAINS))} == set(Fault)
