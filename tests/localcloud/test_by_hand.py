"""What somebody made by hand, without a tag of ours: it is found by what it is, or not at all."""

from __future__ import annotations

import json
import re

import pytest

from localcloud.kinds import all_kinds
from localcloud.kinds.base import Ambiguous
from localcloud.kinds.not_told import NOT_TOLD

STACK = "retainwise/prod"
CIDR = "10.20.0.0/16"
ACCOUNT = "000000000000"
ANYBODY = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Allow",
            "Action": "sts:AssumeRole",
            "Principal": {"Service": "ecs-tasks.amazonaws.com"},
        }
    ],
}


@pytest.fixture
def kind(emulator):
    """A kind by its type, without the `aws:`."""
    kinds = all_kinds(emulator.clients, STACK)
    return lambda type_: kinds[f"aws:{type_}"]


@pytest.fixture
def look(kind):
    """The id of what plays a part, if anything does."""

    def run(type_, name="it", /, **inputs):
        found = kind(type_).look_for(name, inputs)
        return found and found.id

    return run


@pytest.fixture
def ec2(emulator):
    return emulator.client("ec2")


@pytest.fixture
def vpc(ec2):
    """A VPC without a name."""
    return new_vpc(ec2)


def new_vpc(ec2, name=None, cidr=CIDR):
    tags = [{"Key": "Name", "Value": name}] if name else []
    specification = [{"ResourceType": "vpc", "Tags": tags}] if tags else []
    return ec2.create_vpc(CidrBlock=cidr, TagSpecifications=specification)["Vpc"]["VpcId"]


def new_table(ec2, vpc, name):
    tags = [{"ResourceType": "route-table", "Tags": [{"Key": "Name", "Value": name}]}]
    table = ec2.create_route_table(VpcId=vpc, TagSpecifications=tags)["RouteTable"]
    return table["RouteTableId"]


def test_a_vpc_is_found_by_its_name_before_its_addresses(ec2, look):
    named = new_vpc(ec2, "ours", "10.99.0.0/16")
    nameless = new_vpc(ec2)
    assert look("ec2/vpc:Vpc", cidrBlock=CIDR, tags={"Name": "ours"}) == named
    assert look("ec2/vpc:Vpc", cidrBlock=CIDR, tags={"Name": "theirs"}) == nameless


def test_a_vpc_that_goes_by_another_name_is_a_stranger_s(ec2, look):
    new_vpc(ec2, "accounting")
    assert look("ec2/vpc:Vpc", cidrBlock=CIDR, tags={"Name": "ours"}) is None


def test_the_vpc_that_aws_made_is_nobody_s(ec2, look):
    [default] = ec2.describe_vpcs()["Vpcs"]
    assert default["IsDefault"]
    assert look("ec2/vpc:Vpc", cidrBlock=default["CidrBlock"]) is None


def test_two_that_fit_are_both_named(ec2, look):
    first, second = new_vpc(ec2, "ours"), new_vpc(ec2, "ours")
    with pytest.raises(Ambiguous) as error:
        look("ec2/vpc:Vpc", cidrBlock=CIDR, tags={"Name": "ours"})
    assert first in str(error.value)
    assert second in str(error.value)


def test_what_aws_names_not_is_found_by_where_it_is(ec2, vpc, look):
    stranger = new_vpc(ec2, "theirs", "10.30.0.0/16")
    subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.20.0.0/20")["Subnet"]["SubnetId"]
    gateway = ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
    ec2.attach_internet_gateway(InternetGatewayId=gateway, VpcId=vpc)
    table = new_table(ec2, vpc, "public")
    group = ec2.create_security_group(GroupName="web", Description="d", VpcId=vpc)["GroupId"]
    service = "com.amazonaws.eu-west-1.s3"
    endpoint = ec2.create_vpc_endpoint(VpcId=vpc, ServiceName=service)["VpcEndpoint"]
    parts = {
        "ec2/subnet:Subnet": (subnet, {"cidrBlock": "10.20.0.0/20"}),
        "ec2/internetGateway:InternetGateway": (gateway, {}),
        "ec2/routeTable:RouteTable": (table, {"tags": {"Name": "public"}}),
        "ec2/securityGroup:SecurityGroup": (group, {"name": "web"}),
        "ec2/vpcEndpoint:VpcEndpoint": (endpoint["VpcEndpointId"], {"serviceName": service}),
    }
    for type_, (its_id, inputs) in parts.items():
        assert look(type_, vpcId=vpc, **inputs) == its_id
        assert look(type_, vpcId=stranger, **inputs) is None
        assert look(type_, **inputs) is None
    assert look("ec2/routeTable:RouteTable", vpcId=vpc, tags={"Name": "private"}) is None
    assert look("ec2/routeTable:RouteTable", vpcId=vpc) is None


