"""A stack from nothing to its end: each step with its exit code and what a person is told."""

from __future__ import annotations

import pytest

DEV = "dev-retainwise"


@pytest.fixture(scope="module", autouse=True)
def _dev(project):
    project.emulator.bootstrap("dev")
    project.write_stack("dev")
    project.change("dev", "operations", under_lease=True)


@pytest.fixture
def deploy(run, ready):
    def go(*options, code=0):
        return run("deploy", "dev", "--yes", "--wait", "5", "--url", ready.url, *options, code=code)

    return go


def attributes(project):
    sqs = project.emulator.client("sqs")
    url = sqs.get_queue_url(QueueName=f"{DEV}-predictions-queue")["QueueUrl"]
    return sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]


def test_without_a_state_nothing_is_created(deploy, project):
    said = deploy(code=1).output
    assert "there is no state of dev" in said
    assert "retainwise bootstrap dev" in said
    assert project.emulator.client("sqs").list_queues().get("QueueUrls", []) == []


def test_up_from_nothing(deploy, project, run):
    provider = f"awskms:///alias/{DEV}-state?region=eu-west-1"
    project.pulumi("dev", "stack", "init", "dev", "--secrets-provider", provider).check_returncode()
    said = deploy().output
    assert "139 to create" in said
    assert f"{DEV}-web runs {DEV}-web:1" in said
    assert attributes(project)["VisibilityTimeout"] == "30"
    assert "good" in run("releases", "dev").output


def test_up_again_changes_nothing(deploy):
    said = deploy().output
    assert "nothing to change" in said
    assert "is well" in said


def test_a_change_is_shown_and_made(deploy, project):
    project.change("dev", "predictions", lease_s=45)
    said = deploy().output
    assert "visibilityTimeoutSeconds: 30 → 45" in said
    assert attributes(project)["VisibilityTimeout"] == "45"


def test_what_holds_data_is_replaced_only_by_name(deploy, project):
    pass


def test_dev_can_be_destroyed(project):
    done = project.pulumi("dev", "destroy", "--yes")
    assert done.returncode == 0, done.stdout + done.stderr
