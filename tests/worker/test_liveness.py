"""A worker that is stuck says where and is replaced; one that is only slow is left alone."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest
import structlog

import played_jobs
from predictions.record import Status
from predictions.store import Store
from predictions.sweeper import Sweeper
from product import wait_for
from worker import heartbeat, job_process
from worker.consumer import Consumer
from worker.heartbeat import Signal, problem
from worker.job import JobSettings, Progress
from worker.job_process import JobProcess
from worker.liveness import Liveness
from worker.protection import TaskProtection
from worker.settings import WorkerSettings
from worker.shutdown import Shutdown

ROOT = Path(__file__).parents[2]
JOB_SETTINGS = JobSettings(ROOT / "model/artifacts/telco", 1, "uploads", "results")
LOOP_LIMIT_S = 100.0
JOB_LIMIT_S = 600.0
STOP_BUDGET_S = 110.0


class Clock:
    """The monotonic clock, put on by what a test wants to pass."""

    ahead_s = 0.0

    def __call__(self):
        return time.monotonic() + self.ahead_s


class PlayedJobProcess:
    """Has no news, and stacks of its own; it is ready."""

    def ensure_ready(self):
        pass

    def stacks(self):
        return ['File "scoring.py", line 7 in score']


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def file(tmp_path):
    return tmp_path / heartbeat.FILE


@pytest.fixture
def make(file, clock):
    """Make a worker's liveness, whose watchdog ends with the test."""
    made = []

    def liveness(**limits):
        given = {
            "loop_limit_s": LOOP_LIMIT_S,
            "job_limit_s": JOB_LIMIT_S,
            "stop_budget_s": STOP_BUDGET_S,
        }
        made.append(Liveness(file, **(given | limits), clock=clock))
        return made[-1]

    yield liveness
    for one in made:
        one.close()


@pytest.fixture
def liveness(make):
    return make()


@pytest.fixture
def consumer_of(cloud, monkeypatch, tmp_path):
    """Make a consumer; what it stands on is real, but for the job process that it is given."""
    for name, value in cloud.environment().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("MODEL_DIR", str(tmp_path))
    monkeypatch.setenv("MAX_ATTEMPTS", "2")

    def make(process, liveness, shutdown=None):
        return Consumer(
            WorkerSettings(),
            cloud.store,
            cloud.queue,
            process,
            shutdown or Shutdown(10),
            TaskProtection(None),
            liveness,
        )

    return make


@pytest.fixture
def job_process_of(monkeypatch):
    """Start a real job process, its job replaced by a played one."""
    started = []

    def start(main):
        monkeypatch.setattr(job_process, "main", main)
        started.append(JobProcess(JOB_SETTINGS))
        started[-1].wait_ready()
        return started[-1]

    yield start
    for one in started:
        one.stop()


def check(file, clock):
    """Judge the file as the health check does; None when the worker is alive."""
    return problem(file, clock())


@pytest.fixture
def logged():
    """Collect the log's lines, with what they are bound to."""
    merge = structlog.contextvars.merge_contextvars
    with structlog.testing.capture_logs(processors=[merge]) as lines:
        yield lambda event: [line for line in lines if line["event"] == event]


def take(cloud, consumer):
    [received] = cloud.queue.receive(wait_s=0)
    consumer.process(received)


def now(cloud, prediction):
    return cloud.store.get(prediction.account, prediction.id)


def run_check(folder):
    """Run the container's health check; give its exit code and the lines that it says."""
    ran = subprocess.run(
        [sys.executable, "-m", heartbeat.__name__],
        cwd=ROOT,
        env=os.environ | {"TMPDIR": str(folder)},
        capture_output=True,
        text=True,
    )
    return ran.returncode, (ran.stdout + ran.stderr).splitlines()


# ---- the loops --------------------------------------------------------------------------------


