"""A task is protected while a job of it runs, as ECS's agent in the task is told."""

from __future__ import annotations

import pytest

from agent import BUSY, IDLE, Agent, serving
from worker import protection as protecting
from worker.protection import TaskProtection


@pytest.fixture
def agent():
    return Agent()


@pytest.fixture
def protection(agent):
    with serving(agent) as uri:
        yield TaskProtection(uri)


def test_a_task_is_protected_for_as_long_as_its_job(agent, protection):
    with protection.during_a_job():
        assert agent.told() == [BUSY]
    assert agent.told() == [BUSY, IDLE]


def test_of_two_jobs_the_last_one_gives_the_protection_up(agent, protection):
    with protection.during_a_job():
        with protection.during_a_job():
            pass
        assert agent.told() == [BUSY]
    assert agent.told() == [BUSY, IDLE]


def test_a_job_that_raises_leaves_no_protection(agent, protection):
    with pytest.raises(RuntimeError), protection.during_a_job():
        raise RuntimeError
    assert agent.told()[-1] == IDLE


def test_an_agent_that_refuses_or_is_not_there_stops_no_job(agent, protection, capsys):
    agent.status = 500
    with protection.during_a_job():
        pass
    with TaskProtection("http://127.0.0.1:9").during_a_job():
        pass
    assert capsys.readouterr().out.count("protection_failed") == 4


def test_an_agent_that_hangs_is_not_waited_for(agent, monkeypatch, capsys):
    monkeypatch.setattr(protecting, "_TIMEOUT_S", 0.05)
    agent.hangs = True
    with serving(agent) as uri, TaskProtection(uri).during_a_job():
        pass
    assert capsys.readouterr().out.count("protection_failed") == 2


def test_outside_ecs_nobody_is_asked(agent):
    with TaskProtection(None).during_a_job():
        pass
    assert agent.asked == []
