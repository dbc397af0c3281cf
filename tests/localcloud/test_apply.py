"""The program applied to the emulated AWS: it converges, and touches only what is its own."""

from __future__ import annotations

import json
from contextlib import suppress

import pulumi
import pytest

from localcloud.kinds.base import NAME_TAG, PROTECT_TAG, STACK_TAG, Unapplicable
from localcloud.program import stack_config

STACK, ANOTHER_STACK = "retainwise/local", "retainwise/dev"
READS = ("Get", "List", "Describe", "Head")


@pytest.fixture
def applied(emulator):
    """Apply the program, with changes to one section of its configuration if any are given."""
    emulator.bootstrap()

    def run(section=None, **values):
        return emulator.apply(changes={section: values} if section else {})

    return run


def own_tags(name, protect):
    return {STACK_TAG: STACK, NAME_TAG: name, PROTECT_TAG: protect}


class Killed(Exception):
    """The process that applies died, as far as the cloud can tell."""


@pytest.fixture
def writes(emulator):
    """The names of the calls that change something; after `left` of them the next one dies."""

    class Writes(list):
        left = None

        def note(self, model, **_):
            if model.name.startswith(READS):
                return
            if self.left is not None:
                if self.left == 0:
                    raise Killed
                self.left -= 1
            self.append(model.name)

    noted = Writes()
    emulator.tell(noted.note)
    return noted


def test_applying_twice_changes_nothing(applied, writes):
    assert applied().changes
    assert writes
    writes.clear()
    assert applied().changes == []
    assert writes == []


def test_killed_again_and_again_it_gets_there(emulator, applied, writes):
    runs = 0
    while writes.left is None or writes.left == 0:
        runs, writes.left = runs + 1, 30
        with suppress(Killed):
            applied()
    assert runs > 3
    writes.left = None
    assert applied().changes == []
    # What AWS gives no name is there once.
    filters = [{"Name": f"tag:{STACK_TAG}", "Values": [STACK]}]
    assert len(emulator.client("ec2").describe_vpcs(Filters=filters)["Vpcs"]) == 1
    assert len(emulator.client("kms").list_keys()["Keys"]) == 2  # the state's, and the data's


def test_the_two_programs_leave_each_other_alone(emulator, applied):
    applied()
    assert emulator.bootstrap().changes == []
    assert applied().changes == []


def test_tasks_are_told_as_the_program_declares_them(applied):
    tasks = {task.service: task for task in applied().tasks}
    assert tasks["web"].command == ("retainwise", "web", "--bind", "0.0.0.0:8000")
    assert tasks["worker"].environment["PREDICTIONS_TABLE"] == "local-retainwise-predictions"
    assert tasks["worker"].role_arn.endswith(":role/local-retainwise-worker-task")
    assert tasks["worker"].stop_timeout_s == 120


def test_a_changed_setting_is_changed_in_place_and_nothing_else(emulator, applied):
    applied()
    changes = applied("predictions", lease_s=77).changes
    url = emulator.client("sqs").get_queue_url(QueueName="local-retainwise-predictions-queue")
    attributes = emulator.client("sqs").get_queue_attributes(
        QueueUrl=url["QueueUrl"], AttributeNames=["VisibilityTimeout"]
    )["Attributes"]
    assert attributes == {"VisibilityTimeout": "77"}
    # The worker is told too: a new revision, and the service that runs it.
    assert sorted(line.split(" ")[-2] for line in changes) == [
        "aws:ecs/service:Service",
        "aws:ecs/taskDefinition:TaskDefinition",
        "aws:sqs/queue:Queue",
    ]


def test_what_a_role_is_given_by_hand_is_taken_away(emulator, applied):
    applied()
    iam = emulator.client("iam")
    role = "local-retainwise-web-task"
    declared = iam.get_role_policy(RoleName=role, PolicyName="may")["PolicyDocument"]
    everything = {"Effect": "Allow", "Action": "*", "Resource": "*"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [everything]})
    for name in ("may", "extra"):
        iam.put_role_policy(RoleName=role, PolicyName=name, PolicyDocument=policy)
    iam.attach_role_policy(RoleName=role, PolicyArn="arn:aws:iam::aws:policy/AdministratorAccess")
    iam.delete_role_permissions_boundary(RoleName=role)
    applied()
    assert iam.get_role_policy(RoleName=role, PolicyName="may")["PolicyDocument"] == declared
    assert iam.list_role_policies(RoleName=role)["PolicyNames"] == ["may"]
    assert iam.list_attached_role_policies(RoleName=role)["AttachedPolicies"] == []
    boundary = iam.get_role(RoleName=role)["Role"]["PermissionsBoundary"]
    assert boundary["PermissionsBoundaryArn"].endswith(":policy/local-retainwise-boundary")


def test_a_service_of_another_stack_in_our_cluster_stays(emulator, applied):
    applied()
    ecs = emulator.client("ecs")
    tags = own_tags("x", "no") | {STACK_TAG: ANOTHER_STACK}
    ecs.create_service(
        cluster="local-retainwise",
        serviceName="of-another-stack",
        taskDefinition="local-retainwise-web",
        desiredCount=0,
        tags=[{"key": key, "value": value} for key, value in tags.items()],
    )
    assert applied().changes == []


def test_what_leaves_the_program_leaves_the_cloud(emulator, applied):
    applied("network", zones=["a", "b", "c"])
    changes = applied().changes
    subnets = emulator.client("ec2").describe_subnets(
        Filters=[{"Name": f"tag:{STACK_TAG}", "Values": [STACK]}]
    )["Subnets"]
    assert {subnet["AvailabilityZone"] for subnet in subnets} == {"eu-west-1a", "eu-west-1b"}
    assert [line for line in changes if line.startswith("deleted")]


def test_strangers_and_the_protected_stay(emulator, applied):
    sqs = emulator.client("sqs")
    sqs.create_queue(QueueName="stranger")
    sqs.create_queue(
        QueueName="of-another-stack", tags=own_tags("x", "no") | {STACK_TAG: ANOTHER_STACK}
    )
    sqs.create_queue(QueueName="left-protected", tags=own_tags("left-protected", "yes"))
    sqs.create_queue(QueueName="left", tags=own_tags("left", "no"))
    outcome = applied()
    names = {url.rpartition("/")[2] for url in sqs.list_queues()["QueueUrls"]}
    assert {"stranger", "of-another-stack", "left-protected"} <= names
    assert "left" not in names
    assert [name.rpartition("/")[2] for name in outcome.kept] == ["left-protected"]


def test_what_aws_would_replace_is_refused(applied):
    applied()
    with pytest.raises(Unapplicable, match="cidrBlock cannot be changed in place"):
        applied("network", cidr="10.99.0.0/16")


def test_a_wrong_setting_comes_out_as_it_is(emulator, applied):
    worker = stack_config("local")["retainwise:services"]["worker"]
    with pytest.raises(pulumi.RunError, match=r"retainwise:services\.worker\.tasks = -1"):
        applied("services", worker={**worker, "tasks": -1})
    assert not emulator.client("sqs").list_queues().get("QueueUrls")
