"""On what a call is judged: who may make it on one thing may not make it on another.

That it may on the one thing is told by any answer but a denial: most of the things are not there.
"""

from __future__ import annotations

import json

import pytest
from botocore.exceptions import ClientError

from emulator import REGION, Emulator, running_emulator
from localcloud.cloud import ACCOUNT_ID

DENIED = {"AccessDenied", "AccessDeniedException", "AuthorizationError"}
HERE = f"{REGION}:{ACCOUNT_ID}"

TOPIC = f"arn:aws:sns:{HERE}:{{}}"
VAULT = f"arn:aws:backup:{HERE}:backup-vault:{{}}"
PLAN = f"arn:aws:backup:{HERE}:backup-plan:{{}}"
ALARM = f"arn:aws:cloudwatch:{HERE}:alarm:{{}}"
TABLE = f"arn:aws:dynamodb:{HERE}:table/{{}}"
CLUSTER = f"arn:aws:ecs:{HERE}:cluster/{{}}"
SERVICE = f"arn:aws:ecs:{HERE}:service/ours/{{}}"
RULE = f"arn:aws:events:{HERE}:rule/{{}}"
BUDGET = f"arn:aws:budgets::{ACCOUNT_ID}:budget/{{}}"
REPOSITORY = f"arn:aws:ecr:{HERE}:repository/{{}}"
ACL = f"arn:aws:wafv2:{HERE}:regional/webacl/{{}}/1"
BALANCER = f"arn:aws:elasticloadbalancing:{HERE}:loadbalancer/app/{{}}/1"

# Of each action what AWS judges it on, and calls about the thing called `ours`.
CALLS = {
    "backup:DescribeBackupVault": (
        VAULT,
        lambda aws: aws("backup").describe_backup_vault(BackupVaultName="ours"),
    ),
    "backup:GetBackupPlan": (PLAN, lambda aws: aws("backup").get_backup_plan(BackupPlanId="ours")),
    "backup:GetBackupSelection": (
        PLAN,
        lambda aws: aws("backup").get_backup_selection(BackupPlanId="ours", SelectionId="1"),
    ),
    "backup:ListTags": (
        VAULT,
        lambda aws: aws("backup").list_tags(ResourceArn=VAULT.format("ours")),
    ),
    "budgets:ListTagsForResource": (
        BUDGET,
        lambda aws: aws("budgets").list_tags_for_resource(ResourceARN=BUDGET.format("ours")),
    ),
    "budgets:ViewBudget": (
        BUDGET,
        lambda aws: aws("budgets").describe_budget(AccountId=ACCOUNT_ID, BudgetName="ours"),
        lambda aws: aws("budgets").describe_notifications_for_budget(
            AccountId=ACCOUNT_ID, BudgetName="ours"
        ),
    ),
    "cloudwatch:GetDashboard": (
        f"arn:aws:cloudwatch::{ACCOUNT_ID}:dashboard/{{}}",
        lambda aws: aws("cloudwatch").get_dashboard(DashboardName="ours"),
    ),
    "cloudwatch:ListTagsForResource": (
        ALARM,
        lambda aws: aws("cloudwatch").list_tags_for_resource(ResourceARN=ALARM.format("ours")),
    ),
    "dynamodb:ListTagsOfResource": (
        TABLE,
        lambda aws: aws("dynamodb").list_tags_of_resource(ResourceArn=TABLE.format("ours")),
    ),
    "ecr:DescribeRepositories": (
        REPOSITORY,
        lambda aws: aws("ecr").describe_repositories(repositoryNames=["ours"]),
    ),
    "ecs:DescribeClusters": (
        CLUSTER,
        lambda aws: aws("ecs").describe_clusters(clusters=["ours"]),
        lambda aws: aws("ecs").describe_clusters(clusters=[CLUSTER.format("ours")]),
    ),
    "ecs:DescribeServices": (
        SERVICE,
        lambda aws: aws("ecs").describe_services(cluster="ours", services=["ours"]),
        lambda aws: aws("ecs").describe_services(
            cluster=CLUSTER.format("ours"), services=[SERVICE.format("ours")]
        ),
    ),
    "events:DescribeRule": (RULE, lambda aws: aws("events").describe_rule(Name="ours")),
    "events:ListTagsForResource": (
        RULE,
        lambda aws: aws("events").list_tags_for_resource(ResourceARN=RULE.format("ours")),
    ),
    "events:ListTargetsByRule": (
        RULE,
        lambda aws: aws("events").list_targets_by_rule(Rule="ours"),
    ),
    "sns:ListTagsForResource": (
        TOPIC,
        lambda aws: aws("sns").list_tags_for_resource(ResourceArn=TOPIC.format("ours")),
    ),
    "wafv2:GetWebACLForResource": (
        BALANCER,
        lambda aws: aws("wafv2").get_web_acl_for_resource(ResourceArn=BALANCER.format("ours")),
    ),
    "wafv2:ListTagsForResource": (
        ACL,
        lambda aws: aws("wafv2").list_tags_for_resource(ResourceARN=ACL.format("ours")),
    ),
}
# A look at all that there is, though only one thing is asked for or answered.
OF_ALL = {
    "cloudwatch:DescribeAlarms": (
        ALARM,
        lambda aws: aws("cloudwatch").describe_alarms(AlarmNames=["ours"]),
        lambda aws: aws("cloudwatch").describe_alarms(AlarmNamePrefix="ours"),
    ),
    "ecr:DescribeRepositories": (REPOSITORY, lambda aws: aws("ecr").describe_repositories()),
    "ecs:DescribeClusters": (
        CLUSTER,
        lambda aws: aws("ecs").describe_clusters(clusters=["ours", "theirs"]),
    ),
}


