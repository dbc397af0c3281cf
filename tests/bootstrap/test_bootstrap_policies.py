"""What CI and the service's roles may do at most: asked in words, of whole policies.

Each question is also asked of a document that was broken on purpose.
"""

from __future__ import annotations

import json

import pytest

import iam_lint
from bootstrap.scope import WITHOUT_RESOURCE
from iam_decision import allowed

ACCOUNT_ID = "111122223333"
NAME = "prod-retainwise"
STATE = f"arn:aws:s3:::{NAME}-state-{ACCOUNT_ID}"
STATE_KEY = f"arn:aws:kms:eu-west-1:{ACCOUNT_ID}:key/mrk-1"
OTHER_KEY = f"arn:aws:kms:eu-west-1:{ACCOUNT_ID}:key/mrk-2"
LEASE = f"arn:aws:dynamodb:eu-west-1:{ACCOUNT_ID}:table/{NAME}-deploy-lease"
RECORDS = f"arn:aws:dynamodb:eu-west-1:{ACCOUNT_ID}:table/{NAME}-predictions"
BOUNDARY = f"arn:aws:iam::{ACCOUNT_ID}:policy/{NAME}-boundary"
OWN_ROLES = [
    f"arn:aws:iam::{ACCOUNT_ID}:role/{NAME}-{what}"
    for what in ("preview", "deploy", "state-replication")
]
TASK_ROLE = f"arn:aws:iam::{ACCOUNT_ID}:role/{NAME}-web-task"
TAGGED = {"aws:ResourceTag/project": "retainwise", "aws:ResourceTag/environment": "prod"}
BOUNDED = {"iam:PermissionsBoundary": BOUNDARY}

LARGEST_POLICY = 6_144  # AWS counts no white space in a managed policy
MOST_POLICIES = 10

# To read these is to read what customers gave us or what nobody should know. None but the state,
# the release records beside it and the lease.
CONTENT = {
    "dynamodb:BatchGetItem",
    "dynamodb:GetItem",
    "dynamodb:GetRecords",
    "dynamodb:PartiQLSelect",
    "dynamodb:Query",
    "dynamodb:Scan",
    "logs:FilterLogEvents",
    "logs:GetLogEvents",
    "logs:GetLogRecord",
    "logs:StartLiveTail",
    "logs:StartQuery",
    "s3:GetObject",
    "s3:GetObjectVersion",
    "secretsmanager:BatchGetSecretValue",
    "secretsmanager:GetSecretValue",
    "sqs:ReceiveMessage",
    "ssm:GetParameter",
}

# What the linter says and why it stays.
ALIASES = "IAM wants the key and the name: the key is allowed by its tags, the name by what it is"
NETWORK_LOAD_BALANCERS = (
    "the linter wants both kinds of load balancer; there is one, of applications"
)
BUCKET_POLICIES = (
    "a deploy writes the policies and lifecycles of the stack's buckets, so it could let itself "
    "in; it starts the service's code, too: who may deploy is trusted with what is deployed"
)
EXCEPTIONS = {
    **{
        f"RESOURCE_MISMATCH: kms:{call}Alias wants arn:*:kms:*:*:{kind}/*": ALIASES
        for call in ("Create", "Delete", "Update")
        for kind in ("alias", "key")
    },
    **{
        f"RESOURCE_MISMATCH: elasticloadbalancing:{call} wants "
        f"arn:*:elasticloadbalancing:*:*:{kind}/net/*/*/*{more}": NETWORK_LOAD_BALANCERS
        for kind, more, calls in (
            (
                "listener",
                "",
                ("CreateRule", "DeleteListener", "ModifyListener", "ModifyListenerAttributes"),
            ),
            ("listener-rule", "/*", ("DeleteRule", "ModifyRule", "SetRulePriorities")),
        )
        for call in calls
    },
    **{
        "RESOURCE_POLICY_PRIVILEGE_ESCALATION: Possible resource policy privilege escalation on "
        f"arn:aws:s3:::{NAME}-* due to s3:{missing} not being allowed, but does allow "
        f"s3:{has}": BUCKET_POLICIES
        for missing, has in (
            ("DeleteObject", "PutBucketPolicy"),
            ("DeleteObject", "PutLifecycleConfiguration"),
            ("GetObject", "PutBucketPolicy"),
            ("PutObject", "PutBucketPolicy"),
        )
    },
}

