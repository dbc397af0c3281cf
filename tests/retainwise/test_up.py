"""`retainwise up` as a process: what it refuses, how it ends, what it leaves behind."""

from __future__ import annotations

import os
import signal
import socket
import stat
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from localcloud import cloud as local_cloud
from localcloud.home import Home
from localcloud.kinds.base import STACK_TAG

RETAINWISE = Path(sys.executable).with_name("retainwise")


@pytest.fixture
def port():
    with socket.create_server(("127.0.0.1", 0)) as free:
        return free.getsockname()[1]


def arguments(port, folder):
    return [RETAINWISE, "up", "--port", str(port), "--data-dir", folder]


class Up:
    """A running `retainwise up`."""

    def __init__(self, port, folder):
        self.folder = folder
        self.process = subprocess.Popen(
            arguments(port, folder), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        self.said = ""

    def wait_for(self, words):
        for line in self.process.stdout:
            self.said += line
            if words in line:
                return
        pytest.fail(f"it ended without {words!r}:\n{self.said}")

    def end(self, number=signal.SIGTERM):
        """Send a signal and return the exit code."""
        self.process.send_signal(number)
        self.said += self.process.communicate(timeout=60)[0]
        return self.process.returncode


@pytest.fixture
def start(port, tmp_path):
    """Start `retainwise up` in the test's folder; nothing of it stays."""
    started = []

    def run():
        one = Up(port, tmp_path / "state")
        started.append(one)
        return one

    yield run
    for one in started:
        if one.process.poll() is None:
            one.end()


def left_behind(folder):
    """Processes that have anything to do with the folder."""
    return [
        one.info
        for one in psutil.process_iter(["pid", "cmdline", "environ"])
        if str(folder) in f"{one.info['cmdline']} {(one.info['environ'] or {}).get('TMPDIR')}"
    ]


def wait_until(holds, timeout_s=20):
    deadline = time.monotonic() + timeout_s
    while not holds():
        assert time.monotonic() < deadline, "not within the time"
        time.sleep(0.05)


def refused(port, folder):
    """The one line with which a start is refused."""
    done = subprocess.run(
        arguments(port, folder), capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 2, done
    [line] = done.stderr.splitlines()
    return line


def test_it_runs_tells_others_how_to_join_in_and_ends_in_peace(start, port):
    up = start()
    up.wait_for("Ctrl-C")
    assert f"ready: http://127.0.0.1:{port}" in up.said
    env = up.folder / "env"
    assert stat.S_IMODE(env.stat().st_mode) == 0o600
    lines = env.read_text().splitlines()
    assert f"RETAINWISE_URL=http://127.0.0.1:{port}" in lines
    names = {line.partition("=")[0] for line in lines}
    assert {
        "AWS_ENDPOINT_URL",
        "AWS_REGION",
        "AWS_DEFAULT_REGION",
        "AWS_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY",
        "PREDICTIONS_TABLE",
        "PREDICTIONS_QUEUE_URL",
        "PREDICTIONS_DLQ_URL",
        "UPLOADS_BUCKET",
        "RESULTS_BUCKET",
        "MODEL_DIR",
    } <= names
    # Who comes second is told who was first.
    with socket.create_server(("127.0.0.1", 0)) as free:
        other = free.getsockname()[1]
    assert f"in use by process {up.process.pid} (http://127.0.0.1:{port})" in refused(
        other, up.folder
    )
    assert up.end(signal.SIGINT) == 0
    assert not env.exists()
    assert left_behind(up.folder) == []


def test_killed_it_leaves_nothing_behind_and_starts_again(start, port):
    up = start()
    up.wait_for("Ctrl-C")
    assert left_behind(up.folder)
    up.end(signal.SIGKILL)
    wait_until(lambda: not left_behind(up.folder))
    assert not (up.folder / "env").exists()
    again = start()
    again.wait_for("Ctrl-C")
    assert again.end() == 0


def test_the_cloud_s_death_ends_all(start):
    up = start()
    up.wait_for("Ctrl-C")
    [cloud] = [one for one in left_behind(up.folder) if "localcloud.server" in one["cmdline"]]
    os.kill(cloud["pid"], signal.SIGKILL)
    up.said += up.process.communicate(timeout=60)[0]
    assert up.process.returncode == 1
    assert "the local cloud ended with -9" in up.said
    assert left_behind(up.folder) == []


def test_a_busy_port_is_refused(port, tmp_path):
    with socket.create_server(("127.0.0.1", port)):
        assert f"port {port} of 127.0.0.1 cannot be had" in refused(port, tmp_path / "state")


def test_a_folder_that_is_a_file_is_refused(port, tmp_path):
    (tmp_path / "state").touch()
    assert "cannot write to" in refused(port, tmp_path / "state")


def test_a_log_that_cannot_be_written_is_told(port, tmp_path):
    log = tmp_path / "state" / "log" / "cloud.log"
    log.mkdir(parents=True)
    assert refused(port, tmp_path / "state").endswith(f"{log}: Is a directory")


def test_scratch_that_cannot_be_made_is_told_and_all_is_ended(port, tmp_path):
    scratch = tmp_path / "state" / "tmp"
    scratch.parent.mkdir()
    scratch.touch()
    assert str(scratch) in refused(port, tmp_path / "state")
    assert left_behind(tmp_path / "state") == []


def test_a_change_that_the_cloud_refuses_is_told(port, tmp_path):
    home = Home(tmp_path / "state")
    with home.held("a test") as lock, local_cloud.running(home, lock) as cloud:
        s3 = cloud.session("eu-west-1").client("s3", endpoint_url=cloud.endpoint)
        s3.create_bucket(
            Bucket="left", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"}
        )
        ours = {"Key": STACK_TAG, "Value": "retainwise/local"}
        s3.put_bucket_tagging(Bucket="left", Tagging={"TagSet": [ours]})
        s3.put_object(Bucket="left", Key="a", Body=b"a")  # so it cannot be deleted
    assert "the local cloud refused: An error occurred (BucketNotEmpty)" in refused(
        port, tmp_path / "state"
    )
    assert left_behind(tmp_path / "state") == []


def test_a_damaged_state_is_refused(port, tmp_path):
    damaged = tmp_path / "state" / "cloud" / "state" / "dynamodb.json"
    damaged.parent.mkdir(parents=True)
    damaged.write_text("{")
    assert f"{damaged} is damaged" in refused(port, tmp_path / "state")
