"""The failure matrix with real processes and real signals, shortened, and its evidence."""

from __future__ import annotations

import json

import pytest

from failures import steps
from failures.matrix import DOCUMENT, EVIDENCE, KINDS, REAL, RUNS, numbers_of, real, with_table
from failures.plan import MAINS, Fault, plan

SEED = 1
PLAYED = [
    *numbers_of(Fault.SIGTERM, Fault.STALL, at=(steps.SCORE,)),
    *numbers_of(Fault.SIGKILL, Fault.DOES_TWICE, at=(steps.COMPLETE,)),
    *numbers_of(Fault.GARBAGE, Fault.CHILD_KILLED),
]


@pytest.mark.timeout(600)
def test_whatever_goes_wrong_with_real_processes_nothing_is_lost_or_done_twice():
    for run in real(SEED, PLAYED):
        assert run.told == (), f"{run.number}: {MAINS[run.number]}"
        assert plan(SEED, run.number).main in run.struck, f"{run.number}: it did not come to that"


@pytest.fixture(scope="module")
def evidence():
    """What the last `make matrix` saw."""
    return json.loads(EVIDENCE.read_text())


def test_the_matrix_was_played_to_its_end_and_found_nothing(evidence):
    assert evidence["runs"] >= RUNS
    assert evidence["real"] >= REAL
    assert {kind: evidence[kind] for kind in KINDS} == dict.fromkeys(KINDS, 0)
    for kind in ("simulated", "real"):
        assert {row["fault"] for row in evidence["faults"] if row[kind]} == set(Fault)
    for one in evidence["mutations"]:
        assert one["caught"], f"nobody noticed that {one['broken']}"


def test_the_document_shows_what_the_matrix_saw(evidence):
    document = DOCUMENT.read_text()
    assert with_table(document, evidence) == document
