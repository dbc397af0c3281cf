"""The program applied to the emulated AWS: it converges, and touches only what is its own."""

from __future__ import annotations

import copy
import json

import pulumi
import pytest

from localcloud.apply import apply
from localcloud.kinds.base import NAME_TAG, PROTECT_TAG, STACK_TAG, Unapplicable
from localcloud.program import stack_config

READS = ("Get", "List", "Describe", "Head")


def config_with(section, **values):
    config = copy.deepcopy(stack_config("local"))
    config[f"retainwise:{section}"] |= values
    return config


@pytest.fixture
def applied(emulator):
    """Apply the program, with another configuration if one is given."""

    def run(config=None):
        return apply(emulator.session, emulator.endpoint, "local", config)

    return run


def own_tags(name, protect):
    return {STACK_TAG: "local", NAME_TAG: name, PROTECT_TAG: protect}


def test_applying_twice_changes_nothing(emulator, applied):
    first = applied()
    calls = []
    emulator.session.events.register(
        "before-call.*", lambda model, **_: calls.append(model.name), unique_id="calls"
    )
    second = applied()
    assert first.changes
    assert second.changes == []
    assert calls
    assert [name for name in calls if not name.startswith(READS)] == []


def test_tasks_are_told_as_the_program_declares_them(applied):
    tasks = {task.service: task for task in applied().tasks}
    assert tasks["web"].command == ("retainwise", "web", "--bind", "0.0.0.0:8000")
    assert tasks["worker"].environment["PREDICTIONS_TABLE"] == "local-retainwise-predictions"
    assert tasks["worker"].role_arn.endswith(":role/local-retainwise-worker-task")
    assert tasks["worker"].stop_timeout_s == 120


def test_a_changed_setting_is_changed_in_place_and_nothing_else(emulator, applied):
    applied()
    changes = applied(config_with("predictions", lease_s=77)).changes
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


def test_what_was_changed_by_hand_is_put_back(emulator, applied):
    applied()
    iam = emulator.client("iam")
    role = "local-retainwise-web-task"
    declared = iam.get_role_policy(RoleName=role, PolicyName="may")["PolicyDocument"]
    everything = {"Effect": "Allow", "Action": "*", "Resource": "*"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [everything]})
    for name in ("may", "extra"):
        iam.put_role_policy(RoleName=role, PolicyName=name, PolicyDocument=policy)
    applied()
    assert iam.get_role_policy(RoleName=role, PolicyName="may")["PolicyDocument"] == declared
    assert iam.list_role_policies(RoleName=role)["PolicyNames"] == ["may"]


def test_each_bucket_gets_its_lifecycle(emulator, applied):
    applied()
    s3 = emulator.client("s3")
    buckets = [one["Name"] for one in s3.list_buckets()["Buckets"]]
    assert len(buckets) == 2
    for bucket in buckets:
        [rule] = s3.get_bucket_lifecycle_configuration(Bucket=bucket)["Rules"]
        assert rule["Status"] == "Enabled"
        assert rule["Filter"] == {"Prefix": ""}
        assert rule["AbortIncompleteMultipartUpload"] == {"DaysAfterInitiation": 1}


def test_a_service_of_another_stack_in_our_cluster_stays(emulator, applied):
    applied()
    ecs = emulator.client("ecs")
    tags = own_tags("x", "no") | {STACK_TAG: "dev"}
    ecs.create_service(
        cluster="local-retainwise",
        serviceName="of-another-stack",
        taskDefinition="local-retainwise-web",
        desiredCount=0,
        tags=[{"key": key, "value": value} for key, value in tags.items()],
    )
    assert applied().changes == []


def test_what_leaves_the_program_leaves_the_cloud(emulator, applied):
    applied(config_with("network", zones=["a", "b", "c"]))
    changes = applied().changes
    subnets = emulator.client("ec2").describe_subnets(
        Filters=[{"Name": f"tag:{STACK_TAG}", "Values": ["local"]}]
    )["Subnets"]
    assert {subnet["AvailabilityZone"] for subnet in subnets} == {"eu-west-1a", "eu-west-1b"}
    assert [line for line in changes if line.startswith("deleted")]


def test_strangers_and_the_protected_stay(emulator, applied):
    sqs = emulator.client("sqs")
    sqs.create_queue(QueueName="stranger")
    sqs.create_queue(QueueName="of-another-stack", tags=own_tags("x", "no") | {STACK_TAG: "dev"})
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
        applied(config_with("network", cidr="10.99.0.0/16"))


def test_a_wrong_setting_comes_out_as_it_is(emulator, applied):
    with pytest.raises(pulumi.RunError, match=r"retainwise:worker\.tasks = -1"):
        applied(config_with("worker", tasks=-1))
    assert not emulator.client("sqs").list_queues().get("QueueUrls")
