"""The hand-made account holds all that the program declares, and nothing that must be replaced."""

from __future__ import annotations

import ast
import io
import json
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine import hand_made
from engine.hand_made import HandMade, build, managed_ids, strangers, terraform_state
from localcloud import cloud as local_cloud
from localcloud.apply import apply
from localcloud.home import Home
from localcloud.kinds.base import NAME_TAG, STACK_TAG, Clients
from localcloud.program import BOOTSTRAP, stack_config
from operations.graph import Graph, kind_of
from predictions import message
from predictions.files import Files
from predictions.first_version import Outcome, read_rows, take_over
from predictions.store import Store
from predictions.work_queue import WorkQueue

REGION = "eu-west-1"
BUILT_WITHIN_S = 60
MARKED = {
    "DefaultSecurityGroup",
    "Key",
    "Plan",
    "RouteTable",
    "SecurityGroup",
    "SecurityGroupEgressRule",
    "SecurityGroupIngressRule",
    "Subnet",
    "Vpc",
    "VpcEndpoint",
}
"""What AWS gives no name: the local cloud knows it by a mark."""
FOR_EVER = {"RouteTableAssociation", "Selection", "TaskDefinition", "Vault"}
"""What AWS would replace for any difference of what it has here."""
NOTHING_TO_DIFFER_IN = {"Alias", "Bucket", "RouteTable", "SecurityGroup", "VpcEndpoint"}
"""What has a name and tags, or of which the emulator tells no more."""


class Account:
    """A hand-made account, how long it took to make, and how to look at it."""

    def __init__(self, cloud: local_cloud.Cloud) -> None:
        self.endpoint = cloud.endpoint
        self.session = cloud.session(REGION)
        self.clients = Clients(cloud.session(REGION), cloud.endpoint)
        began = time.monotonic()
        self.made: HandMade = build(cloud.endpoint, REGION)
        self.took_s = time.monotonic() - began


@pytest.fixture(scope="module")
def account(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Account]:
    """For all tests of the module, of which only the last one changes it."""
    home = Home(tmp_path_factory.mktemp("by-hand"))
    with home.held("a test") as lock, local_cloud.running(home, lock) as cloud:
        yield Account(cloud)


@pytest.fixture(scope="module")
def graph() -> Graph:
    return Graph.of("live", stack_config("local"))


def test_it_shares_no_code_with_the_platform():
    tree = ast.parse(Path(hand_made.__file__).read_text("utf-8"))
    imported = {
        name.partition(".")[0]
        for node in ast.walk(tree)
        for name in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [str(node.module)]
            if isinstance(node, ast.ImportFrom)
            else []
        )
    }
    assert imported.isdisjoint({"bootstrap", "infra", "localcloud", "operations"})
    assert {"boto3", "customer_files"} <= imported


def test_it_is_made_soon(account):
    assert account.took_s < BUILT_WITHIN_S


def named(account, kind):
    """The names of all resources of one type that have one, whoever they belong to."""
    aws = account.clients
    lists = {
        "Alias": lambda: [one["AliasName"] for one in aws.kms.list_aliases()["Aliases"]],
        "Bucket": lambda: [one["Name"] for one in aws.s3.list_buckets()["Buckets"]],
        "Budget": lambda: [
            one["BudgetName"]
            for one in aws.budgets.describe_budgets(AccountId=hand_made.ACCOUNT_ID)["Budgets"]
        ],
        "Cluster": lambda: [
            arn.rpartition("/")[2] for arn in aws.ecs.list_clusters()["clusterArns"]
        ],
        "Dashboard": lambda: [
            one["DashboardName"] for one in aws.cloudwatch.list_dashboards()["DashboardEntries"]
        ],
        "EventRule": lambda: [one["Name"] for one in aws.events.list_rules()["Rules"]],
        "LogGroup": lambda: [
            one["logGroupName"] for one in aws.logs.describe_log_groups()["logGroups"]
        ],
        "MetricAlarm": lambda: [
            one["AlarmName"] for one in aws.cloudwatch.describe_alarms()["MetricAlarms"]
        ],
        "Plan": lambda: [
            one["BackupPlanName"] for one in aws.backup.list_backup_plans()["BackupPlansList"]
        ],
        "Queue": lambda: [url.rpartition("/")[2] for url in aws.sqs.list_queues()["QueueUrls"]],
        "Role": lambda: [one["RoleName"] for one in aws.iam.list_roles()["Roles"]],
        "SecurityGroup": lambda: [
            one["GroupName"] for one in aws.ec2.describe_security_groups()["SecurityGroups"]
        ],
        "Service": lambda: [
            arn.rpartition("/")[2]
            for arn in aws.ecs.list_services(cluster="live-retainwise")["serviceArns"]
        ],
        "Table": lambda: aws.dynamodb.list_tables()["TableNames"],
        "TaskDefinition": lambda: aws.ecs.list_task_definition_families()["families"],
        "Topic": lambda: [
            one["TopicArn"].rpartition(":")[2] for one in aws.sns.list_topics()["Topics"]
        ],
        "Vault": lambda: [
            one["BackupVaultName"] for one in aws.backup.list_backup_vaults()["BackupVaultList"]
        ],
    }
    return lists[kind]() if kind in lists else None


