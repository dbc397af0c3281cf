"""A task is protected while a job of it runs, as ECS's agent in the task is told."""

from __future__ import annotations

import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from worker.protection import TaskProtection


class Agent:
    """Notes what it is asked, and answers with a status."""

    def __init__(self):
        self.asked = []
        self.status = 200


@contextmanager
def serving(agent):
    class Handler(BaseHTTPRequestHandler):
        def do_PUT(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            agent.asked.append((self.path, json.loads(body)))
            self.send_response(agent.status)
            self.end_headers()

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def agent():
    return Agent()


@pytest.fixture
def protection(agent):
    with serving(agent) as uri:
        yield TaskProtection(uri)


BUSY = {"ProtectionEnabled": True, "ExpiresInMinutes": 120}
IDLE = {"ProtectionEnabled": False}


def told(agent):
    assert {path for path, _ in agent.asked} <= {"/task-protection/v1/state"}
    return [body for _, body in agent.asked]


def test_a_task_is_protected_for_as_long_as_its_job(agent, protection):
    with protection.during_a_job():
        assert told(agent) == [BUSY]
    assert told(agent) == [BUSY, IDLE]


def test_of_two_jobs_the_last_one_gives_the_protection_up(agent, protection):
    with protection.during_a_job():
        with protection.during_a_job():
            pass
        assert told(agent) == [BUSY]
    assert told(agent) == [BUSY, IDLE]


def test_a_job_that_raises_leaves_no_protection(agent, protection):
    with pytest.raises(RuntimeError), protection.during_a_job():
        raise RuntimeError
    assert told(agent)[-1] == IDLE


def test_an_agent_that_refuses_or_is_not_there_stops_no_job(agent, protection, capsys):
    agent.status = 500
    with protection.during_a_job():
        pass
    with TaskProtection("http://127.0.0.1:9").during_a_job():
        pass
    assert capsys.readouterr().out.count("protection_failed") == 4


def test_outside_ecs_nobody_is_asked(agent):
    with TaskProtection(None).during_a_job():
        pass
    assert agent.asked == []
