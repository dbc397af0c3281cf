"""The most that a role of the service can ever have.

Every role that the stack's program declares carries it, and a deploy can write no other roles: so
a deploy that went wrong, or was made to, cannot make a role that can do more than the service does.
It allows nothing by itself; a role has what both its own policy and this one allow.
"""

from __future__ import annotations

import pulumi
import pulumi_aws as aws

from bootstrap.scope import Scope, anywhere, deny
from bootstrap.state import StateKey
from infra.identity import Statement, allow, policy

_RECORDS = (
    "dynamodb:DeleteItem",
    "dynamodb:DescribeTable",
    "dynamodb:GetItem",
    "dynamodb:PutItem",
    "dynamodb:Query",
    "dynamodb:UpdateItem",
)
_BACKUPS = (
    "dynamodb:CreateBackup",
    "dynamodb:ListTagsOfResource",
    "dynamodb:StartAwsBackupJob",
)
_OBJECTS = (
    "s3:AbortMultipartUpload",
    "s3:DeleteObject",
    "s3:DeleteObjectVersion",
    "s3:GetObject",
    "s3:GetObjectVersion",
    "s3:GetObjectVersionAcl",
    "s3:GetObjectVersionForReplication",
    "s3:GetObjectVersionTagging",
    "s3:PutObject",
    "s3:ReplicateDelete",
    "s3:ReplicateObject",
    "s3:ReplicateTags",
)
_BUCKETS = (
    "s3:GetReplicationConfiguration",
    "s3:ListBucket",
    "s3:ListBucketVersions",
)
_KEY_USE = ("kms:Decrypt", "kms:DescribeKey", "kms:Encrypt", "kms:GenerateDataKey")


class Boundary(pulumi.ComponentResource):
    """The policy, by the name that the stack's program knows."""

    def __init__(
        self,
        scope: Scope,
        key: StateKey,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        name = f"{scope.name}-boundary"
        super().__init__("retainwise:bootstrap:Boundary", name, None, opts)
        self.arn = aws.iam.Policy(
            name,
            name=name,
            description="The most that a role of the service can have",
            policy=policy([*_within(scope), *_never(scope, key)]),
            opts=pulumi.ResourceOptions(parent=self, delete_before_replace=True),
        ).arn
        self.register_outputs({"arn": self.arn})


def _within(scope: Scope) -> list[Statement]:
    tables, bucket = scope.named("dynamodb", "table/"), f"arn:aws:s3:::{scope.name}-*"
    return [
        allow(*_RECORDS, *_BACKUPS, on=tables),
        allow(
            "dynamodb:DeleteBackup",
            "dynamodb:DescribeBackup",
            on=[f"{table}/backup/*" for table in tables],
        ),
        allow(*_BUCKETS, on=bucket),
        allow(*_OBJECTS, on=f"{bucket}/*"),
        allow(
            "sqs:ChangeMessageVisibility",
            "sqs:DeleteMessage",
            "sqs:GetQueueAttributes",
            "sqs:ReceiveMessage",
            "sqs:SendMessage",
            on=scope.named("sqs", ""),
        ),
        allow(*_KEY_USE, on=scope.any("kms", "key/", everywhere=True), when=scope.tagged),
        allow(
            "logs:CreateLogStream",
            "logs:PutLogEvents",
            on=scope.named("logs", "log-group:"),
        ),
        allow(
            "ecr:BatchCheckLayerAvailability",
            "ecr:BatchGetImage",
            "ecr:GetDownloadUrlForLayer",
            on=scope.named("ecr", "repository/"),
        ),
        anywhere("ecr:GetAuthorizationToken"),
        allow("secretsmanager:GetSecretValue", on=scope.named("secretsmanager", "secret:")),
        allow(
            "kms:CreateGrant",
            on=scope.any("kms", "key/", everywhere=True),
            when={
                "StringEquals": scope.tagged["StringEquals"],
                "Bool": {"kms:GrantIsForAWSResource": "true"},
            },
        ),
        allow(
            "backup:CopyFromBackupVault",
            "backup:CopyIntoBackupVault",
            "backup:DescribeBackupVault",
            on=scope.named("backup", "backup-vault:", everywhere=True),
        ),
        allow("backup:TagResource", on=scope.any("backup", "recovery-point:", everywhere=True)),
        allow("ecs:GetTaskProtection", "ecs:UpdateTaskProtection", on=scope.named("ecs", "task/")),
    ]


def _never(scope: Scope, key: StateKey) -> list[Statement]:
    """What has the environment's name and is not the service's: the state, its key, the lease."""
    buckets = [arn for bucket in scope.state_buckets for arn in (bucket, f"{bucket}/*")]
    return [
        deny(*_BUCKETS, *_OBJECTS, on=buckets),
        deny(*_RECORDS, *_BACKUPS, on=[scope.lease_table]),
        deny(*_KEY_USE, on=key.arns),
    ]
