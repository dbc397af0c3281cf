"""Production applied to the emulated AWS, and read back from it: each thing is as declared."""

from __future__ import annotations

import json

import pulumi
import pytest

from localcloud import apply as applying
from localcloud import cloud as local_cloud
from localcloud.apply import Applied
from localcloud.kinds import all_kinds
from localcloud.kinds.not_told import NOT_TOLD
from operations.lease import DeployLease

ACCOUNT = local_cloud.ACCOUNT_ID
HOME, AWAY = "eu-west-1", "eu-central-1"
NAME = "prod-retainwise"
UPLOADS, RESULTS = f"{NAME}-uploads-{ACCOUNT}", f"{NAME}-results-{ACCOUNT}"
UPLOADS_AWAY = f"{NAME}-uploads-recovery-{ACCOUNT}"
TABLE = f"{NAME}-predictions"


def key_of(emulator, region=HOME):
    """The ARN of the data key: in the recovery region it has no alias, and is the only one."""
    kms = emulator.client("kms", region=region)
    data = kms.describe_key(
        KeyId=emulator.client("kms").describe_key(KeyId=f"alias/{NAME}")["KeyMetadata"]["KeyId"]
    )
    return data["KeyMetadata"]["Arn"]


def queue(emulator, name="predictions-queue"):
    sqs = emulator.client("sqs")
    url = sqs.get_queue_url(QueueName=f"{NAME}-{name}")["QueueUrl"]
    return url, sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]


def ours(emulator, what):
    """All of EC2's resources of one sort that the stack has made."""
    [(_, rows)] = (
        (key, value)
        for key, value in getattr(emulator.client("ec2"), f"describe_{what}")().items()
        if isinstance(value, list)
    )
    tag = {"Key": "retainwise:stack", "Value": "retainwise/prod"}
    return [row for row in rows if tag in row.get("Tags", ())]


def name_of(row):
    return next(tag["Value"] for tag in row["Tags"] if tag["Key"] == "Name")


def service(emulator, name):
    [one] = emulator.client("ecs").describe_services(cluster=NAME, services=[f"{NAME}-{name}"])[
        "services"
    ]
    return one


def test_applying_twice_makes_no_writing_call(prod, monkeypatch):
    writes = []

    def note(model, **_):
        if not model.name.startswith(("Get", "List", "Describe", "Head")):
            writes.append(model.name)

    monkeypatch.setattr(prod, "clients", prod.clients)  # put back afterwards: the others share it
    prod.tell(note)
    assert prod.apply("prod").changes == []
    assert writes == []


def test_the_key_turns_and_has_a_copy_in_the_recovery_region(prod):
    for region, role in ((HOME, "PRIMARY"), (AWAY, "REPLICA")):
        kms = prod.client("kms", region=region)
        key = key_of(prod, region)
        data = kms.describe_key(KeyId=key)["KeyMetadata"]
        assert data["MultiRegionConfiguration"]["MultiRegionKeyType"] == role
        policy = json.loads(kms.get_key_policy(KeyId=key, PolicyName="default")["Policy"])
        sids = {statement["Sid"] for statement in policy["Statement"]}
        assert sids == {"Account", "Logs", "Notifications", "Events"}
    assert prod.client("kms").get_key_rotation_status(KeyId=key_of(prod))["KeyRotationEnabled"]


