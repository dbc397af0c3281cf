"""The emulator's process: what it keeps, what it refuses to start from, whom it answers."""

from __future__ import annotations

import http.client
import json
import os
import signal
import time

import pytest

from localcloud import cloud as local_cloud
from localcloud.home import Unusable


def kill(emulator):
    os.kill(emulator.cloud.process.pid, signal.SIGKILL)
    emulator.cloud.process.wait()


def wait_until(holds, timeout_s=20):
    deadline = time.monotonic() + timeout_s
    while not holds():
        assert time.monotonic() < deadline, "not within the time"
        time.sleep(0.05)


@pytest.fixture
def restart(start, tmp_path):
    """Start the local cloud again in the folder of one that was killed."""

    def run(emulator):
        kill(emulator)
        return start()

    return run


def test_what_was_written_survives_kill_9(emulator, restart, tmp_path):
    sqs = emulator.client("sqs")
    url = sqs.create_queue(QueueName="kept")["QueueUrl"]
    sqs.send_message(QueueUrl=url, MessageBody="still here")
    state = tmp_path / "cloud" / "state" / "sqs.json"
    wait_until(lambda: state.exists() and "still here" in state.read_text())
    again = restart(emulator).client("sqs")
    url = again.get_queue_url(QueueName="kept")["QueueUrl"]
    assert again.receive_message(QueueUrl=url)["Messages"][0]["Body"] == "still here"


def test_it_comes_back_on_its_port(emulator, restart):
    # The port is part of every queue's URL, and so of what people have in their notebooks.
    port = emulator.cloud.port
    assert restart(emulator).cloud.port == port


def test_nothing_is_written_while_nothing_changes(emulator, tmp_path):
    sqs = emulator.client("sqs")
    url = sqs.create_queue(QueueName="idle")["QueueUrl"]
    state = tmp_path / "cloud" / "state" / "sqs.json"
    wait_until(lambda: state.exists() and "idle" in state.read_text())
    written = state.stat().st_mtime_ns
    sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])
    sqs.receive_message(QueueUrl=url, WaitTimeSeconds=1)
    sqs.receive_message(QueueUrl=url, WaitTimeSeconds=1)
    assert state.stat().st_mtime_ns == written


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "Expecting value"),
        ('{"__ministack_format__": 2, "payload"', "line 1 column"),
        ('{"__ministack_format__": 99, "payload": {}}', "not in a form that this emulator"),
        ('{"__ministack_format__": 2, "payload": 7}', "damaged"),
    ],
)
def test_a_damaged_state_is_refused_and_left_as_it_is(start, emulator, tmp_path, content, said):
    emulator.client("sqs").create_queue(QueueName="precious")
    state = tmp_path / "cloud" / "state" / "sqs.json"
    wait_until(state.exists)
    kill(emulator)
    state.write_text(content)
    with pytest.raises(Unusable) as refused:
        start()
    assert said in str(refused.value)
    assert str(state) in str(refused.value)
    assert "\n" not in str(refused.value)
    assert state.read_text() == content


def test_an_object_whose_description_is_damaged_is_refused(start, emulator, tmp_path):
    s3 = emulator.client("s3")
    s3.create_bucket(Bucket="files", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    s3.put_object(Bucket="files", Key="uploads/a.csv", Body=b"a")
    [description] = (tmp_path / "cloud" / "objects").rglob("a.csv.meta.json")
    kill(emulator)
    description.write_text("{")
    with pytest.raises(Unusable, match=r"a\.csv\.meta\.json is damaged"):
        start()


def test_an_object_that_was_being_written_is_no_object(start, emulator, tmp_path):
    s3 = emulator.client("s3")
    s3.create_bucket(Bucket="files", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    s3.put_object(Bucket="files", Key="uploads/a.csv", Body=b"a")
    [body] = (tmp_path / "cloud" / "objects").rglob("a.csv")
    kill(emulator)
    body.with_name("a.csv.tmp").write_bytes(b"half")
    listed = start().client("s3").list_objects_v2(Bucket="files")["Contents"]
    assert [one["Key"] for one in listed] == ["uploads/a.csv"]


def test_what_people_call_tmp_is_no_leftover(start, emulator):
    s3 = emulator.client("s3")
    ours = {"LocationConstraint": "eu-west-1"}
    s3.create_bucket(Bucket="files.tmp", CreateBucketConfiguration=ours)
    s3.put_object(Bucket="files.tmp", Key="uploads/a.tmp", Body=b"a")
    kill(emulator)
    kept = start().client("s3").get_object(Bucket="files.tmp", Key="uploads/a.tmp")
    assert kept["Body"].read() == b"a"


def test_a_local_cloud_that_is_not_installed_is_told(start, tmp_path, monkeypatch):
    monkeypatch.setattr(local_cloud, "PYTHON", tmp_path / "python")
    with pytest.raises(Unusable, match=r"python is missing.*run `make install`"):
        start()


def test_it_ends_when_the_one_who_started_it_is_gone(emulator):
    emulator.cloud.process.stdin.close()
    emulator.cloud.process.stdin = None  # the fixture ends it too
    assert emulator.cloud.process.wait(timeout=20) == 0


def is_let_in(emulator, path="/", **headers):
    """Whether a GET with these headers comes to the emulator; what that answers is its own."""
    connection = http.client.HTTPConnection("127.0.0.1", emulator.cloud.port, timeout=20)
    try:
        connection.putrequest("GET", path, skip_host=True)
        for name, value in {"Host": f"127.0.0.1:{emulator.cloud.port}", **headers}.items():
            connection.putheader(name.replace("_", "-"), value)
        connection.endheaders()
        return b"The local cloud answers" not in connection.getresponse().read()
    finally:
        connection.close()


def test_an_sdk_is_answered(emulator):
    assert is_let_in(emulator)
    assert is_let_in(emulator, Host=f"localhost:{emulator.cloud.port}")


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://elsewhere.example"},
        {"Origin": "null"},
        {"Sec_Fetch_Mode": "no-cors"},
        {"Sec_Fetch_Site": "same-origin"},
        {"Host": "rebound.example:80"},
        {"Host": "127.0.0.1"},
    ],
)
def test_a_browser_is_refused(emulator, headers):
    assert not is_let_in(emulator, **headers)


def test_state_files_are_whole_at_any_moment(emulator, tmp_path):
    sqs = emulator.client("sqs")
    url = sqs.create_queue(QueueName="busy")["QueueUrl"]
    state = tmp_path / "cloud" / "state" / "sqs.json"
    for number in range(200):
        sqs.send_message(QueueUrl=url, MessageBody=str(number))
        if state.exists():
            json.loads(state.read_text())


@pytest.mark.parametrize("path", ["/_ministack/reset", "/_ministack/health", "/_localstack/health"])
def test_the_emulators_own_endpoints_are_closed(emulator, path):
    assert not is_let_in(emulator, path)  # they ask for no credentials
