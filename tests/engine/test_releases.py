"""What a release leaves behind, the way back, and releases that do not come up.

On a program of one service, in which a release is what it is in the whole: another image digest.
"""

from __future__ import annotations

import json

import pytest
from botocore.exceptions import ClientError

from operations import deploy as deploying
from operations.releases import Releases

DEV = "dev-retainwise"
FIRST, OTHER, BROKEN = ("sha256:" + digit * 64 for digit in "012")
PROGRAM = """
import json

import pulumi
import pulumi_aws as aws

services = pulumi.Config("retainwise").require_object("services")
cluster = aws.ecs.Cluster(
    "cluster",
    name="dev-retainwise",
    settings=[aws.ecs.ClusterSettingArgs(name="containerInsights", value="enabled")],
)
trust = {
    "Effect": "Allow",
    "Principal": {"Service": "ecs-tasks.amazonaws.com"},
    "Action": "sts:AssumeRole",
}
role = aws.iam.Role(
    "web",
    name="dev-retainwise-web",
    assume_role_policy=json.dumps({"Version": "2012-10-17", "Statement": [trust]}),
)
container = {
    "name": "web",
    "image": f"web@{services['web']['image_digest']}",
    "cpu": 0,
    "essential": True,
}
definition = aws.ecs.TaskDefinition(
    "web",
    family="dev-retainwise-web",
    requires_compatibilities=["FARGATE"],
    network_mode="awsvpc",
    cpu="256",
    memory="512",
    ephemeral_storage=aws.ecs.TaskDefinitionEphemeralStorageArgs(size_in_gib=21),
    runtime_platform=aws.ecs.TaskDefinitionRuntimePlatformArgs(
        operating_system_family="LINUX", cpu_architecture="X86_64"
    ),
    task_role_arn=role.arn,
    execution_role_arn=role.arn,
    volumes=[],
    container_definitions=json.dumps([container]),
    skip_destroy=True,
)
aws.ecs.Service(
    "web",
    name="dev-retainwise-web",
    cluster=cluster.arn,
    task_definition=definition.arn,
    desired_count=1,
    capacity_provider_strategies=[
        aws.ecs.ServiceCapacityProviderStrategyArgs(capacity_provider="FARGATE", weight=1)
    ],
    deployment_minimum_healthy_percent=100,
    deployment_maximum_percent=200,
    deployment_circuit_breaker=aws.ecs.ServiceDeploymentCircuitBreakerArgs(
        enable=True, rollback=True
    ),
    network_configuration=aws.ecs.ServiceNetworkConfigurationArgs(
        subnets=["subnet-1"], security_groups=["sg-1"], assign_public_ip=False
    ),
    enable_execute_command=False,
    propagate_tags="SERVICE",
)
aws.sqs.Queue("jobs", name="dev-retainwise-jobs")
"""


@pytest.fixture(scope="module", autouse=True)
def _dev(project):
    project.new_stack("dev", alone=True)
    project.use_program(PROGRAM)


def service(project):
    ecs = project.emulator.client("ecs")
    [found] = ecs.describe_services(cluster=DEV, services=[f"{DEV}-web"])["services"]
    return found


def image(project):
    ecs = project.emulator.client("ecs")
    definition = ecs.describe_task_definition(taskDefinition=service(project)["taskDefinition"])
    return definition["taskDefinition"]["containerDefinitions"][0]["image"].partition("@")[2]


def release(project, digest):
    project.change("dev", "services", web={"image_digest": digest})


def records(run):
    return json.loads(run("releases", "dev", "--json").output)["releases"]


def test_a_release_is_recorded_and_the_one_before_can_be_brought_back(deploy, project, run):
    deploy("dev")
    release(project, OTHER)
    said = deploy("dev")
    assert "sha256:0000" in said
    assert "sha256:1111" in said
    assert image(project) == OTHER
    sqs = project.emulator.client("sqs")
    queue = sqs.get_queue_url(QueueName=f"{DEV}-jobs")["QueueUrl"]
    sqs.send_message(QueueUrl=queue, MessageBody="kept")

    said = deploy("dev", command="rollback")

    assert "going back to release" in said
    assert image(project) == FIRST
    [back, other, first] = records(run)
    assert [one["what"] for one in (back, other, first)] == ["rollback", "deploy", "deploy"]
    assert {one["result"] for one in (back, other, first)} == {"good"}
    assert back["puts_back"] == first["id"]
    assert other["images"]["web"] == OTHER
    assert other["configuration"]["retainwise:services"]["web"]["image_digest"] == OTHER
    assert "no good release" in deploy("dev", code=2, command="rollback")
    assert sqs.receive_message(QueueUrl=queue)["Messages"][0]["Body"] == "kept"


def test_a_release_that_is_not_ready_is_put_back(deploy, project, ready, run):
    before = image(project)
    release(project, BROKEN)
    ready.answers = lambda: 503 if image(project) == BROKEN else 200
    said = deploy("dev", code=1)
    assert "answers 503" in said
    assert "was put back and runs" in said
    assert image(project) == before
    [newest, *_] = records(run)
    assert newest["result"] == "put back"
    assert "503" in newest["reason"]


