"""The public side of a stack in the emulator, asked of the emulator itself, not of the kinds."""

from __future__ import annotations

import copy
import json

from localcloud import apply as applying
from localcloud.program import stack_config

HOST = "retainwise.example.com"
PROD, DEV = "prod-retainwise", "dev-retainwise"


def load_balancer(emulator, name):
    [one] = emulator.client("elbv2").describe_load_balancers(Names=[name])["LoadBalancers"]
    return one


def listener(emulator, name):
    arn = load_balancer(emulator, name)["LoadBalancerArn"]
    [one] = emulator.client("elbv2").describe_listeners(LoadBalancerArn=arn)["Listeners"]
    return one


def rules(emulator, name):
    arn = listener(emulator, name)["ListenerArn"]
    answer = emulator.client("elbv2").describe_rules(ListenerArn=arn)
    return {one["Priority"]: one for one in answer["Rules"] if not one["IsDefault"]}


def web_acl(emulator):
    waf = emulator.client("wafv2")
    [one] = waf.list_web_acls(Scope="REGIONAL")["WebACLs"]
    return waf.get_web_acl(Name=one["Name"], Scope="REGIONAL", Id=one["Id"])


def pool(emulator):
    idp = emulator.client("cognito-idp")
    [one] = idp.list_user_pools(MaxResults=10)["UserPools"]
    return idp.describe_user_pool(UserPoolId=one["Id"])["UserPool"]


def zone(emulator):
    [one] = emulator.client("route53").list_hosted_zones()["HostedZones"]
    return one["Id"]


def records(emulator):
    answer = emulator.client("route53").list_resource_record_sets(HostedZoneId=zone(emulator))
    return {one["Type"]: one for one in answer["ResourceRecordSets"] if one["Type"] in "A CNAME"}


def put_record(emulator, record):
    emulator.client("route53").change_resource_record_sets(
        HostedZoneId=zone(emulator),
        ChangeBatch={"Changes": [{"Action": "UPSERT", "ResourceRecordSet": record}]},
    )


def by_key(pairs):
    return {one["Key"]: one["Value"] for one in pairs["Attributes"]}


def test_the_load_balancer_is_hardened_logs_and_cannot_be_deleted(prod):
    one = load_balancer(prod, PROD)
    assert one["Scheme"] == "internet-facing"
    assert len(one["AvailabilityZones"]) == 3
    settings = by_key(
        prod.client("elbv2").describe_load_balancer_attributes(
            LoadBalancerArn=one["LoadBalancerArn"]
        )
    )
    assert settings["deletion_protection.enabled"] == "true"
    assert settings["access_logs.s3.enabled"] == "true"
    assert settings["access_logs.s3.bucket"].startswith(f"{PROD}-access-logs-")
    assert settings["routing.http.drop_invalid_header_fields.enabled"] == "true"


def test_it_listens_by_tls_and_has_people_sign_in(prod):
    one, by_priority = listener(prod, PROD), rules(prod, PROD)
    assert (one["Port"], one["Protocol"]) == (443, "HTTPS")
    assert one["SslPolicy"] == "ELBSecurityPolicy-TLS13-1-3-2021-06"
    sign_in_first = ["authenticate-cognito", "forward"]
    assert [action["Type"] for action in one["DefaultActions"]] == sign_in_first
    assert [action["Type"] for action in by_priority["20"]["Actions"]] == sign_in_first
    ready, tokens = by_priority["5"], by_priority["10"]
    assert [action["Type"] for action in ready["Actions"]] == ["forward"]
    assert ready["Conditions"][0]["PathPatternConfig"]["Values"] == ["/readyz"]
    assert [action["Type"] for action in tokens["Actions"]] == ["forward"]
    assert {one["Field"] for one in tokens["Conditions"]} == {"path-pattern", "http-header"}
    elb = prod.client("elbv2")
    [group] = elb.describe_target_groups()["TargetGroups"]
    assert tokens["Actions"][0]["TargetGroupArn"] == group["TargetGroupArn"]
    assert (group["HealthCheckPath"], group["HealthCheckIntervalSeconds"]) == ("/healthz", 5)
    settings = elb.describe_target_group_attributes(TargetGroupArn=group["TargetGroupArn"])
    assert by_key(settings)["deregistration_delay.timeout_seconds"] == "5"