def test_a_stuck_loop_fails_the_check_and_says_once_where_it_is(
    cloud, consumer_of, liveness, clock, file, monkeypatch, logged
):
    hangs, goes_on = threading.Event(), threading.Event()
    shutdown = Shutdown(10)

    def receive_that_hangs(*, wait_s, most):
        customer = "Ada Lovelace"
        hangs.set()
        goes_on.wait()
        assert customer
        shutdown.request()
        return []

    monkeypatch.setattr(cloud.queue, "receive", receive_that_hangs)
    consumer = consumer_of(PlayedJobProcess(), liveness, shutdown)
    thread = threading.Thread(target=consumer.run, name="consumer-0")
    thread.start()
    try:
        assert hangs.wait(10)
        clock.ahead_s = LOOP_LIMIT_S - 30
        liveness.show(stopping=False)
        assert check(file, clock) is None
        assert logged("loop_stuck") == []

        for clock.ahead_s in (LOOP_LIMIT_S + 1, LOOP_LIMIT_S + 5):
            liveness.show(stopping=False)
            assert check(file, clock).startswith("consumer-0: silent for 10")
    finally:
        goes_on.set()
        thread.join()
    [line] = logged("loop_stuck")
    assert line["loop"] == "consumer-0"
    calls = [one.rpartition(" ")[2].rpartition(".")[2] for one in line["stacks"]["consumer-0"]]
    assert "receive_that_hangs" in calls
    assert "run" in calls[calls.index("receive_that_hangs") :], "innermost first"
    assert "MainThread" in line["stacks"]
    assert "Ada" not in repr(line)


def test_a_loop_that_is_stuck_with_a_job_says_which_and_where_the_job_is(liveness, clock, logged):
    with (
        structlog.contextvars.bound_contextvars(prediction="P", attempt=3),
        liveness.during_a_job(PlayedJobProcess()),
    ):
        assert not liveness.job_is_stuck(Progress(0, 0.0))
        clock.ahead_s = LOOP_LIMIT_S + 1
        main = threading.Thread(target=liveness.show, kwargs={"stopping": False})
        main.start()
        main.join()
    [line] = logged("loop_stuck")
    assert (line["prediction"], line["attempt"]) == ("P", 3)
    assert line["job_stacks"] == PlayedJobProcess().stacks()


def test_a_loop_that_goes_on_and_gets_stuck_again_says_so_again(liveness, clock, file, logged):
    for clock.ahead_s in (0, 2 * LOOP_LIMIT_S):
        liveness.loop()
        liveness.show(stopping=False)
        assert check(file, clock) is None
        clock.ahead_s += LOOP_LIMIT_S + 1
        liveness.show(stopping=False)
    assert len(logged("loop_stuck")) == 2


def test_an_idle_worker_is_alive(cloud, consumer_of, liveness, clock, file, monkeypatch):
    shutdown, found = Shutdown(10), []

    def a_poll_without_a_message(*, wait_s, most):
        clock.ahead_s += wait_s
        liveness.show(stopping=False)
        found.append(check(file, clock))
        if clock.ahead_s > 3 * LOOP_LIMIT_S:
            shutdown.request()
        return []

    monkeypatch.setattr(cloud.queue, "receive", a_poll_without_a_message)
    liveness.loop()
    consumer_of(PlayedJobProcess(), liveness, shutdown).run()
    assert len(found) > 3
    assert set(found) == {None}


def test_a_long_sweep_is_alive(cloud, liveness, clock, file):
    found = []

    def goes_on():
        liveness.loop()
        clock.ahead_s += LOOP_LIMIT_S - 1
        liveness.show(stopping=False)
        found.append(check(file, clock))

    for _ in range(3):
        prediction = cloud.submit(b"id\n1\n")
        cloud.store.delete(prediction.account, prediction.id, erase_after_s=0)
        cloud.store.claim(prediction.account, cloud.submit(b"id\n1\n").id, 1, "another")
        cloud.submit(b"id\n1\n")
    store = Store(cloud.table, resend_after_s=60, clock=lambda: time.time() + 100)
    sweeper = Sweeper(store, cloud.queue, cloud.files, lease_s=30, max_attempts=5, goes_on=goes_on)
    swept = sweeper.sweep()
    assert (swept.resent, swept.erased) == (3, 3)
    assert found == [None] * 9


# ---- jobs -------------------------------------------------------------------------------------


