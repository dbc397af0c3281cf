"""What a deploy may do to a stack, and what it must not: programs of a few lines."""

from __future__ import annotations

import json
import re
import subprocess

import psutil
import pytest
import yaml

from engine.healing.trials import LENGTH_S
from engine.interrupted import interrupted
from localcloud.program import CHECKOUT
from operations import lease
from operations.keeping import keep
from operations.lease import DeployLease

DEV = "dev-retainwise"


@pytest.fixture(scope="module", autouse=True)
def _dev(project):
    project.new_stack("dev", alone=True)


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
    deploy("dev")
    project.use_program(QUEUE.format(name="tasks"))
    said = deploy("dev", code=2)
    assert "!replace Queue jobs" in said
    assert "name: dev-retainwise-jobs → dev-retainwise-tasks" in said
    assert "--allow-replace jobs" in said
    assert queues(project) == ["dev-retainwise-jobs"]
    deploy("dev", "--allow-replace", "jobs")
    assert queues(project) == ["dev-retainwise-tasks"]
    project.use_program("")
    assert "!delete  Queue jobs" in deploy("dev", code=2)
    assert queues(project) == ["dev-retainwise-tasks"]
    deploy("dev", "--allow-replace", "jobs")
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
    said = deploy("dev", code=1)
    assert "unseen" in said
    assert "not allowed by the plan" in said
    assert "dev-retainwise-unseen" not in queues(project)


def test_the_cli_starts_the_stand_ins_itself_and_they_end_with_it(project, deploy):
    project.use_program(QUEUE.format(name="spawned"))
    with project.spawned():
        deploy("dev", "--allow-replace", "seen")  # left by a test before
        assert "dev-retainwise-spawned" in queues(project)
        assert plugins_of(project) == []
    project.use_program("")
    deploy("dev", "--allow-replace", "jobs")


def plugins_of(project):
    """The plugins that still run and act in this project's account, of whoever started them."""
    found = []
    for process in psutil.process_iter(["cmdline", "environ"]):
        is_plugin = any("pulumi-resource-aws" in part for part in process.info["cmdline"] or ())
        endpoint = (process.info["environ"] or {}).get("AWS_ENDPOINT_URL")
        if is_plugin and endpoint == project.emulator.endpoint:
            found.append(process)
    return found


def test_a_deploy_that_is_cancelled_ends_in_order_and_the_next_one_goes_on(project, deploy, run):
    project.use_program(QUEUE.format(name="cancelled"))
    command = ["deploy", "dev", "--yes"]
    assert interrupted(project, command, "before", "jobs", "SIGTERM") == 1
    assert "the deploy lease is free" in run("lease", "dev").output
    assert project.engine("dev").exported()["deployment"].get("pending_operations") is None
    deploy("dev")
    assert "dev-retainwise-cancelled" in queues(project)
    project.use_program("")
    deploy("dev", "--allow-replace", "jobs")


@pytest.fixture
def lock_of_somebody(project):
    """A lock as the CLI writes it for an update that runs beside the deploy lease."""
    s3, bucket = project.emulator.client("s3"), project.account("dev").state_bucket
    key = ".pulumi/locks/organization/retainwise/dev/6f1c.json"
    text = {"pid": 4711, "username": "alice", "hostname": "laptop", "timestamp": "2026-03-03"}
    s3.put_object(Bucket=bucket, Key=key, Body=json.dumps(text))
    yield key
    s3.delete_object(Bucket=bucket, Key=key)


def test_a_lock_of_no_deploy_is_told_before_anything_is_changed(
    project, deploy, run, lock_of_somebody
):
    project.use_program(QUEUE.format(name="locked"))
    before = run("releases", "dev").output
    said = deploy("dev", code=1)
    assert "the state of dev is locked by alice@laptop (process 4711)" in said
    assert "Nothing was changed now" in said
    assert run("releases", "dev").output == before
    [advice] = re.findall("`(PULUMI_BACKEND_URL=.*)` takes the lock away", said)
    subprocess.run(advice, shell=True, check=True, cwd=project.folder)
    deploy("dev")
    assert queues(project) == ["dev-retainwise-locked"]
    project.use_program("")
    deploy("dev", "--allow-replace", "jobs")


def test_who_loses_the_lease_has_the_engine_ended_and_puts_nothing_back(
    project, deploy, run, monkeypatch
):
    """As after a stall in which somebody else took it."""
    dynamodb = project.emulator.client("dynamodb")
    table = f"{DEV}-deploy-lease"
    project.use_program(QUEUE.format(name="of-the-loser"))

    def lose_it(what, _name):
        if what == "create":
            dynamodb.delete_item(TableName=table, Key={"stack": {"S": "dev"}})
            DeployLease(dynamodb, table, "dev", 3).take("bob@laptop", "deploy 1a2b3c4")
            engine = [one for one in psutil.Process().children() if one.name() == "pulumi"]
            psutil.wait_procs(engine, timeout=LENGTH_S)  # it is ended with the next renewal

    with monkeypatch.context() as patch:
        patch.setattr(lease, "LENGTH_S", LENGTH_S)
        patch.setattr(project.provider, "before", lose_it)
        said = deploy("dev", code=1)
    assert "has lost the deploy lease: bob@laptop took it" in said
    assert "putting back" not in said
    with keep(DeployLease(dynamodb, table, "dev"), "carol@laptop", "deploy", on_lost=print):
        assert "carol@laptop holds the deploy lease" in deploy("dev", code=3)
    assert "was being made when the last run was killed; it is" in deploy("dev")


def test_the_projects_own_file_never_names_the_stand_ins():
    for path in ("Pulumi.yaml", "platform/bootstrap/Pulumi.yaml"):
        assert "plugins" not in yaml.safe_load((CHECKOUT / path).read_text("utf-8"))