def test_a_rule_is_found_by_all_that_it_lets_through(ec2, vpc, look):
    group = ec2.create_security_group(GroupName="web", Description="d", VpcId=vpc)["GroupId"]
    told = ec2.authorize_security_group_ingress(
        GroupId=group,
        IpPermissions=[
            {
                "IpProtocol": "tcp",
                "FromPort": 443,
                "ToPort": 443,
                "IpRanges": [{"CidrIp": CIDR, "Description": "by hand"}],
            }
        ],
    )
    [rule] = told["SecurityGroupRules"]
    type_ = "vpc/securityGroupIngressRule:SecurityGroupIngressRule"
    inputs = {"ipProtocol": "tcp", "fromPort": 443, "toPort": 443, "cidrIpv4": CIDR}
    declared = {"securityGroupId": group, **inputs, "description": "from everywhere inside"}
    assert look(type_, **declared) == rule["SecurityGroupRuleId"]
    assert look(type_, **declared | {"toPort": 444}) is None
    assert look(type_, **declared | {"cidrIpv4": "10.0.0.0/8"}) is None
    egress = "vpc/securityGroupEgressRule:SecurityGroupEgressRule"
    assert look(egress, **declared) is None
    everything = {"securityGroupId": group, "ipProtocol": "-1", "cidrIpv4": "0.0.0.0/0"}
    assert look(egress, **everything)  # AWS gives it to each new group


def test_the_group_that_a_vpc_comes_with_lets_itself_in_and_all_out(vpc, kind):
    default = kind("ec2/defaultSecurityGroup:DefaultSecurityGroup")
    found = default.look_for("it", {"vpcId": vpc})
    assert default.get(found.id) == found
    inputs = default.inputs_of(found)
    assert inputs["egress"] == [
        {"protocol": "-1", "fromPort": 0, "toPort": 0, "cidrBlocks": ["0.0.0.0/0"]}
    ]
    default.change(found, {"ingress": [], "egress": []})
    assert default.inputs_of(default.get(found.id)) == {"vpcId": vpc, "ingress": [], "egress": []}


def test_a_key_is_found_by_the_alias_of_its_name(emulator, look):
    kms = emulator.client("kms")
    key = kms.create_key(Description="by hand")["KeyMetadata"]["KeyId"]
    assert look("kms/key:Key", "ours", description="by hand") is None
    kms.create_alias(AliasName="alias/ours", TargetKeyId=key)
    assert look("kms/key:Key", "ours") == key
    kms.schedule_key_deletion(KeyId=key, PendingWindowInDays=7)
    assert look("kms/key:Key", "ours") is None


def test_what_several_may_call_by_one_name_is_found_when_one_does(emulator, look):
    idp = emulator.client("cognito-idp")
    first = idp.create_user_pool(PoolName="people")["UserPool"]["Id"]
    idp.create_user_pool(PoolName="others")
    assert look("cognito/userPool:UserPool", name="people") == first
    client = idp.create_user_pool_client(UserPoolId=first, ClientName="front")["UserPoolClient"]
    type_ = "cognito/userPoolClient:UserPoolClient"
    assert look(type_, userPoolId=first, name="front") == f"{first}/{client['ClientId']}"
    second = idp.create_user_pool(PoolName="people")["UserPool"]["Id"]
    with pytest.raises(Ambiguous, match=rf"({first} and {second}|{second} and {first})"):
        look("cognito/userPool:UserPool", name="people")


def test_a_certificate_is_found_by_its_domain(emulator, look):
    acm = emulator.client("acm")
    type_ = "acm/certificate:Certificate"
    acm.request_certificate(DomainName="*.example.com", ValidationMethod="DNS")
    assert look(type_, domainName="a.example.com") is None
    first = acm.request_certificate(DomainName="a.example.com", ValidationMethod="DNS")
    assert look(type_, domainName="a.example.com") == first["CertificateArn"]
    acm.request_certificate(DomainName="a.example.com", ValidationMethod="DNS")
    with pytest.raises(Ambiguous, match=re.escape(first["CertificateArn"])):
        look(type_, domainName="a.example.com")


NEVER_SET = [
    "s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration",
    "s3/bucketLogging:BucketLogging",
    "s3/bucketObjectLockConfiguration:BucketObjectLockConfiguration",
    "s3/bucketPolicy:BucketPolicy",
    "s3/bucketPublicAccessBlock:BucketPublicAccessBlock",
    "s3/bucketReplicationConfig:BucketReplicationConfig",
    "s3/bucketVersioning:BucketVersioning",
]


