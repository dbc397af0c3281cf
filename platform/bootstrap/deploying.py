"""What `pulumi up` changes, beside what it looks at (`reading`).

Held to the environment's names where AWS lets a policy name what it changes, and to its tags where
there is only an id. It reads no customer's data, but with a recovery region: AWS asks whoever makes
a table's replica for its records there. What the bootstrap has made it cannot touch: it may write
its own state, take the lease, record releases, push images, and no more. To tear a stack down with
all that is in it is for an administrator.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bootstrap.reading import RELEASES
from bootstrap.scope import PROJECT, Scope, anywhere, deny
from bootstrap.state import StateKey
from infra.identity import Statement, allow

_STATE_FOLDERS = ("backups", "history", "locks/organization", "stacks")

# What has the environment's names or tags and is the bootstrap's is denied by the same lists.
_BUCKET_CHANGES = (
    "s3:CreateBucket",
    "s3:DeleteBucket",
    "s3:DeleteBucketPolicy",
    "s3:PutBucketLogging",
    "s3:PutBucketOwnershipControls",
    "s3:PutBucketPolicy",
    "s3:PutBucketPublicAccessBlock",
    "s3:PutBucketTagging",
    "s3:PutBucketVersioning",
    "s3:PutEncryptionConfiguration",
    "s3:PutLifecycleConfiguration",
    "s3:PutReplicationConfiguration",
)
_TABLE_CHANGES = (
    "dynamodb:CreateTable",
    "dynamodb:CreateTableReplica",
    "dynamodb:DeleteTable",
    "dynamodb:DeleteTableReplica",
    "dynamodb:TagResource",
    "dynamodb:UntagResource",
    "dynamodb:UpdateContinuousBackups",
    "dynamodb:UpdateTable",
    "dynamodb:UpdateTimeToLive",
)
_KEY_CHANGES = (
    "kms:DisableKeyRotation",
    "kms:EnableKeyRotation",
    "kms:PutKeyPolicy",
    "kms:ReplicateKey",
    "kms:ScheduleKeyDeletion",
    "kms:UntagResource",
    "kms:UpdateKeyDescription",
)
_ALIAS_CHANGES = ("kms:CreateAlias", "kms:DeleteAlias", "kms:UpdateAlias")
_BOUNDED_ROLE_CHANGES = (
    "iam:CreateRole",
    "iam:DeleteRolePolicy",
    "iam:DetachRolePolicy",
    "iam:PutRolePermissionsBoundary",
    "iam:PutRolePolicy",
)
# IAM knows no condition on the boundary for these.
_OTHER_ROLE_CHANGES = (
    "iam:DeleteRole",
    "iam:TagRole",
    "iam:UntagRole",
    "iam:UpdateAssumeRolePolicy",
    "iam:UpdateRole",
)
# The services that the stack hands its roles to, and the one that copies to a recovery region.
_ROLES_GO_TO = ("backup.amazonaws.com", "ecs-tasks.amazonaws.com")
_COPIES = "s3.amazonaws.com"
# Roles that AWS makes for its own services the first time that one is used.
_SERVICE_LINKED_ROLES = {
    "backup.amazonaws.com": "AWSServiceRoleForBackup",
    "ecs.amazonaws.com": "AWSServiceRoleForECS",
    "ecs.application-autoscaling.amazonaws.com": (
        "AWSServiceRoleForApplicationAutoScaling_ECSService"
    ),
    "elasticloadbalancing.amazonaws.com": "AWSServiceRoleForElasticLoadBalancing",
    "mrk.kms.amazonaws.com": "AWSServiceRoleForKeyManagementServiceMultiRegionKeys",
    "replication.dynamodb.amazonaws.com": "AWSServiceRoleForDynamoDBReplication",
}


def statements(
    scope: Scope, key: StateKey, *, hosted_zone_ids: Sequence[str]
) -> Mapping[str, Sequence[Statement]]:
    """Say what is changed, concern by concern."""
    return {
        "network": _network(scope),
        "edge": _edge(scope, hosted_zone_ids),
        "compute": [*_compute(scope), *_operations(scope), *_what_was_begun(scope)],
        "data": [*_data(scope), *_keys(scope)],
        "roles": [*_roles(scope), *_own(scope, key), *_out_of_reach(scope, key)],
    }


def _network(scope: Scope) -> list[Statement]:
    everything = scope.any(
        "ec2",
        "internet-gateway/",
        "route-table/",
        "security-group-rule/",
        "security-group/",
        "subnet/",
        "vpc-endpoint/",
        "vpc-flow-log/",
        "vpc/",
    )
    makes = (
        "ec2:AuthorizeSecurityGroupEgress",
        "ec2:AuthorizeSecurityGroupIngress",
        "ec2:CreateFlowLogs",
        "ec2:CreateInternetGateway",
        "ec2:CreateRouteTable",
        "ec2:CreateSecurityGroup",
        "ec2:CreateSubnet",
        "ec2:CreateVpc",
        "ec2:CreateVpcEndpoint",
    )
    return [
        allow(*makes, on=everything, when=scope.made_with_tags),
        # The same again for what the new one is made in, which has its tags already.
        allow(
            *makes,
            "ec2:AssociateRouteTable",
            "ec2:AttachInternetGateway",
            "ec2:CreateRoute",
            "ec2:DeleteFlowLogs",
            "ec2:DeleteInternetGateway",
            "ec2:DeleteRoute",
            "ec2:DeleteRouteTable",
            "ec2:DeleteSecurityGroup",
            "ec2:DeleteSubnet",
            "ec2:DeleteTags",
            "ec2:DeleteVpc",
            "ec2:DeleteVpcEndpoints",
            "ec2:DetachInternetGateway",
            "ec2:DisassociateRouteTable",
            "ec2:ModifySecurityGroupRules",
            "ec2:ModifySubnetAttribute",
            "ec2:ModifyVpcAttribute",
            "ec2:ModifyVpcEndpoint",
            "ec2:ReplaceRoute",
            "ec2:ReplaceRouteTableAssociation",
            "ec2:RevokeSecurityGroupEgress",
            "ec2:RevokeSecurityGroupIngress",
            on=everything,
            when=scope.tagged,
        ),
        # A VPC's default security group comes without tags, and is given them before its rules go.
        allow("ec2:CreateTags", on=everything, when=scope.claimed),
        # An endpoint with private names puts a zone of AWS's own, of an unknown id, in the VPC.
        allow("route53:AssociateVPCWithHostedZone", on="arn:aws:route53:::hostedzone/*"),
    ]


def _edge(scope: Scope, hosted_zone_ids: Sequence[str]) -> list[Statement]:
    certificates, pools = scope.any("acm", "certificate/"), scope.any("cognito-idp", "userpool/")
    load_balancers = scope.named("elasticloadbalancing", "loadbalancer/app/")
    acl = scope.named("wafv2", "regional/webacl/")
    managed_rules = scope.any("wafv2", "regional/managedruleset/")
    zones = [f"arn:aws:route53:::hostedzone/{zone}" for zone in hosted_zone_ids]
    records = [allow("route53:ChangeResourceRecordSets", on=zones)] if zones else []
    return [
        allow(
            "elasticloadbalancing:AddTags",
            "elasticloadbalancing:CreateListener",
            "elasticloadbalancing:CreateLoadBalancer",
            "elasticloadbalancing:CreateRule",
            "elasticloadbalancing:CreateTargetGroup",
            "elasticloadbalancing:DeleteListener",
            "elasticloadbalancing:DeleteLoadBalancer",
            "elasticloadbalancing:DeleteRule",
            "elasticloadbalancing:DeleteTargetGroup",
            "elasticloadbalancing:ModifyListener",
            "elasticloadbalancing:ModifyListenerAttributes",
            "elasticloadbalancing:ModifyLoadBalancerAttributes",
            "elasticloadbalancing:ModifyRule",
            "elasticloadbalancing:ModifyTargetGroup",
            "elasticloadbalancing:ModifyTargetGroupAttributes",
            "elasticloadbalancing:RemoveTags",
            "elasticloadbalancing:SetRulePriorities",
            "elasticloadbalancing:SetSecurityGroups",
            "elasticloadbalancing:SetSubnets",
            on=scope.named(
                "elasticloadbalancing",
                "listener-rule/app/",
                "listener/app/",
                "loadbalancer/app/",
                "targetgroup/",
            ),
        ),
        allow("wafv2:CreateWebACL", "wafv2:UpdateWebACL", on=[*acl, *managed_rules]),
        allow(
            "wafv2:DeleteLoggingConfiguration",
            "wafv2:DeleteWebACL",
            "wafv2:PutLoggingConfiguration",
            "wafv2:TagResource",
            "wafv2:UntagResource",
            on=acl,
        ),
        allow("wafv2:AssociateWebACL", on=[*acl, *load_balancers]),
        allow("wafv2:DisassociateWebACL", on=load_balancers),
        anywhere("elasticloadbalancing:SetWebAcl"),
        anywhere("acm:RequestCertificate", "cognito-idp:CreateUserPool", when=scope.made_with_tags),
        allow("acm:AddTagsToCertificate", on=certificates, when=scope.claimed),
        allow(
            "acm:DeleteCertificate",
            "acm:RemoveTagsFromCertificate",
            on=certificates,
            when=scope.tagged,
        ),
        allow("cognito-idp:TagResource", on=pools, when=scope.claimed),
        allow(
            "cognito-idp:AddCustomAttributes",
            "cognito-idp:CreateUserPoolClient",
            "cognito-idp:CreateUserPoolDomain",
            "cognito-idp:DeleteUserPool",
            "cognito-idp:DeleteUserPoolClient",
            "cognito-idp:DeleteUserPoolDomain",
            "cognito-idp:SetUserPoolMfaConfig",
            "cognito-idp:UntagResource",
            "cognito-idp:UpdateUserPool",
            "cognito-idp:UpdateUserPoolClient",
            "cognito-idp:UpdateUserPoolDomain",
            on=pools,
            when=scope.tagged,
        ),
        *records,
    ]


def _compute(scope: Scope) -> list[Statement]:
    targets = scope.any("application-autoscaling", "scalable-target/")
    return [
        allow(
            "ecs:CreateCluster",
            "ecs:CreateService",
            "ecs:DeleteCluster",
            "ecs:DeleteService",
            "ecs:PutClusterCapacityProviders",
            "ecs:RegisterTaskDefinition",
            "ecs:TagResource",
            "ecs:UntagResource",
            "ecs:UpdateCluster",
            "ecs:UpdateClusterSettings",
            "ecs:UpdateService",
            on=scope.named("ecs", "cluster/", "service/", "task-definition/"),
        ),
        allow(
            "application-autoscaling:RegisterScalableTarget",
            "application-autoscaling:TagResource",
            on=targets,
            when=scope.claimed,
        ),
        allow(
            "application-autoscaling:DeleteScalingPolicy",
            "application-autoscaling:DeregisterScalableTarget",
            "application-autoscaling:PutScalingPolicy",
            "application-autoscaling:RegisterScalableTarget",
            "application-autoscaling:UntagResource",
            on=targets,
            when=scope.tagged,
        ),
        # A policy that follows a target makes alarms of its own, in the name of who writes it.
        allow(
            "cloudwatch:DeleteAlarms",
            "cloudwatch:PutMetricAlarm",
            on=scope.named("cloudwatch", "alarm:TargetTracking-service/"),
        ),
    ]


def _operations(scope: Scope) -> list[Statement]:
    account, name = scope.account, scope.name
    return [
        allow(
            "logs:AssociateKmsKey",
            "logs:CreateLogGroup",
            "logs:DeleteLogGroup",
            "logs:DeleteMetricFilter",
            "logs:DeleteRetentionPolicy",
            "logs:DisassociateKmsKey",
            "logs:PutMetricFilter",
            "logs:PutRetentionPolicy",
            "logs:TagResource",
            "logs:UntagResource",
            on=scope.log_groups,
        ),
        # The log of the network and the firewall's are delivered by AWS, which asks for these.
        anywhere(
            "logs:CreateLogDelivery",
            "logs:DeleteLogDelivery",
            "logs:DeleteResourcePolicy",
            "logs:PutResourcePolicy",
        ),
        allow(
            "cloudwatch:DeleteAlarms",
            "cloudwatch:PutMetricAlarm",
            "cloudwatch:TagResource",
            "cloudwatch:UntagResource",
            on=scope.named("cloudwatch", "alarm:"),
        ),
        allow(
            "cloudwatch:DeleteDashboards",
            "cloudwatch:PutDashboard",
            on=account.global_arn("cloudwatch", f"dashboard/{name}*"),
        ),
        allow(
            "sns:CreateTopic",
            "sns:DeleteTopic",
            "sns:SetTopicAttributes",
            "sns:Subscribe",
            "sns:TagResource",
            "sns:UntagResource",
            on=scope.named("sns", ""),
        ),
        anywhere("sns:SetSubscriptionAttributes", "sns:Unsubscribe"),
        allow(
            "events:DeleteRule",
            "events:PutRule",
            "events:PutTargets",
            "events:RemoveTargets",
            "events:TagResource",
            "events:UntagResource",
            on=scope.named("events", "rule/"),
        ),
        allow(
            "budgets:ModifyBudget",
            "budgets:TagResource",
            "budgets:UntagResource",
            on=account.global_arn("budgets", f"budget/{name}*"),
        ),
    ]


def _what_was_begun(scope: Scope) -> list[Statement]:
    """What a deploy looks for by what it is: a killed one made it, and nobody noted its id."""
    return [
        anywhere(
            "acm:ListCertificates",
            "backup:ListBackupPlans",
            "cognito-idp:ListUserPools",
            "ecs:ListTaskDefinitions",
            "wafv2:ListWebACLs",
        ),
        allow("backup:ListBackupSelections", on=scope.any("backup", "backup-plan:")),
        allow("cognito-idp:ListUserPoolClients", on=scope.any("cognito-idp", "userpool/")),
    ]


def _data(scope: Scope) -> list[Statement]:
    plans = scope.any("backup", "backup-plan:")
    return [
        allow(*_BUCKET_CHANGES, on=f"arn:aws:s3:::{scope.name}-*"),
        allow(*_TABLE_CHANGES, on=scope.named("dynamodb", "table/", everywhere=True)),
        *_copies(scope),
        allow(
            "sqs:CreateQueue",
            "sqs:DeleteQueue",
            "sqs:SetQueueAttributes",
            "sqs:TagQueue",
            "sqs:UntagQueue",
            on=scope.named("sqs", ""),
        ),
        allow(
            "backup:CreateBackupVault",
            "backup:DeleteBackupVault",
            "backup:TagResource",
            "backup:UntagResource",
            on=scope.named("backup", "backup-vault:", everywhere=True),
        ),
        anywhere("backup-storage:MountCapsule"),
        allow("backup:CreateBackupPlan", "backup:TagResource", on=plans, when=scope.claimed),
        allow(
            "backup:CreateBackupSelection",
            "backup:DeleteBackupPlan",
            "backup:DeleteBackupSelection",
            "backup:UntagResource",
            "backup:UpdateBackupPlan",
            on=plans,
            when=scope.tagged,
        ),
        # The session's secret: CloudFormation has its value made up, in the name of who deploys.
        allow(
            "cloudformation:CreateStack",
            "cloudformation:DeleteStack",
            "cloudformation:DescribeStackEvents",
            "cloudformation:TagResource",
            "cloudformation:UntagResource",
            "cloudformation:UpdateStack",
            on=scope.named("cloudformation", "stack/"),
        ),
        allow(
            "secretsmanager:CreateSecret",
            "secretsmanager:DeleteSecret",
            "secretsmanager:TagResource",
            "secretsmanager:UntagResource",
            "secretsmanager:UpdateSecret",
            on=scope.named("secretsmanager", "secret:"),
        ),
        anywhere("secretsmanager:GetRandomPassword"),
    ]


def _copies(scope: Scope) -> list[Statement]:
    """What AWS asks of whoever makes a replica of a table, in the region that it is made in."""
    if scope.recovery_region is None:
        return []
    _, replica = scope.named("dynamodb", "table/", everywhere=True)
    return [
        allow(
            "dynamodb:BatchWriteItem",
            "dynamodb:DeleteItem",
            "dynamodb:GetItem",
            "dynamodb:PutItem",
            "dynamodb:Query",
            "dynamodb:Scan",
            "dynamodb:UpdateItem",
            on=replica,
        )
    ]


def _keys(scope: Scope) -> list[Statement]:
    keys = scope.any("kms", "key/", everywhere=True)
    aliases = scope.named("kms", "alias/", everywhere=True)
    through = [
        f"{service}.{account.region}.amazonaws.com"
        for service in ("backup", "dynamodb", "secretsmanager")
        for account in scope.accounts
    ]
    return [
        anywhere("kms:CreateKey", when=scope.made_with_tags),
        allow("kms:TagResource", on=keys, when=scope.claimed),
        allow(*_KEY_CHANGES, *_ALIAS_CHANGES, on=keys, when=scope.tagged),
        allow(*_ALIAS_CHANGES, on=aliases),
        # A table, a vault or a secret is encrypted in the name of who makes it.
        allow(
            "kms:CreateGrant",
            "kms:Decrypt",
            "kms:Encrypt",
            "kms:GenerateDataKey",
            "kms:ReEncryptFrom",
            "kms:ReEncryptTo",
            on=keys,
            when={"StringEquals": scope.tagged["StringEquals"] | {"kms:ViaService": through}},
        ),
    ]


def _roles(scope: Scope) -> list[Statement]:
    account = scope.account
    roles = account.global_arn("iam", f"role/{scope.name}-*")
    takers = [*_ROLES_GO_TO, *([_COPIES] if scope.recovery_region else [])]
    linked = [
        allow(
            "iam:CreateServiceLinkedRole",
            on=[
                account.global_arn("iam", f"role/aws-service-role/{service}/{role}")
                for service, role in _SERVICE_LINKED_ROLES.items()
            ],
            when={"StringEquals": {"iam:AWSServiceName": [*_SERVICE_LINKED_ROLES]}},
        )
    ]
    return [
        allow(
            *_BOUNDED_ROLE_CHANGES,
            on=roles,
            when={"ArnEquals": {"iam:PermissionsBoundary": scope.boundary}},
        ),
        allow(*_OTHER_ROLE_CHANGES, on=roles),
        allow(
            "iam:PassRole",
            on=roles,
            when={"StringEquals": {"iam:PassedToService": takers}},
        ),
        *linked,
    ]


def _own(scope: Scope, key: StateKey) -> list[Statement]:
    """What is a deploy's own: the stack's state, the lease, a release's record and images."""
    bucket = scope.state_buckets[0]
    return [
        allow(
            "s3:DeleteObject",
            "s3:GetObject",
            "s3:PutObject",
            on=[f"{bucket}/.pulumi/{folder}/{PROJECT}/*" for folder in _STATE_FOLDERS],
        ),
        allow("kms:DescribeKey", "kms:Encrypt", "kms:GenerateDataKey", on=key.arn),
        # None is deleted: the records say how the stack came to be, the item who had the lease.
        allow("s3:PutObject", on=f"{bucket}/{RELEASES}"),
        allow("dynamodb:PutItem", "dynamodb:UpdateItem", on=scope.lease_table),
        # Each session of a deploy ends with its lease; the next is the role's own again.
        allow(
            "sts:AssumeRole",
            on=scope.account.global_arn("iam", f"role/{scope.deploy_role}"),
        ),
        anywhere("ecr:GetAuthorizationToken"),
        allow(
            "ecr:BatchCheckLayerAvailability",
            "ecr:BatchGetImage",
            "ecr:CompleteLayerUpload",
            "ecr:GetDownloadUrlForLayer",
            "ecr:InitiateLayerUpload",
            "ecr:PutImage",
            "ecr:UploadLayerPart",
            on=[scope.account.arn("ecr", f"repository/{one}") for one in scope.images],
        ),
    ]


def _out_of_reach(scope: Scope, key: StateKey) -> list[Statement]:
    """What the bootstrap has made, though it has the environment's names and tags.

    Of its policies and of the identity provider no statement speaks, so nobody can change them.
    """
    return [
        deny(*_BOUNDED_ROLE_CHANGES, *_OTHER_ROLE_CHANGES, "iam:PassRole", on=scope.own_roles),
        deny(*_BUCKET_CHANGES, on=scope.state_buckets),
        deny(*_TABLE_CHANGES, on=[scope.lease_table]),
        deny(
            *_KEY_CHANGES,
            *_ALIAS_CHANGES,
            "kms:CreateGrant",
            "kms:TagResource",
            on=[*key.arns, *scope.state_aliases],
        ),
    ]
