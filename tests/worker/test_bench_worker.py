"""The bench measures what it says; how fast anything is, no test asks."""

from __future__ import annotations

import pytest

from bench_worker import BARE, JOBS, LOOP, OTHERS, SINGLE, WHOLE, Idle, Trial, table
from emulator import REGION, acting_in, of_this_machine, running_emulator
from made_cloud import make_cloud


@pytest.fixture(scope="module")
def cloud(tmp_path_factory):
    with (
        running_emulator(tmp_path_factory.mktemp("cloud")) as emulator,
        acting_in({**of_this_machine(emulator.endpoint), "AWS_DEFAULT_REGION": REGION}),
    ):
        yield make_cloud("bench")


@pytest.mark.parametrize("contender", [BARE, SINGLE, LOOP, JOBS, WHOLE], ids=lambda one: one.name)
def test_a_worker_empties_its_queue_and_each_job_runs_once(cloud, tmp_path, contender):
    trial = Trial(contender, cloud, tmp_path)
    trial.send(25)
    with trial.working() as worker:
        trial.wait_until_begun(25)
        if contender is not BARE:
            worker.terminate()
            assert worker.wait(60) == 0
    assert len(trial.stamps) == 25
    if contender is not BARE:
        assert trial.messages() == (0, 0)


def test_the_table_divides_by_the_bare_loop_of_the_same_round():
    others = {other: [10.0, 20.0, 30.0] for other in OTHERS}
    rates = {BARE: [100.0, 200.0, 100.0], LOOP: [80.0, 100.0, 90.0], **others}
    written = table(rates, {BARE: [10, 7, 10]}, {BARE: 4}, Idle(0.004, 80 * 2**20))
    assert "| RetainWise, its loop alone | 90 | 0.50, 0.80 | – | – | – |" in written
    assert "| a bare receive(10) + delete(10) | 100 | 1.00, 1.00 | – | 10, 7, 10 | 4 |" in written
    assert "| sqs-workers | 20 | 0.10, 0.10 | 5.0 | – | – |" in written
    assert "took 0.4% of a core and 80 MiB" in written
