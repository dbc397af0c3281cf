"""Production with the real CLI, applied once for all tests here: what a team does with it."""

from __future__ import annotations

import json
import re

import pytest

from infra.lease_item import table_name
from localcloud import cloud as local_cloud
from operations.lease import DeployLease

PROD = "prod-retainwise"
STATE = f"{PROD}-state-{local_cloud.ACCOUNT_ID}"
OTHER = "sha256:" + "1" * 64
BROKEN = "sha256:" + "2" * 64


@pytest.fixture(scope="module", autouse=True)
def _prod(project):
    project.emulator.bootstrap("prod")
    project.new_stack("prod")


@pytest.fixture
def deploy(run, ready):
    def go(*options, command="deploy", wait="5", code=0):
        options = ("--yes", "--wait", wait, "--url", ready.url, *options)
        return run(command, "prod", *options, code=code).output

    return go


def running(project, service="web"):
    ecs = project.emulator.client("ecs")
    [found] = ecs.describe_services(cluster=PROD, services=[f"{PROD}-{service}"])["services"]
    return found["taskDefinition"].rpartition(":")[2]


def image(project, service="web"):
    ecs = project.emulator.client("ecs")
    [found] = ecs.describe_services(cluster=PROD, services=[f"{PROD}-{service}"])["services"]
    definition = ecs.describe_task_definition(taskDefinition=found["taskDefinition"])
    return definition["taskDefinition"]["containerDefinitions"][0]["image"].partition("@")[2]


def release(project, digest):
    project.change("prod", "services", web={"image_digest": digest})


def test_a_plain_pulumi_up_is_refused_and_says_what_to_run(project):
    done = project.pulumi("prod", "up", "--yes", "--skip-preview")
    assert done.returncode != 0
    assert "run `retainwise deploy prod`, not `pulumi up`" in done.stdout + done.stderr
    assert project.pulumi("prod", "preview").returncode == 0


def test_the_whole_of_it_is_made(deploy, project):
    said = deploy()
    assert re.search(r"^179 to create$", said, re.M)
    assert running(project) == "1"


def test_who_finds_the_lease_taken_is_told_who_has_it(deploy, project):
    dynamodb = project.emulator.client("dynamodb")
    lease = DeployLease(dynamodb, table_name(PROD), "prod")
    with lease.held("alice@laptop", "deploy 1a2b3c4", on_lost=print):
        said = deploy(code=3)
        assert "alice@laptop holds the deploy lease" in said
        assert "to deploy 1a2b3c4" in said
        up = project.pulumi("prod", "up", "--yes", "--skip-preview")
        assert up.returncode != 0
        assert "alice@laptop holds it" in up.stdout + up.stderr
    deploy()


def test_destroying_it_is_refused_and_nothing_is_touched(project):
    before = project.engine("prod").state()
    done = project.pulumi("prod", "destroy", "--yes", "--skip-preview", "--ignore-protect")
    assert done.returncode == 1
    assert "but the program is not running" in done.stdout
    done = project.pulumi("prod", "destroy", "--yes", "--skip-preview", "--run-program")
    assert done.returncode == 1
    assert "run `retainwise deploy prod`" in done.stdout
    assert len(project.engine("prod").state()) == len(before)
    assert running(project) == "1"


def test_a_release_is_recorded_and_the_one_before_can_be_brought_back(deploy, project, run):
    release(project, OTHER)
    assert "sha256:0000" in (said := deploy())
    assert "sha256:1111" in said
    assert image(project) == OTHER
    uploads = project.emulator.client("s3").get_bucket_versioning(
        Bucket=f"{PROD}-uploads-{local_cloud.ACCOUNT_ID}"
    )
    said = deploy(command="rollback")
    assert "going back to release" in said
    assert image(project) == "sha256:" + "0" * 64
    records = json.loads(run("releases", "prod", "--json").output)["releases"]
    assert [one["what"] for one in records] == ["rollback", "deploy", "deploy"]
    assert {one["result"] for one in records} == {"good"}
    assert records[0]["puts_back"] == records[2]["id"]
    assert records[1]["images"]["web"] == OTHER
    assert uploads["Status"] == "Enabled"
    assert "no good release" in deploy(command="rollback", code=2)
    deploy()  # what the checkout says
    assert image(project) == OTHER


def test_a_release_that_is_not_ready_is_put_back(deploy, project, ready, run):
    before = image(project)
    release(project, BROKEN)
    ready.answers = lambda: 503 if image(project) == BROKEN else 200
    said = deploy(wait="2", code=1)
    assert "answers 503" in said
    assert "was put back and runs" in said
    assert image(project) == before
    [newest, *_] = json.loads(run("releases", "prod", "--json").output)["releases"]
    assert newest["result"] == "put back"
    assert "503" in newest["reason"]
    release(project, before)
    assert "nothing to change" in deploy()


def test_a_release_that_ecs_took_back_is_noticed_though_the_engine_says_success(
    deploy, project, run
):
    before = image(project)
    old = running(project)
    release(project, BROKEN)

    def circuit_breaker(what, name):
        if (what, name) == ("update", f"{PROD}-web"):
            ecs = project.emulator.client("ecs")
            service = f"{PROD}-web"
            if image(project) == BROKEN:
                definition = f"{PROD}-web:{old}"
                ecs.update_service(cluster=PROD, service=service, taskDefinition=definition)

    project.provider.after = circuit_breaker
    try:
        said = deploy(code=1)
    finally:
        project.provider.after = lambda _what, _name: None
    assert "ECS took it back" in said
    assert image(project) == before
    [newest, *_] = json.loads(run("releases", "prod", "--json").output)["releases"]
    assert newest["result"] == "put back"
    release(project, before)
    deploy()
