"""What `retainwise drift` looks at: how the stack's resources are set up, its state, what exists.

Settings of resources and nothing that is in them: no record, no file, no message, no log line and
no value of a secret. Beside the state it reads what is told of deploys: the release records and the
lease. Nothing here writes. One thing is told that is not a setting, because AWS
tells it with the rest: the secret of the load balancer as a client of the user pool, which is in
the state as well, encrypted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bootstrap.scope import PROJECT, WITHOUT_RESOURCE, Scope, anywhere
from bootstrap.state import StateKey
from infra.identity import Statement, allow

# Where Pulumi keeps the service's state; the bootstrap's own is beside it, out of reach.
_STATE = (".pulumi/meta.yaml", f".pulumi/stacks/{PROJECT}/*", f".pulumi/history/{PROJECT}/*")
RELEASES = f"releases/{PROJECT}/*"
"""Where the state's bucket has the service's release records."""


def statements(scope: Scope, key: StateKey) -> Mapping[str, Sequence[Statement]]:
    """Say what is looked at, concern by concern."""
    return {
        "everywhere": [_without_resource()],
        "services": [*_network(scope), *_compute(scope), *_operations(scope)],
        "data": [*_data(scope), *_state(scope, key)],
    }


def _without_resource() -> Statement:
    """Everything in the table that only describes."""
    return anywhere(
        *sorted(
            action
            for action in WITHOUT_RESOURCE
            if action.partition(":")[2].startswith(("Describe", "List"))
            or action == "sns:GetSubscriptionAttributes"
        )
    )


def _network(scope: Scope) -> list[Statement]:
    pools, load_balancers = scope.any("cognito-idp", "userpool/"), _load_balancers(scope)
    zones = ["arn:aws:route53:::hostedzone/*"]
    return [
        allow("ec2:DescribeVpcAttribute", on=scope.any("ec2", "vpc/")),
        allow(
            "acm:DescribeCertificate",
            "acm:ListTagsForCertificate",
            on=scope.any("acm", "certificate/"),
        ),
        allow("route53:GetHostedZone", "route53:ListResourceRecordSets", on=zones),
        allow("route53:GetChange", on="arn:aws:route53:::change/*"),
        allow(
            "wafv2:GetLoggingConfiguration",
            "wafv2:GetWebACL",
            "wafv2:ListTagsForResource",
            on=scope.named("wafv2", "regional/webacl/"),
        ),
        allow(
            "wafv2:GetWebACLForResource",
            on=[*scope.named("wafv2", "regional/webacl/"), *load_balancers],
        ),
        allow(
            "cognito-idp:DescribeUserPool",
            "cognito-idp:DescribeUserPoolClient",
            "cognito-idp:GetUserPoolMfaConfig",
            "cognito-idp:ListTagsForResource",
            on=pools,
        ),
    ]


def _load_balancers(scope: Scope) -> list[str]:
    return scope.named("elasticloadbalancing", "loadbalancer/app/")


def _compute(scope: Scope) -> list[Statement]:
    return [
        allow(
            "ecs:DescribeClusters",
            "ecs:DescribeServiceDeployments",
            "ecs:DescribeServiceRevisions",
            "ecs:DescribeServices",
            "ecs:DescribeTasks",
            "ecs:ListServiceDeployments",
            "ecs:ListTagsForResource",
            on=scope.named(
                "ecs",
                "cluster/",
                "service/",
                "service-deployment/",
                "service-revision/",
                "task/",
                "task-definition/",
            ),
        ),
        # Of a cluster: to look at the tasks of a service that does not come up.
        allow("ecs:ListTasks", on=scope.named("ecs", "container-instance/")),
        allow("ecr:DescribeImages", on=scope.named("ecr", "repository/")),
        # Who asks what there is asks for all of them, as AWS judges it.
        allow("ecr:DescribeRepositories", on=scope.any("ecr", "repository/")),
        allow(
            "application-autoscaling:ListTagsForResource",
            on=scope.any("application-autoscaling", "scalable-target/"),
        ),
        allow(
            "iam:GetRole",
            "iam:GetRolePolicy",
            "iam:ListAttachedRolePolicies",
            "iam:ListInstanceProfilesForRole",
            "iam:ListRolePolicies",
            "iam:ListRoleTags",
            on=scope.account.global_arn("iam", f"role/{scope.name}-*"),
        ),
    ]


def _operations(scope: Scope) -> list[Statement]:
    account, name = scope.account, scope.name
    return [
        allow(
            "logs:DescribeMetricFilters",
            "logs:ListTagsForResource",
            on=scope.log_groups,
        ),
        # By name or not, AWS judges it as a look at all alarms.
        allow("cloudwatch:DescribeAlarms", on=scope.any("cloudwatch", "alarm:")),
        allow("cloudwatch:ListTagsForResource", on=scope.named("cloudwatch", "alarm:")),
        allow("cloudwatch:GetDashboard", on=account.global_arn("cloudwatch", f"dashboard/{name}*")),
        allow(
            "sns:GetTopicAttributes",
            "sns:ListSubscriptionsByTopic",
            "sns:ListTagsForResource",
            on=scope.named("sns", ""),
        ),
        allow(
            "events:DescribeRule",
            "events:ListTagsForResource",
            "events:ListTargetsByRule",
            on=scope.named("events", "rule/"),
        ),
        allow(
            "budgets:ListTagsForResource",
            "budgets:ViewBudget",
            on=account.global_arn("budgets", f"budget/{name}*"),
        ),
        allow(
            "cloudformation:DescribeStacks",
            "cloudformation:GetTemplate",
            on=scope.named("cloudformation", "stack/"),
        ),
        allow(
            "secretsmanager:DescribeSecret",
            "secretsmanager:GetResourcePolicy",
            on=scope.named("secretsmanager", "secret:"),
        ),
    ]


def _data(scope: Scope) -> list[Statement]:
    return [
        allow(
            "s3:GetAccelerateConfiguration",
            "s3:GetBucketAcl",
            "s3:GetBucketCORS",
            "s3:GetBucketLocation",
            "s3:GetBucketLogging",
            "s3:GetBucketObjectLockConfiguration",
            "s3:GetBucketOwnershipControls",
            "s3:GetBucketPolicy",
            "s3:GetBucketPublicAccessBlock",
            "s3:GetBucketRequestPayment",
            "s3:GetBucketTagging",
            "s3:GetBucketVersioning",
            "s3:GetBucketWebsite",
            "s3:GetEncryptionConfiguration",
            "s3:GetLifecycleConfiguration",
            "s3:GetReplicationConfiguration",
            # HeadBucket, which asks whether it is there. It tells keys, too: they hold ids only.
            "s3:ListBucket",
            on=f"arn:aws:s3:::{scope.name}-*",
        ),
        allow(
            "dynamodb:DescribeContinuousBackups",
            "dynamodb:DescribeTable",
            "dynamodb:DescribeTimeToLive",
            "dynamodb:ListTagsOfResource",
            on=scope.named("dynamodb", "table/", everywhere=True),
        ),
        allow(
            "sqs:GetQueueAttributes",
            "sqs:GetQueueUrl",
            "sqs:ListQueueTags",
            on=scope.named("sqs", ""),
        ),
        # Not by tag: a key whose tags were taken away is drift, which a preview has to show.
        allow(
            "kms:DescribeKey",
            "kms:GetKeyPolicy",
            "kms:GetKeyRotationStatus",
            "kms:ListResourceTags",
            on=scope.any("kms", "key/", everywhere=True),
        ),
        allow(
            "backup:DescribeBackupVault",
            "backup:ListTags",
            on=scope.named("backup", "backup-vault:", everywhere=True),
        ),
        allow(
            "backup:GetBackupPlan",
            "backup:GetBackupSelection",
            "backup:ListTags",
            on=scope.any("backup", "backup-plan:"),
        ),
    ]


def _state(scope: Scope, key: StateKey) -> list[Statement]:
    bucket = scope.state_buckets[0]
    return [
        allow("s3:GetObject", on=[f"{bucket}/{key}" for key in (*_STATE, RELEASES)]),
        allow("dynamodb:GetItem", on=scope.lease_table),
        allow("kms:Decrypt", on=key.arn),
    ]
