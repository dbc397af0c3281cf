"""Production with the real CLI, applied once for all tests here: what a team does with it."""

from __future__ import annotations

import re

import pytest

from infra.lease_item import table_name
from localcloud.cloud import ACCOUNT_ID
from operations.keeping import keep
from operations.lease import DeployLease

PROD = "prod-retainwise"


@pytest.fixture(scope="module", autouse=True)
def _prod(project):
    project.emulator.bootstrap("prod")
    project.new_stack("prod")


def running(project, service="web"):
    ecs = project.emulator.client("ecs")
    [found] = ecs.describe_services(cluster=PROD, services=[f"{PROD}-{service}"])["services"]
    return found["taskDefinition"].rpartition(":")[2]


def test_a_plain_pulumi_up_is_refused_and_says_what_to_run(project):
    done = project.pulumi("prod", "up", "--yes", "--skip-preview")
    assert done.returncode != 0
    assert "run `retainwise deploy prod`, not `pulumi up`" in done.stdout + done.stderr
    assert project.pulumi("prod", "preview").returncode == 0


def test_the_whole_of_it_is_made(deploy, project):
    said = deploy("prod")
    assert re.search(r"^174 to create$", said, re.M)
    assert running(project) == "1"


def test_what_the_load_balancer_signs_people_in_with_is_in_no_state_in_the_clear(project):
    aws = project.emulator.clients
    [pool] = aws.cognito_idp.list_user_pools(MaxResults=2)["UserPools"]
    [client] = aws.cognito_idp.list_user_pool_clients(UserPoolId=pool["Id"])["UserPoolClients"]
    names = {"UserPoolId": pool["Id"], "ClientId": client["ClientId"]}
    secret = aws.cognito_idp.describe_user_pool_client(**names)["UserPoolClient"]["ClientSecret"]
    s3, bucket = aws.s3, f"{PROD}-state-{ACCOUNT_ID}"
    texts = [
        s3.get_object(Bucket=bucket, Key=one["Key"], VersionId=one["VersionId"])["Body"].read()
        for one in s3.list_object_versions(Bucket=bucket)["Versions"]
    ]
    assert any(client["ClientId"].encode() in text for text in texts)  # they know of the client
    assert not any(secret.encode() in text for text in texts)


def test_who_finds_the_lease_taken_is_told_who_has_it(deploy, project):
    dynamodb = project.emulator.client("dynamodb")
    lease = DeployLease(dynamodb, table_name(PROD), "prod")
    with keep(lease, "alice@laptop", "deploy 1a2b3c4", on_lost=print):
        said = deploy("prod", code=3)
        assert "alice@laptop holds the deploy lease" in said
        assert "to deploy 1a2b3c4" in said
        up = project.pulumi("prod", "up", "--yes", "--skip-preview")
        assert up.returncode != 0
        assert "alice@laptop holds it" in up.stdout + up.stderr


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
