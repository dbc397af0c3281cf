"""The public side of a stack in the emulator: asked of the emulator itself, not of the kinds."""

from __future__ import annotations

import copy
import json

import pytest

from localcloud import apply as local_apply
from localcloud.kinds import cognito
from localcloud.kinds.base import Clients
from localcloud.program import stack_config

HOST = "retainwise.example.com"
ANYTHING = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}],
}


class Cloud:
    """The emulator, with what is there before the program: a zone, and the roles' boundary."""

    def __init__(self, emulator):
        self.emulator = emulator
        zone = self.client("route53").create_hosted_zone(Name="example.com", CallerReference="1")
        self.zone = zone["HostedZone"]["Id"].rpartition("/")[2]
        for stack in ("prod", "dev"):
            self.client("iam").create_policy(
                PolicyName=f"{stack}-retainwise-boundary", PolicyDocument=json.dumps(ANYTHING)
            )

    def client(self, service):
        return self.emulator.client(service)

    def config(self, stack):
        config = copy.deepcopy(stack_config(stack))
        config["retainwise:edge"]["hosted_zone_id"] = self.zone
        return config

    def apply(self, stack, config=None):
        emulator = self.emulator
        return local_apply.apply(
            emulator.session, emulator.endpoint, stack, config or self.config(stack)
        )

    def load_balancer(self, name="prod-retainwise"):
        [one] = self.client("elbv2").describe_load_balancers(Names=[name])["LoadBalancers"]
        return one

    def listener(self):
        arn = self.load_balancer()["LoadBalancerArn"]
        [one] = self.client("elbv2").describe_listeners(LoadBalancerArn=arn)["Listeners"]
        return one

    def rules(self):
        answer = self.client("elbv2").describe_rules(ListenerArn=self.listener()["ListenerArn"])
        return {one["Priority"]: one for one in answer["Rules"] if not one["IsDefault"]}

    def web_acl(self):
        waf = self.client("wafv2")
        [one] = waf.list_web_acls(Scope="REGIONAL")["WebACLs"]
        return waf.get_web_acl(Name=one["Name"], Scope="REGIONAL", Id=one["Id"])

    def pool(self):
        cognito_idp = self.client("cognito-idp")
        [one] = cognito_idp.list_user_pools(MaxResults=10)["UserPools"]
        return cognito_idp.describe_user_pool(UserPoolId=one["Id"])["UserPool"]

    def records(self):
        answer = self.client("route53").list_resource_record_sets(HostedZoneId=self.zone)
        records = (one for one in answer["ResourceRecordSets"] if one["Type"] in ("A", "CNAME"))
        return {one["Type"]: one for one in records}


@pytest.fixture
def cloud(emulator):
    return Cloud(emulator)


def test_the_edge_of_prod_is_as_the_program_says(cloud):
    cloud.apply("prod")
    the_public_side_is_right(cloud)
    who_can_sign_in_is_right(cloud)


