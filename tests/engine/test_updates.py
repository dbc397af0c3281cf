"""A stack from nothing to its end: each step with its exit code and what a person is told."""

from __future__ import annotations

import functools
import json
import time

import psutil
import pytest
import yaml

from localcloud.program import CHECKOUT
from operations import deploy as deploying
from operations.lease import DeployLease

DEV = "dev-retainwise"


@pytest.fixture(scope="module", autouse=True)
def _dev(project):
    project.emulator.bootstrap("dev")
    project.write_stack("dev")


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
    init = project.pulumi("dev", "stack", "init", "dev", "--secrets-provider", provider)
    init.check_returncode()
    said = deploy().output
    assert "139 to create" in said
    assert f"{DEV}-web runs {DEV}-web:1" in said
    assert attributes(project)["VisibilityTimeout"] == "30"
    assert "good" in run("releases", "dev").output


def test_up_again_changes_nothing(deploy, run):
    before = run("releases", "dev").output
    said = deploy().output
    assert "nothing to change" in said
    assert "is well" in said
    assert run("releases", "dev").output == before


def test_a_change_is_shown_and_made(deploy, project):
    project.change("dev", "predictions", lease_s=45)
    said = deploy().output
    assert "visibilityTimeoutSeconds: 30 → 45" in said
    assert attributes(project)["VisibilityTimeout"] == "45"


def test_dev_can_be_destroyed(project):
    done = project.pulumi("dev", "destroy", "--yes")
    assert done.returncode == 0, done.stdout + done.stderr
    assert project.emulator.client("sqs").list_queues().get("QueueUrls", []) == []


QUEUE = """
import pulumi
import pulumi_aws as aws

opts = pulumi.ResourceOptions(delete_before_replace=True)
aws.sqs.Queue("jobs", name="dev-retainwise-{name}", opts=opts)
"""


def queues(project):
    urls = project.emulator.client("sqs").list_queues().get("QueueUrls", [])
    return [url.rpartition("/")[2] for url in urls]


def test_what_holds_data_is_replaced_or_deleted_only_by_name(deploy, project):
    project.use_program(QUEUE.format(name="jobs"))
    deploy()
    project.use_program(QUEUE.format(name="tasks"))
    said = deploy(code=2).output
    assert "!replace Queue jobs" in said
    assert "name: dev-retainwise-jobs → dev-retainwise-tasks" in said
    assert "--allow-replace jobs" in said
    assert queues(project) == ["dev-retainwise-jobs"]
    deploy("--allow-replace", "jobs")
    assert queues(project) == ["dev-retainwise-tasks"]
    project.use_program("")
    assert "!delete  Queue jobs" in deploy(code=2).output
    assert queues(project) == ["dev-retainwise-tasks"]
    deploy("--allow-replace", "jobs")
    assert queues(project) == []


def test_a_plan_is_kept_to(project, deploy):
    """What nobody has seen in the preview is not done, though the program says so by then."""
    project.use_program(
        """
import pulumi
import pulumi_aws as aws

aws.sqs.Queue("seen", name="dev-retainwise-seen")
if not pulumi.runtime.is_dry_run():
    aws.sqs.Queue("unseen", name="dev-retainwise-unseen")
"""
    )
    said = deploy(code=1).output
    assert "unseen" in said
    assert "not allowed by the plan" in said
    assert "dev-retainwise-unseen" not in queues(project)


def test_the_cli_starts_the_stand_ins_itself_and_they_end_with_it(project, deploy):
    project.use_program(QUEUE.format(name="spawned"))
    with project.spawned():
        deploy("--allow-replace", "seen")  # left by a test before
        assert "dev-retainwise-spawned" in queues(project)
        assert plugins_of(project) == []
        project.use_program("")
        deploy("--allow-replace", "jobs")
    assert "dev-retainwise-spawned" not in queues(project)


def plugins_of(project):
    """The plugins that still run, of whoever started them in this project."""
    return [
        process
        for process in psutil.process_iter(["cmdline"])
        if any("pulumi-resource-aws" in part for part in process.info["cmdline"] or ())
    ]


def test_who_loses_the_lease_has_the_engine_ended_and_puts_nothing_back(
    project, deploy, run, monkeypatch
):
    """As after a stall in which somebody else took it."""
    monkeypatch.setattr(deploying, "DeployLease", functools.partial(DeployLease, length_s=3))
    dynamodb = project.emulator.client("dynamodb")
    project.use_program(QUEUE.format(name="of-the-loser"))

    def lose_it(what, _name):
        if what == "create":
            table = f"{DEV}-deploy-lease"
            dynamodb.delete_item(TableName=table, Key={"stack": {"S": "dev"}})
            DeployLease(dynamodb, table, "dev").take("bob@laptop", "deploy 1a2b3c4")
            time.sleep(4)

    monkeypatch.setattr(project.provider, "before", lose_it)
    said = deploy(code=1).output
    assert "the deploy lease" in said
    assert "putting back" not in said
    [newest, *_] = json.loads(run("releases", "dev", "--json").output)["releases"]
    assert (newest["result"], newest["reason"]) == ("failed", "the deploy lease was lost")
    assert "bob@laptop holds" in deploy(code=3).output


def test_the_projects_own_file_never_names_the_stand_ins():
    for path in ("Pulumi.yaml", "platform/bootstrap/Pulumi.yaml"):
        assert "plugins" not in yaml.safe_load((CHECKOUT / path).read_text("utf-8"))
