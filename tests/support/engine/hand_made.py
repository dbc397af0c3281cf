"""An AWS account as the people of the first version made it, by hand, and its neighbours.

Everything that the program declares for a stack `live` with the configuration of
`Pulumi.local.yaml` has its counterpart here, as a person leaves it: set up in the console, changed
in a hurry, never tagged. It differs wherever AWS changes a resource in place, and nowhere else:
what would be replaced (a network's addresses, a key schema, what a task definition says, a vault's
key) is as the program wants it.

This is a script of boto3 alone. It shares no code with the platform and writes all names out, so
that it cannot follow a mistake of the platform's.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

from customer_files import text

ACCOUNT_ID = "000000000000"
"""To the emulator, an access key of twelve digits is that account's root."""
NETWORK = "live-retainwise"
WEB_REVISION = 86
WORKER_REVISION = 2
ROLES = (
    "live-retainwise-backup",
    "live-retainwise-web-execution",
    "live-retainwise-web-task",
    "live-retainwise-worker-execution",
    "live-retainwise-worker-task",
)
ATTACHED_BY_HAND: Mapping[str, tuple[str, ...]] = {
    "live-retainwise-backup": (
        "arn:aws:iam::aws:policy/service-role/AWSBackupServiceRolePolicyForBackup",
    ),
    "live-retainwise-web-execution": (
        "arn:aws:iam::aws:policy/service-role/AmazonECSTaskExecutionRolePolicy",
    ),
    "live-retainwise-web-task": ("arn:aws:iam::aws:policy/AmazonS3FullAccess",),
    "live-retainwise-worker-execution": (
        "arn:aws:iam::aws:policy/service-role/AmazonECSTaskExecutionRolePolicy",
    ),
    "live-retainwise-worker-task": (
        "arn:aws:iam::aws:policy/AmazonDynamoDBFullAccess",
        "arn:aws:iam::aws:policy/AmazonSQSFullAccess",
    ),
}
"""Managed policies of each role; the program wants none."""
WRITTEN_BY_HAND: Mapping[str, Mapping[str, str]] = {
    "live-retainwise-web-task": {"temp-fix-s3": "s3:*"},
    "live-retainwise-worker-execution": {"old-registry": "ecr:*"},
    "live-retainwise-worker-task": {"allow-sqs": "sqs:*", "debug-2023": "logs:*"},
}
"""Inline policies beside the program's own, and what each allows on everything."""
EXPORT = """\
id,owner,status,upload_key,output_key,created_at
7,demo,COMPLETED,incoming/7.csv,out/7.csv,2024-02-26T08:00:00Z
8,demo,COMPLETED,incoming/8.csv,,2024-02-27T08:00:00Z
9,demo,COMPLETED,incoming/9.csv,,2024-02-28T08:00:00Z
10,demo,QUEUED,incoming/10.csv,,2024-03-01T08:00:00Z
11,demo,QUEUED,incoming/11.csv,,2024-03-01T09:00:00Z
12,demo,QUEUED,incoming/12.csv,,2024-03-01T10:00:00Z
13,demo,QUEUED,incoming/13.csv,,2024-03-01T11:00:00Z
14,demo,QUEUED,incoming/14.csv,,2024-03-01T12:00:00Z
15,demo,QUEUED,incoming/15.csv,,2024-03-01T13:00:00Z
16,demo,FAILED,incoming/16.csv,,2024-03-02T08:00:00Z
"""
"""The first version's table: 10 to 15 are stuck, 8's result was not noted, 9's never stored."""
OLD_RESULT = b"customerID,churn_probability\nC1,0.75\nC2,0.25\n"
OLD_MESSAGE = {"job": 10, "file": "incoming/10.csv"}
"""The format that no worker of today reads."""

_ENVIRONMENT = {"project": "retainwise", "environment": "other"}
_OTHER_QUEUES = (
    "other-retainwise-predictions-queue",
    "retainwise-live-predictions-queue",
    "livery-retainwise-queue",
)
_OTHER_ROLES = ("other-retainwise-web-task", "retainwise-live-web-task")
_OTHER_TABLES = ("other-retainwise-predictions", "livery-retainwise-predictions")
_OTHER_BUCKETS = (
    f"other-retainwise-uploads-{ACCOUNT_ID}",
    f"retainwise-live-results-{ACCOUNT_ID}",
)
_OTHER_NETWORK = "other-retainwise"


@dataclass(frozen=True)
class HandMade:
    """What was made, by the ids that AWS gave."""

    region: str
    queue_url: str
    dlq_url: str
    table: str
    uploads_bucket: str
    results_bucket: str
    key_id: str
    topic_arn: str
    vpc_id: str
    """Has no Name tag: only the Terraform state says whose it is."""
    subnet_ids: Mapping[str, str]
    """By name, as are the next ones."""
    security_group_ids: Mapping[str, str]
    default_security_group_id: str
    route_table_id: str
    association_ids: Mapping[str, str]
    endpoint_ids: Mapping[str, str]
    rule_ids: Mapping[str, str]
    task_definition_arns: Mapping[str, str]
    """The revision that each service runs, by the service's name."""
    service_arns: Mapping[str, str]
    plan_id: str
    selection_id: str
    attached: Mapping[str, tuple[str, ...]]
    """Managed policies that were attached by hand, by role."""
    inline: Mapping[str, tuple[str, ...]]
    """Names of the inline policies that the program does not know, by role."""
    export: str
    """The first version's predictions, as CSV."""
    strangers: tuple[str, ...]
    """Names of what belongs to others."""