@pytest.fixture(scope="module")
def emulator(tmp_path_factory):
    with running_emulator(tmp_path_factory.mktemp("cloud")) as emulator:
        # Asked for the tags of a table that is not there, DynamoDB denies the call.
        emulator.client("dynamodb").create_table(
            TableName="ours",
            BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
            KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        )
        yield emulator


@pytest.fixture(scope="module")
def somebody(emulator):
    return Somebody(emulator)


class Somebody:
    """Who may do one thing at a time."""

    def __init__(self, emulator: Emulator) -> None:
        self._iam = emulator.client("iam")
        trust = {"AWS": f"arn:aws:iam::{ACCOUNT_ID}:root"}
        statement = {"Effect": "Allow", "Principal": trust, "Action": "sts:AssumeRole"}
        document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        self._iam.create_role(RoleName="somebody", AssumeRolePolicyDocument=document)
        session = emulator.as_role("somebody")
        self.client = lambda service: emulator.client(service, session)

    def may(self, action, resource, call):
        """Whether the call is let through, with no right but this one."""
        statement = {"Effect": "Allow", "Action": action, "Resource": resource}
        document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        self._iam.put_role_policy(RoleName="somebody", PolicyName="may", PolicyDocument=document)
        try:
            call(self.client)
        except ClientError as exc:
            return exc.response["Error"]["Code"] not in DENIED
        return True


@pytest.mark.parametrize("action", CALLS)
def test_a_call_is_judged_on_what_it_is_about(somebody, action):
    resource, *calls = CALLS[action]
    for call in calls:
        assert somebody.may(action, resource.format("ours"), call)
        assert not somebody.may(action, resource.format("theirs"), call)


@pytest.mark.parametrize("action", OF_ALL)
def test_a_look_at_all_is_for_who_may_look_at_all(somebody, action):
    resource, *calls = OF_ALL[action]
    for call in calls:
        assert somebody.may(action, resource.format("*"), call)
        assert not somebody.may(action, resource.format("ours"), call)


@pytest.mark.parametrize("is_multi_region", [False, True])
def test_what_is_encrypted_is_opened_by_who_may_use_its_key(emulator, somebody, is_multi_region):
    kms, alias = emulator.client("kms"), f"alias/{is_multi_region}"
    ours, theirs = (
        kms.create_key(MultiRegion=is_multi_region)["KeyMetadata"]["Arn"] for _ in range(2)
    )
    kms.create_alias(AliasName=alias, TargetKeyId=ours)
    closed = kms.encrypt(KeyId=ours, Plaintext=b"x")["CiphertextBlob"]
    for named in ({}, {"KeyId": ours}, {"KeyId": alias}):

        def decrypt(aws, named=named):
            assert aws("kms").decrypt(CiphertextBlob=closed, **named)["Plaintext"] == b"x"

        assert somebody.may("kms:Decrypt", ours, decrypt), named
        assert not somebody.may("kms:Decrypt", theirs, decrypt), named