def test_a_stuck_job_is_killed_put_back_and_at_last_failed(
    cloud, consumer_of, job_process_of, make, logged
):
    prediction = cloud.submit(b"id\n1\n")
    cloud.queue.send(prediction)
    process = job_process_of(played_jobs.that_never_end)
    children = psutil.Process().children()
    [child] = [one for one in children if "--multiprocessing-fork" in one.cmdline()]
    consumer = consumer_of(process, make(job_limit_s=1))

    take(cloud, consumer)
    again = now(cloud, prediction)
    assert (again.status, again.attempt, again.crashes) == (Status.QUEUED, 2, 1)
    assert not child.is_running()

    take(cloud, consumer)
    failed = now(cloud, prediction)
    assert (failed.status, failed.failure.code) == (Status.FAILED, "attempts-used-up")
    assert "no progress" in failed.failure.message

    lines = logged("job_stuck")
    assert [(line["prediction"], line["attempt"]) for line in lines] == [
        (prediction.id, 1),
        (prediction.id, 2),
    ]
    for line in lines:
        assert any("in _spin" in one for one in line["job_stacks"]), line["job_stacks"]
        assert any("job_is_stuck" in one for one in line["stacks"]["MainThread"])
        assert "aaaa" not in repr(line)
    [put_back], [gave_up] = logged("prediction_put_back"), logged("prediction_failed")
    assert put_back["because"] == gave_up["because"] == "Stuck(exitcode=-9)"


def test_a_long_job_that_gets_on_is_left_alone(cloud, consumer_of, job_process_of, make, logged):
    limit_s = played_jobs.STEPS * played_jobs.STEP_S / 2
    prediction = cloud.submit(b"id\n1\n")
    cloud.queue.send(prediction)
    process = job_process_of(played_jobs.that_take_their_time)
    take(cloud, consumer_of(process, make(job_limit_s=limit_s)))
    assert now(cloud, prediction).status is Status.COMPLETED
    assert logged("job_stuck") == []


@pytest.mark.parametrize(
    "moved", [Progress(2, 0.1, 5), Progress(1, 0.2, 5), Progress(1, 0.1, 6)], ids=repr
)
def test_rows_share_and_bytes_are_progress_and_the_same_again_is_none(liveness, clock, file, moved):
    liveness.loop()
    with liveness.during_a_job(PlayedJobProcess()):
        for clock.ahead_s, progress in (
            (0, Progress(1, 0.1, 5)),
            (JOB_LIMIT_S - 1, moved),
            (2 * JOB_LIMIT_S - 30, moved),
        ):
            assert not liveness.job_is_stuck(progress)
            liveness.show(stopping=False)
            assert check(file, clock) is None
        clock.ahead_s = 2 * JOB_LIMIT_S
        assert liveness.job_is_stuck(moved)


def test_a_stuck_job_that_its_loop_does_not_kill_fails_the_check(liveness, clock, file):
    with liveness.during_a_job(PlayedJobProcess()):
        assert not liveness.job_is_stuck(Progress(0, 0.0))
        clock.ahead_s = JOB_LIMIT_S + LOOP_LIMIT_S + 1
        liveness.loop()
        liveness.show(stopping=False)
        assert check(file, clock).startswith("job of MainThread: silent for 70")
    clock.ahead_s += 2
    liveness.show(stopping=False)
    assert check(file, clock) is None, "it has ended"


# ---- the whole worker -------------------------------------------------------------------------


def test_a_worker_that_stops_is_alive_for_its_stop_budget(liveness, clock, file, logged):
    liveness.loop()
    liveness.show(stopping=False)
    for clock.ahead_s in (2, LOOP_LIMIT_S + 1, STOP_BUDGET_S + 1):
        liveness.show(stopping=True)
        assert check(file, clock) is None
    clock.ahead_s = STOP_BUDGET_S + 4
    liveness.show(stopping=True)
    assert check(file, clock).startswith("stop: silent for 11")
    assert logged("loop_stuck") == []


def test_a_main_thread_that_hangs_fails_the_check_by_leaving_the_file(liveness, clock, file):
    liveness.show(stopping=False)
    clock.ahead_s = 59
    assert check(file, clock) is None
    clock.ahead_s = 61
    assert check(file, clock) == "main: silent for 61 s, longer than 60 s"


