"""The key that the stack's data is encrypted with, at rest, wherever AWS keeps it."""

from __future__ import annotations

import json
from typing import Any

import pulumi
import pulumi_aws as aws

from infra.identity import Account
from infra.settings import DataSettings

_DELETION_WINDOW_DAYS = 30  # the longest: a key that is gone takes all data with it

KEY_ADMINISTRATION = (
    "kms:CancelKeyDeletion",
    "kms:CreateAlias",
    "kms:CreateGrant",
    "kms:DeleteAlias",
    "kms:DescribeKey",
    "kms:DisableKey",
    "kms:DisableKeyRotation",
    "kms:EnableKey",
    "kms:EnableKeyRotation",
    "kms:GetKeyPolicy",
    "kms:GetKeyRotationStatus",
    "kms:ListAliases",
    "kms:ListGrants",
    "kms:ListKeyPolicies",
    "kms:ListResourceTags",
    "kms:PutKeyPolicy",
    "kms:ReplicateKey",
    "kms:RevokeGrant",
    "kms:ScheduleKeyDeletion",
    "kms:TagResource",
    "kms:UntagResource",
    "kms:UpdateAlias",
    "kms:UpdateKeyDescription",
    "kms:UpdatePrimaryRegion",
)
KEY_USE = (
    "kms:Decrypt",
    "kms:Encrypt",
    "kms:GenerateDataKey",
    "kms:GenerateDataKeyWithoutPlaintext",
    "kms:ReEncryptFrom",
    "kms:ReEncryptTo",
)


class DataKey(pulumi.ComponentResource):
    """The stack's key, and its copy in the recovery region where there is one."""

    def __init__(
        self,
        name: str,
        settings: DataSettings,
        account: Account,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("retainwise:infra:DataKey", name, None, opts)
        stateful = pulumi.ResourceOptions(parent=self, protect=settings.protect)
        self.key = aws.kms.Key(
            name,
            description=f"{name}: files, records, messages, secrets and logs",
            enable_key_rotation=True,
            multi_region=True,  # cannot be changed later, and a replica needs it
            deletion_window_in_days=_DELETION_WINDOW_DAYS,
            policy=_policy(account),
            opts=stateful,
        )
        self.arn = self.key.arn
        aws.kms.Alias(
            name,
            name=f"alias/{name}",
            target_key_id=self.key.key_id,
            opts=pulumi.ResourceOptions(parent=self.key, delete_before_replace=True),
        )
        self.replica_arn: pulumi.Output[str] | None = None
        if settings.recovery_region is not None:
            replica = aws.kms.ReplicaKey(
                f"{name}-recovery",
                description=f"{name}: what is kept in the recovery region",
                primary_key_arn=self.key.arn,
                region=settings.recovery_region,
                deletion_window_in_days=_DELETION_WINDOW_DAYS,
                policy=_policy(Account(account.id, settings.recovery_region)),
                opts=stateful,
            )
            self.replica_arn = replica.arn
        self.register_outputs({"arn": self.arn})


def _policy(account: Account) -> str:
    """Leave who may use the key to the account's own policies, and let AWS's services in.

    In a key's policy the resource is always `*`, which is this key.
    """
    own = {"StringEquals": {"aws:SourceAccount": account.id}}
    log_groups = account.arn("logs", "log-group:*")
    statements = [
        _statement(
            "Account", {"AWS": f"arn:aws:iam::{account.id}:root"}, *KEY_ADMINISTRATION, *KEY_USE
        ),
        _statement(
            "Logs",
            {"Service": f"logs.{account.region}.amazonaws.com"},
            *KEY_USE,
            condition={"StringLike": {"kms:EncryptionContext:aws:logs:arn": log_groups}},
        ),
        _statement(
            "Notifications",
            {
                "Service": ["budgets.amazonaws.com", "cloudwatch.amazonaws.com"],
            },
            "kms:Decrypt",
            "kms:GenerateDataKey",
            condition=own,
        ),
        # EventBridge does not say for whom it acts: under a condition it is refused.
        _statement(
            "Events", {"Service": "events.amazonaws.com"}, "kms:Decrypt", "kms:GenerateDataKey"
        ),
    ]
    return json.dumps({"Version": "2012-10-17", "Statement": statements})


def _statement(
    sid: str, principal: dict[str, Any], *actions: str, condition: dict[str, Any] | None = None
) -> dict[str, Any]:
    statement = {
        "Sid": sid,
        "Effect": "Allow",
        "Principal": principal,
        "Action": sorted(set(actions)),
        "Resource": "*",
    }
    return statement | ({"Condition": condition} if condition else {})
