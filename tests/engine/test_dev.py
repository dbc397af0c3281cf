"""All of dev with the real CLI, from nothing to its end; and what was changed behind its back."""

from __future__ import annotations

import json

import pytest

from localcloud import cloud as local_cloud
from localcloud.kinds.base import Clients

DEV = "dev-retainwise"
UPLOADS = f"{DEV}-uploads-{local_cloud.ACCOUNT_ID}"


@pytest.fixture(scope="module", autouse=True)
def _dev(project):
    project.emulator.bootstrap("dev")
    project.write_stack("dev")


def queue_url(aws):
    return aws.sqs.get_queue_url(QueueName=f"{DEV}-predictions-queue")["QueueUrl"]


def visibility(aws):
    url = queue_url(aws)
    answer = aws.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["VisibilityTimeout"])
    return answer["Attributes"]["VisibilityTimeout"]


def test_without_a_state_nothing_is_created(deploy, project):
    said = deploy("dev", code=1)
    assert "there is no state of dev" in said
    assert "retainwise bootstrap dev" in said
    assert project.emulator.client("sqs").list_queues().get("QueueUrls", []) == []


def test_up_from_nothing(deploy, project, run):
    project.new_stack("dev")
    said = deploy("dev")
    assert "134 to create" in said
    assert f"{DEV}-web runs {DEV}-web:1" in said
    assert visibility(project.emulator.clients) == "30"
    assert "good" in run("releases", "dev").output


def test_up_again_changes_nothing(deploy, run):
    before = run("releases", "dev").output
    said = deploy("dev")
    assert "nothing to change" in said
    assert "is well" in said
    assert run("releases", "dev").output == before


def test_a_change_is_shown_and_made(deploy, project):
    project.change("dev", "predictions", lease_s=45)
    said = deploy("dev")
    assert "visibilityTimeoutSeconds: 30 → 45" in said
    assert visibility(project.emulator.clients) == "45"


def a_queue_attribute(aws):
    attributes = {"VisibilityTimeout": "7"}
    aws.sqs.set_queue_attributes(QueueUrl=queue_url(aws), Attributes=attributes)


def a_policy_statement(aws):
    role, name = f"{DEV}-worker-task", f"{DEV}-worker-task"
    [name] = aws.iam.list_role_policies(RoleName=role)["PolicyNames"]
    policy = aws.iam.get_role_policy(RoleName=role, PolicyName=name)["PolicyDocument"]
    policy["Statement"].append({"Effect": "Allow", "Action": "s3:*", "Resource": "*"})
    aws.iam.put_role_policy(RoleName=role, PolicyName=name, PolicyDocument=json.dumps(policy))


def an_extra_attachment(aws):
    arn = "arn:aws:iam::aws:policy/AdministratorAccess"
    aws.iam.attach_role_policy(RoleName=f"{DEV}-web-task", PolicyArn=arn)


def the_public_access_block(aws):
    aws.s3.put_public_access_block(
        Bucket=UPLOADS,
        PublicAccessBlockConfiguration={
            "BlockPublicAcls": True,
            "IgnorePublicAcls": True,
            "BlockPublicPolicy": False,
            "RestrictPublicBuckets": True,
        },
    )


def a_table_setting(aws):
    aws.dynamodb.update_continuous_backups(
        TableName=f"{DEV}-predictions",
        PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": False},
    )


def a_security_group_rule(aws):
    groups = aws.ec2.describe_security_groups()["SecurityGroups"]
    [web] = [one["GroupId"] for one in groups if one["GroupName"] == f"{DEV}-web"]
    rules = aws.ec2.describe_security_group_rules()["SecurityGroupRules"]
    [rule] = [one for one in rules if one["GroupId"] == web and not one["IsEgress"]]
    aws.ec2.revoke_security_group_ingress(
        GroupId=web, SecurityGroupRuleIds=[rule["SecurityGroupRuleId"]]
    )


def the_circuit_breaker(aws):
    aws.ecs.update_service(
        cluster=DEV,
        service=f"{DEV}-worker",
        deploymentConfiguration={
            "deploymentCircuitBreaker": {"enable": False, "rollback": False},
            "minimumHealthyPercent": 100,
            "maximumPercent": 200,
        },
    )


def an_alarm_threshold(aws):
    [alarm] = aws.cloudwatch.describe_alarms(AlarmNames=[f"{DEV}-queue-age"])["MetricAlarms"]
    keys = aws.cloudwatch.meta.service_model.operation_model("PutMetricAlarm").input_shape.members
    kept = {key: alarm[key] for key in keys if key in alarm}
    aws.cloudwatch.put_metric_alarm(**{**kept, "Threshold": 999_999})


def a_tag(aws):
    tags = {"environment": "somebody-elses"}
    aws.sqs.tag_queue(QueueUrl=queue_url(aws), Tags=tags)