def test_each_resource_with_a_name_has_its_counterpart(account, graph):
    assert len(graph.resources) == 93
    compared = Counter()
    for kind in sorted({kind_of(one) for one in graph.resources}):
        there = named(account, kind)
        if there is None:
            continue
        for one in graph.all_of(kind).values():
            name = one.name.replace("111122223333", hand_made.ACCOUNT_ID)
            name = f"alias/{name}" if kind == "Alias" else name
            assert there.count(name) == 1, f"{kind} {name}: {there}"
            compared[kind] += 1
    assert compared.total() == 34, compared


def test_resources_without_a_name_are_as_many_as_are_declared(account, graph):
    made = account.made
    count = Counter(map(kind_of, graph.resources))
    assert made.subnet_ids.keys() == graph.all_of("Subnet").keys()
    assert made.security_group_ids.keys() == graph.all_of("SecurityGroup").keys()
    assert made.endpoint_ids.keys() == graph.all_of("VpcEndpoint").keys()
    assert len(made.association_ids) == count["RouteTableAssociation"]
    rules = count["SecurityGroupIngressRule"] + count["SecurityGroupEgressRule"]
    assert len(made.rule_ids) == len(set(made.rule_ids.values())) == rules


def test_the_vpc_has_no_name_and_the_rest_is_not_marked(account):
    [vpc] = account.clients.ec2.describe_vpcs(VpcIds=[account.made.vpc_id])["Vpcs"]
    assert vpc.get("Tags", []) == []


def test_the_services_are_at_revisions_86_and_2(account):
    services = account.clients.ecs.describe_services(
        cluster="live-retainwise", services=["live-retainwise-web", "live-retainwise-worker"]
    )["services"]
    running = {one["serviceName"]: one["taskDefinition"].rpartition(":")[2] for one in services}
    assert running == {"live-retainwise-web": "86", "live-retainwise-worker": "2"}


def test_roles_hold_what_was_added_by_hand(account, graph):
    iam = account.clients.iam
    extras = 0
    for role in graph.all_of("Role"):
        attached = iam.list_attached_role_policies(RoleName=role)["AttachedPolicies"]
        assert {one["PolicyArn"] for one in attached} == set(account.made.attached[role])
        inline = iam.list_role_policies(RoleName=role)["PolicyNames"]
        assert set(inline) == {"may", *account.made.inline.get(role, ())}
        extras += role in account.made.inline
    assert extras >= 3


def test_settings_that_are_resources_were_set(account):
    s3, sqs, made = account.clients.s3, account.clients.sqs, account.made
    for bucket in (made.uploads_bucket, made.results_bucket):
        assert json.loads(s3.get_bucket_policy(Bucket=bucket)["Policy"])["Statement"]
        assert s3.get_bucket_lifecycle_configuration(Bucket=bucket)["Rules"]
        assert s3.get_bucket_versioning(Bucket=bucket)["Status"]
        block = s3.get_public_access_block(Bucket=bucket)["PublicAccessBlockConfiguration"]
        assert sorted(block.values()) == [False, False, True, True]
    for url in (made.queue_url, made.dlq_url):
        assert sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["Policy"])["Attributes"]
    allowed = sqs.get_queue_attributes(
        QueueUrl=made.dlq_url, AttributeNames=["RedriveAllowPolicy"]
    )["Attributes"]
    assert json.loads(allowed["RedriveAllowPolicy"]) == {"redrivePermission": "allowAll"}


def test_the_terraform_state_knows_the_vpc_and_one_that_is_gone(account):
    state = json.loads(json.dumps(terraform_state(account.made)))
    ids = list(managed_ids(state))
    assert state["version"] == 4
    assert len(ids) == len(set(ids)) == 17
    assert account.made.vpc_id in ids
    groups = [one["GroupId"] for one in _groups(account)]
    assert hand_made.DELETED_SINCE in ids
    assert hand_made.DELETED_SINCE not in groups
    assert set(account.made.security_group_ids.values()) <= set(ids) & set(groups)


def _groups(account):
    return account.clients.ec2.describe_security_groups()["SecurityGroups"]


def test_the_first_versions_files_and_rows_are_there(account):
    made = account.made
    keys = {
        one["Key"]
        for bucket in (made.uploads_bucket, made.results_bucket)
        for one in account.clients.s3.list_objects_v2(Bucket=bucket)["Contents"]
    }
    assert {f"incoming/{number}.csv" for number in range(10, 16)} <= keys
    assert {"out/7.csv", "results/8.csv"} <= keys
    assert made.export.count("QUEUED") == 6