# A firewall can stand before these, too; ours stands before the load balancer.
OTHER_FIREWALLED = ("apigateway:", "appsync:", "apprunner:", "cognito-idp:", "ec2:")

# A flow log can have fields about ECS; ours has none.
OF_FLOW_LOGS = {"ecs:ListContainerInstances"}


def documents(graph):
    """Every policy of the program that says what a role may do, by its name."""
    return {
        name: json.loads(one.inputs["policy"])
        for kind in ("Policy", "RolePolicy")
        for name, one in graph.of(kind).items()
    }


def of_role(graph, what):
    """The policies that one of CI's roles has, by their names."""
    [exclusive] = [
        one
        for name, one in graph.of("RolePolicyAttachmentsExclusive").items()
        if name == f"{NAME}-{what}"
    ]
    names = [arn.rpartition("/")[2] for arn in exclusive.inputs["policyArns"]]
    return {name: documents(graph)[name] for name in names}


def statements(documents):
    return [one for document in documents.values() for one in document["Statement"]]


def granted(documents):
    return {
        action
        for one in statements(documents)
        if one["Effect"] == "Allow"
        for action in one["Action"]
    }


def wildcard_actions(documents):
    return {action for one in statements(documents) for action in one["Action"] if "*" in action}


def needlessly_on_everything(documents):
    return {
        action
        for one in statements(documents)
        if "*" in one["Resource"]
        for action in one["Action"]
        if action not in WITHOUT_RESOURCE or one["Effect"] == "Deny"
    }


def writes(documents):
    # AWS calls it a write to decrypt; what it may decrypt is asked for itself.
    return {
        action
        for action in granted(documents)
        if iam_lint.access_level(action) not in ("Read", "List") and action != "kms:Decrypt"
    }


def content_read(documents):
    """What is read of contents, and where."""
    return {
        (action, resource)
        for one in statements(documents)
        if one["Effect"] == "Allow"
        for action in one["Action"]
        if action in CONTENT
        for resource in one["Resource"]
        if not resource.startswith(f"{STATE}/") and resource != LEASE
    }


def keys_it_decrypts_with(documents):
    return {
        resource
        for one in statements(documents)
        if one["Effect"] == "Allow" and "kms:Decrypt" in one["Action"]
        for resource in one["Resource"]
    }


def outside_the_environment(documents):
    """Names of other environments or of none, in what may be changed by name."""
    return {
        resource
        for one in statements(documents)
        if one["Effect"] == "Allow" and "Condition" not in one and any(map(is_write, one["Action"]))
        for resource in one["Resource"]
        if resource != "*"
        and NAME not in resource
        and ":managedruleset/" not in resource  # AWS's own rules, which a firewall refers to
        and "/managedruleset/" not in resource
        and ":hostedzone/" not in resource
        and resource != STATE_KEY
    }


def is_write(action):
    return iam_lint.access_level(action) not in ("Read", "List")


def unexplained(documents):
    return {
        f"{name}: {finding}"
        for name, document in documents.items()
        for finding in iam_lint.findings(document)
        if finding not in EXCEPTIONS
    }


def too_large(documents):
    sizes = {
        name: len(json.dumps(document, separators=(",", ":")))
        for name, document in documents.items()
    }
    return {name for name, size in sizes.items() if size > LARGEST_POLICY}


def with_statement(documents, actions, resource="*", effect="Allow"):
    """The same policies, and one statement more in one of them."""
    more = {"Effect": effect, "Action": actions, "Resource": [resource]}
    name, document = min(documents.items())
    return documents | {name: {**document, "Statement": [*document["Statement"], more]}}


@pytest.fixture
def every_policy(prod):
    found = documents(prod)
    assert len(found) == 10
    return found


@pytest.fixture
def preview(prod):
    return of_role(prod, "preview")


@pytest.fixture
def deploy(prod):
    return of_role(prod, "deploy")


@pytest.fixture
def boundary(prod):
    return [documents(prod)[f"{NAME}-boundary"]]