def the_log_retention(aws):
    aws.logs.put_retention_policy(logGroupName=f"{DEV}-web", retentionInDays=3653)


INJECTED = {
    a_queue_attribute: ("Queue dev-retainwise-predictions-queue", "visibilityTimeoutSeconds"),
    a_policy_statement: ("RolePolicy dev-retainwise-worker-task", "policy.Statement"),
    an_extra_attachment: ("RolePolicyAttachmentsExclusive dev-retainwise-web-task", "policyArns"),
    the_public_access_block: (f"BucketPublicAccessBlock {UPLOADS}", "blockPublicPolicy"),
    a_table_setting: ("Table dev-retainwise-predictions", "pointInTimeRecovery.enabled"),
    a_security_group_rule: ("SecurityGroupIngressRule", None),
    the_circuit_breaker: ("Service dev-retainwise-worker", "deploymentCircuitBreaker.enable"),
    an_alarm_threshold: ("MetricAlarm dev-retainwise-queue-age", "threshold"),
    a_tag: ("Queue dev-retainwise-predictions-queue", "tags.environment"),
    the_log_retention: ("LogGroup dev-retainwise-web", "retentionInDays"),
}


def test_what_differs_is_found_ten_of_ten_named_and_mended(project, run, deploy):
    aws = project.emulator.clients
    for inject in INJECTED:
        inject(aws)
    found = json.loads(run("drift", "dev", "--json", code=7).output)
    told = {
        (one["resource"], each["path"]) for one in found["resources"] for each in one["properties"]
    }
    gone = {one["resource"] for one in found["resources"] if one["what"] == "create"}
    for inject, (resource, path) in INJECTED.items():
        if path is None:
            assert any(one.startswith(resource) for one in gone), inject
        else:
            assert any(r == resource and p.startswith(path) for r, p in told), (inject, told)
    deploy("dev")


def test_under_the_preview_role_it_is_seen_to_be_mended_and_nothing_is_written(
    project, run, monkeypatch
):
    session = project.emulator.as_twin_of(f"{DEV}-preview")
    given = session.get_credentials().get_frozen_credentials()
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", given.access_key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", given.secret_key)
    monkeypatch.setenv("AWS_SESSION_TOKEN", given.token)
    clients = Clients(session, project.emulator.endpoint)
    monkeypatch.setattr(project.provider, "clients", clients)
    before = state_versions(project)
    said = run("drift", "dev").output
    assert "no drift" in said
    assert "coverage 100%" in said
    assert state_versions(project) == before


def test_what_is_in_no_state_is_named_and_values_are_told(project, run):
    aws = project.emulator.clients
    a_queue_attribute(aws)
    aws.sqs.create_queue(QueueName=f"{DEV}-left-over")
    aws.sqs.create_queue(QueueName="dev-retainwiser-of-a-stranger")
    # The bootstrap has an image repository of a like name, which is no excuse.
    aws.logs.create_log_group(logGroupName=f"{DEV}-web-old")
    tags = [{"Key": "project", "Value": "retainwise"}, {"Key": "environment", "Value": "dev"}]
    group = aws.ec2.create_security_group(
        GroupName="by-hand",
        Description="by hand",
        TagSpecifications=[{"ResourceType": "security-group", "Tags": tags}],
    )["GroupId"]
    said = run("drift", "dev", code=7).output
    assert f"{DEV}-left-over is in no state" in said
    assert f"SecurityGroup {group} is in no state" in said
    assert f"LogGroup {DEV}-web-old is in no state" in said
    assert "stranger" not in said
    assert "coverage 9" in said
    assert "visibilityTimeoutSeconds: declared 45, actual 7" in said
    attributes = {"VisibilityTimeout": "45"}
    aws.sqs.set_queue_attributes(QueueUrl=queue_url(aws), Attributes=attributes)
    aws.sqs.delete_queue(QueueUrl=aws.sqs.get_queue_url(QueueName=f"{DEV}-left-over")["QueueUrl"])
    aws.ec2.delete_security_group(GroupId=group)
    aws.logs.delete_log_group(logGroupName=f"{DEV}-web-old")


def state_versions(project):
    s3 = project.emulator.client("s3")
    bucket = f"{DEV}-state-{local_cloud.ACCOUNT_ID}"
    pages = s3.get_paginator("list_object_versions").paginate(Bucket=bucket)
    return {one["VersionId"] for page in pages for one in page.get("Versions", ())}


def test_dev_can_be_destroyed(project):
    done = project.pulumi("dev", "destroy", "--yes")
    assert done.returncode == 0, done.stdout + done.stderr
    [left] = project.emulator.client("sqs").list_queues()["QueueUrls"]
    assert left.endswith("/dev-retainwiser-of-a-stranger")
