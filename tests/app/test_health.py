"""Alive, and ready: each dependency with its own state."""

from __future__ import annotations

import threading

import pytest
from botocore.exceptions import EndpointConnectionError

from app import health
from predictions.work_queue import WorkQueue


def test_alive_needs_nothing(client, cloud):
    cloud.table.delete()

    assert client.get("/healthz").json == {"status": "ok"}


def test_ready_when_everything_answers(client):
    answer = client.get("/readyz")

    assert answer.status_code == 200
    assert answer.json == {
        "status": "ready",
        "dependencies": {name: {"ok": True} for name in ("table", "files", "queue")},
    }


def test_what_is_missing_is_named(client, cloud):
    cloud.table.delete()
    cloud.s3.delete_bucket(Bucket=cloud.results_bucket)

    answer = client.get("/readyz")

    assert answer.status_code == 503
    assert answer.json["dependencies"] == {
        "table": {"ok": False, "error": "ResourceNotFoundException"},
        "files": {"ok": False, "error": "404"},
        "queue": {"ok": True},
    }


@pytest.mark.parametrize("kind", ["unreachable", "hanging"])
def test_what_does_not_answer_holds_up_nothing(client, monkeypatch, kind):
    released = threading.Event()

    def ping(_queue):
        if kind == "hanging":
            released.wait(30)
        raise EndpointConnectionError(endpoint_url="https://secret.example")

    monkeypatch.setattr(WorkQueue, "ping", ping)
    if kind == "hanging":  # the others are given their time
        monkeypatch.setattr(health, "ANSWER_WITHIN_S", 1.0)

    answer = client.get("/readyz")
    released.set()

    assert answer.status_code == 503
    error = {"unreachable": "EndpointConnectionError", "hanging": "NoAnswer"}[kind]
    assert answer.json["dependencies"]["queue"] == {"ok": False, "error": error}
    assert "secret" not in answer.text


def test_what_hangs_is_asked_once_however_many_want_to_know(client, monkeypatch):
    released, asked = threading.Event(), []

    def ping(_queue):
        asked.append(threading.current_thread())
        released.wait(30)

    monkeypatch.setattr(WorkQueue, "ping", ping)
    monkeypatch.setattr(health, "ANSWER_WITHIN_S", 0.2)

    answers = [client.get("/readyz").status_code for _ in range(3)]
    released.set()
    for thread in asked:
        thread.join(30)

    assert answers == [503] * 3
    assert len(asked) == 1
    monkeypatch.setattr(health, "ANSWER_WITHIN_S", 30)
    assert client.get("/readyz").status_code == 200  # asked anew
    assert len(asked) == 2