def test_no_action_is_a_wildcard(every_policy):
    assert wildcard_actions(every_policy) == set()
    assert wildcard_actions(with_statement(every_policy, ["s3:Get*"])) == {"s3:Get*"}


def test_everything_is_the_resource_only_where_aws_takes_no_other(every_policy):
    assert needlessly_on_everything(every_policy) == set()
    broken = with_statement(every_policy, ["ec2:DescribeVpcs", "ecs:DescribeServices"])
    assert needlessly_on_everything(broken) == {"ecs:DescribeServices"}


def test_what_is_in_the_table_of_exceptions_takes_no_other_resource_and_is_used(every_policy):
    assert {one for one in WITHOUT_RESOURCE if iam_lint.resource_types(one)} == set()
    assert granted(every_policy) >= WITHOUT_RESOURCE.keys()
    assert iam_lint.resource_types("ecs:DescribeServices") == ["service*"]


def test_every_action_is_one_of_aws(every_policy):
    for action in granted(every_policy):
        assert iam_lint.access_level(action), action


def test_what_aws_checks_beside_an_action_is_allowed_too(deploy):
    def missing(documents):
        actions = granted(documents)
        return {
            other
            for action in actions
            for other in iam_lint.dependencies(action) - actions
            if not (action.startswith("wafv2:") and other.startswith(OTHER_FIREWALLED))
        }

    # For stacks that are not named; ours are.
    assert missing(deploy) == {"cloudformation:ListStacks", *OF_FLOW_LOGS}
    assert "kms:CreateKey" in missing(
        with_statement({"one": {"Statement": []}}, ["kms:ReplicateKey"])
    )


def test_the_linter_finds_nothing_but_what_is_explained(every_policy):
    assert unexplained(every_policy) == set()
    found = {one for document in every_policy.values() for one in iam_lint.findings(document)}
    assert EXCEPTIONS.keys() == found  # none is left over
    broken = with_statement(every_policy, ["sqs:SendMessages"])
    [finding] = unexplained(broken)
    assert "UNKNOWN_ACTION" in finding


def test_the_linter_finds_nothing_in_what_guards_a_bucket(prod):
    policies = [json.loads(one.inputs["policy"]) for one in prod.of("BucketPolicy").values()]
    assert len(policies) == 2
    assert [iam_lint.findings(one) for one in policies] == [[], []]


def test_a_preview_writes_nothing(preview):
    assert writes(preview) == set()
    assert writes(with_statement(preview, ["s3:PutObject"])) == {"s3:PutObject"}
    tags = with_statement(preview, ["ec2:CreateTags"])
    assert writes(tags) == {"ec2:CreateTags"}


def test_a_preview_reads_nothing_but_settings_the_state_and_what_is_told_of_deploys(preview):
    assert content_read(preview) == set()
    broken = with_statement(
        preview, ["s3:GetObject"], f"arn:aws:s3:::{NAME}-uploads-{ACCOUNT_ID}/*"
    )
    assert len(content_read(broken)) == 1


def test_a_preview_decrypts_with_the_state_s_key_alone(preview):
    assert keys_it_decrypts_with(preview) == {STATE_KEY}
    broken = with_statement(preview, ["kms:Decrypt"], "arn:aws:kms:eu-west-1:111122223333:key/*")
    assert keys_it_decrypts_with(broken) != {STATE_KEY}


@pytest.mark.parametrize("what", ["preview", "deploy"])
def test_ci_reads_the_service_s_state_and_not_the_bootstrap_s(prod, what):
    policies = of_role(prod, what).values()
    for key in ("stacks/retainwise/prod.json", "stacks/retainwise/prod.json.bak"):
        assert allowed(policies, "s3:GetObject", f"{STATE}/.pulumi/{key}")
    assert allowed(policies, "s3:GetObject", f"{STATE}/.pulumi/meta.yaml")
    theirs = f"{STATE}/.pulumi/stacks/retainwise-bootstrap/prod.json"
    assert not allowed(policies, "s3:GetObject", theirs)
    assert not allowed(policies, "s3:PutObject", theirs)


