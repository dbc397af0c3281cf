"""What ECS and `/readyz` can say of a release, and what a deploy makes of it."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from engine.readiness import readiness
from operations.verify import DeclaredService, NotRunning, verify_ready, verify_running

ARN = "arn:aws:ecs:eu-west-1:111122223333:task-definition/dev-retainwise-web:"
WEB = DeclaredService("dev-retainwise", "dev-retainwise-web", f"{ARN}7")


def deployment(revision=7, status="PRIMARY", **told):
    return {"taskDefinition": f"{ARN}{revision}", "status": status, **told}


def account(*answers):
    """An account whose ECS gives these answers in turn, and then the last one for ever."""
    left = list(answers)

    def describe_services(**_):
        deployments = left.pop(0) if len(left) > 1 else left[0]
        return {"services": [{"status": "ACTIVE", "deployments": deployments}]}

    ecs = SimpleNamespace(describe_services=describe_services)
    return SimpleNamespace(session=SimpleNamespace(client=lambda _name: ecs))


def verify(*answers, within_s=0.2):
    said = []
    verify_running(account(*answers), [WEB], within_s, said.append)
    return said


ROLLING = [
    deployment(rolloutState="IN_PROGRESS", runningCount=1, desiredCount=2),
    deployment(6, "ACTIVE", runningCount=2, desiredCount=2),
]


def test_it_waits_until_the_declared_one_runs_alone():
    done = [deployment(rolloutState="COMPLETED", runningCount=2, desiredCount=2)]
    old_left = [*done, deployment(6, "ACTIVE")]
    assert verify(ROLLING, old_left, done, within_s=10) == [
        "dev-retainwise-web: 1 of 2 tasks of dev-retainwise-web:7 run",
        "dev-retainwise-web: 2 of 2 tasks of dev-retainwise-web:7 run",
        "dev-retainwise-web runs dev-retainwise-web:7",
    ]


def test_what_does_not_come_up_in_time_is_a_failure_that_says_how_far_it_was():
    with pytest.raises(NotRunning, match="1 of 2 tasks of dev-retainwise-web:7 run, and 0 s"):
        verify(ROLLING)


def test_what_ecs_gave_up_is_a_failure_at_once_with_its_reason():
    failed = [deployment(rolloutState="FAILED", rolloutStateReason="tasks failed to start")]
    with pytest.raises(NotRunning, match="web:7 failed: tasks failed to start"):
        verify(failed, within_s=60)


def test_another_revision_than_the_declared_one_is_a_failure_that_names_both():
    with pytest.raises(NotRunning, match=r"web:6 and not the declared .*web:7"):
        verify([deployment(6, rolloutState="COMPLETED")], within_s=60)


def test_one_good_answer_in_between_is_not_well():
    answers = iter([503, 200, 200, 503, 200, 200, 200])
    said = []
    with readiness() as ready:
        ready.answers = lambda: next(answers)
        verify_ready(ready.url, 10, said.append)
        assert said == [f"{ready.url}/readyz: answers 503", f"{ready.url}/readyz is well"]
    assert list(answers) == []


def test_what_stays_unwell_is_a_failure_that_says_what_it_answers():
    with readiness() as ready:
        ready.answers = lambda: 503
        with pytest.raises(NotRunning, match="/readyz: answers 503, and 0 s are over"):
            verify_ready(ready.url, 0.3, print)
