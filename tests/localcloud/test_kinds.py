"""Each type of resource by itself, in programs of a few lines: made, changed, put back, deleted.

What is there is asked of the emulator, not of the kinds.
"""

from __future__ import annotations

import json

import pytest

from localcloud.kinds.base import Unapplicable

ACCOUNT = "000000000000"
NOTHING = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Deny", "Action": "*", "Resource": "*"}],
}
BALANCED = """
lb = aws.lb.LoadBalancer("front", name="front", load_balancer_type="application",
    internal={internal}, subnets=["subnet-1", "subnet-2"], security_groups={groups},
    idle_timeout={idle}, enable_deletion_protection=False,
    access_logs=aws.lb.LoadBalancerAccessLogsArgs(bucket="logs", enabled=True))
group = aws.lb.TargetGroup("web", name="web", vpc_id="vpc-1", port=8000, protocol="HTTP",
    target_type="ip", deregistration_delay=5,
    health_check=aws.lb.TargetGroupHealthCheckArgs(path="{path}", interval=5, matcher="200"))
listener = aws.lb.Listener("front", load_balancer_arn=lb.arn, port={port}, protocol="HTTP",
    default_actions=[{{"type": "forward", "order": 1, "target_group_arn": group.arn}}])
aws.lb.ListenerRule("api", listener_arn=listener.arn, priority={priority},
    conditions=[{{"path_pattern": {{"values": ["{pattern}"]}}}}],
    actions=[{{"type": "forward", "order": 1, "target_group_arn": group.arn}}])
"""
AS_DECLARED = {
    "internal": False,
    "groups": ["sg-1"],
    "idle": 60,
    "path": "/readyz",
    "port": 80,
    "priority": 10,
    "pattern": "/api/*",
}
ALARMED = """
topic = aws.sns.Topic("alarms", name="alarms", kms_master_key_id="{key}")
aws.sns.TopicPolicy("alarms", arn=topic.arn, policy=json.dumps({policy}))
aws.sns.TopicSubscription("on-call", topic=topic.arn, protocol="email", endpoint="{endpoint}")
aws.cloudwatch.MetricAlarm("slow", name="slow", alarm_description="Slow", threshold={threshold},
    comparison_operator="GreaterThanThreshold", evaluation_periods=5, alarm_actions=[topic.arn],
    treat_missing_data="notBreaching", metric_queries=[
        {{"id": "p95", "return_data": True, "metric": {{"namespace": "N", "metric_name": "M",
            "period": 60, "stat": "p95", "dimensions": {{"Queue": "q"}}}}}}])
aws.cloudwatch.Dashboard("all", dashboard_name="all",
    dashboard_body=json.dumps({{"widgets": {widgets}}}))
rule = aws.cloudwatch.EventRule("failed", name="failed", description="A deploy failed",
    event_pattern=json.dumps({{"source": ["{source}"]}}))
aws.cloudwatch.EventTarget("failed", rule=rule.name, arn=topic.arn, input_transformer={{
    "input_paths": {{"why": "$.detail.reason"}}, "input_template": '"{words}: <why>"'}})
aws.budgets.Budget("month", name="month", budget_type="COST", limit_amount="{amount}",
    limit_unit="USD", time_unit="MONTHLY",
    notifications=[{{"comparison_operator": "GREATER_THAN", "threshold": {percent},
        "threshold_type": "PERCENTAGE", "notification_type": "ACTUAL",
        "subscriber_sns_topic_arns": [topic.arn]}}])
logs = aws.cloudwatch.LogGroup("web", name="web", retention_in_days={days}, kms_key_id="{key}")
aws.cloudwatch.LogMetricFilter("failed", name="failed", log_group_name=logs.name,
    pattern="{pattern}", metric_transformation={{"name": "Failed", "namespace": "N", "value": "1",
        "default_value": "0"}})
"""
QUIET = {
    "key": f"arn:aws:kms:eu-west-1:{ACCOUNT}:key/k",
    "policy": NOTHING,
    "endpoint": "day@example.com",
    "threshold": 2,
    "widgets": [],
    "source": "aws.ecs",
    "words": "failed",
    "amount": 600,
    "percent": 80,
    "days": 90,
    "pattern": '{ $.event = \\"failed\\" }',
}
SIGNED_IN = """
pool = aws.cognito.UserPool("people", name="people", username_attributes={by},
    auto_verified_attributes=["email"], mfa_configuration="OPTIONAL",
    software_token_mfa_configuration={{"enabled": True}},
    admin_create_user_config={{"allow_admin_create_user_only": True}},
    password_policy={{"minimum_length": {length}, "require_numbers": False}},
    schemas=[{{"name": "account", "attribute_data_type": "String", "mutable": True,
        "string_attribute_constraints": {{"min_length": "1", "max_length": "64"}}}}],
    deletion_protection="INACTIVE", opts=pulumi.ResourceOptions(protect={protect}))
aws.cognito.UserPoolDomain("people", domain="people-test", user_pool_id=pool.id)
aws.cognito.UserPoolClient("front", name="front", user_pool_id=pool.id, generate_secret={secret},
    allowed_oauth_flows=["code"], allowed_oauth_scopes=["openid"],
    allowed_oauth_flows_user_pool_client=True, supported_identity_providers=["COGNITO"],
    callback_urls=["{back}"], logout_urls=["https://x.example/"])
"""
PEOPLE = {
    "by": ["email"],
    "length": 14,
    "secret": True,
    "back": "https://x.example/oauth2/idpresponse",
    "protect": False,
}
FIREWALL = """
acl = aws.wafv2.WebAcl("wall", name="wall", description="Wall", scope="REGIONAL",
    default_action={{"allow": {{}}}},
    rules=[{{"name": "rate", "priority": 0, "action": {{"block": {{}}}},
        "statement": {{"rate_based_statement": {{"limit": {limit}, "aggregate_key_type": "IP"}}}},
        "visibility_config": {{"cloudwatch_metrics_enabled": True, "metric_name": "rate",
            "sampled_requests_enabled": False}}}}],
    visibility_config={{"cloudwatch_metrics_enabled": True, "metric_name": "wall",
        "sampled_requests_enabled": False}})
"""
IMAGES = """
images = aws.ecr.Repository("web", name="web", image_tag_mutability="{tags}", force_delete=False,
    image_scanning_configuration={{"scan_on_push": {scan}}},
    encryption_configurations=[{{"encryption_type": "{encryption}"}}])
"""
LETS_GO = """
aws.ecr.LifecyclePolicy("web", repository=images.name, policy=json.dumps({{"rules": [{{
    "rulePriority": 1, "action": {{"type": "expire"}}, "selection": {{"tagStatus": "untagged",
        "countType": "sinceImagePushed", "countUnit": "days", "countNumber": {days}}}}}]}}))
"""
GRANTS = """
trust = {{"Version": "2012-10-17", "Statement": [{{"Effect": "Allow", "Action": "sts:AssumeRole",
    "Principal": {{"Service": "ecs-tasks.amazonaws.com"}}}}]}}
role = aws.iam.Role("ci", name="ci", assume_role_policy=json.dumps(trust))
policy = aws.iam.Policy("look", name="look", description="Looks", policy=json.dumps(
    {{"Version": "2012-10-17", "Statement": [{{"Effect": "Allow", "Action": "{action}",
        "Resource": "*"}}]}}))
aws.iam.OpenIdConnectProvider("ci", url="https://tokens.example.com", client_id_lists={clients})
"""
ATTACHED = """
aws.iam.RolePolicyAttachment("ci-look", role=role.name, policy_arn=policy.arn)
"""