@pytest.mark.parametrize("what", ["preview", "deploy"])
def test_ci_reads_the_release_records_and_the_lease_and_only_a_deploy_writes_them(prod, what):
    policies, is_deploy = of_role(prod, what).values(), what == "deploy"
    record = f"{STATE}/releases/retainwise/prod/01J00000000000000000000000.json"
    assert allowed(policies, "s3:ListBucket", STATE)
    for action, resource in (("s3:GetObject", record), ("dynamodb:GetItem", LEASE)):
        assert allowed(policies, action, resource)
    for action, resource in (
        ("s3:PutObject", record),
        ("dynamodb:PutItem", LEASE),
        ("dynamodb:UpdateItem", LEASE),
    ):
        assert allowed(policies, action, resource) == is_deploy
    # A record is kept, and an item tells who had the lease last.
    for action, resource in (("s3:DeleteObject", record), ("dynamodb:DeleteItem", LEASE)):
        assert not allowed(policies, action, resource)
    for other in ("releases/retainwise-bootstrap/prod/1.json", "releases/other/prod/1.json"):
        assert not allowed(policies, "s3:GetObject", f"{STATE}/{other}")
        assert not allowed(policies, "s3:PutObject", f"{STATE}/{other}")
    assert not allowed(policies, "dynamodb:GetItem", RECORDS)


def test_a_deploy_looks_at_all_that_a_preview_looks_at(preview, deploy):
    assert preview.keys() < deploy.keys()


def test_a_deploy_reads_no_customer_s_data_but_to_make_a_replica_of_the_table(deploy, declare):
    replica = f"arn:aws:dynamodb:eu-central-1:{ACCOUNT_ID}:table/{NAME}*"
    reads = ("dynamodb:GetItem", "dynamodb:Query", "dynamodb:Scan")
    assert content_read(deploy) == {(action, replica) for action in reads}
    alone = of_role(declare("prod", {"state": {"recovery_region": None}}), "deploy")
    assert content_read(alone) == set()
    assert len(content_read(with_statement(alone, ["sqs:ReceiveMessage"]))) == 1


def test_a_deploy_changes_what_has_the_environment_s_name_and_nothing_else(deploy):
    assert outside_the_environment(deploy) == set()
    other = f"arn:aws:sqs:eu-west-1:{ACCOUNT_ID}:dev-retainwise-predictions-queue"
    assert not allowed(deploy.values(), "sqs:DeleteQueue", other)
    assert outside_the_environment(with_statement(deploy, ["sqs:DeleteQueue"], other)) == {other}


def test_what_has_only_an_id_is_changed_only_with_the_environment_s_tags(deploy):
    vpc = f"arn:aws:ec2:eu-west-1:{ACCOUNT_ID}:vpc/vpc-1"
    policies = deploy.values()
    foreign = TAGGED | {"aws:ResourceTag/environment": "dev"}
    for action, resource in (("ec2:DeleteVpc", vpc), ("kms:PutKeyPolicy", OTHER_KEY)):
        assert allowed(policies, action, resource, TAGGED)
        assert not allowed(policies, action, resource, foreign)
        assert not allowed(policies, action, resource)


def test_a_deploy_makes_its_own_what_has_no_tags_and_takes_nothing_from_others(deploy):
    group = f"arn:aws:ec2:eu-west-1:{ACCOUNT_ID}:security-group/sg-1"
    ours = {"aws:RequestTag/project": "retainwise", "aws:RequestTag/environment": "prod"}
    policies = deploy.values()
    assert allowed(policies, "ec2:CreateTags", group, ours)
    theirs = ours | {"aws:ResourceTag/project": "payroll"}
    assert not allowed(policies, "ec2:CreateTags", group, theirs)
    assert not allowed(policies, "ec2:CreateTags", group, TAGGED)
    # The state's key has the environment's tags, and is still out of reach.
    assert allowed(policies, "kms:TagResource", OTHER_KEY, ours)
    assert not allowed(policies, "kms:TagResource", STATE_KEY, ours)