@pytest.fixture
def bare(emulator):
    """A bucket, a queue and a repository, of which nothing is set."""
    s3, location = emulator.client("s3"), {"LocationConstraint": "eu-west-1"}
    s3.create_bucket(Bucket="bare", CreateBucketConfiguration=location)
    s3.delete_public_access_block(Bucket="bare")  # each new bucket has one
    emulator.client("ecr").create_repository(repositoryName="bare")
    url = emulator.client("sqs").create_queue(QueueName="bare")["QueueUrl"]
    return {
        **dict.fromkeys(NEVER_SET, ("bare", "bucket")),
        "sqs/queuePolicy:QueuePolicy": (url, "queueUrl"),
        "sqs/redriveAllowPolicy:RedriveAllowPolicy": (url, "queueUrl"),
        "ecr/lifecyclePolicy:LifecyclePolicy": ("bare", "repository"),
    }


def test_what_was_never_set_is_not_there(bare, kind):
    for type_, (owner, key) in bare.items():
        assert kind(type_).get(owner) is None, type_
        assert kind(type_).look_for("it", {key: owner}) is None, type_


def test_what_is_set_is_there(emulator, bare, kind):
    s3 = emulator.client("s3")
    s3.put_bucket_versioning(Bucket="bare", VersioningConfiguration={"Status": "Suspended"})
    found = kind("s3/bucketVersioning:BucketVersioning").look_for("it", {"bucket": "bare"})
    assert kind("s3/bucketVersioning:BucketVersioning").inputs_of(found) == {
        "bucket": "bare",
        "versioningConfiguration": {"status": "Suspended"},
    }


# Made with no more than AWS asks for: by type, how, and the id of what was made.
PLAIN = {
    "sqs/queue:Queue": lambda e: e.client("sqs").create_queue(QueueName="x")["QueueUrl"],
    "sns/topic:Topic": lambda e: e.client("sns").create_topic(Name="x")["TopicArn"],
    "iam/role:Role": lambda e: e.client("iam").create_role(
        RoleName="x", AssumeRolePolicyDocument=json.dumps(ANYBODY)
    )["Role"]["RoleName"],
    "ecs/cluster:Cluster": lambda e: e.client("ecs").create_cluster(clusterName="x")["cluster"][
        "clusterName"
    ],
    "ecr/repository:Repository": lambda e: e.client("ecr").create_repository(repositoryName="xx")[
        "repository"
    ]["repositoryName"],
    "kms/key:Key": lambda e: e.client("kms").create_key()["KeyMetadata"]["KeyId"],
    "dynamodb/table:Table": lambda e: e.client("dynamodb").create_table(
        TableName="xxx",
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        ProvisionedThroughput={"ReadCapacityUnits": 5, "WriteCapacityUnits": 5},
    )["TableDescription"]["TableName"],
    "cloudwatch/logGroup:LogGroup": lambda e: (
        e.client("logs").create_log_group(logGroupName="x") and "x"
    ),
    "cognito/userPool:UserPool": lambda e: e.client("cognito-idp").create_user_pool(PoolName="x")[
        "UserPool"
    ]["Id"],
    "cloudwatch/metricAlarm:MetricAlarm": lambda e: (
        e.client("cloudwatch").put_metric_alarm(
            AlarmName="x",
            ComparisonOperator="GreaterThanThreshold",
            EvaluationPeriods=1,
            MetricName="ApproximateNumberOfMessagesVisible",
            Namespace="AWS/SQS",
            Dimensions=[{"Name": "QueueName", "Value": "x"}],
            Period=60,
            Statistic="Sum",
            Threshold=10,
        )
        and "x"
    ),
    "cloudwatch/eventRule:EventRule": lambda e: (
        e.client("events").put_rule(Name="x", ScheduleExpression="rate(1 hour)") and "x"
    ),
    "budgets/budget:Budget": lambda e: (
        e.client("budgets").create_budget(
            AccountId=ACCOUNT,
            Budget={
                "BudgetName": "x",
                "BudgetType": "COST",
                "TimeUnit": "MONTHLY",
                "BudgetLimit": {"Amount": "50", "Unit": "USD"},
            },
            NotificationsWithSubscribers=[
                {
                    "Notification": {
                        "NotificationType": "ACTUAL",
                        "ComparisonOperator": "GREATER_THAN",
                        "Threshold": 80,
                        "ThresholdType": "PERCENTAGE",
                    },
                    "Subscribers": [{"SubscriptionType": "EMAIL", "Address": "a@example.com"}],
                }
            ],
        )
        and f"{ACCOUNT}:x"
    ),
    "ecs/taskDefinition:TaskDefinition": lambda e: e.client("ecs").register_task_definition(
        family="x", containerDefinitions=[{"name": "x", "image": "x"}]
    )["taskDefinition"]["taskDefinitionArn"],
    "backup/plan:Plan": lambda e: e.client("backup").create_backup_plan(
        BackupPlan={
            "BackupPlanName": "x",
            "Rules": [{"RuleName": "x", "TargetBackupVaultName": "Default"}],
        }
    )["BackupPlanId"],
    "lb/targetGroup:TargetGroup": lambda e: e.client("elbv2").create_target_group(
        Name="x", Protocol="HTTP", Port=80, VpcId=new_vpc(e.client("ec2"))
    )["TargetGroups"][0]["TargetGroupArn"],
    "lb/loadBalancer:LoadBalancer": lambda e: e.client("elbv2").create_load_balancer(
        Name="x", Subnets=["subnet-1", "subnet-2"]
    )["LoadBalancers"][0]["LoadBalancerArn"],
}