def test_its_name_has_a_certificate_and_leads_to_it(prod):
    [given] = listener(prod, PROD)["Certificates"]
    answer = prod.client("acm").describe_certificate(CertificateArn=given["CertificateArn"])
    certificate = answer["Certificate"]
    assert (certificate["DomainName"], certificate["Status"]) == (HOST, "ISSUED")
    proof = certificate["DomainValidationOptions"][0]["ResourceRecord"]
    by_type = records(prod)
    assert by_type["CNAME"]["ResourceRecords"] == [{"Value": proof["Value"]}]
    assert by_type["A"]["Name"] == f"{HOST}."
    dns_name = load_balancer(prod, PROD)["DNSName"]
    assert by_type["A"]["AliasTarget"]["DNSName"] == f"{dns_name}."


def test_the_firewall_stands_before_it_and_lets_large_bodies_pass(prod):
    acl = web_acl(prod)["WebACL"]
    assert [one["Name"] for one in acl["Rules"]][:2] == ["rate", "AWSManagedRulesCommonRuleSet"]
    managed = acl["Rules"][1]["Statement"]["ManagedRuleGroupStatement"]
    counted = {"Name": "SizeRestrictions_BODY", "ActionToUse": {"Count": {}}}
    assert counted in managed["RuleActionOverrides"]
    arn = load_balancer(prod, PROD)["LoadBalancerArn"]
    answer = prod.client("wafv2").get_web_acl_for_resource(ResourceArn=arn)
    assert answer["WebACL"]["ARN"] == acl["ARN"]


def test_people_are_invited_to_the_pool_and_the_client_has_a_secret(prod, monkeypatch):
    told = []
    resource = applying._LocalProvider.resource
    monkeypatch.setattr(
        applying._LocalProvider,
        "resource",
        lambda self, declared: told.append((declared, resource(self, declared))) or told[-1][1],
    )
    outcome = prod.apply("prod")
    idp, people = prod.client("cognito-idp"), pool(prod)
    assert people["Policies"]["PasswordPolicy"]["MinimumLength"] == 14
    assert people["AdminCreateUserConfig"]["AllowAdminCreateUserOnly"] is True
    assert people["DeletionProtection"] == "ACTIVE"
    assert "custom:account" in [one["Name"] for one in people["SchemaAttributes"]]
    assert people["Domain"] == f"{PROD}-000000000000"
    mfa = idp.get_user_pool_mfa_config(UserPoolId=people["Id"])
    assert mfa["SoftwareTokenMfaConfiguration"] == {"Enabled": True}
    [one] = idp.list_user_pool_clients(UserPoolId=people["Id"], MaxResults=10)["UserPoolClients"]
    answer = idp.describe_user_pool_client(UserPoolId=people["Id"], ClientId=one["ClientId"])
    client = answer["UserPoolClient"]
    assert client["CallbackURLs"] == [f"https://{HOST}/oauth2/idpresponse"]
    assert client["WriteAttributes"] == ["name"]
    assert client["ClientId"] in repr(told)
    assert client["ClientSecret"]
    assert client["ClientSecret"] not in repr(told) + repr(outcome)


def test_what_cannot_be_created_is_named(prod):
    assert sorted(prod.apply("prod").skipped) == [
        f"aws:appautoscaling/policy:Policy {PROD}-web-follows",
        f"aws:appautoscaling/policy:Policy {PROD}-worker-follows",
        f"aws:appautoscaling/policy:Policy {PROD}-worker-leaves",
        f"aws:appautoscaling/target:Target {PROD}-web",
        f"aws:appautoscaling/target:Target {PROD}-worker",
        f"aws:wafv2/webAclLoggingConfiguration:WebAclLoggingConfiguration {PROD}",
    ]