def test_a_deploy_has_its_own_network_and_firewall_noted_and_nobody_else_s(deploy):
    policies, ec2 = deploy.values(), f"arn:aws:ec2:eu-west-1:{ACCOUNT_ID}"
    ours = {"aws:RequestTag/project": "retainwise", "aws:RequestTag/environment": "prod"}
    assert allowed(policies, "ec2:CreateFlowLogs", f"{ec2}:vpc-flow-log/*", ours)
    assert allowed(policies, "ec2:CreateFlowLogs", f"{ec2}:vpc/vpc-1", TAGGED)
    assert not allowed(policies, "ec2:CreateFlowLogs", f"{ec2}:vpc/vpc-1")
    assert not allowed(policies, "ec2:DeleteFlowLogs", f"{ec2}:vpc-flow-log/fl-1")
    for name, is_ours in ((NAME, True), ("dev-retainwise", False)):
        group = f"arn:aws:logs:eu-west-1:{ACCOUNT_ID}:log-group:aws-waf-logs-{name}"
        acl = f"arn:aws:wafv2:eu-west-1:{ACCOUNT_ID}:regional/webacl/{name}/id"
        assert allowed(policies, "logs:CreateLogGroup", group) == is_ours
        assert allowed(policies, "wafv2:PutLoggingConfiguration", acl) == is_ours
    assert not allowed(policies, "s3:PutBucketLogging", STATE)


def test_the_conditions_ask_for_the_tags_that_everything_gets(prod):
    [key] = prod.of("Key").values()
    for condition, value in TAGGED.items():
        assert key.inputs["tags"][condition.partition("/")[2]] == value


def test_a_deploy_writes_a_role_only_within_the_boundary(deploy):
    policies = deploy.values()
    for action in ("iam:CreateRole", "iam:PutRolePolicy", "iam:PutRolePermissionsBoundary"):
        assert allowed(policies, action, TASK_ROLE, BOUNDED)
        assert not allowed(policies, action, TASK_ROLE)
        wider = {"iam:PermissionsBoundary": "arn:aws:iam::aws:policy/AdministratorAccess"}
        assert not allowed(policies, action, TASK_ROLE, wider)
    assert not allowed(policies, "iam:DeleteRolePermissionsBoundary", TASK_ROLE, BOUNDED)
    foreign = f"arn:aws:iam::{ACCOUNT_ID}:role/administrator"
    assert not allowed(policies, "iam:PutRolePolicy", foreign, BOUNDED)


def test_a_deploy_cannot_touch_what_bounds_it(deploy):
    context = BOUNDED | {"iam:PassedToService": "ecs-tasks.amazonaws.com"}
    changes = {one for one in granted(deploy) if one.startswith("iam:") and is_write(one)}
    assert len(changes) > 10
    for role in OWN_ROLES:
        assert [one for one in changes if allowed(deploy.values(), one, role, context)] == []
    provider = f"arn:aws:iam::{ACCOUNT_ID}:oidc-provider/token.actions.githubusercontent.com"
    for policy in (BOUNDARY, f"arn:aws:iam::{ACCOUNT_ID}:policy/{NAME}-deploy-roles", provider):
        assert [one for one in changes if allowed(deploy.values(), one, policy, context)] == []
    # Its denials do that: without them it could give itself anything.
    without = [
        {"Statement": [one for one in statements(deploy) if one["Effect"] == "Allow"]},
    ]
    assert allowed(without, "iam:UpdateAssumeRolePolicy", OWN_ROLES[1])


def test_a_deploy_hands_roles_to_the_stack_s_services_only(deploy):
    policies = deploy.values()
    for service in ("ecs-tasks", "backup", "s3"):
        context = {"iam:PassedToService": f"{service}.amazonaws.com"}
        assert allowed(policies, "iam:PassRole", TASK_ROLE, context)
    assert not allowed(
        policies, "iam:PassRole", TASK_ROLE, {"iam:PassedToService": "ec2.amazonaws.com"}
    )
    assert not allowed(policies, "iam:PassRole", TASK_ROLE)


def decrypts(policies, via=None):
    """Whether the stack's key opens something, asked for through a service or by itself."""
    through = {"kms:ViaService": f"{via}.eu-west-1.amazonaws.com"} if via else {}
    return allowed(policies.values(), "kms:Decrypt", OTHER_KEY, TAGGED | through)