def build(endpoint: str, region: str = "eu-west-1") -> HandMade:
    """Make the account in the emulator at `endpoint`, which must be empty."""
    aws = _Clients(endpoint, region)
    key = _key(aws)
    topic = _topic(aws)
    queue, dlq = _queues(aws)
    uploads, results = (_bucket(aws, name) for name in ("uploads", "results"))
    _table(aws)
    network = _network(aws)
    for role in ROLES:
        _role(aws, role)
    for service in ("web", "worker"):
        aws.logs.create_log_group(
            logGroupName=f"live-retainwise-{service}", kmsKeyId=_key_arn(aws, key)
        )
    _metrics(aws)
    _alarms(aws, topic)
    _rules(aws, topic)
    _dashboard(aws)
    _budget(aws)
    plan, selection = _backup(aws, _key_arn(aws, key))
    definitions, services = _services(aws, network, queue, dlq)
    _leftovers(aws, queue, uploads, results)
    return HandMade(
        region=region,
        queue_url=queue,
        dlq_url=dlq,
        table="live-retainwise-predictions",
        uploads_bucket=uploads,
        results_bucket=results,
        key_id=key,
        topic_arn=topic,
        **network,
        task_definition_arns=definitions,
        service_arns=services,
        plan_id=plan,
        selection_id=selection,
        attached=ATTACHED_BY_HAND,
        inline={role: tuple(policies) for role, policies in WRITTEN_BY_HAND.items()},
        export=EXPORT,
        strangers=_make_strangers(aws),
    )


class _Clients:
    def __init__(self, endpoint: str, region: str) -> None:
        self.region = region
        self._endpoint = endpoint
        self._session = boto3.Session(ACCOUNT_ID, "local", region_name=region)
        self._config = Config(retries={"total_max_attempts": 1})

    def __getattr__(self, service: str) -> Any:
        client = self._session.client(service, endpoint_url=self._endpoint, config=self._config)
        setattr(self, service, client)
        return client