NOTED = """
vpc = aws.ec2.Vpc("net", cidr_block="10.0.0.0/16")
aws.ec2.FlowLog("net", vpc_id=vpc.id, traffic_type="{traffic}", log_destination_type="s3",
    log_destination="arn:aws:s3:::notes/flows/")
files, notes = (aws.s3.Bucket(name, bucket=name) for name in ("files", "notes"))
aws.s3.BucketLogging("files", bucket=files.bucket, target_bucket=notes.bucket,
    target_prefix="{prefix}")
logs = aws.cloudwatch.LogGroup("wall", name="aws-waf-logs-wall", retention_in_days=90)
policy = {{"Version": "2012-10-17", "Statement": [{{"Effect": "Allow", "Action": "{action}",
    "Principal": {{"Service": "delivery.logs.amazonaws.com"}},
    "Resource": [pulumi.Output.concat(logs.arn, ":*")]}}]}}
aws.cloudwatch.LogResourcePolicy("wall", policy_name="wall",
    policy_document=pulumi.Output.json_dumps(policy))
"""
REFUSED = {"traffic": "REJECT", "prefix": "files/", "action": "logs:PutLogEvents"}


def settled(small, source):
    """Apply a program; then once more, which must change nothing."""
    applied = small(source)
    assert small(source).changes == []
    return [line.removeprefix("changed ") for line in applied.changes]