def test_a_deploy_uses_the_stack_s_key_only_through_what_it_makes_with_it(deploy):
    for service in ("backup", "dynamodb", "secretsmanager"):
        assert decrypts(deploy, service)
    # By these it could read what customers gave us, and by itself whatever it is shown.
    for service in ("s3", "sqs", "logs", None):
        assert not decrypts(deploy, service)
    assert decrypts(with_statement(deploy, ["kms:Decrypt"], OTHER_KEY))
    uses = [
        one
        for one in statements(deploy)
        if one["Effect"] == "Allow" and "kms:Decrypt" in one["Action"]
    ]
    loose = [one for one in uses if "kms:ViaService" not in json.dumps(one.get("Condition"))]
    assert [one["Resource"] for one in loose] == [[STATE_KEY]]


def test_a_deploy_uses_the_state_the_lease_and_the_images_and_cannot_change_them(deploy):
    policies = deploy.values()
    lock = f"{STATE}/.pulumi/locks/organization/retainwise/prod/1.json"
    repository = f"arn:aws:ecr:eu-west-1:{ACCOUNT_ID}:repository/{NAME}-web"
    for action, resource in (
        ("s3:PutObject", lock),
        ("s3:DeleteObject", lock),
        ("s3:ListBucket", STATE),
        ("kms:Encrypt", STATE_KEY),
        ("dynamodb:PutItem", LEASE),
        ("ecr:PutImage", repository),
    ):
        assert allowed(policies, action, resource), action
    for action, resource in (
        ("s3:PutBucketPolicy", STATE),
        ("s3:DeleteBucket", STATE),
        ("s3:PutLifecycleConfiguration", STATE),
        ("s3:DeleteObjectVersion", lock),
        ("s3:BypassGovernanceRetention", lock),
        ("kms:PutKeyPolicy", STATE_KEY),
        ("kms:ScheduleKeyDeletion", STATE_KEY),
        ("dynamodb:DeleteTable", LEASE),
        ("ecr:DeleteRepository", repository),
        ("ecr:PutImageTagMutability", repository),
    ):
        assert not allowed(policies, action, resource, TAGGED), action
    assert allowed(policies, "s3:PutBucketPolicy", f"arn:aws:s3:::{NAME}-uploads-{ACCOUNT_ID}")
    assert allowed(policies, "dynamodb:DeleteTable", RECORDS)


def test_records_are_written_in_the_zones_that_are_given_and_no_other(deploy, declare):
    change = "route53:ChangeResourceRecordSets"
    zone = "arn:aws:route53:::hostedzone/"
    assert allowed(deploy.values(), change, f"{zone}Z0000000000000000000")
    assert not allowed(deploy.values(), change, f"{zone}Z1")
    none = of_role(declare("prod", {"deploy": {"hosted_zone_ids": []}}), "deploy")
    assert change not in granted(none)


def test_the_boundary_holds_the_service_s_roles_to_the_environment(boundary):
    uploads = f"arn:aws:s3:::{NAME}-uploads-{ACCOUNT_ID}"
    queue = f"arn:aws:sqs:eu-west-1:{ACCOUNT_ID}:{NAME}-predictions-queue"
    for action, resource in (
        ("dynamodb:UpdateItem", RECORDS),
        ("dynamodb:Query", f"{RECORDS}/index/by-id"),
        ("s3:PutObject", f"{uploads}/uploads/a/b/input.csv"),
        ("s3:ListBucket", uploads),
        ("sqs:ReceiveMessage", queue),
        ("kms:Decrypt", OTHER_KEY),
        ("ecr:GetAuthorizationToken", "*"),
    ):
        assert allowed(boundary, action, resource, TAGGED), action
    for action, resource in (
        ("dynamodb:UpdateItem", RECORDS.replace("prod-", "dev-")),
        ("dynamodb:DeleteTable", RECORDS),
        ("s3:GetObject", "arn:aws:s3:::somebody-else/uploads/a/b/input.csv"),
        ("s3:PutBucketPolicy", uploads),
        ("sqs:DeleteQueue", queue),
        ("iam:CreateRole", TASK_ROLE),
        ("sts:AssumeRole", OWN_ROLES[1]),
    ):
        assert not allowed(boundary, action, resource, TAGGED | BOUNDED), action
    assert not allowed(boundary, "kms:Decrypt", OTHER_KEY)  # without the environment's tags