def _document(*statements: Mapping[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": statements})


def _allow(action: str, resource: str = "*", **more: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": action, "Resource": resource, **more}


def _for_the_account(action: str, resource: str) -> str:
    return _document(_allow(action, resource, Principal={"AWS": f"arn:aws:iam::{ACCOUNT_ID}:root"}))


def _name_tag(what: str, name: str) -> list[dict[str, Any]]:
    return [{"ResourceType": what, "Tags": [{"Key": "Name", "Value": name}]}]


# ---- data -------------------------------------------------------------------------------------


def _key(aws: _Clients) -> str:
    key = aws.kms.create_key(Description="for retainwise (ask Ana)", MultiRegion=True)[
        "KeyMetadata"
    ]["KeyId"]
    aws.kms.create_alias(AliasName="alias/live-retainwise", TargetKeyId=key)
    return key


def _key_arn(aws: _Clients, key: str) -> str:
    return f"arn:aws:kms:{aws.region}:{ACCOUNT_ID}:key/{key}"


def _topic(aws: _Clients) -> str:
    topic = aws.sns.create_topic(Name="live-retainwise-alarms")["TopicArn"]
    aws.sns.set_topic_attributes(
        TopicArn=topic,
        AttributeName="Policy",
        AttributeValue=_for_the_account("sns:*", topic),
    )
    return topic


def _queues(aws: _Clients) -> tuple[str, str]:
    arn = f"arn:aws:sqs:{aws.region}:{ACCOUNT_ID}:live-retainwise-predictions"
    dlq = aws.sqs.create_queue(
        QueueName="live-retainwise-predictions-dlq",
        Attributes={
            "MessageRetentionPeriod": "345600",
            "Policy": _for_the_account("sqs:*", f"{arn}-dlq"),
            "RedriveAllowPolicy": json.dumps({"redrivePermission": "allowAll"}),
        },
    )["QueueUrl"]
    queue = aws.sqs.create_queue(
        QueueName="live-retainwise-predictions-queue",
        Attributes={
            "VisibilityTimeout": "300",
            "MessageRetentionPeriod": "86400",
            "ReceiveMessageWaitTimeSeconds": "0",
            "RedrivePolicy": json.dumps(
                {"deadLetterTargetArn": f"{arn}-dlq", "maxReceiveCount": 3}
            ),
            "Policy": _for_the_account("sqs:*", f"{arn}-queue"),
        },
        tags={"owner": "ana"},
    )["QueueUrl"]
    return queue, dlq


def _bucket(aws: _Clients, what: str) -> str:
    bucket = f"live-retainwise-{what}-{ACCOUNT_ID}"
    aws.s3.create_bucket(
        Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": aws.region}
    )
    aws.s3.put_bucket_versioning(
        Bucket=bucket,
        VersioningConfiguration={"Status": "Enabled" if what == "uploads" else "Suspended"},
    )
    aws.s3.put_bucket_ownership_controls(
        Bucket=bucket, OwnershipControls={"Rules": [{"ObjectOwnership": "BucketOwnerPreferred"}]}
    )
    aws.s3.put_bucket_encryption(
        Bucket=bucket,
        ServerSideEncryptionConfiguration={
            "Rules": [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}]
        },
    )
    aws.s3.put_public_access_block(
        Bucket=bucket,
        PublicAccessBlockConfiguration={
            "BlockPublicAcls": True,
            "IgnorePublicAcls": True,
            "BlockPublicPolicy": False,
            "RestrictPublicBuckets": False,
        },
    )
    aws.s3.put_bucket_lifecycle_configuration(
        Bucket=bucket,
        LifecycleConfiguration={
            "Rules": [
                {
                    "ID": "clean up",
                    "Status": "Enabled",
                    "Filter": {"Prefix": "tmp/"},
                    "Expiration": {"Days": 7},
                }
            ]
        },
    )
    aws.s3.put_bucket_policy(
        Bucket=bucket, Policy=_for_the_account("s3:*", f"arn:aws:s3:::{bucket}/*")
    )
    if what == "results":
        aws.s3.put_bucket_tagging(
            Bucket=bucket, Tagging={"TagSet": [{"Key": "Project", "Value": "churn"}]}
        )
    return bucket


def _table(aws: _Clients) -> None:
    """No point-in-time recovery, no protection, no expiry, no key of one's own."""
    aws.dynamodb.create_table(
        TableName="live-retainwise-predictions",
        BillingMode="PAY_PER_REQUEST",
        KeySchema=_keys("account", "id"),
        AttributeDefinitions=[
            {"AttributeName": "account", "AttributeType": "S"},
            {"AttributeName": "id", "AttributeType": "S"},
            {"AttributeName": "account_status", "AttributeType": "S"},
            {"AttributeName": "unfinished", "AttributeType": "S"},
            {"AttributeName": "due_at", "AttributeType": "N"},
        ],
        GlobalSecondaryIndexes=[
            _index("by-id", "KEYS_ONLY", "id"),
            _index("by-status", "ALL", "account_status", "id"),
            _index("unfinished", "KEYS_ONLY", "unfinished", "due_at"),
        ],
    )


def _keys(*names: str) -> list[dict[str, str]]:
    return [
        {"AttributeName": name, "KeyType": kind}
        for name, kind in zip(names, ("HASH", "RANGE"), strict=False)
    ]


def _index(name: str, projection: str, *keys: str) -> dict[str, Any]:
    return {
        "IndexName": name,
        "KeySchema": _keys(*keys),
        "Projection": {"ProjectionType": projection},
    }


def _backup(aws: _Clients, key_arn: str) -> tuple[str, str]:
    """A backup a week. The vault's key and all of a selection are for ever."""
    aws.backup.create_backup_vault(
        BackupVaultName="live-retainwise-backup", EncryptionKeyArn=key_arn
    )
    plan = aws.backup.create_backup_plan(
        BackupPlan={
            "BackupPlanName": "live-retainwise-backup",
            "Rules": [
                {
                    "RuleName": "weekly",
                    "TargetBackupVaultName": "live-retainwise-backup",
                    "ScheduleExpression": "cron(0 5 ? * 1 *)",
                    "Lifecycle": {"DeleteAfterDays": 7},
                }
            ],
        }
    )["BackupPlanId"]
    table = f"arn:aws:dynamodb:{aws.region}:{ACCOUNT_ID}:table/live-retainwise-predictions"
    selection = aws.backup.create_backup_selection(
        BackupPlanId=plan,
        BackupSelection={
            "SelectionName": "live-retainwise-backup",
            "IamRoleArn": f"arn:aws:iam::{ACCOUNT_ID}:role/live-retainwise-backup",
            "Resources": [table],
        },
    )["SelectionId"]
    return plan, selection


# ---- network ----------------------------------------------------------------------------------


def _network(aws: _Clients) -> dict[str, Any]:
    """A VPC without a Name, its subnets with one, endpoints of which some have one."""
    ec2 = aws.ec2
    vpc = ec2.create_vpc(CidrBlock="10.20.0.0/16")["Vpc"]["VpcId"]
    table = ec2.create_route_table(
        VpcId=vpc, TagSpecifications=_name_tag("route-table", "live-retainwise-private")
    )["RouteTable"]["RouteTableId"]
    subnets, associations = {}, {}
    for zone, addresses in (("a", "10.20.0.0/20"), ("b", "10.20.16.0/20")):
        name = f"live-retainwise-private-{zone}"
        subnets[name] = ec2.create_subnet(
            VpcId=vpc,
            CidrBlock=addresses,
            AvailabilityZone=f"{aws.region}{zone}",
            TagSpecifications=_name_tag("subnet", name),
        )["Subnet"]["SubnetId"]
        ec2.modify_subnet_attribute(SubnetId=subnets[name], MapPublicIpOnLaunch={"Value": True})
        associations[name] = ec2.associate_route_table(RouteTableId=table, SubnetId=subnets[name])[
            "AssociationId"
        ]
    groups = {
        f"live-retainwise-{what}": ec2.create_security_group(
            GroupName=f"live-retainwise-{what}", Description=description, VpcId=vpc
        )["GroupId"]
        for what, description in (
            ("endpoints", "Endpoints of AWS services, for the tasks"),
            ("web", "Tasks of web"),
            ("worker", "Tasks of worker"),
        )
    }
    for group in groups.values():  # somebody has closed the way out that each group begins with
        ec2.revoke_security_group_egress(
            GroupId=group,
            IpPermissions=[{"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}],
        )
    [default] = ec2.describe_security_groups(
        Filters=[
            {"Name": "vpc-id", "Values": [vpc]},
            {"Name": "group-name", "Values": ["default"]},
        ]
    )["SecurityGroups"]
    return {
        "vpc_id": vpc,
        "subnet_ids": subnets,
        "security_group_ids": groups,
        "default_security_group_id": default["GroupId"],
        "route_table_id": table,
        "association_ids": associations,
        "endpoint_ids": _endpoints(aws, vpc, table, subnets, groups["live-retainwise-endpoints"]),
        "rule_ids": _security_rules(aws, groups),
    }


def _endpoints(
    aws: _Clients, vpc: str, table: str, subnets: Mapping[str, str], group: str
) -> dict[str, str]:
    """Make them without a policy: each lets everything through."""
    ec2 = aws.ec2
    made = {}
    for service in ("dynamodb", "s3"):
        made[f"live-retainwise-{service}"] = ec2.create_vpc_endpoint(
            VpcId=vpc,
            VpcEndpointType="Gateway",
            ServiceName=f"com.amazonaws.{aws.region}.{service}",
            RouteTableIds=[table],
        )["VpcEndpoint"]["VpcEndpointId"]
    for service in ("ecr.api", "ecr.dkr", "kms", "logs", "secretsmanager", "sqs"):
        name = f"live-retainwise-{service.replace('.', '-')}"
        is_named = service.startswith("ecr")
        made[name] = ec2.create_vpc_endpoint(
            VpcId=vpc,
            VpcEndpointType="Interface",
            ServiceName=f"com.amazonaws.{aws.region}.{service}",
            SubnetIds=list(subnets.values()),
            SecurityGroupIds=[group],
            PrivateDnsEnabled=True,
            **({"TagSpecifications": _name_tag("vpc-endpoint", name)} if is_named else {}),
        )["VpcEndpoint"]["VpcEndpointId"]
    return made


def _security_rules(aws: _Clients, groups: Mapping[str, str]) -> dict[str, str]:
    """Make the rules that the tasks need, with neither description nor tag."""
    ec2 = aws.ec2
    lists = {
        one["PrefixListName"].removeprefix("com.amazonaws.eu-west-1."): one["PrefixListId"]
        for one in ec2.describe_prefix_lists()["PrefixLists"]
    }
    endpoints = groups["live-retainwise-endpoints"]
    made = {}
    for service in ("web", "worker"):
        tasks = groups[f"live-retainwise-{service}"]
        in_from_tasks = _https(UserIdGroupPairs=[{"GroupId": tasks}])
        answer = ec2.authorize_security_group_ingress(
            GroupId=endpoints, IpPermissions=[in_from_tasks]
        )
        made[f"live-retainwise-{service}-to-endpoints (in)"] = _rule_id(answer)
        for peer, permission in (
            ("endpoints", _https(UserIdGroupPairs=[{"GroupId": endpoints}])),
            ("s3", _https(PrefixListIds=[{"PrefixListId": lists["s3"]}])),
            ("dynamodb", _https(PrefixListIds=[{"PrefixListId": lists["dynamodb"]}])),
        ):
            answer = ec2.authorize_security_group_egress(GroupId=tasks, IpPermissions=[permission])
            made[f"live-retainwise-{service}-to-{peer}"] = _rule_id(answer)
    return made


def _https(**peer: Any) -> dict[str, Any]:
    return {"IpProtocol": "tcp", "FromPort": 443, "ToPort": 443, **peer}


def _rule_id(answer: Mapping[str, Any]) -> str:
    return answer["SecurityGroupRules"][0]["SecurityGroupRuleId"]


# ---- roles ------------------------------------------------------------------------------------


def _role(aws: _Clients, name: str) -> None:
    """No boundary, no condition on who may take it; its `may` allows far more than is needed."""
    service = "backup" if name.endswith("backup") else "ecs-tasks"
    trusted = {
        "Effect": "Allow",
        "Principal": {"Service": f"{service}.amazonaws.com"},
        "Action": "sts:AssumeRole",
    }
    aws.iam.create_role(RoleName=name, AssumeRolePolicyDocument=_document(trusted))
    may = ["dynamodb:*", "ecr:*", "kms:*", "logs:*", "s3:*", "sqs:*"]
    aws.iam.put_role_policy(
        RoleName=name, PolicyName="may", PolicyDocument=_document(*map(_allow, may))
    )
    for policy, action in WRITTEN_BY_HAND.get(name, {}).items():
        aws.iam.put_role_policy(
            RoleName=name, PolicyName=policy, PolicyDocument=_document(_allow(action))
        )
    for arn in ATTACHED_BY_HAND[name]:
        aws.iam.attach_role_policy(RoleName=name, PolicyArn=arn)


# ---- services ---------------------------------------------------------------------------------


def _services(
    aws: _Clients, network: Mapping[str, Any], queue: str, dlq: str
) -> tuple[dict[str, str], dict[str, str]]:
    """Two services without a circuit breaker, at the revisions that years have brought."""
    ecs = aws.ecs
    ecs.create_cluster(
        clusterName="live-retainwise",
        settings=[{"name": "containerInsights", "value": "disabled"}],
    )
    ecs.put_cluster_capacity_providers(
        cluster="live-retainwise",
        capacityProviders=["FARGATE"],
        defaultCapacityProviderStrategy=[{"capacityProvider": "FARGATE", "weight": 1}],
    )
    definitions, services = {}, {}
    for service, revisions, container in (
        ("web", WEB_REVISION, _web(aws, queue)),
        ("worker", WORKER_REVISION, _worker(aws, queue, dlq)),
    ):
        name = f"live-retainwise-{service}"
        for revision in range(1, revisions):
            _register(ecs, name, {**container, "image": f"retainwise/{service}:v{revision}"})
        definitions[name] = _register(ecs, name, container)
        services[name] = ecs.create_service(
            cluster="live-retainwise",
            serviceName=name,
            taskDefinition=definitions[name],
            desiredCount=2,
            capacityProviderStrategy=[{"capacityProvider": "FARGATE", "weight": 1}],
            enableExecuteCommand=True,
            propagateTags="SERVICE",  # the emulator does not take another one later
            deploymentConfiguration={
                "minimumHealthyPercent": 50,
                "maximumPercent": 200,
                "deploymentCircuitBreaker": {"enable": False, "rollback": False},
            },
            networkConfiguration={
                "awsvpcConfiguration": {
                    "subnets": list(network["subnet_ids"].values()),
                    "securityGroups": [network["security_group_ids"][name]],
                    "assignPublicIp": "ENABLED",
                }
            },
        )["service"]["serviceArn"]
    return definitions, services


def _register(ecs: Any, family: str, container: Mapping[str, Any]) -> str:
    is_web = family.endswith("web")
    return ecs.register_task_definition(
        family=family,
        requiresCompatibilities=["FARGATE"],
        networkMode="awsvpc",
        cpu="512" if is_web else "1024",
        memory="1024" if is_web else "2048",
        ephemeralStorage={"sizeInGiB": 21},
        runtimePlatform={"cpuArchitecture": "X86_64", "operatingSystemFamily": "LINUX"},
        taskRoleArn=f"arn:aws:iam::{ACCOUNT_ID}:role/{family}-task",
        executionRoleArn=f"arn:aws:iam::{ACCOUNT_ID}:role/{family}-execution",
        volumes=[{"name": "spool"}],
        containerDefinitions=[container],
    )["taskDefinition"]["taskDefinitionArn"]


def _web(aws: _Clients, queue: str) -> dict[str, Any]:
    return _container(
        aws,
        "web",
        command=["retainwise", "web", "--bind", "0.0.0.0:8000"],
        portMappings=[{"containerPort": 8000, "hostPort": 8000, "protocol": "tcp"}],
        environment={
            "IDENTITY_PROVIDER": "demo",
            "MAX_UPLOAD_BYTES": "524288000",
            "MODEL_DIR": "model/artifacts/telco",
            "PREDICTIONS_QUEUE_URL": queue,
            "PREDICTIONS_TABLE": "live-retainwise-predictions",
            "REQUESTS_PER_MINUTE": "6000",
            "RESEND_AFTER_S": "60",
            "RESULTS_BUCKET": f"live-retainwise-results-{ACCOUNT_ID}",
            "RETAINWISE_ENV": "live",
            "UPLOADS_BUCKET": f"live-retainwise-uploads-{ACCOUNT_ID}",
            "UPLOADS_PER_MINUTE": "300",
        },
    )


def _worker(aws: _Clients, queue: str, dlq: str) -> dict[str, Any]:
    return _container(
        aws,
        "worker",
        command=["retainwise", "worker"],
        portMappings=[],
        healthCheck={
            "command": ["CMD", "python", "-m", "worker.heartbeat"],
            "interval": 10,
            "retries": 3,
            "startPeriod": 60,
            "timeout": 5,
        },
        environment={
            "JOB_PROCESSES": "1",
            "JOB_THREADS": "0",
            "LEASE_S": "10",
            "MAX_ATTEMPTS": "5",
            "MODEL_DIR": "model/artifacts/telco",
            "POLL_WAIT_S": "2",
            "PREDICTIONS_DLQ_URL": dlq,
            "PREDICTIONS_QUEUE_URL": queue,
            "PREDICTIONS_TABLE": "live-retainwise-predictions",
            "RESEND_AFTER_S": "60",
            "RESULTS_BUCKET": f"live-retainwise-results-{ACCOUNT_ID}",
            "RETAINWISE_ENV": "live",
            "STOP_BUDGET_S": "110",
            "STUCK_AFTER_S": "600",
            "SWEEP_EVERY_S": "5",
            "UPLOADS_BUCKET": f"live-retainwise-uploads-{ACCOUNT_ID}",
        },
    )


def _container(
    aws: _Clients, name: str, *, environment: Mapping[str, str], **more: Any
) -> dict[str, Any]:
    registry = f"{ACCOUNT_ID}.dkr.ecr.{aws.region}.amazonaws.com"
    return {
        "name": name,
        "image": f"{registry}/live-retainwise-{name}@sha256:{'0' * 64}",
        "cpu": 0,
        "essential": True,
        "environment": [{"name": key, "value": value} for key, value in environment.items()],
        "linuxParameters": {"initProcessEnabled": True},
        "logConfiguration": {
            "logDriver": "awslogs",
            "options": {
                "awslogs-group": f"live-retainwise-{name}",
                "awslogs-region": aws.region,
                "awslogs-stream-prefix": name,
            },
        },
        "mountPoints": [{"containerPath": "/tmp", "readOnly": False, "sourceVolume": "spool"}],
        "readonlyRootFilesystem": True,
        "stopTimeout": 120,
        "systemControls": [],
        "user": "10001:10001",
        "volumesFrom": [],
        **more,
    }


# ---- what is watched --------------------------------------------------------------------------


def _metrics(aws: _Clients) -> None:
    """Filters for the words that the first version logged."""
    for metric, words in (
        ("JobsCompleted", "job done"),
        ("JobsFailed", "job failed"),
        ("JobsLost", "job lost"),
        ("MessagesUnreadable", "cannot parse"),
        ("RecordsStuck", "stuck"),
    ):
        name = f"live-retainwise-worker-{metric}"
        aws.logs.put_metric_filter(
            logGroupName="live-retainwise-worker",
            filterName=name,
            filterPattern=f'"{words}"',
            metricTransformations=[
                {"metricName": name, "metricNamespace": "Churn", "metricValue": "1"}
            ],
        )


def _alarms(aws: _Clients, topic: str) -> None:
    """Alarms on one metric each, as the console makes them; two tell nobody."""
    queue = {"Name": "QueueName", "Value": "live-retainwise-predictions-queue"}
    dlq = {"Name": "QueueName", "Value": "live-retainwise-predictions-dlq"}
    waiting, age = "ApproximateNumberOfMessagesVisible", "ApproximateAgeOfOldestMessage"
    lost = "live-retainwise-worker-JobsLost"
    for what, namespace, metric, dimensions, threshold, told in (
        ("dead-letters", "AWS/SQS", waiting, [dlq], 10, [topic]),
        ("failed-jobs", "Churn", lost, [], 50, [topic]),
        ("no-progress", "AWS/SQS", waiting, [queue], 1000, []),
        ("queue-age", "AWS/SQS", age, [queue], 86400, [topic]),
        ("stuck-records", "Churn", lost, [], 5, []),
        ("worker-silent", "Churn", lost, [], 1, [topic]),
    ):
        aws.cloudwatch.put_metric_alarm(
            AlarmName=f"live-retainwise-{what}",
            AlarmDescription="call Ana",
            Namespace=namespace,
            MetricName=metric,
            Dimensions=dimensions,
            Statistic="Maximum",
            Period=300,
            EvaluationPeriods=3,
            Threshold=threshold,
            ComparisonOperator="GreaterThanOrEqualToThreshold",
            TreatMissingData="missing",
            AlarmActions=told,
        )


def _rules(aws: _Clients, topic: str) -> None:
    for name, pattern in (
        ("backup-failed", {"source": ["aws.backup"]}),
        ("deploy-rolled-back", {"source": ["aws.ecs"]}),
    ):
        aws.events.put_rule(
            Name=f"live-retainwise-{name}", EventPattern=json.dumps(pattern), Description="mail us"
        )
        aws.events.put_targets(
            Rule=f"live-retainwise-{name}", Targets=[{"Id": "Id7d4c1b", "Arn": topic}]
        )


def _dashboard(aws: _Clients) -> None:
    words = {"type": "text", "width": 6, "height": 3, "properties": {"markdown": "to do"}}
    aws.cloudwatch.put_dashboard(
        DashboardName="live-retainwise", DashboardBody=json.dumps({"widgets": [words]})
    )


def _budget(aws: _Clients) -> None:
    aws.budgets.create_budget(
        AccountId=ACCOUNT_ID,
        Budget={
            "BudgetName": "live-retainwise-budget",
            "BudgetType": "COST",
            "BudgetLimit": {"Amount": "50", "Unit": "USD"},
            "TimeUnit": "MONTHLY",
        },
        NotificationsWithSubscribers=[
            {
                "Notification": {
                    "NotificationType": "ACTUAL",
                    "ComparisonOperator": "GREATER_THAN",
                    "Threshold": 100,
                    "ThresholdType": "PERCENTAGE",
                },
                "Subscribers": [{"SubscriptionType": "EMAIL", "Address": "ana@example.com"}],
            }
        ],
    )


# ---- what the first version left --------------------------------------------------------------


def _leftovers(aws: _Clients, queue: str, uploads: str, results: str) -> None:
    customers = text().encode()
    for number in range(7, 17):
        aws.s3.put_object(Bucket=uploads, Key=f"incoming/{number}.csv", Body=customers)
    for key in ("out/7.csv", "results/8.csv"):
        aws.s3.put_object(Bucket=results, Key=key, Body=OLD_RESULT)
    aws.sqs.send_message(QueueUrl=queue, MessageBody=json.dumps(OLD_MESSAGE))


# ---- strangers --------------------------------------------------------------------------------


def _make_strangers(aws: _Clients) -> tuple[str, ...]:
    """Make what others have in the account, under names much like ours.

    Those called `other-…` are another environment of the service, and tagged as that.
    """
    for queue in _OTHER_QUEUES:
        aws.sqs.create_queue(
            QueueName=queue,
            Attributes={"VisibilityTimeout": "77"},
            tags=_tags_of(queue),
        )
    for bucket in _OTHER_BUCKETS:
        aws.s3.create_bucket(
            Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": aws.region}
        )
        aws.s3.put_bucket_tagging(Bucket=bucket, Tagging={"TagSet": _pairs(_tags_of(bucket))})
    for role in _OTHER_ROLES:
        trusted = {
            "Effect": "Allow",
            "Principal": {"Service": "ecs-tasks.amazonaws.com"},
            "Action": "sts:AssumeRole",
        }
        aws.iam.create_role(
            RoleName=role,
            AssumeRolePolicyDocument=_document(trusted),
            Tags=_pairs(_tags_of(role)),
        )
        aws.iam.put_role_policy(
            RoleName=role, PolicyName="may", PolicyDocument=_document(_allow("s3:GetObject"))
        )
        aws.iam.attach_role_policy(
            RoleName=role, PolicyArn="arn:aws:iam::aws:policy/AmazonSQSFullAccess"
        )
    for table in _OTHER_TABLES:
        aws.dynamodb.create_table(
            TableName=table,
            BillingMode="PAY_PER_REQUEST",
            KeySchema=_keys("id"),
            AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
            Tags=_pairs(_tags_of(table)),
        )
    _make_other_network(aws)
    return (
        *_OTHER_QUEUES,
        *_OTHER_BUCKETS,
        *_OTHER_ROLES,
        *_OTHER_TABLES,
        _OTHER_NETWORK,
    )


def _make_other_network(aws: _Clients) -> None:
    """Make one with the same addresses as ours, and an endpoint of the same service."""
    tags = _pairs({"Name": _OTHER_NETWORK, **_ENVIRONMENT})
    vpc = aws.ec2.create_vpc(
        CidrBlock="10.20.0.0/16", TagSpecifications=[{"ResourceType": "vpc", "Tags": tags}]
    )["Vpc"]["VpcId"]
    for zone, addresses in (("a", "10.20.0.0/20"), ("b", "10.20.16.0/20")):
        aws.ec2.create_subnet(
            VpcId=vpc,
            CidrBlock=addresses,
            AvailabilityZone=f"{aws.region}{zone}",
            TagSpecifications=_name_tag("subnet", f"{_OTHER_NETWORK}-private-{zone}"),
        )
    aws.ec2.create_vpc_endpoint(
        VpcId=vpc, VpcEndpointType="Gateway", ServiceName=f"com.amazonaws.{aws.region}.s3"
    )
    group = aws.ec2.create_security_group(
        GroupName="other-retainwise-web", Description="Tasks of web", VpcId=vpc
    )["GroupId"]
    aws.ec2.authorize_security_group_ingress(
        GroupId=group, IpPermissions=[_https(IpRanges=[{"CidrIp": "10.20.0.0/16"}])]
    )


def _tags_of(name: str) -> dict[str, str]:
    return _ENVIRONMENT if name.startswith("other-") else {"team": "livery"}


def _pairs(tags: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in tags.items()]


def strangers(endpoint: str, region: str = "eu-west-1") -> Mapping[str, Any]:
    """Read all that is the strangers' back: equal before and after, if nobody touched it."""
    aws = _Clients(endpoint, region)
    return {
        **{f"queue {name}": _read_queue(aws, name) for name in _OTHER_QUEUES},
        **{f"bucket {name}": _read_bucket(aws, name) for name in _OTHER_BUCKETS},
        **{f"role {name}": _read_role(aws, name) for name in _OTHER_ROLES},
        **{f"table {name}": _read_table(aws, name) for name in _OTHER_TABLES},
        f"network {_OTHER_NETWORK}": _read_network(aws),
    }


def _read_queue(aws: _Clients, name: str) -> Any:
    url = aws.sqs.get_queue_url(QueueName=name)["QueueUrl"]
    return {
        "attributes": aws.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])[
            "Attributes"
        ],
        "tags": aws.sqs.list_queue_tags(QueueUrl=url).get("Tags", {}),
    }


def _read_bucket(aws: _Clients, name: str) -> Any:
    s3, bucket = aws.s3, {"Bucket": name}
    return {
        "objects": _without_metadata(s3.list_objects_v2(**bucket)),
        "tags": _without_metadata(s3.get_bucket_tagging(**bucket)),
        **{
            what: _or_none(read, bucket)
            for what, read in (
                ("policy", s3.get_bucket_policy),
                ("versioning", s3.get_bucket_versioning),
                ("encryption", s3.get_bucket_encryption),
                ("public access", s3.get_public_access_block),
                ("ownership", s3.get_bucket_ownership_controls),
                ("lifecycle", s3.get_bucket_lifecycle_configuration),
            )
        },
    }


def _read_role(aws: _Clients, name: str) -> Any:
    iam, role = aws.iam, {"RoleName": name}
    return {
        "role": _without_metadata(iam.get_role(**role)),
        "tags": iam.list_role_tags(**role)["Tags"],
        "attached": iam.list_attached_role_policies(**role)["AttachedPolicies"],
        "inline": {
            policy: iam.get_role_policy(**role, PolicyName=policy)["PolicyDocument"]
            for policy in iam.list_role_policies(**role)["PolicyNames"]
        },
    }


def _read_table(aws: _Clients, name: str) -> Any:
    table = aws.dynamodb.describe_table(TableName=name)["Table"]
    return {
        "table": table,
        "tags": aws.dynamodb.list_tags_of_resource(ResourceArn=table["TableArn"])["Tags"],
        "recovery": aws.dynamodb.describe_continuous_backups(TableName=name)[
            "ContinuousBackupsDescription"
        ],
    }


def _read_network(aws: _Clients) -> Any:
    named = [{"Name": "tag:Name", "Values": [_OTHER_NETWORK]}]
    [vpc] = aws.ec2.describe_vpcs(Filters=named)["Vpcs"]
    inside = [{"Name": "vpc-id", "Values": [vpc["VpcId"]]}]
    return {
        "vpc": vpc,
        "subnets": aws.ec2.describe_subnets(Filters=inside)["Subnets"],
        "groups": aws.ec2.describe_security_groups(Filters=inside)["SecurityGroups"],
        "tables": aws.ec2.describe_route_tables(Filters=inside)["RouteTables"],
        "endpoints": [  # the emulator does not filter these
            one
            for one in aws.ec2.describe_vpc_endpoints()["VpcEndpoints"]
            if one["VpcId"] == vpc["VpcId"]
        ],
    }


def _or_none(read: Any, asked: Mapping[str, str]) -> Any:
    try:
        return _without_metadata(read(**asked))
    except ClientError:  # it was never set
        return None


def _without_metadata(answer: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in answer.items() if key != "ResponseMetadata"}


# ---- Terraform --------------------------------------------------------------------------------

DELETED_SINCE = "sg-0000000000000dead"
"""A security group of the Terraform state that is not in AWS any more."""


def terraform_state(made: HandMade) -> dict[str, Any]:
    """Return the state file (version 4) of a first attempt at Terraform, given up since.

    It has sixteen of the resources, the VPC among them, and one that was deleted by hand.
    """
    groups, roles = made.security_group_ids, ROLES[1:3]
    return {
        "version": 4,
        "terraform_version": "1.5.7",
        "serial": 23,
        "lineage": "5d1d3b1c-9a1f-4a0e-8a0e-6c1f3a0b7f11",
        "outputs": {},
        "resources": [
            _state("aws_vpc", "main", {"id": made.vpc_id, "cidr_block": "10.20.0.0/16"}),
            _state(
                "aws_subnet",
                "private",
                *(
                    {"id": subnet, "vpc_id": made.vpc_id, "tags": {"Name": name}}
                    for name, subnet in made.subnet_ids.items()
                ),
            ),
            _state(
                "aws_route_table", "private", {"id": made.route_table_id, "vpc_id": made.vpc_id}
            ),
            *(
                _state(
                    "aws_security_group",
                    name.removeprefix("live-retainwise-"),
                    {"id": group, "name": name, "vpc_id": made.vpc_id},
                )
                for name, group in groups.items()
            ),
            _state(
                "aws_security_group",
                "bastion",
                {"id": DELETED_SINCE, "name": "live-retainwise-bastion", "vpc_id": made.vpc_id},
            ),
            _state("aws_sqs_queue", "predictions", _queue_state(made, made.queue_url)),
            _state("aws_sqs_queue", "dead_letters", _queue_state(made, made.dlq_url)),
            *(
                _state("aws_s3_bucket", what, {"id": bucket, "bucket": bucket})
                for what, bucket in (
                    ("uploads", made.uploads_bucket),
                    ("results", made.results_bucket),
                )
            ),
            _state("aws_dynamodb_table", "predictions", {"id": made.table, "name": made.table}),
            *(
                _state(
                    "aws_iam_role", role.rpartition("retainwise-")[2], {"id": role, "name": role}
                )
                for role in roles
            ),
            _state(
                "aws_ecs_cluster",
                "main",
                {
                    "id": f"arn:aws:ecs:{made.region}:{ACCOUNT_ID}:cluster/live-retainwise",
                    "name": "live-retainwise",
                },
            ),
            _state("aws_sns_topic", "alarms", {"id": made.topic_arn, "arn": made.topic_arn}),
            {
                "mode": "data",
                "type": "aws_caller_identity",
                "name": "current",
                "provider": _PROVIDER,
                "instances": [{"schema_version": 0, "attributes": {"id": ACCOUNT_ID}}],
            },
        ],
        "check_results": None,
    }


_PROVIDER = 'provider["registry.terraform.io/hashicorp/aws"]'


def _state(kind: str, name: str, *attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Write a resource; more than one instance if it was made with `count`."""
    is_one = len(attributes) == 1
    return {
        "mode": "managed",
        "type": kind,
        "name": name,
        "provider": _PROVIDER,
        "instances": [
            {
                **({} if is_one else {"index_key": index}),
                "schema_version": 0,
                "attributes": dict(one),
                "sensitive_attributes": [],
            }
            for index, one in enumerate(attributes)
        ],
    }


def _queue_state(made: HandMade, url: str) -> dict[str, str]:
    name = url.rpartition("/")[2]
    arn = f"arn:aws:sqs:{made.region}:{ACCOUNT_ID}:{name}"
    return {"id": url, "url": url, "name": name, "arn": arn}


def managed_ids(state: Mapping[str, Any]) -> Iterable[str]:
    """Yield the id of each resource in a Terraform state that Terraform made itself."""
    for resource in state["resources"]:
        if resource["mode"] == "managed":
            for instance in resource["instances"]:
                yield instance["attributes"]["id"]