def attributes(pairs):
    return {one["Key"]: one["Value"] for one in pairs["Attributes"]}


def test_a_load_balancer_is_changed_in_place(emulator, small):
    elb = emulator.client("elbv2")
    settled(small, BALANCED.format(**AS_DECLARED))
    [before] = elb.describe_load_balancers()["LoadBalancers"]
    changed = AS_DECLARED | {"groups": ["sg-2"], "idle": 90, "path": "/up", "pattern": "/v1/*"}
    changes = settled(small, BALANCED.format(**changed))
    assert len(changes) == 3
    [after] = elb.describe_load_balancers()["LoadBalancers"]
    arn = after["LoadBalancerArn"]
    assert arn == before["LoadBalancerArn"]
    assert after["SecurityGroups"] == ["sg-2"]
    told = attributes(elb.describe_load_balancer_attributes(LoadBalancerArn=arn))
    assert told["idle_timeout.timeout_seconds"] == "90"
    assert told["access_logs.s3.bucket"] == "logs"
    [group] = elb.describe_target_groups()["TargetGroups"]
    assert (group["HealthCheckPath"], group["HealthCheckIntervalSeconds"]) == ("/up", 5)
    rules = {one["Priority"]: one for one in elb.describe_rules()["Rules"]}
    assert rules["10"]["Conditions"][0]["Values"] == ["/v1/*"]


def test_a_listener_at_another_port_takes_the_place_of_the_old_one(emulator, small):
    settled(small, BALANCED.format(**AS_DECLARED))
    settled(small, BALANCED.format(**AS_DECLARED | {"port": 8080, "priority": 20}))
    elb = emulator.client("elbv2")
    assert [one["Port"] for one in elb.describe_listeners()["Listeners"]] == [8080]
    assert sorted(one["Priority"] for one in elb.describe_rules()["Rules"]) == ["20", "default"]


def test_a_load_balancer_that_would_turn_inside_is_refused(small):
    small(BALANCED.format(**AS_DECLARED))
    with pytest.raises(Unapplicable, match="internal cannot be changed in place"):
        small(BALANCED.format(**AS_DECLARED | {"internal": True}))


def test_who_is_told_is_changed_in_place(emulator, small):
    settled(small, ALARMED.format(**QUIET))
    changed = {
        "policy": NOTHING | {"Id": "another"},
        "endpoint": "night@example.com",
        "threshold": 3,
        "widgets": [{"type": "text", "properties": {"markdown": "x"}}],
        "source": "aws.health",
        "words": "broken",
        "amount": 700,
        "percent": 90,
        "days": 30,
        "pattern": "broken",
    }
    settled(small, ALARMED.format(**QUIET | changed))
    the_changed_are_told(emulator)


def the_changed_are_told(emulator):
    sns, cloudwatch = emulator.client("sns"), emulator.client("cloudwatch")
    events, budgets = emulator.client("events"), emulator.client("budgets")
    logs = emulator.client("logs")
    topic = f"arn:aws:sns:eu-west-1:{ACCOUNT}:alarms"
    told = sns.get_topic_attributes(TopicArn=topic)["Attributes"]
    assert told["KmsMasterKeyId"] == QUIET["key"]
    assert json.loads(told["Policy"])["Id"] == "another"
    subscribed = sns.list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"]
    assert [one["Endpoint"] for one in subscribed] == ["night@example.com"]
    [alarm] = cloudwatch.describe_alarms()["MetricAlarms"]
    assert (alarm["Threshold"], alarm["AlarmActions"]) == (3.0, [topic])
    body = json.loads(cloudwatch.get_dashboard(DashboardName="all")["DashboardBody"])
    assert body["widgets"][0]["type"] == "text"
    rule = events.describe_rule(Name="failed")
    assert json.loads(rule["EventPattern"]) == {"source": ["aws.health"]}
    [target] = events.list_targets_by_rule(Rule="failed")["Targets"]
    assert target["Arn"] == topic
    assert target["InputTransformer"] == {
        "InputPathsMap": {"why": "$.detail.reason"},
        "InputTemplate": '"broken: <why>"',
    }
    month = {"AccountId": ACCOUNT, "BudgetName": "month"}
    budget = budgets.describe_budget(**month)["Budget"]
    assert float(budget["BudgetLimit"]["Amount"]) == 700
    [notification] = budgets.describe_notifications_for_budget(**month)["Notifications"]
    assert notification["Threshold"] == 90
    [group] = logs.describe_log_groups()["logGroups"]
    assert (group["retentionInDays"], group["kmsKeyId"]) == (30, QUIET["key"])
    [counted] = logs.describe_metric_filters(logGroupName="web")["metricFilters"]
    assert counted["filterPattern"] == "broken"


