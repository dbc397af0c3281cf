"""The policy scan: what it finds in a graph that was broken, and that its table cannot rot.

Each break is found by the check that is there for it, which passed before: the translation carries
what checkov looks at, in the resource itself and in what is connected to it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

import pytest

from operations.graph import Graph
from operations.scan import EXCEPTIONS, Allowed, Judgement, Report, complaints, scan, subjects
from operations.terraform import type_of
from questions import Break, changed, in_container, in_policy, setting, without

LOOKED_AT = {
    "aws_flow_log": "CKV2_AWS_11",
    "aws_s3_bucket_logging": "CKV_AWS_18",
    "aws_wafv2_web_acl_logging_configuration": "CKV2_AWS_31",
    "aws_default_security_group": "CKV2_AWS_12",
    "aws_s3_bucket_replication_configuration": "CKV_AWS_144",
    "aws_s3_bucket_server_side_encryption_configuration": "CKV_AWS_145",
    "aws_s3_bucket_versioning": "CKV_AWS_21",
    "aws_wafv2_web_acl_association": "CKV2_AWS_28",
}
"""Types that no check judges, with one that looks at them beside what they belong to."""

NOT_JUDGED = {
    "aws_cloudwatch_log_resource_policy",
    "aws_acm_certificate_validation",
    "aws_appautoscaling_policy",
    "aws_appautoscaling_target",
    "aws_backup_plan",
    "aws_backup_region_settings",
    "aws_backup_selection",
    "aws_budgets_budget",
    "aws_cloudwatch_dashboard",
    "aws_cloudwatch_event_rule",
    "aws_cloudwatch_event_target",
    "aws_cognito_user_pool",
    "aws_cognito_user_pool_client",
    "aws_cognito_user_pool_domain",
    "aws_ecr_lifecycle_policy",
    "aws_ecs_cluster_capacity_providers",
    "aws_iam_openid_connect_provider",
    "aws_iam_role_policies_exclusive",
    "aws_iam_role_policy_attachments_exclusive",
    "aws_internet_gateway",
    "aws_kms_alias",
    "aws_kms_replica_key",
    "aws_lb_listener_rule",
    "aws_route_table_association",
    "aws_s3_bucket_object_lock_configuration",
    "aws_sns_topic_subscription",
    "aws_sqs_queue_redrive_allow_policy",
    "aws_vpc_endpoint",
}
"""Types that checkov has no check for: what must hold of them is asked of the graph itself."""


@dataclass(frozen=True)
class Broken:
    """A way to break a graph, and the check that must find it."""

    check: str
    how: Break
    subject: str = "prod"


def _trusting_everybody(inputs: dict) -> None:
    document = json.loads(inputs["assumeRolePolicy"])
    document["Statement"][0]["Principal"] = {"AWS": "*"}
    inputs["assumeRolePolicy"] = json.dumps(document)


def _without_bad_inputs(inputs: dict) -> None:
    inputs["rules"] = [
        rule for rule in inputs["rules"] if rule["name"] != "AWSManagedRulesKnownBadInputsRuleSet"
    ]


def _by_s3s_own_key(inputs: dict) -> None:
    inputs["rules"][0]["applyServerSideEncryptionByDefault"] = {"sseAlgorithm": "AES256"}


def _for_everybody(statement: dict) -> None:
    statement.pop("Condition", None)
    statement.update(Effect="Allow", Principal="*")


ANYWHERE = {"cidrIpv4": "0.0.0.0/0", "referencedSecurityGroupId": None}
BREAKS = {
    "a queue is not encrypted": Broken("CKV_AWS_27", setting("Queue", kmsMasterKeyId=None)),
    "a queue is for everybody": Broken("CKV_AWS_168", in_policy("QueuePolicy", _for_everybody)),
    "a topic is not encrypted": Broken("CKV_AWS_26", setting("Topic", kmsMasterKeyId=None)),
    "a topic is for everybody": Broken("CKV_AWS_169", in_policy("TopicPolicy", _for_everybody)),
    "a bucket may be public": Broken("CKV2_AWS_6", without("BucketPublicAccessBlock")),
    "a bucket takes public policies": Broken(
        "CKV_AWS_54", setting("BucketPublicAccessBlock", blockPublicPolicy=False)
    ),
    "a bucket is for everybody": Broken("CKV_AWS_70", in_policy("BucketPolicy", _for_everybody)),
    "a bucket has no versions": Broken("CKV_AWS_21", without("BucketVersioning")),
    "a bucket has S3's own key": Broken(
        "CKV_AWS_145",
        changed(
            "BucketServerSideEncryptionConfiguration", _by_s3s_own_key, "-uploads-111122223333"
        ),
    ),
    "a bucket is never tidied": Broken("CKV2_AWS_61", without("BucketLifecycleConfiguration")),
    "a bucket has lists of who may": Broken(
        "CKV2_AWS_65", setting("BucketOwnershipControls", rule={"objectOwnership": "ObjectWriter"})
    ),
    "nobody knows who read a bucket": Broken("CKV_AWS_18", without("BucketLogging")),
    "nobody knows what was refused": Broken("CKV2_AWS_11", without("FlowLog")),
    "nobody knows what the firewall did": Broken(
        "CKV2_AWS_31", without("WebAclLoggingConfiguration")
    ),
    "a bucket has no copy": Broken("CKV_AWS_144", without("BucketReplicationConfig")),
    "a table is not restorable": Broken(
        "CKV_AWS_28", setting("Table", pointInTimeRecovery={"enabled": False})
    ),
    "a table has AWS's key": Broken("CKV_AWS_119", setting("Table", serverSideEncryption=None)),
    "backups have AWS's key": Broken("CKV_AWS_166", setting("Vault", kmsKeyArn=None)),
    "a key is never changed": Broken("CKV_AWS_7", setting("Key", enableKeyRotation=False)),
    "SSH is open": Broken(
        "CKV_AWS_24", setting("SecurityGroupIngressRule", fromPort=22, toPort=22, **ANYWHERE)
    ),
    "everything may go out": Broken(
        "CKV_AWS_382",
        setting("SecurityGroupEgressRule", fromPort=-1, toPort=-1, ipProtocol="-1", **ANYWHERE),
    ),
    "the default group is open": Broken("CKV2_AWS_12", without("DefaultSecurityGroup")),
    "a subnet gives public addresses": Broken(
        "CKV_AWS_130", setting("Subnet", mapPublicIpOnLaunch=True)
    ),
    "a service has a public address": Broken(
        "CKV_AWS_333",
        changed(
            "Service", lambda inputs: inputs["networkConfiguration"].update(assignPublicIp=True)
        ),
    ),
    "a container writes to its root": Broken(
        "CKV_AWS_336", in_container(readonlyRootFilesystem=False)
    ),
    "nobody measures the containers": Broken("CKV_AWS_65", setting("Cluster", settings=[])),
    "the load balancer has no firewall": Broken("CKV2_AWS_28", without("WebAclAssociation")),
    "the firewall lets Log4j pass": Broken("CKV_AWS_192", changed("WebAcl", _without_bad_inputs)),
    "the load balancer keeps no logs": Broken(
        "CKV_AWS_91", setting("LoadBalancer", accessLogs=None)
    ),
    "the listener speaks old TLS": Broken(
        "CKV_AWS_103", setting("Listener", sslPolicy="ELBSecurityPolicy-2016-08")
    ),
    "nobody looks whether tasks are well": Broken(
        "CKV_AWS_261", setting("TargetGroup", healthCheck=None)
    ),
    "a certificate is for any name": Broken(
        "CKV2_AWS_71", setting("Certificate", domainName="*.example.com")
    ),
    "logs are not encrypted": Broken("CKV_AWS_158", setting("LogGroup", kmsKeyId=None)),
    "an alarm does nothing": Broken("CKV_AWS_319", setting("MetricAlarm", actionsEnabled=False)),
    "a role may do anything": Broken(
        "CKV_AWS_63", in_policy("RolePolicy", lambda one: one.update(Action="*", Resource="*"))
    ),
    "a role is for everybody": Broken("CKV_AWS_60", changed("Role", _trusting_everybody)),
    "images are written over": Broken(
        "CKV_AWS_51", setting("Repository", imageTagMutability="MUTABLE"), "bootstrap"
    ),
    "images are not looked at": Broken(
        "CKV_AWS_163",
        setting("Repository", imageScanningConfiguration={"scanOnPush": False}),
        "bootstrap",
    ),
    "a policy may do anything": Broken(
        "CKV_AWS_63",
        in_policy("Policy", lambda one: one.update(Action="*", Resource="*")),
        "bootstrap",
    ),
}


@pytest.fixture(scope="module")
def graphs() -> dict[str, Graph]:
    return subjects()


@pytest.fixture(scope="module")
def report(graphs) -> Report:
    """Of all that is scanned, and of two programs with all the breaks at once.

    One graph for each break would take minutes. No two of them have the same check to find.
    """
    broken = {f"broken-{subject}": graphs[subject] for subject in ("prod", "bootstrap")}
    for one in BREAKS.values():
        broken[f"broken-{one.subject}"] = one.how(broken[f"broken-{one.subject}"])
    return scan({**graphs, **broken})


def _of(judgements, subject: str) -> set[tuple[str, str]]:
    """Return the check and the resource of each judgement of a subject."""
    return {
        (one.check, one.resource.removeprefix(f"{subject} "))
        for one in judgements
        if one.resource.startswith(f"{subject} ")
    }


@pytest.mark.parametrize("what", BREAKS)
def test_a_broken_program_is_found_out(report, what):
    broken = BREAKS[what]
    new = _of(report.failed, f"broken-{broken.subject}") - _of(report.failed, broken.subject)
    found = {one for one in new if one[0] == broken.check}
    assert found, new
    assert found <= _of(report.passed, broken.subject)


def test_each_break_has_a_check_of_its_own():
    checks = [(broken.subject, broken.check) for broken in BREAKS.values()]
    assert len(set(checks)) == len(checks) >= 30


def test_every_type_is_judged_or_listed(graphs, report):
    types = {type_of(one.type) for graph in graphs.values() for one in graph.resources}
    assert types - report.types == NOT_JUDGED | LOOKED_AT.keys()


def test_what_is_only_looked_at_beside_others_is_broken_above():
    assert set(LOOKED_AT.values()) <= {broken.check for broken in BREAKS.values()}


def test_a_finding_without_an_answer_is_complained_of():
    finding = Judgement("CKV_AWS_27", "prod Queue prod-retainwise-dlq", "Encrypted")
    report = Report(frozenset(), frozenset({finding}), frozenset())
    allowed = Allowed("CKV_AWS_27", "prod Queue *-dlq", "because")
    elsewhere = Allowed("CKV_AWS_27", "dev Queue *-dlq", "because")
    assert complaints(report, ()) == ["prod Queue prod-retainwise-dlq: Encrypted (CKV_AWS_27)"]
    assert complaints(report, (allowed,)) == []
    assert len(complaints(report, (elsewhere,))) == 2


def test_an_exception_that_nothing_needs_is_complained_of():
    allowed = Allowed("CKV_AWS_27", "prod Queue *-dlq", "because")
    [complaint] = complaints(Report(frozenset(), frozenset(), frozenset()), (allowed,))
    assert complaint.startswith("nothing needs this exception any more: CKV_AWS_27")


def test_every_exception_has_a_reason():
    assert all(len(allowed.reason) > 20 for allowed in EXCEPTIONS)