@pytest.mark.parametrize(
    ("bucket", "region"), [(UPLOADS, HOME), (RESULTS, HOME), (UPLOADS_AWAY, AWAY)]
)
def test_buckets_are_encrypted_versioned_private_and_clean_up(prod, bucket, region):
    s3 = prod.client("s3", region=region)
    assert s3.head_bucket(Bucket=bucket)["BucketRegion"] == region
    [rule] = s3.get_bucket_encryption(Bucket=bucket)["ServerSideEncryptionConfiguration"]["Rules"]
    default = rule["ApplyServerSideEncryptionByDefault"]
    assert default == {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": key_of(prod, region)}
    assert s3.get_bucket_versioning(Bucket=bucket)["Status"] == "Enabled"
    controls = s3.get_bucket_ownership_controls(Bucket=bucket)["OwnershipControls"]
    assert controls == {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]}
    block = s3.get_public_access_block(Bucket=bucket)["PublicAccessBlockConfiguration"]
    assert [*block.values()] == [True] * 4
    [denial] = json.loads(s3.get_bucket_policy(Bucket=bucket)["Policy"])["Statement"]
    assert denial["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
    rules = s3.get_bucket_lifecycle_configuration(Bucket=bucket)["Rules"]
    rules = {rule.pop("ID"): rule for rule in rules}
    common = {"Status": "Enabled", "Filter": {"Prefix": ""}}
    assert rules == {
        "unfinished-uploads": common
        | {"AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 1}},
        "old-versions": common
        | {
            "NoncurrentVersionExpiration": {"NoncurrentDays": 30},
            "Expiration": {"ExpiredObjectDeleteMarker": True},
        },
    }


def test_uploads_are_copied_under_the_key_of_the_recovery_region(prod):
    answer = prod.client("s3").get_bucket_replication(Bucket=UPLOADS)["ReplicationConfiguration"]
    [rule] = answer["Rules"]
    assert rule["Destination"]["Bucket"] == f"arn:aws:s3:::{UPLOADS_AWAY}"
    encryption = rule["Destination"]["EncryptionConfiguration"]
    assert encryption == {"ReplicaKmsKeyID": key_of(prod, AWAY)}
    assert answer["Role"].endswith(f":role/{NAME}-uploads-recovery")


def test_the_table_has_a_replica_that_can_be_restored_and_not_deleted(prod):
    table = prod.client("dynamodb").describe_table(TableName=TABLE)["Table"]
    assert table["SSEDescription"]["KMSMasterKeyArn"] == key_of(prod)
    assert table["StreamSpecification"]["StreamViewType"] == "NEW_AND_OLD_IMAGES"
    away = prod.client("dynamodb", region=AWAY)
    assert away.describe_table(TableName=TABLE)["Table"]["DeletionProtectionEnabled"] is True
    backups = away.describe_continuous_backups(TableName=TABLE)["ContinuousBackupsDescription"]
    assert backups["PointInTimeRecoveryDescription"]["PointInTimeRecoveryStatus"] == "ENABLED"


def test_queues_are_encrypted_and_only_the_queue_may_use_the_dead_letter_queue(prod):
    _, attributes = queue(prod)
    _, dead = queue(prod, "predictions-dlq")
    for one in (attributes, dead):
        assert one["KmsMasterKeyId"] == key_of(prod)
        assert "aws:SecureTransport" in one["Policy"]
    assert json.loads(dead["RedriveAllowPolicy"]) == {
        "redrivePermission": "byQueue",
        "sourceQueueArns": [attributes["QueueArn"]],
    }


def test_roles_have_the_boundary_and_one_policy(prod):
    iam = prod.client("iam")
    roles = [
        one["RoleName"]
        for one in iam.list_roles()["Roles"]
        if one["RoleName"].startswith((f"{NAME}-web", f"{NAME}-worker", f"{NAME}-backup"))
    ]
    assert len(roles) == 5
    for role in roles:
        boundary = iam.get_role(RoleName=role)["Role"]["PermissionsBoundary"]
        assert (
            boundary["PermissionsBoundaryArn"] == f"arn:aws:iam::{ACCOUNT}:policy/{NAME}-boundary"
        )
        assert iam.list_role_policies(RoleName=role)["PolicyNames"] == ["may"]
        assert iam.list_attached_role_policies(RoleName=role)["AttachedPolicies"] == []


def test_the_table_is_backed_up_each_night_and_copied_away(prod):
    backup = prod.client("backup")
    for region in (HOME, AWAY):
        vaults = prod.client("backup", region=region).list_backup_vaults()["BackupVaultList"]
        assert [vault["EncryptionKeyArn"] for vault in vaults] == [key_of(prod, region)]
    [plan] = backup.list_backup_plans()["BackupPlansList"]
    plan_id = plan["BackupPlanId"]
    [rule] = backup.get_backup_plan(BackupPlanId=plan_id)["BackupPlan"]["Rules"]
    assert rule["Lifecycle"] == {"DeleteAfterDays": 35}
    [copy] = rule["CopyActions"]
    assert copy["DestinationBackupVaultArn"].split(":")[3] == AWAY
    [selection] = backup.list_backup_selections(BackupPlanId=plan_id)["BackupSelectionsList"]
    chosen = backup.get_backup_selection(BackupPlanId=plan_id, SelectionId=selection["SelectionId"])
    [resource] = chosen["BackupSelection"]["Resources"]
    assert resource.endswith(f":table/{TABLE}")


def test_nothing_private_has_a_route_out_and_endpoints_reach_aws(prod):
    tables = {name_of(one): one for one in ours(prod, "route_tables")}
    gateways = {
        name: [r["GatewayId"] for r in one["Routes"] if r["DestinationCidrBlock"] == "0.0.0.0/0"]
        for name, one in tables.items()
    }
    [internet] = ours(prod, "internet_gateways")
    assert gateways == {
        f"{NAME}-private": [],
        f"{NAME}-public": [internet["InternetGatewayId"]],
    }
    assert [len(one["Associations"]) for one in tables.values()] == [3, 3]
    endpoints = {
        one["ServiceName"].removeprefix(f"com.amazonaws.{HOME}."): one
        for one in ours(prod, "vpc_endpoints")
    }
    gateway_endpoints = {"s3", "dynamodb"}
    assert endpoints.keys() == gateway_endpoints | {
        "sqs",
        "kms",
        "logs",
        "secretsmanager",
        "ecr.api",
        "ecr.dkr",
    }
    private = tables[f"{NAME}-private"]["RouteTableId"]
    for name, one in endpoints.items():
        if name in gateway_endpoints:
            assert one["RouteTableIds"] == [private]
        else:
            assert len(one["SubnetIds"]) == 3


def test_refused_packets_are_noted(prod):
    [log] = ours(prod, "flow_logs")
    [vpc] = ours(prod, "vpcs")
    assert log["ResourceId"] == vpc["VpcId"]
    assert log["TrafficType"] == "REJECT"
    assert log["LogDestination"] == f"arn:aws:s3:::{NAME}-access-logs-{ACCOUNT}/flows/"


@pytest.mark.parametrize(("bucket", "folder"), [(UPLOADS, "uploads"), (RESULTS, "results")])
def test_it_is_noted_who_asks_for_files(prod, bucket, folder):
    assert prod.client("s3").get_bucket_logging(Bucket=bucket)["LoggingEnabled"] == {
        "TargetBucket": f"{NAME}-access-logs-{ACCOUNT}",
        "TargetPrefix": f"files/{folder}/",
    }


def test_aws_may_write_the_firewall_s_log_and_no_other(prod):
    logs = prod.client("logs")
    [policy] = logs.describe_resource_policies()["resourcePolicies"]
    [statement] = json.loads(policy["policyDocument"])["Statement"]
    assert statement["Principal"] == {"Service": "delivery.logs.amazonaws.com"}
    [group] = logs.describe_log_groups(logGroupNamePrefix="aws-waf-logs-")["logGroups"]
    assert statement["Resource"] == group["arn"]


def test_security_groups_let_through_what_is_declared_and_nothing_else(prod):
    groups = {one["GroupName"]: one for one in ours(prod, "security_groups")}
    default = groups.pop("default")
    assert default["IpPermissions"] == default["IpPermissionsEgress"] == []
    web = groups[f"{NAME}-web"]
    assert [rule["FromPort"] for rule in web["IpPermissions"]] == [8000]
    lists = [
        one["PrefixListId"] for rule in web["IpPermissionsEgress"] for one in rule["PrefixListIds"]
    ]
    names = {
        one["PrefixListId"]: one["PrefixListName"]
        for one in prod.client("ec2").describe_prefix_lists()["PrefixLists"]
    }
    assert sorted(names[one].rpartition(".")[2] for one in lists) == ["dynamodb", "s3"]
    assert not [
        rule for one in groups.values() for rule in one["IpPermissionsEgress"]
        if rule["IpProtocol"] == "-1"
    ]  # fmt: skip


def test_the_session_secret_is_made_by_aws_and_only_its_name_is_told(prod, monkeypatch):
    told = []
    resource = applying._LocalProvider.resource
    monkeypatch.setattr(
        applying._LocalProvider,
        "resource",
        lambda self, declared: told.append((declared, resource(self, declared))) or told[-1][1],
    )
    outcome = prod.apply("prod")
    secret = prod.client("secretsmanager").get_secret_value(SecretId=f"{NAME}-session")
    described = prod.client("secretsmanager").describe_secret(SecretId=f"{NAME}-session")
    assert described["KmsKeyId"] == key_of(prod)
    assert len(secret["SecretString"]) == 64
    assert secret["SecretString"] not in repr(told) + repr(outcome)
    task = prod.client("ecs").describe_task_definition(taskDefinition=f"{NAME}-web")
    [container] = task["taskDefinition"]["containerDefinitions"]
    assert container["secrets"] == [{"name": "SESSION_SECRET", "valueFrom": secret["ARN"]}]


def test_services_run_as_declared(prod):
    [cluster] = prod.client("ecs").describe_clusters(clusters=[NAME], include=["SETTINGS"])[
        "clusters"
    ]
    assert cluster["settings"] == [{"name": "containerInsights", "value": "enabled"}]
    assert sorted(cluster["capacityProviders"]) == ["FARGATE", "FARGATE_SPOT"]
    web = service(prod, "web")
    assert web["capacityProviderStrategy"] == [{"capacityProvider": "FARGATE", "weight": 1}]
    assert web["deploymentConfiguration"]["alarms"] == {
        "alarmNames": [f"{NAME}-server-errors"],
        "enable": True,
        "rollback": True,
    }
    [behind] = web["loadBalancers"]
    assert behind["containerPort"] == 8000
    definition = prod.client("ecs").describe_task_definition(taskDefinition=f"{NAME}-worker")[
        "taskDefinition"
    ]
    assert definition["ephemeralStorage"] == {"sizeInGiB": 21}
    [container] = definition["containerDefinitions"]
    assert container["user"] != "root"
    assert container["healthCheck"]["command"][:2] == ["CMD", "python"]


def test_the_number_of_tasks_is_left_to_scaling(prod):
    prod.client("ecs").update_service(cluster=NAME, service=f"{NAME}-worker", desiredCount=7)
    assert prod.apply("prod").changes == []
    assert service(prod, "worker")["desiredCount"] == 7


# What somebody does by hand, and how to see that it was put back.
BY_HAND = {
    "the key does not turn": (
        lambda e: e.client("kms").disable_key_rotation(KeyId=key_of(e)),
        lambda e: e.client("kms").get_key_rotation_status(KeyId=key_of(e))["KeyRotationEnabled"],
    ),
    "a bucket takes plain HTTP": (
        lambda e: e.client("s3").delete_bucket_policy(Bucket=UPLOADS),
        lambda e: "SecureTransport" in e.client("s3").get_bucket_policy(Bucket=UPLOADS)["Policy"],
    ),
    "a copy can be public": (
        lambda e: e.client("s3", region=AWAY).delete_public_access_block(Bucket=UPLOADS_AWAY),
        lambda e: e.client("s3", region=AWAY).get_public_access_block(Bucket=UPLOADS_AWAY),
    ),
    "a bucket forgets its key": (
        lambda e: e.client("s3").delete_bucket_encryption(Bucket=UPLOADS),
        lambda e: "aws:kms" in repr(e.client("s3").get_bucket_encryption(Bucket=UPLOADS)),
    ),
    "copies end": (
        lambda e: e.client("s3").delete_bucket_replication(Bucket=RESULTS),
        lambda e: e.client("s3").get_bucket_replication(Bucket=RESULTS),
    ),
    "refused packets are not noted": (
        lambda e: e.client("ec2").delete_flow_logs(
            FlowLogIds=[one["FlowLogId"] for one in ours(e, "flow_logs")]
        ),
        lambda e: ours(e, "flow_logs"),
    ),
    "nor who asks for files": (
        lambda e: e.client("s3").put_bucket_logging(Bucket=UPLOADS, BucketLoggingStatus={}),
        lambda e: "LoggingEnabled" in e.client("s3").get_bucket_logging(Bucket=UPLOADS),
    ),
    "the firewall's log is refused": (
        lambda e: e.client("logs").put_resource_policy(
            policyName=f"{NAME}-firewall", policyDocument=json.dumps({"Statement": []})
        ),
        lambda e: "PutLogEvents" in repr(e.client("logs").describe_resource_policies()),
    ),
    "the replica can be deleted": (
        lambda e: e.client("dynamodb", region=AWAY).update_table(
            TableName=TABLE, DeletionProtectionEnabled=False
        ),
        lambda e: e.client("dynamodb", region=AWAY).describe_table(TableName=TABLE)["Table"][
            "DeletionProtectionEnabled"
        ],
    ),
    "the queue is not encrypted": (
        lambda e: e.client("sqs").set_queue_attributes(
            QueueUrl=queue(e)[0], Attributes={"KmsMasterKeyId": ""}
        ),
        lambda e: queue(e)[1]["KmsMasterKeyId"] == key_of(e),
    ),
    "the default group lets all out": (
        lambda e: e.client("ec2").authorize_security_group_egress(
            GroupId=next(
                one["GroupId"]
                for one in ours(e, "security_groups")
                if one["GroupName"] == "default"
            ),
            IpPermissions=[{"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}],
        ),
        lambda e: (
            not [
                one["IpPermissionsEgress"]
                for one in ours(e, "security_groups")
                if one["GroupName"] == "default" and one["IpPermissionsEgress"]
            ]
        ),
    ),
    "the way out is closed": (
        lambda e: e.client("ec2").delete_route(
            RouteTableId=next(
                one["RouteTableId"]
                for one in ours(e, "route_tables")
                if name_of(one) == f"{NAME}-public"
            ),
            DestinationCidrBlock="0.0.0.0/0",
        ),
        lambda e: "igw-" in repr(ours(e, "route_tables")),
    ),
    "a rule opens another port": (
        lambda e: e.client("ec2").modify_security_group_rules(
            GroupId=(rule := ours(e, "security_group_rules")[0])["GroupId"],
            SecurityGroupRules=[
                {
                    "SecurityGroupRuleId": rule["SecurityGroupRuleId"],
                    "SecurityGroupRule": {
                        "IpProtocol": "tcp",
                        "FromPort": 22,
                        "ToPort": 22,
                        "CidrIpv4": "0.0.0.0/0",
                    },
                }
            ],
        ),
        lambda e: 22 not in {rule["FromPort"] for rule in ours(e, "security_group_rules")},
    ),
    "backups are kept for a day": (
        lambda e: e.client("backup").update_backup_plan(
            BackupPlanId=(plan := e.client("backup").list_backup_plans()["BackupPlansList"][0])[
                "BackupPlanId"
            ],
            BackupPlan={
                "BackupPlanName": plan["BackupPlanName"],
                "Rules": [
                    {
                        "RuleName": "daily",
                        "TargetBackupVaultName": f"{NAME}-backup",
                        "Lifecycle": {"DeleteAfterDays": 1},
                    }
                ],
            },
        ),
        lambda e: (
            "'DeleteAfterDays': 35"
            in repr(
                e.client("backup").get_backup_plan(
                    BackupPlanId=e.client("backup").list_backup_plans()["BackupPlansList"][0][
                        "BackupPlanId"
                    ]
                )
            )
        ),
    ),
    "a service is not taken back": (
        lambda e: e.client("ecs").update_service(
            cluster=NAME,
            service=f"{NAME}-web",
            deploymentConfiguration={"minimumHealthyPercent": 0, "maximumPercent": 100},
        ),
        lambda e: service(e, "web")["deploymentConfiguration"]["minimumHealthyPercent"] == 100,
    ),
}


def test_what_was_done_by_hand_is_put_back(prod):
    for change, _ in BY_HAND.values():
        change(prod)
    before = {name for name, (_, is_back) in BY_HAND.items() if _holds(is_back, prod)}
    assert before == set()
    prod.apply("prod")
    assert {name for name, (_, is_back) in BY_HAND.items() if _holds(is_back, prod)} == {*BY_HAND}
    assert prod.apply("prod").changes == []


def _holds(look, emulator):
    try:
        return bool(look(emulator))
    except emulator.client("s3").exceptions.ClientError:
        return False


def test_what_is_not_told_is_still_not_told(prod, monkeypatch):
    told = []

    class Compared(applying._LocalProvider):
        def _converge(self, kind, declared):
            found = super()._converge(kind, declared)
            wanted = kind.wanted(declared.inputs)
            told.extend(
                (kind.type, key)
                for key in NOT_TOLD.get(kind.type, ())
                if wanted.get(key) and found.properties.get(key) == wanted[key]
            )
            seen.update((kind.type, key) for key in NOT_TOLD.get(kind.type, ()) if wanted.get(key))
            return found

    seen = set()
    monkeypatch.setattr(applying, "_LocalProvider", Compared)
    prod.apply("prod")
    assert told == []
    assert seen == {(kind, key) for kind, keys in NOT_TOLD.items() for key in keys}


def test_without_a_recovery_region_nothing_stays_there(prod):
    s3 = prod.client("s3", region=AWAY)
    prod.apply("prod", {"data": {"protect": False}})
    s3.put_object(Bucket=UPLOADS_AWAY, Key="uploads/acme/a.csv", Body=b"id\n1\n")
    try:
        outcome: Applied = prod.apply("prod", {"data": {"protect": False, "recovery_region": None}})
        assert outcome.kept == []
        names = [one["Name"] for one in s3.list_buckets()["Buckets"] if one["BucketRegion"] == AWAY]
        assert [name for name in names if "-recovery-" in name and "-state-" not in name] == []
        kinds = all_kinds(prod.clients.of(AWAY), "retainwise/prod")
        assert [one for kind in kinds.values() if kind.takes_region for one in kind.owned()] == []
        assert prod.client("dynamodb", region=AWAY).list_tables()["TableNames"] == []
        assert prod.client("backup", region=AWAY).list_backup_vaults()["BackupVaultList"] == []
        assert not _holds(lambda e: e.client("s3").get_bucket_replication(Bucket=UPLOADS), prod)
    finally:
        prod.apply("prod")


def test_an_update_goes_on_only_under_the_lease(prod, monkeypatch):
    lease = DeployLease(prod.client("dynamodb"), f"{NAME}-deploy-lease", "prod")
    guarded = {"operations": {"under_lease": True}}
    with pytest.raises(pulumi.RunError, match=r"Nobody has had the lease yet.* has no item"):
        prod.apply("prod", guarded)
    holder = lease.take("alice@host", "deploy 1a2b3c4")
    with pytest.raises(pulumi.RunError, match=r"alice@host holds it since .* to deploy 1a2b3c4"):
        prod.apply("prod", guarded)
    monkeypatch.setenv("RETAINWISE_LEASE", holder.token)
    assert [task.service for task in prod.apply("prod", guarded).tasks]
    lease.release(holder)
    with pytest.raises(pulumi.RunError, match="Nobody holds it now"):
        prod.apply("prod", guarded)