def test_what_was_changed_by_hand_is_put_back(emulator, small):
    changed = QUIET | {"policy": NOTHING | {"Id": "another"}, "endpoint": "night@example.com"}
    changed |= {"threshold": 3, "amount": 700, "percent": 90, "days": 30, "pattern": "broken"}
    changed |= {"widgets": [{"type": "text"}], "source": "aws.health", "words": "broken"}
    source = ALARMED.format(**changed)
    settled(small, source)
    topic = f"arn:aws:sns:eu-west-1:{ACCOUNT}:alarms"
    sns, events, logs = emulator.client("sns"), emulator.client("events"), emulator.client("logs")
    policy = {"TopicArn": topic, "AttributeName": "Policy"}
    sns.set_topic_attributes(**policy, AttributeValue=json.dumps(NOTHING))
    [subscribed] = sns.list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"]
    sns.unsubscribe(SubscriptionArn=subscribed["SubscriptionArn"])
    emulator.client("cloudwatch").delete_alarms(AlarmNames=["slow"])
    events.put_rule(Name="failed", EventPattern=json.dumps({"source": ["aws.s3"]}))
    [target] = events.list_targets_by_rule(Rule="failed")["Targets"]
    events.put_targets(Rule="failed", Targets=[{"Id": target["Id"], "Arn": topic}])
    logs.put_retention_policy(logGroupName="web", retentionInDays=1)
    logs.delete_metric_filter(logGroupName="web", filterName="failed")
    emulator.client("budgets").delete_notification(
        AccountId=ACCOUNT,
        BudgetName="month",
        Notification={
            "NotificationType": "ACTUAL",
            "ComparisonOperator": "GREATER_THAN",
            "Threshold": 90,
            "ThresholdType": "PERCENTAGE",
        },
    )
    settled(small, source)
    the_changed_are_told(emulator)


def test_another_key_for_a_log_group_is_refused(small):
    small(ALARMED.format(**QUIET))
    with pytest.raises(Unapplicable, match="kmsKeyId cannot be changed in place"):
        small(ALARMED.format(**QUIET | {"key": "arn:aws:kms:::key/another"}))


def test_who_is_told_leaves_the_cloud_with_the_program(emulator, small):
    sns = emulator.client("sns")
    stranger = sns.create_topic(Name="stranger")["TopicArn"]
    small(ALARMED.format(**QUIET))
    small("")
    assert [one["TopicArn"] for one in sns.list_topics()["Topics"]] == [stranger]
    assert sns.list_subscriptions()["Subscriptions"] == []
    cloudwatch = emulator.client("cloudwatch")
    assert cloudwatch.describe_alarms()["MetricAlarms"] == []
    assert emulator.client("events").list_rules()["Rules"] == []
    assert not emulator.client("budgets").describe_budgets(AccountId=ACCOUNT).get("Budgets")
    assert emulator.client("logs").describe_log_groups()["logGroups"] == []
    # Nothing says whose it is: see MISSING_CALLS.
    assert len(cloudwatch.list_dashboards()["DashboardEntries"]) == 1