def test_its_predictions_are_taken_over(account):
    made, aws = account.made, account.clients
    dynamodb = account.session.resource("dynamodb", endpoint_url=account.endpoint)
    store = Store(dynamodb.Table(made.table), resend_after_s=60)
    files = Files(aws.s3, uploads_bucket=made.uploads_bucket, results_bucket=made.results_bucket)
    queue = WorkQueue(aws.sqs, made.queue_url, made.dlq_url)
    rows = read_rows(io.StringIO(made.export))

    counts = take_over(rows, store, files, queue).counts

    assert {outcome.name: n for outcome, n in counts.items() if n} == {
        "QUEUED": 6,
        "COMPLETED": 2,
        "SCORED_ANEW": 1,
        "FAILED": 1,
    }
    for row in rows[:2]:
        content, _ = files.open_result(store.get("demo", row.prediction_id))
        assert b"".join(content) == hand_made.OLD_RESULT
    assert take_over(rows, store, files, queue).counts[Outcome.ALREADY_THERE] == len(rows)
    bodies = []
    while received := queue.receive(wait_s=0, most=10):
        bodies += [message.read(one.body) for one in received]
    requests = [body for body in bodies if isinstance(body, message.Request)]
    assert {one.data.prediction_id for one in requests} == {
        row.prediction_id for row in rows if row.id in {"9", "10", "11", "12", "13", "14", "15"}
    }
    assert len(requests) == 7
    assert len(bodies) == 8, "the first version's own message is among them"


def test_a_change_of_what_others_have_is_seen(account):
    before = strangers(account.endpoint, REGION)
    assert len(before) == len(account.made.strangers)
    aws = account.clients
    queue = aws.sqs.get_queue_url(QueueName="livery-retainwise-queue")["QueueUrl"]
    aws.sqs.tag_queue(QueueUrl=queue, Tags={"project": "retainwise"})
    aws.s3.put_bucket_versioning(
        Bucket="other-retainwise-uploads-000000000000",
        VersioningConfiguration={"Status": "Enabled"},
    )
    aws.iam.detach_role_policy(
        RoleName="retainwise-live-web-task",
        PolicyArn="arn:aws:iam::aws:policy/AmazonSQSFullAccess",
    )
    aws.dynamodb.update_table(
        TableName="other-retainwise-predictions", DeletionProtectionEnabled=True
    )
    group = next(one for one in _groups(account) if one["GroupName"] == "other-retainwise-web")
    aws.ec2.revoke_security_group_ingress(
        GroupId=group["GroupId"], IpPermissions=group["IpPermissions"]
    )

    after = strangers(account.endpoint, REGION)

    assert {name for name in before if after[name] != before[name]} == {
        "queue livery-retainwise-queue",
        "bucket other-retainwise-uploads-000000000000",
        "role retainwise-live-web-task",
        "table other-retainwise-predictions",
        "network other-retainwise",
    }


def test_the_program_creates_and_replaces_nothing_there(account, graph):
    """The program applied in place, once what AWS gives no name is marked as this stack's."""
    apply(account.clients, "live", stack_config("local", BOOTSTRAP), BOOTSTRAP)
    before = strangers(account.endpoint, REGION)
    mark(account)

    applied = apply(account.clients, "live", stack_config("local"))

    did = [change.rpartition(" ")[0] for change in applied.changes]
    assert [one for one in applied.changes if one.startswith("created")] == []
    # What was counted in the worker's log: its lines carry their metrics now.
    gone = {one.rpartition("-")[2] for one in applied.changes if one.startswith("deleted")}
    assert gone == {
        "JobsCompleted",
        "JobsFailed",
        "JobsLost",
        "MessagesUnreadable",
        "RecordsStuck",
    }
    changed = {one.rpartition(":")[2] for one in did if one.startswith("changed")}
    assert changed == set(map(kind_of, graph.resources)) - FOR_EVER - NOTHING_TO_DIFFER_IN
    again = apply(account.clients, "live", stack_config("local")).changes
    # A rule that was changed is a new one there, without the tags that the old one got.
    assert {one.rpartition(" ")[0] for one in again} <= {
        f"tagged aws:vpc/securityGroup{way}Rule:SecurityGroup{way}Rule"
        for way in ("Ingress", "Egress")
    }
    assert strangers(account.endpoint, REGION) == before


def mark(account):
    """Mark what has no name as the program's, so that the local cloud finds it."""
    made, ec2 = account.made, account.clients.ec2
    ids = {
        "live-retainwise": made.vpc_id,
        "live-retainwise-private": made.route_table_id,
        **made.subnet_ids,
        **made.rule_ids,
    }
    for name, resource in [
        *ids.items(),
        *made.security_group_ids.items(),
        *made.endpoint_ids.items(),
    ]:
        tags = {STACK_TAG: "retainwise/live", NAME_TAG: name.removesuffix(" (in)")}
        ec2.create_tags(
            Resources=[resource], Tags=[{"Key": key, "Value": tags[key]} for key in tags]
        )
    tags = {STACK_TAG: "retainwise/live", NAME_TAG: "live-retainwise"}
    account.clients.kms.tag_resource(
        KeyId=made.key_id, Tags=[{"TagKey": key, "TagValue": tags[key]} for key in tags]
    )
    plan = account.clients.backup.get_backup_plan(BackupPlanId=made.plan_id)["BackupPlanArn"]
    account.clients.backup.tag_resource(
        ResourceArn=plan, Tags={**tags, NAME_TAG: "live-retainwise-backup"}
    )
