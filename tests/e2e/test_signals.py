"""Real signals to a real worker: how it stops, and what it leaves. Only the job's inside is played.

The cloud is a server of this machine, ECS's agent a small one of the test's own. That each stop
ends within its budget is shown by the exit: of a job that never ends, nothing else would come.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from agent import BUSY, IDLE, Agent, serving
from emulator import acting_in, of_this_machine
from made_cloud import make_cloud
from model.artifact import SHIPPED
from moto_server import running_moto
from predictions.record import Status, new_id
from product import ROOT, wait_for

pytestmark = pytest.mark.timeout(300)
SUPPORT = ROOT / "tests" / "support"
LONG_S = 60  # nothing here takes so long, unless it never ends
WORKER = """
import sys
import played_jobs, worker.job_process
worker.job_process.main = getattr(played_jobs, sys.argv[1])
from retainwise.cli import main
main(["worker"])
"""


@pytest.fixture(scope="module")
def server():
    with running_moto() as endpoint, acting_in(of_this_machine(endpoint)):
        yield


@pytest.fixture
def cloud(server):
    cloud = make_cloud(new_id().lower())
    yield cloud
    cloud.remove()


@pytest.fixture
def agent():
    agent = Agent()
    with serving(agent) as agent.uri:
        yield agent


@contextmanager
def working(cloud, agent, job, *, stop_budget_s=600, max_attempts=5):
    """Run a worker whose jobs are such; give its process."""
    path = os.pathsep.join((str(ROOT), str(SUPPORT), os.environ["PYTHONPATH"]))
    with tempfile.TemporaryDirectory() as folder:
        environment = {
            **os.environ,
            **cloud.environment(),
            "PYTHONPATH": path,
            "MODEL_DIR": str(SHIPPED),
            "STOP_BUDGET_S": str(stop_budget_s),
            "MAX_ATTEMPTS": str(max_attempts),
            "POLL_WAIT_S": "1",
            "ECS_AGENT_URI": agent.uri,
            "TMPDIR": folder,
        }
        with Path(folder, "log").open("w+") as log:
            worker = subprocess.Popen(
                [sys.executable, "-c", WORKER, job],
                cwd=ROOT,
                env=environment,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
            worker.said = lambda: Path(folder, "log").read_text()
            try:
                wait_for(
                    lambda: "worker_ready" in worker.said() or worker.poll() is not None,
                    timeout_s=LONG_S,
                    what="the worker is ready",
                )
                assert worker.poll() is None, worker.said()
                yield worker
            finally:
                worker.kill()
                worker.wait()


def queued(cloud):
    prediction = cloud.submit(b"id\n1\n")
    cloud.queue.send(prediction)
    return prediction


def now(cloud, prediction):
    return cloud.store.get(prediction.account, prediction.id)


def wait_until_it_runs(cloud, prediction):
    wait_for(
        lambda: now(cloud, prediction).status is Status.PROCESSING, timeout_s=LONG_S, what="a claim"
    )


BY_EITHER = pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])


@BY_EITHER
def test_what_fits_the_budget_is_finished_and_nothing_more_is_begun(cloud, agent, number):
    first = queued(cloud)
    with working(cloud, agent, "that_take_their_time") as worker:
        wait_until_it_runs(cloud, first)
        second = queued(cloud)
        worker.send_signal(number)
        assert worker.wait(LONG_S) == 0, worker.said()
    assert now(cloud, first).status is Status.COMPLETED
    assert now(cloud, second).status is Status.QUEUED
    assert cloud.messages() == (1, 0), "the second one's, for whoever comes next"
    assert agent.told() == [BUSY, IDLE]


@BY_EITHER
def test_what_does_not_fit_is_handed_back_at_once_without_an_attempt(cloud, agent, number):
    prediction = queued(cloud)
    with working(cloud, agent, "that_never_end", stop_budget_s=6) as worker:
        wait_until_it_runs(cloud, prediction)
        worker.send_signal(number)
        assert worker.wait(LONG_S) == 0, worker.said()
    assert_handed_back(cloud, prediction)
    assert agent.told() == [BUSY, IDLE]


@pytest.mark.parametrize("second", [signal.SIGTERM, signal.SIGINT])
def test_a_second_signal_hurries(cloud, agent, second):
    prediction = queued(cloud)
    with working(cloud, agent, "that_never_end") as worker:
        wait_until_it_runs(cloud, prediction)
        worker.send_signal(signal.SIGTERM)
        wait_for(lambda: "worker_stopping" in worker.said(), timeout_s=LONG_S, what="it stops")
        assert now(cloud, prediction).status is Status.PROCESSING, "one is no hurry"
        worker.send_signal(second)
        assert worker.wait(LONG_S) == 0, worker.said()
    assert_handed_back(cloud, prediction)


def assert_handed_back(cloud, prediction):
    left = now(cloud, prediction)
    assert (left.status, left.attempt, left.crashes) == (Status.QUEUED, 1, 0)
    assert cloud.messages() == (1, 0)


@BY_EITHER
def test_an_idle_worker_ends_with_its_poll(cloud, agent, number):
    with working(cloud, agent, "that_never_end") as worker:
        worker.send_signal(number)
        assert worker.wait(LONG_S) == 0, worker.said()
    assert agent.told() == []


def test_a_job_that_the_system_kills_each_time_fails_with_words_for_its_owner(cloud, agent):
    prediction = queued(cloud)
    with working(cloud, agent, "that_never_end", max_attempts=2) as worker:
        for attempt in (1, 2):
            wait_for(
                lambda n=attempt: (
                    now(cloud, prediction).attempt == n
                    and now(cloud, prediction).status is Status.PROCESSING
                ),
                timeout_s=LONG_S,
                what="the next attempt",
            )
            children = psutil.Process(worker.pid).children()
            [job] = [one for one in children if "--multiprocessing-fork" in one.cmdline()]
            job.kill()  # as the kernel does that is out of memory
        wait_for(
            lambda: now(cloud, prediction).status is Status.FAILED, timeout_s=LONG_S, what="its end"
        )
        assert worker.poll() is None, "the worker goes on"
    failed = now(cloud, prediction)
    assert failed.failure.code == "attempts-used-up"
    assert failed.failure.message == (
        "Scoring was begun 2 times and never finished. The last time the system killed it, most "
        "likely because it needed too much memory."
    )
    assert failed.crashes == 1, "the last one is counted by its end"


@pytest.mark.parametrize("trouble", ["refuses", "hangs", "is not there"])
def test_an_agent_in_trouble_stops_no_job_and_is_only_logged(cloud, agent, trouble):
    prediction = queued(cloud)
    if trouble == "refuses":
        agent.status = 500
    elif trouble == "hangs":
        agent.hangs = True
    else:
        agent.uri = "http://127.0.0.1:9"
    with working(cloud, agent, "that_take_their_time") as worker:
        done = (Status.COMPLETED, Status.FAILED)
        wait_for(
            lambda: now(cloud, prediction).status in done, timeout_s=LONG_S, what="the job's end"
        )
        worker.send_signal(signal.SIGTERM)
        assert worker.wait(LONG_S) == 0, worker.said()
        assert worker.said().count("protection_failed") == 2
    assert now(cloud, prediction).status is Status.COMPLETED