def test_who_can_sign_in_is_changed_in_place(emulator, small):
    idp = emulator.client("cognito-idp")
    settled(small, SIGNED_IN.format(**PEOPLE))
    back = "https://y.example/oauth2/idpresponse"
    assert len(settled(small, SIGNED_IN.format(**PEOPLE | {"length": 20, "back": back}))) == 2
    [listed] = idp.list_user_pools(MaxResults=10)["UserPools"]
    pool = idp.describe_user_pool(UserPoolId=listed["Id"])["UserPool"]
    assert pool["Policies"]["PasswordPolicy"]["MinimumLength"] == 20
    assert pool["MfaConfiguration"] == "OPTIONAL"
    [client] = idp.list_user_pool_clients(UserPoolId=pool["Id"], MaxResults=10)["UserPoolClients"]
    client = idp.describe_user_pool_client(UserPoolId=pool["Id"], ClientId=client["ClientId"])
    assert client["UserPoolClient"]["CallbackURLs"] == [back]
    assert client["UserPoolClient"]["LogoutURLs"] == ["https://x.example/"]


@pytest.mark.parametrize(
    ("change", "named"),
    [({"by": ["phone_number"]}, "usernameAttributes"), ({"secret": False}, "generateSecret")],
)
def test_what_aws_would_make_anew_for_sign_in_is_refused(small, change, named):
    small(SIGNED_IN.format(**PEOPLE))
    with pytest.raises(Unapplicable, match=f"{named} cannot be changed in place"):
        small(SIGNED_IN.format(**PEOPLE | change))


@pytest.mark.parametrize(("protect", "left"), [(True, ["people"]), (False, [])])
def test_a_pool_that_leaves_the_program_goes_unless_it_is_protected(emulator, small, protect, left):
    idp = emulator.client("cognito-idp")
    small(SIGNED_IN.format(**PEOPLE | {"protect": protect}))
    small("")
    pools = idp.list_user_pools(MaxResults=10)["UserPools"]
    assert [one["Name"] for one in pools] == left
    for pool in pools:
        clients = idp.list_user_pool_clients(UserPoolId=pool["Id"], MaxResults=10)
        assert len(clients["UserPoolClients"]) == 1


def test_a_firewall_is_changed_in_place_and_goes(emulator, small):
    waf = emulator.client("wafv2")
    settled(small, FIREWALL.format(limit=1000))
    settled(small, FIREWALL.format(limit=2000))
    [one] = waf.list_web_acls(Scope="REGIONAL")["WebACLs"]
    acl = waf.get_web_acl(Name="wall", Scope="REGIONAL", Id=one["Id"])["WebACL"]
    assert acl["Rules"][0]["Statement"]["RateBasedStatement"]["Limit"] == 2000
    small("")
    assert waf.list_web_acls(Scope="REGIONAL")["WebACLs"] == []


def noted(emulator):
    """What is noted of packets and files, and what AWS may do to write the firewall's."""
    flows = emulator.client("ec2").describe_flow_logs()["FlowLogs"]
    files = emulator.client("s3").get_bucket_logging(Bucket="files").get("LoggingEnabled", {})
    policies = emulator.client("logs").describe_resource_policies()["resourcePolicies"]
    return (
        [one["TrafficType"] for one in flows],
        files.get("TargetPrefix"),
        {
            one["policyName"]: json.loads(one["policyDocument"])["Statement"][0]["Action"]
            for one in policies
        },
    )


def test_what_is_noted_is_changed_and_goes(emulator, small):
    logs = emulator.client("logs")
    logs.put_resource_policy(policyName="stranger", policyDocument=json.dumps(NOTHING))
    settled(small, NOTED.format(**REFUSED))
    assert noted(emulator) == (["REJECT"], "files/", {"stranger": "*", "wall": REFUSED["action"]})
    changed = {"traffic": "ALL", "prefix": "read/", "action": "logs:CreateLogStream"}
    assert len(settled(small, NOTED.format(**changed))) == 3
    assert noted(emulator) == (["ALL"], "read/", {"stranger": "*", "wall": changed["action"]})
    small("aws.s3.Bucket('files', bucket='files')")
    assert noted(emulator) == ([], None, {"stranger": "*"})