def test_a_release_that_ecs_took_back_is_noticed_though_the_engine_says_success(
    deploy, project, run
):
    before, old = image(project), service(project)["taskDefinition"]

    def circuit_breaker(what, name):
        if (what, name) == ("update", "web") and image(project) == BROKEN:
            ecs = project.emulator.client("ecs")
            ecs.update_service(cluster=DEV, service=f"{DEV}-web", taskDefinition=old)

    release(project, BROKEN)
    project.provider.after = circuit_breaker
    try:
        said = deploy("dev", code=1)
    finally:
        project.provider.after = lambda _what, _name: None
    assert "ECS took it back" in said
    assert image(project) == before
    [newest, *_] = records(run)
    assert newest["result"] == "put back"


def test_after_a_deploy_that_could_not_be_put_back_rollback_brings_the_last_good(
    deploy, project, ready, run
):
    good = image(project)
    release(project, BROKEN)
    ready.answers = lambda: 503
    said = deploy("dev", code=1)
    assert "could not be put back either" in said
    assert records(run)[0]["result"] == "failed"
    ready.answers = lambda: 200
    assert "nothing to change" in deploy(
        "dev", command="rollback"
    )  # it was put back, and answers now
    assert image(project) == good


def test_a_rollback_goes_to_the_release_that_is_named(deploy, project, run):
    first = records(run)[-1]["id"]
    release(project, OTHER)
    deploy("dev")
    deploy("dev", "--to", first, command="rollback")
    assert image(project) == FIRST
    assert "no good release" in deploy(
        "dev", "--to", "01M0000000000000000000000", code=2, command="rollback"
    )


def test_an_address_that_is_none_is_refused_before_anything_is_changed(deploy, run):
    before = records(run)
    said = deploy("dev", "--url", "retainwise.example.com", code=2)
    assert "is no address such as https://" in said
    assert records(run) == before


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (ClientError({"Error": {"Code": "Throttling"}}, "DescribeServices"), "Throttling"),
        (ZeroDivisionError("a fault of ours"), "a fault of ours"),
    ],
)
def test_whatever_goes_wrong_while_verifying_the_release_is_put_back(
    deploy, project, run, monkeypatch, error, told
):
    good = image(project)
    release(project, BROKEN)
    answers = iter([error])

    def verify(*arguments):
        for error in answers:
            raise error
        verify_running(*arguments)

    verify_running = deploying.verify_running
    monkeypatch.setattr(deploying, "verify_running", verify)
    assert "was put back and runs" in deploy("dev", code=1)
    assert image(project) == good
    assert told in records(run)[0]["reason"]


@pytest.fixture
def clean_commit(monkeypatch):
    """The test's project as a checkout without changes of its own."""
    monkeypatch.setattr(deploying, "_revision", lambda _folder: ("1a2b3c4" * 5, False))


@pytest.mark.usefixtures("clean_commit")
def test_a_deploy_that_was_cut_off_while_it_verified_is_good_once_the_next_has_seen_it(
    deploy, project, run, monkeypatch
):
    release(project, OTHER if image(project) == FIRST else FIRST)
    with monkeypatch.context() as patch:
        patch.setattr(deploying, "verify_running", interrupted)
        assert "what it had begun was ended and is noted" in deploy("dev", code=1)
    assert (records(run)[0]["result"], records(run)[0]["reason"]) == ("failed", "it was cancelled")
    said = deploy("dev")
    assert "nothing to change" in said
    assert records(run)[0]["result"] == "good"


@pytest.mark.usefixtures("clean_commit")
def test_a_deploy_that_was_cut_off_before_it_did_anything_is_never_good(
    deploy, project, run, monkeypatch
):
    before = image(project)
    release(project, BROKEN)
    with monkeypatch.context() as patch:
        patch.setattr(deploying._Run, "_apply", interrupted)
        deploy("dev", code=1)
    release(project, before)
    assert "nothing to change" in deploy("dev")
    assert records(run)[0]["result"] == "failed"


def interrupted(*_):
    raise KeyboardInterrupt


def test_a_rollback_that_failed_puts_nothing_back_and_goes_the_same_way_when_tried_again(
    deploy, project, ready, run
):
    for digest in (FIRST, OTHER):
        release(project, digest)
        deploy("dev")
    ready.answers = lambda: 503
    said = deploy("dev", code=1, command="rollback")
    assert "Nothing was put back" in said
    assert image(project) == FIRST
    [newest, *_] = records(run)
    assert (newest["what"], newest["result"]) == ("rollback", "failed")
    # Not to the last good one: it is what somebody wanted to get away from.
    ready.answers = lambda: 200
    assert f"going back to release {newest['puts_back']}" in deploy("dev", command="rollback")
    assert image(project) == FIRST


def test_when_the_good_release_cannot_be_looked_for_the_reason_is_told_all_the_same(
    deploy, project, ready, run, monkeypatch
):
    release(project, BROKEN)
    ready.answers = lambda: 503
    refused = ClientError({"Error": {"Code": "SlowDown"}}, "ListObjectsV2")

    def fail(*_, **__):
        raise refused

    monkeypatch.setattr(Releases, "last_good", fail)
    said = deploy("dev", code=1)
    assert "answers 503" in said
    assert "Nothing was put back" in said
    assert records(run)[0]["result"] == "failed"
