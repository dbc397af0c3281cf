"""The job process as a process: real ones, with the shipped model."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from unittest import mock

import psutil
import pytest

import played_jobs
from plain import a_prediction
from predictions.telemetry import ids_of
from product import alive, wait_for
from worker import job_process as process_module
from worker.job import Finished, JobSettings, Later, Progress
from worker.job_process import Died, JobProcess, JobProcessUnusable

ROOT = Path(__file__).parents[2]
SETTINGS = JobSettings(ROOT / "model/artifacts/telco", 1, "uploads", "results")


@pytest.fixture
def job_process(monkeypatch):
    monkeypatch.setenv("AWS_REGION", "eu-central-1")
    process = JobProcess(SETTINGS)
    process.wait_ready()
    yield process
    process.stop()


def children():
    return [
        child
        for child in psutil.Process().children()
        if "--multiprocessing-fork" in child.cmdline()
    ]


def test_its_death_is_told_until_a_new_one_is_made_ready(job_process):
    [first] = children()
    first.kill()
    assert job_process.next_event(10) == Died(-signal.SIGKILL)
    job_process.run(a_prediction())
    assert job_process.next_event(10) == Died(-signal.SIGKILL)
    job_process.ensure_ready()
    [second] = children()
    assert second.pid != first.pid


def test_what_is_down_is_told_by_its_kind_only_and_the_process_lives_on(job_process, monkeypatch):
    job_process.stop()
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")  # nobody is there
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "nobody")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "nobody")
    job_process.ensure_ready()
    for _ in range(2):
        job_process.run(a_prediction())
        assert job_process.next_event(60) == Later("EndpointConnectionError")


@pytest.mark.parametrize(
    "garbage",
    [
        played_jobs.that_say_what_is_no_event,
        played_jobs.that_say_what_is_no_pickle,
        played_jobs.that_claim_to_say_much,
        played_jobs.that_say_half,
    ],
)
def test_one_that_says_what_is_no_event_is_killed(monkeypatch, garbage):
    monkeypatch.setattr("worker.job_process.main", garbage)
    monkeypatch.setattr("worker.job_process._WHOLE_EVENT_S", 1)
    monkeypatch.setenv("AWS_REGION", "eu-central-1")
    process = JobProcess(SETTINGS)
    process.wait_ready()
    process.run(a_prediction())
    assert process.next_event(10) == Died(None)
    assert children() == []
    process.stop()


def test_one_that_could_not_be_started_is_started_again(job_process, monkeypatch):
    job_process.stop()
    with monkeypatch.context() as patch:
        patch.setattr(
            "multiprocessing.popen_spawn_posix.Popen", mock.Mock(side_effect=BlockingIOError)
        )
        with pytest.raises(BlockingIOError):
            job_process.ensure_ready()
    job_process.ensure_ready()
    assert len(children()) == 1


def test_stopping_kills_it(job_process):
    [child] = children()
    job_process.stop()
    assert not child.is_running()


@pytest.mark.parametrize("is_stopped", [True, False], ids=["stopped", "killed"])
def test_no_file_of_a_job_outlives_its_process(job_process, tmp_path, monkeypatch, is_stopped):
    job_process.stop()
    monkeypatch.setattr(process_module, "main", played_jobs.that_are_half_done)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    job_process.ensure_ready()
    job_process.run(a_prediction())
    assert isinstance(job_process.next_event(10), Progress)
    [file] = tmp_path.rglob("input.csv")
    assert file.parent.stat().st_mode & 0o777 == 0o700
    if is_stopped:
        job_process.stop()
    else:
        children()[0].kill()
        assert job_process.next_event(10) == Died(-signal.SIGKILL)
    job_process.ensure_ready()
    assert list(tmp_path.rglob("input.csv")) == []
    job_process.stop()
    assert list(tmp_path.iterdir()) == []


def test_a_model_that_cannot_be_used_is_named(monkeypatch, tmp_path):
    monkeypatch.setenv("AWS_REGION", "eu-central-1")
    broken = JobProcess(JobSettings(tmp_path / "no-model", 1, "uploads", "results"))
    with pytest.raises(JobProcessUnusable, match="no-model"):
        broken.wait_ready()


@pytest.mark.parametrize("is_at_work", [False, True], ids=["idle", "at work"])
def test_it_is_gone_within_a_second_of_its_parents_death(tmp_path, is_at_work):
    parent = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import time, sys\n"
            "from pathlib import Path\n"
            "from plain import a_prediction\n"
            "from played_jobs import that_sleep\n"
            "from worker import job_process\n"
            "from worker.job import JobSettings\n"
            "job_process.main = that_sleep\n"
            "if __name__ == '__main__':\n"
            "    settings = JobSettings(Path(sys.argv[1]), 1, 'u', 'r')\n"
            "    process = job_process.JobProcess(settings)\n"
            "    process.wait_ready()\n"
            "    if sys.argv[2] == 'True':\n"
            "        process.run(a_prediction())\n"
            "        time.sleep(0.5)\n"
            "    print('ready', flush=True)\n"
            "    time.sleep(60)\n",
            str(SETTINGS.model_dir),
            str(is_at_work),
        ],
        stdout=subprocess.PIPE,
        env=os.environ
        | {
            "AWS_REGION": "eu-central-1",
            "PYTHONPATH": os.pathsep.join(sys.path),
            "TMPDIR": str(tmp_path),  # nobody is left to remove the folder of its jobs
        },
        text=True,
    )
    with parent:
        assert parent.stdout.readline() == "ready\n"
        descendants = psutil.Process(parent.pid).children(recursive=True)
        assert descendants
        parent.kill()
        parent.wait()
        wait_for(
            lambda: not any(map(alive, descendants)), timeout_s=1, what="its children are gone"
        )


def test_what_a_library_warns_of_is_known_to_be_about_its_prediction(
    job_process, monkeypatch, capfd
):
    job_process.stop()
    monkeypatch.setattr(process_module, "main", played_jobs.that_warn)
    job_process.ensure_ready()
    prediction = a_prediction()
    job_process.run(prediction)
    assert isinstance(job_process.next_event(10), Finished)
    [line] = [json.loads(one) for one in capfd.readouterr().out.splitlines()]
    assert line["event"] == "it is slow"
    assert line.items() >= ids_of(prediction).items()