def the_public_side_is_right(cloud):
    elb = cloud.client("elbv2")
    load_balancer, listener = cloud.load_balancer(), cloud.listener()
    assert load_balancer["Scheme"] == "internet-facing"
    assert len(load_balancer["AvailabilityZones"]) == 3
    answer = elb.describe_load_balancer_attributes(LoadBalancerArn=load_balancer["LoadBalancerArn"])
    settings = {one["Key"]: one["Value"] for one in answer["Attributes"]}
    assert settings["deletion_protection.enabled"] == "true"
    assert settings["access_logs.s3.enabled"] == "true"
    assert settings["access_logs.s3.bucket"].startswith("prod-retainwise-access-logs-")
    assert settings["routing.http.drop_invalid_header_fields.enabled"] == "true"

    assert (listener["Port"], listener["Protocol"]) == (443, "HTTPS")
    assert listener["SslPolicy"] == "ELBSecurityPolicy-TLS13-1-3-2021-06"
    actions = [one["Type"] for one in listener["DefaultActions"]]
    assert actions == ["authenticate-cognito", "forward"]
    tokens, api = cloud.rules()["10"], cloud.rules()["20"]
    assert [one["Type"] for one in tokens["Actions"]] == ["forward"]
    assert {one["Field"] for one in tokens["Conditions"]} == {"path-pattern", "http-header"}
    assert [one["Type"] for one in api["Actions"]] == ["authenticate-cognito", "forward"]

    [group] = elb.describe_target_groups()["TargetGroups"]
    assert tokens["Actions"][0]["TargetGroupArn"] == group["TargetGroupArn"]
    assert (group["HealthCheckPath"], group["HealthCheckIntervalSeconds"]) == ("/readyz", 5)
    answer = elb.describe_target_group_attributes(TargetGroupArn=group["TargetGroupArn"])
    settings = {one["Key"]: one["Value"] for one in answer["Attributes"]}
    assert settings["deregistration_delay.timeout_seconds"] == "5"

    certificate = cloud.client("acm").describe_certificate(
        CertificateArn=listener["Certificates"][0]["CertificateArn"]
    )["Certificate"]
    assert (certificate["DomainName"], certificate["Status"]) == (HOST, "ISSUED")
    proof = certificate["DomainValidationOptions"][0]["ResourceRecord"]
    records = cloud.records()
    assert records["CNAME"]["ResourceRecords"] == [{"Value": proof["Value"]}]
    assert records["A"]["Name"] == f"{HOST}."
    assert records["A"]["AliasTarget"]["DNSName"] == f"{load_balancer['DNSName']}."

    acl = cloud.web_acl()["WebACL"]
    assert [one["Name"] for one in acl["Rules"]][:2] == ["rate", "AWSManagedRulesCommonRuleSet"]
    managed = acl["Rules"][1]["Statement"]["ManagedRuleGroupStatement"]
    assert {"Name": "SizeRestrictions_BODY", "ActionToUse": {"Count": {}}} in managed[
        "RuleActionOverrides"
    ]
    guarded = cloud.client("wafv2").get_web_acl_for_resource(
        ResourceArn=load_balancer["LoadBalancerArn"]
    )
    assert guarded["WebACL"]["ARN"] == acl["ARN"]


def who_can_sign_in_is_right(cloud):
    idp, pool = cloud.client("cognito-idp"), cloud.pool()
    assert pool["Policies"]["PasswordPolicy"]["MinimumLength"] == 14
    assert pool["AdminCreateUserConfig"]["AllowAdminCreateUserOnly"] is True
    assert pool["DeletionProtection"] == "ACTIVE"
    assert "custom:account" in [one["Name"] for one in pool["SchemaAttributes"]]
    assert pool["Domain"] == "prod-retainwise-000000000000"
    mfa = idp.get_user_pool_mfa_config(UserPoolId=pool["Id"])
    assert mfa["MfaConfiguration"] == "OPTIONAL"
    assert mfa["SoftwareTokenMfaConfiguration"] == {"Enabled": True}
    [listed] = idp.list_user_pool_clients(UserPoolId=pool["Id"], MaxResults=10)["UserPoolClients"]
    client = idp.describe_user_pool_client(UserPoolId=pool["Id"], ClientId=listed["ClientId"])
    client = client["UserPoolClient"]
    assert client["CallbackURLs"] == [f"https://{HOST}/oauth2/idpresponse"]
    assert client["WriteAttributes"] == ["name"]
    assert client["ClientSecret"]

    kind = cognito.UserPoolClient(
        Clients(cloud.emulator.session, cloud.emulator.endpoint), "retainwise/prod"
    )
    declared = {"name": client["ClientName"], "userPoolId": pool["Id"], "generateSecret": True}
    found = kind.find("prod-retainwise", declared)
    assert found.id == client["ClientId"]
    assert client["ClientSecret"] not in repr(found)