@pytest.mark.parametrize("type_", PLAIN)
def test_what_was_made_plainly_is_told_and_keeps_its_meaning(emulator, kind, type_):
    one = kind(type_)
    found = one.get(PLAIN[type_](emulator))
    inputs = one.inputs_of(found)
    wanted = one.wanted(inputs)
    told = wanted.keys() - NOT_TOLD.get(one.type, {}).keys()
    assert {key: wanted[key] for key in told} == {key: found.properties.get(key) for key in told}
    assert "tags" not in inputs


def test_an_alarm_over_one_metric_becomes_one_over_several(emulator, kind):
    alarm = kind("cloudwatch/metricAlarm:MetricAlarm")
    PLAIN[alarm.type.removeprefix("aws:")](emulator)
    inputs = alarm.inputs_of(alarm.get("x"))
    assert inputs["dimensions"] == {"QueueName": "x"}
    assert (inputs["period"], inputs["statistic"], inputs["threshold"]) == (60, "Sum", 10)
    declared = {
        "name": "x",
        "comparisonOperator": "GreaterThanThreshold",
        "evaluationPeriods": 1,
        "threshold": 3,
        "metricQueries": [
            {
                "id": "all",
                "returnData": True,
                "metric": {
                    "namespace": "AWS/SQS",
                    "metricName": "ApproximateNumberOfMessagesVisible",
                    "dimensions": {"QueueName": "x"},
                    "period": 60,
                    "stat": "Sum",
                },
            }
        ],
    }
    alarm.change(alarm.get("x"), alarm.wanted(declared))
    there = alarm.inputs_of(alarm.get("x"))
    assert (there["threshold"], there.get("metricName")) == (3, None)


def test_the_dimensions_of_an_alarm_have_no_order(kind):
    """The engine gives a mapping in any order, and in another one each time."""

    def wanted(*dimensions):
        metric = {
            "namespace": "AWS/ECS",
            "metricName": "CPUUtilization",
            "period": 60,
            "stat": "Sum",
            "dimensions": dict(dimensions),
        }
        query = {"id": "all", "returnData": True, "metric": metric}
        return kind("cloudwatch/metricAlarm:MetricAlarm").wanted({"metricQueries": [query]})

    cluster, service = ("ClusterName", "x"), ("ServiceName", "y")
    assert wanted(service, cluster) == wanted(cluster, service)


def test_a_service_of_another_launch_type_would_be_replaced(emulator, kind):
    ecs = emulator.client("ecs")
    ecs.create_cluster(clusterName="x")
    PLAIN["ecs/taskDefinition:TaskDefinition"](emulator)
    ecs.create_service(
        cluster="x", serviceName="web", taskDefinition="x", desiredCount=1, launchType="FARGATE"
    )
    service = kind("ecs/service:Service")
    inputs = service.inputs_of(service.get("x/web"))
    assert inputs["launchType"] == "FARGATE"
    assert {"launchType", "name", "cluster"} <= service.replaced_for
    assert "taskDefinition" not in service.replaced_for


def test_a_listener_that_sends_people_to_tls_is_told(emulator, kind):
    elb = emulator.client("elbv2")
    arn = PLAIN["lb/loadBalancer:LoadBalancer"](emulator)
    tls = {"Protocol": "HTTPS", "Port": "443", "StatusCode": "HTTP_301"}
    [made] = elb.create_listener(
        LoadBalancerArn=arn,
        Protocol="HTTP",
        Port=80,
        DefaultActions=[{"Type": "redirect", "RedirectConfig": tls}],
    )["Listeners"]
    listener = kind("lb/listener:Listener")
    [action] = listener.inputs_of(listener.get(made["ListenerArn"]))["defaultActions"]
    assert action["type"] == "redirect"
    assert action["redirect"]["statusCode"] == "HTTP_301"