def test_what_was_changed_by_hand_at_the_edge_is_put_back(prod):
    elb, waf, idp = prod.client("elbv2"), prod.client("wafv2"), prod.client("cognito-idp")
    arn = load_balancer(prod, PROD)["LoadBalancerArn"]
    listens, by_priority = listener(prod, PROD)["ListenerArn"], rules(prod, PROD)
    people, acl = pool(prod)["Id"], web_acl(prod)
    log = {"Key": "access_logs.s3.enabled", "Value": "false"}
    elb.modify_load_balancer_attributes(LoadBalancerArn=arn, Attributes=[log])
    elb.modify_listener(ListenerArn=listens, SslPolicy="ELBSecurityPolicy-2016-08")
    anything = [{"Field": "path-pattern", "PathPatternConfig": {"Values": ["/*"]}}]
    elb.modify_rule(RuleArn=by_priority["10"]["RuleArn"], Conditions=anything)
    elb.delete_rule(RuleArn=by_priority["20"]["RuleArn"])
    waf.update_web_acl(
        Name=PROD,
        Scope="REGIONAL",
        Id=acl["WebACL"]["Id"],
        DefaultAction={"Allow": {}},
        Rules=[],
        VisibilityConfig=acl["WebACL"]["VisibilityConfig"],
        LockToken=acl["LockToken"],
    )
    waf.disassociate_web_acl(ResourceArn=arn)
    idp.set_user_pool_mfa_config(UserPoolId=people, MfaConfiguration="OFF")
    anybody = {"AllowAdminCreateUserOnly": False}
    idp.update_user_pool(UserPoolId=people, AdminCreateUserConfig=anybody)
    elsewhere = [{"Value": "elsewhere.example."}]
    put_record(prod, records(prod)["CNAME"] | {"ResourceRecords": elsewhere})

    changes = {line.rpartition("aws:")[2].split(" ")[0] for line in prod.apply("prod").changes}

    assert changes == {
        "lb/loadBalancer:LoadBalancer",
        "lb/listener:Listener",
        "lb/listenerRule:ListenerRule",
        "wafv2/webAcl:WebAcl",
        "wafv2/webAclAssociation:WebAclAssociation",
        "cognito/userPool:UserPool",
        "route53/record:Record",
    }
    test_the_load_balancer_is_hardened_logs_and_cannot_be_deleted(prod)
    test_it_listens_by_tls_and_has_people_sign_in(prod)
    test_its_name_has_a_certificate_and_leads_to_it(prod)
    test_the_firewall_stands_before_it_and_lets_large_bodies_pass(prod)
    assert pool(prod)["AdminCreateUserConfig"]["AllowAdminCreateUserOnly"] is True
    assert pool(prod)["Policies"]["PasswordPolicy"]["MinimumLength"] == 14
    assert idp.get_user_pool_mfa_config(UserPoolId=people)["MfaConfiguration"] == "OPTIONAL"


def test_an_edge_that_leaves_the_program_leaves_the_cloud(emulator):
    emulator.bootstrap("dev")
    emulator.apply("dev")
    elb, logs = emulator.client("elbv2"), emulator.client("logs")
    everything = {"Effect": "Deny", "Principal": "*", "Action": "logs:*", "Resource": "*"}
    logs.put_resource_policy(
        policyName="stranger", policyDocument=json.dumps({"Statement": everything})
    )
    elb.create_target_group(Name="stranger", Protocol="HTTP", Port=80)
    stranger = {"Name": "stranger.example.com", "Type": "CNAME", "TTL": 60}
    put_record(emulator, stranger | {"ResourceRecords": [{"Value": "elsewhere.example."}]})
    config = copy.deepcopy(stack_config("dev"))
    del config["retainwise:edge"]
    config["retainwise:services"]["web"]["identity_provider"] = "demo"
    config["retainwise:operations"]["under_lease"] = False

    applying.apply(emulator.clients, "dev", config)

    assert elb.describe_load_balancers()["LoadBalancers"] == []
    assert elb.describe_listeners()["Listeners"] == []
    groups = elb.describe_target_groups()["TargetGroups"]
    assert [one["TargetGroupName"] for one in groups] == ["stranger"]
    assert [one["Name"] for one in records(emulator).values()] == ["stranger.example.com."]
    assert emulator.client("acm").list_certificates()["CertificateSummaryList"] == []
    assert emulator.client("wafv2").list_web_acls(Scope="REGIONAL")["WebACLs"] == []
    assert emulator.client("cognito-idp").list_user_pools(MaxResults=10)["UserPools"] == []
    assert emulator.client("ec2").describe_flow_logs()["FlowLogs"] == []
    policies = logs.describe_resource_policies()["resourcePolicies"]
    assert [one["policyName"] for one in policies] == ["stranger"]
    s3 = emulator.client("s3")
    buckets = [one["Name"] for one in s3.list_buckets()["Buckets"]]
    assert f"{DEV}-uploads-000000000000" in buckets
    assert not [one for one in buckets if "LoggingEnabled" in s3.get_bucket_logging(Bucket=one)]