def test_what_was_changed_by_hand_at_the_edge_is_put_back(cloud):
    cloud.apply("dev")
    elb, waf, idp = cloud.client("elbv2"), cloud.client("wafv2"), cloud.client("cognito-idp")
    name = "dev-retainwise"
    arn = cloud.load_balancer(name)["LoadBalancerArn"]
    [listener] = elb.describe_listeners(LoadBalancerArn=arn)["Listeners"]
    rules = elb.describe_rules(ListenerArn=listener["ListenerArn"])["Rules"]
    rule = {one["Priority"]: one["RuleArn"] for one in rules}
    attribute = {"Key": "idle_timeout.timeout_seconds", "Value": "1"}
    elb.modify_load_balancer_attributes(LoadBalancerArn=arn, Attributes=[attribute])
    elb.modify_listener(ListenerArn=listener["ListenerArn"], SslPolicy="ELBSecurityPolicy-2016-08")
    elb.modify_rule(
        RuleArn=rule["10"],
        Conditions=[{"Field": "path-pattern", "PathPatternConfig": {"Values": ["/*"]}}],
    )
    elb.delete_rule(RuleArn=rule["20"])
    acl = cloud.web_acl()
    waf.update_web_acl(
        Name=name,
        Scope="REGIONAL",
        Id=acl["WebACL"]["Id"],
        DefaultAction={"Allow": {}},
        Rules=[],
        VisibilityConfig=acl["WebACL"]["VisibilityConfig"],
        LockToken=acl["LockToken"],
    )
    waf.disassociate_web_acl(ResourceArn=arn)
    pool = cloud.pool()["Id"]
    idp.set_user_pool_mfa_config(UserPoolId=pool, MfaConfiguration="OFF")
    idp.update_user_pool(UserPoolId=pool, AdminCreateUserConfig={"AllowAdminCreateUserOnly": False})
    record = cloud.records()["CNAME"]
    record["ResourceRecords"] = [{"Value": "elsewhere.example."}]
    cloud.client("route53").change_resource_record_sets(
        HostedZoneId=cloud.zone,
        ChangeBatch={"Changes": [{"Action": "UPSERT", "ResourceRecordSet": record}]},
    )

    changes = {line.rpartition("aws:")[2].split(" ")[0] for line in cloud.apply("dev").changes}

    assert changes == {
        "lb/loadBalancer:LoadBalancer",
        "lb/listener:Listener",
        "lb/listenerRule:ListenerRule",
        "wafv2/webAcl:WebAcl",
        "wafv2/webAclAssociation:WebAclAssociation",
        "cognito/userPool:UserPool",
        "route53/record:Record",
    }
    rules = elb.describe_rules(ListenerArn=listener["ListenerArn"])["Rules"]
    rules = {one["Priority"]: one for one in rules}
    assert {one["Field"] for one in rules["10"]["Conditions"]} == {"path-pattern", "http-header"}
    assert len(rules["20"]["Actions"]) == 2
    [listener] = elb.describe_listeners(LoadBalancerArn=arn)["Listeners"]
    assert listener["SslPolicy"] == "ELBSecurityPolicy-TLS13-1-3-2021-06"
    assert len(listener["DefaultActions"]) == 2
    assert len(cloud.web_acl()["WebACL"]["Rules"]) == 4
    assert waf.get_web_acl_for_resource(ResourceArn=arn)["WebACL"]["Name"] == name
    assert cloud.pool()["AdminCreateUserConfig"]["AllowAdminCreateUserOnly"] is True
    assert cloud.pool()["Policies"]["PasswordPolicy"]["MinimumLength"] == 14
    assert idp.get_user_pool_mfa_config(UserPoolId=pool)["MfaConfiguration"] == "OPTIONAL"
    assert cloud.records()["CNAME"]["ResourceRecords"] != [{"Value": "elsewhere.example."}]


def test_an_edge_that_leaves_the_program_leaves_the_cloud(cloud):
    cloud.apply("dev")
    cloud.client("elbv2").create_target_group(Name="stranger", Protocol="HTTP", Port=80)
    stranger = {
        "Name": "stranger.example.com",
        "Type": "CNAME",
        "TTL": 60,
        "ResourceRecords": [{"Value": "elsewhere.example."}],
    }
    cloud.client("route53").change_resource_record_sets(
        HostedZoneId=cloud.zone,
        ChangeBatch={"Changes": [{"Action": "CREATE", "ResourceRecordSet": stranger}]},
    )
    config = cloud.config("dev")
    del config["retainwise:edge"]
    config["retainwise:services"]["web"]["identity_provider"] = "demo"

    cloud.apply("dev", config)

    elb = cloud.client("elbv2")
    assert elb.describe_load_balancers()["LoadBalancers"] == []
    assert elb.describe_listeners()["Listeners"] == []
    groups = elb.describe_target_groups()["TargetGroups"]
    assert [one["TargetGroupName"] for one in groups] == ["stranger"]
    assert [one["Name"] for one in cloud.records().values()] == ["stranger.example.com."]
    assert cloud.client("acm").list_certificates()["CertificateSummaryList"] == []
    assert cloud.client("wafv2").list_web_acls(Scope="REGIONAL")["WebACLs"] == []
    assert cloud.client("cognito-idp").list_user_pools(MaxResults=10)["UserPools"] == []