def test_an_interpreter_that_hangs_has_its_stacks_on_standard_error(tmp_path):
    program = """
import re, sys
from pathlib import Path
from worker import liveness
liveness._MAIN_LIMIT_S = 0.5
def main_that_hangs(text):
    re.match("(a+)+$", text)
shown = liveness.Liveness(Path(sys.argv[1]), loop_limit_s=1, job_limit_s=1, stop_budget_s=1)
shown.show(stopping=False)
main_that_hangs("a" * 64 + "b")
"""
    with subprocess.Popen(
        [sys.executable, "-c", program, tmp_path / "file"],
        cwd=ROOT,
        stderr=subprocess.PIPE,
        text=True,
    ) as hung:
        try:
            said = ""
            while "<module>" not in said:
                line = hung.stderr.readline()
                assert line, said
                said += line
        finally:
            hung.kill()
    assert "in main_that_hangs" in said
    assert "aaaa" not in said


def test_a_full_disk_ends_no_worker(make, clock, tmp_path, logged):
    (tmp_path / heartbeat.FILE).with_suffix(".new").mkdir()
    make().show(stopping=False)
    assert len(logged("heartbeat_not_written")) == 1


def test_the_file_is_there_from_ready_to_the_end(tmp_path, cloud):
    worker = subprocess.Popen(
        [sys.executable, "-m", "retainwise", "worker"],
        cwd=ROOT,
        env=os.environ
        | cloud.environment()
        | {
            "TMPDIR": str(tmp_path),
            "MODEL_DIR": str(JOB_SETTINGS.model_dir),
            "AWS_ENDPOINT_URL": "http://127.0.0.1:1",  # nobody is there
            "PREDICTIONS_QUEUE_URL": "http://127.0.0.1:1/000000000000/queue",
            "AWS_ACCESS_KEY_ID": "nobody",
            "AWS_SECRET_ACCESS_KEY": "nobody",
        },
        stdout=subprocess.DEVNULL,
    )
    file = tmp_path / heartbeat.FILE
    try:
        assert run_check(tmp_path)[0] == 1
        wait_for(lambda: file.exists() or worker.poll(), timeout_s=60, what="ready")
        assert run_check(tmp_path) == (0, [])
        wait_for(lambda: "consumer-0" in file.read_text(), timeout_s=10, what="its consumer")
        assert "sweeper" in file.read_text()
        worker.send_signal(signal.SIGTERM)
        assert worker.wait(60) == 0
        assert run_check(tmp_path)[0] == 1
    finally:
        worker.kill()
        worker.wait()


# ---- the check --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (None, "is not there: the worker is not ready yet, or has ended"),
        ("", "is not what a worker writes"),
        ('{"main": [12.5, 6', "is not what a worker writes"),
        ('["main"]', "is not what a worker writes"),
        ('{"main": 12}', "is not what a worker writes"),
        ('{"main": ["x", 6]}', "is not what a worker writes"),
        ("{}", "shows nothing"),
    ],
)
def test_a_file_that_says_nothing_fails_the_check_in_one_line(tmp_path, file, content, why):
    if content is not None:
        file.write_text(content)
    assert run_check(tmp_path) == (1, [f"{file} {why}"])


def test_the_check_says_which_part_is_late(tmp_path, file):
    seen_s = time.monotonic()
    signals = {"main": Signal(seen_s, 60), "sweeper": Signal(seen_s - 100, 60)}
    heartbeat.write(file, signals)
    code, [line] = run_check(tmp_path)
    assert code == 1
    assert line.startswith("sweeper: silent for 10")
    heartbeat.write(file, signals | {"sweeper": Signal(seen_s, 60)})
    assert run_check(tmp_path) == (0, [])


def test_the_check_imports_nothing_that_takes_its_time():
    ran = subprocess.run(
        [sys.executable, "-c", f"import sys, {heartbeat.__name__}; print(*sys.modules)"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    loaded = {name.partition(".")[0] for name in ran.stdout.split()}
    assert "worker" in loaded
    assert not loaded & {"boto3", "botocore", "click", "pydantic", "structlog", "xgboost"}