def test_the_boundary_keeps_the_service_s_roles_from_state_lease_and_key(boundary):
    actions = granted({"boundary": boundary[0]}) - WITHOUT_RESOURCE.keys()
    copy = STATE.replace("-state-", "-state-recovery-")
    resources = [f"{STATE}/.pulumi/x", f"{copy}/.pulumi/x", STATE, copy, LEASE, STATE_KEY]
    reached = [
        (action, resource)
        for action in actions
        for resource in resources
        if allowed(boundary, action, resource, TAGGED)
    ]
    assert reached == []
    without = [{"Statement": [s for s in boundary[0]["Statement"] if s["Effect"] == "Allow"]}]
    assert allowed(without, "s3:GetObject", resources[0])


@pytest.mark.parametrize(
    ("what", "subject"), [("preview", "pull_request"), ("deploy", "environment:prod")]
)
def test_github_gives_a_role_to_one_repository_and_one_purpose(prod, what, subject):
    role = prod.of("Role")[f"{NAME}-{what}"]
    [trust, *others] = json.loads(role.inputs["assumeRolePolicy"])["Statement"]
    assert [one["Principal"] for one in others if "Federated" in one["Principal"]] == []
    assert trust == {
        "Effect": "Allow",
        "Principal": {
            "Federated": f"arn:aws:iam::{ACCOUNT_ID}:openidconnectprovider/github",
        },
        "Action": "sts:AssumeRoleWithWebIdentity",
        "Condition": {
            "StringEquals": {
                "token.actions.githubusercontent.com:aud": "sts.amazonaws.com",
                "token.actions.githubusercontent.com:sub": f"repo:example-/retainwise:{subject}",
            }
        },
    }


def test_a_deploy_is_of_ci_of_itself_or_of_who_is_named(prod, declare):
    def trusted(graph):
        role = graph.of("Role")[f"{NAME}-deploy"]
        [_, people] = json.loads(role.inputs["assumeRolePolicy"])["Statement"]
        return people

    role = f"arn:aws:iam::{ACCOUNT_ID}:role"
    any_letters = "?" * 16  # and not of AdministratorAccess_ReadOnly
    sso = "aws-reserved/sso.amazonaws.com/*AWSReservedSSO_AdministratorAccess_"
    administrators = f"{sso}{any_letters}"
    assert trusted(prod) == {
        "Effect": "Allow",
        "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT_ID}:root"},
        "Action": ["sts:AssumeRole", "sts:SetSourceIdentity", "sts:TagSession"],
        "Condition": {
            "ArnLike": {"aws:PrincipalArn": [f"{role}/{NAME}-deploy", f"{role}/{administrators}"]}
        },
    }
    named = trusted(declare("prod", {"deploy": {"people": ["role/on-call"]}}))
    assert named["Condition"]["ArnLike"]["aws:PrincipalArn"] == [
        f"{role}/{NAME}-deploy",
        f"{role}/on-call",
    ]
    preview = prod.of("Role")[f"{NAME}-preview"]
    assert len(json.loads(preview.inputs["assumeRolePolicy"])["Statement"]) == 1


@pytest.mark.parametrize("what", ["preview", "deploy"])
def test_a_role_of_ci_has_these_policies_and_no_others(prod, what):
    name = f"{NAME}-{what}"
    arns = prod.of("RolePolicyAttachmentsExclusive")[name].inputs["policyArns"]
    attached = [
        one.inputs["policyArn"]
        for one in prod.of("RolePolicyAttachment").values()
        if one.inputs["role"] == name
    ]
    assert sorted(arns) == sorted(attached)
    assert prod.of("RolePoliciesExclusive")[name].inputs["policyNames"] == []


def test_policies_are_within_aws_s_limits_with_the_longest_of_names(declare):
    graph = declare(
        "prod",
        {
            "state": {"recovery_region": "ap-southeast-2"},
            "deploy": {"hosted_zone_ids": [f"Z{n:020}EXAMPLE" for n in range(5)]},
        },
        environment="production",
    )
    managed = {name: json.loads(one.inputs["policy"]) for name, one in graph.of("Policy").items()}
    assert too_large(managed) == set()
    assert len(too_large(with_statement(managed, ["s3:" + "a" * LARGEST_POLICY]))) == 1
    for exclusive in graph.of("RolePolicyAttachmentsExclusive").values():
        assert len(exclusive.inputs["policyArns"]) <= MOST_POLICIES
