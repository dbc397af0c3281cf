"""The key that the stack's data is encrypted with, at rest, wherever AWS keeps it.

And what keys are like in both programs: renewed, copied, gone as late as AWS lets them.
"""

from __future__ import annotations

import json
from collections.abc import Callable
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


class CopiedKey(pulumi.ComponentResource):
    """A key with a name, and its copy in the recovery region where there is one.

    kind: the component's type, which is in the URN of all that is inside.
    of, copy_of: what it encrypts here and there, in words.
    policy: the document of who may use it, for a region.
    is_copy_named: whether the copy has the key's name, too.
    """

    def __init__(
        self,
        kind: str,
        name: str,
        *,
        of: str,
        copy_of: str,
        policy: Callable[[Account], str],
        account: Account,
        recovery_region: str | None,
        protect: bool,
        is_copy_named: bool = False,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__(kind, name, None, opts)
        stateful = pulumi.ResourceOptions(parent=self, protect=protect)
        key = aws.kms.Key(
            name,
            description=f"{name}: {of}",
            enable_key_rotation=True,
            multi_region=True,  # cannot be changed later, and a replica needs it
            deletion_window_in_days=_DELETION_WINDOW_DAYS,
            policy=policy(account),
            opts=stateful,
        )
        self.arn, self.arns = key.arn, [key.arn]
        self.replica_arn: pulumi.Output[str] | None = None
        named: list[tuple[str, Any, str | None]] = [(name, key, None)]
        if recovery_region is not None:
            replica = aws.kms.ReplicaKey(
                f"{name}-recovery",
                description=f"{name}: {copy_of}",
                primary_key_arn=key.arn,
                region=recovery_region,
                deletion_window_in_days=_DELETION_WINDOW_DAYS,
                policy=policy(Account(account.id, recovery_region)),
                opts=stateful,
            )
            self.replica_arn = replica.arn
            self.arns.append(replica.arn)
            if is_copy_named:
                named.append((f"{name}-recovery", replica, recovery_region))
        for label, one, region in named:
            aws.kms.Alias(
                label,
                name=f"alias/{name}",
                target_key_id=one.key_id,
                region=region,
                opts=pulumi.ResourceOptions(parent=one, delete_before_replace=True),
            )
        self.register_outputs({"arn": self.arn})


class DataKey(CopiedKey):
    """The stack's key."""

    def __init__(
        self,
        name: str,
        settings: DataSettings,
        account: Account,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__(
            "retainwise:infra:DataKey",
            name,
            of="files, records, messages, secrets and logs",
            copy_of="what is kept in the recovery region",
            policy=_policy,
            account=account,
            recovery_region=settings.recovery_region,
            protect=settings.protect,
            opts=opts,
        )


def account_decides(account: Account) -> dict[str, Any]:
    """Leave it to the account's own policies who may use and administer a key."""
    return _statement(
        "Account", {"AWS": account.global_arn("iam", "root")}, *KEY_ADMINISTRATION, *KEY_USE
    )


def _policy(account: Account) -> str:
    """Leave who may use the key to the account's own policies, and let AWS's services in.

    In a key's policy the resource is always `*`, which is this key.
    """
    own = {"StringEquals": {"aws:SourceAccount": account.id}}
    log_groups = account.arn("logs", "log-group:*")
    statements = [
        account_decides(account),
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