def test_image_repositories_are_changed_in_place_and_go(emulator, small):
    ecr = emulator.client("ecr")
    declared = {"tags": "MUTABLE", "scan": False, "encryption": "AES256", "days": 7}
    settled(small, (IMAGES + LETS_GO).format(**declared))
    changed = declared | {"tags": "IMMUTABLE", "scan": True, "days": 9}
    settled(small, (IMAGES + LETS_GO).format(**changed))
    [repository] = ecr.describe_repositories()["repositories"]
    assert repository["imageTagMutability"] == "IMMUTABLE"
    assert repository["imageScanningConfiguration"] == {"scanOnPush": True}
    policy = json.loads(ecr.get_lifecycle_policy(repositoryName="web")["lifecyclePolicyText"])
    assert policy["rules"][0]["selection"]["countNumber"] == 9
    with pytest.raises(Unapplicable, match="encryptionConfigurations cannot be changed"):
        small(IMAGES.format(**changed | {"encryption": "KMS"}))
    small(IMAGES.format(**changed))
    with pytest.raises(ecr.exceptions.LifecyclePolicyNotFoundException):
        ecr.get_lifecycle_policy(repositoryName="web")
    small("")
    assert ecr.describe_repositories()["repositories"] == []


def test_a_policy_of_many_versions_is_still_changed(emulator, small):
    iam = emulator.client("iam")
    for n in range(7):
        settled(small, (GRANTS + ATTACHED).format(action=f"sqs:Get{n}", clients=["aws"]))
    [policy] = iam.list_policies(Scope="Local")["Policies"]
    version = iam.get_policy_version(PolicyArn=policy["Arn"], VersionId=policy["DefaultVersionId"])[
        "PolicyVersion"
    ]
    assert version["Document"]["Statement"][0]["Action"] == "sqs:Get6"
    assert len(iam.list_policy_versions(PolicyArn=policy["Arn"])["Versions"]) == 5
    small("")
    assert iam.list_policies(Scope="Local")["Policies"] == []
    assert iam.list_open_id_connect_providers()["OpenIDConnectProviderList"] == []


def test_what_a_role_is_no_longer_granted_is_taken_away(emulator, small):
    iam = emulator.client("iam")
    settled(small, (GRANTS + ATTACHED).format(action="sqs:Get", clients=["one", "two"]))
    assert len(iam.list_attached_role_policies(RoleName="ci")["AttachedPolicies"]) == 1
    settled(small, GRANTS.format(action="sqs:Get", clients=["one", "two"]))
    assert iam.list_attached_role_policies(RoleName="ci")["AttachedPolicies"] == []
    [provider] = iam.list_open_id_connect_providers()["OpenIDConnectProviderList"]
    provider = iam.get_open_id_connect_provider(OpenIDConnectProviderArn=provider["Arn"])
    assert sorted(provider["ClientIDList"]) == ["one", "two"]
    with pytest.raises(Unapplicable, match="clientIdLists cannot be changed in place"):
        small(GRANTS.format(action="sqs:Get", clients=["one"]))


def test_runs_that_ended_halfway_are_mended_by_the_next(emulator, small):
    source = (BALANCED + ALARMED + SIGNED_IN + FIREWALL + NOTED).format(
        **AS_DECLARED | QUIET | PEOPLE | REFUSED, limit=1000
    )
    source += "aws.wafv2.WebAclAssociation('front', resource_arn=lb.arn, web_acl_arn=acl.arn)\n"
    # Half made: the thing is there, and what is set apart from its making is not.
    due = {
        "AssociateWebACL",
        "CreateFlowLogs",
        "CreateRule",
        "CreateUserPoolClient",
        "ModifyLoadBalancerAttributes",
        "ModifyTargetGroupAttributes",
        "PutBucketLogging",
        "PutResourcePolicy",
        "PutRetentionPolicy",
        "SetTopicAttributes",
        "SetUserPoolMfaConfig",
    }
    calls = len(due)

    def kill(model, **_):
        if model.name in due:
            due.remove(model.name)
            raise RuntimeError("killed")

    emulator.tell(kill)
    for _ in range(calls):  # several can be under way at once
        if due:
            with pytest.raises(RuntimeError, match="killed"):
                small(source)
    assert not due
    settled(small, source)
    elb = emulator.client("elbv2")
    [one] = elb.describe_load_balancers()["LoadBalancers"]
    told = elb.describe_load_balancer_attributes(LoadBalancerArn=one["LoadBalancerArn"])
    assert attributes(told)["access_logs.s3.bucket"] == "logs"
