"""Copies of what must never be lost: daily backups, and another region by setting.

The table has point-in-time recovery and the buckets have versions of their own; what is here
survives what those do not, such as a table that was deleted or a region that is away.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from infra.identity import Account, Role, Statement, allow, trust_service
from infra.keys import DataKey
from infra.replication import replicate
from infra.settings import DataSettings
from infra.storage import PrivateBucket, Storage

_AT_NIGHT = "cron(0 3 * * ? *)"


@dataclass(frozen=True)
class Copied:
    """A bucket and the one that has its copies, by name.

    what: one word in small letters; CloudWatch takes no other as an id.
    """

    what: str
    source: pulumi.Output[str]
    copy: pulumi.Output[str]


class Recovery(pulumi.ComponentResource):
    """Backups of the records, and copies of files, records and backups in the recovery region.

    `copied` has the buckets that are copied there.
    """

    def __init__(
        self,
        name: str,
        settings: DataSettings,
        *,
        account: Account,
        key: DataKey,
        storage: Storage,
        boundary: str,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("retainwise:infra:Recovery", name, None, opts)
        self._name, self._settings, self._account = name, settings, account
        self._boundary, self._key = boundary, key
        self._inside = pulumi.ResourceOptions(parent=self)
        self.copied: Sequence[Copied] = []
        self._back_up(storage)
        if settings.recovery_region is not None and key.replica_arn is not None:
            self.copied = [
                self._replicate(bucket, what, settings.recovery_region, key.replica_arn)
                for bucket, what in ((storage.uploads, "uploads"), (storage.results, "results"))
            ]
        self.register_outputs({})

    def _back_up(self, storage: Storage) -> None:
        name, copies = f"{self._name}-backup", []
        vault = self._vault(name, self._key.arn, None)
        if self._settings.recovery_region is not None and self._key.replica_arn is not None:
            away = self._vault(
                f"{name}-recovery", self._key.replica_arn, self._settings.recovery_region
            )
            copies = [
                aws.backup.PlanRuleCopyActionArgs(
                    destination_vault_arn=away.arn,
                    lifecycle={"delete_after": self._settings.backup_days},
                )
            ]
        plan = aws.backup.Plan(
            name,
            name=name,
            rules=[
                aws.backup.PlanRuleArgs(
                    rule_name="daily",
                    target_vault_name=vault.name,
                    schedule=_AT_NIGHT,
                    lifecycle=aws.backup.PlanRuleLifecycleArgs(
                        delete_after=self._settings.backup_days
                    ),
                    copy_actions=copies,
                )
            ],
            opts=self._inside,
        )
        role = Role(
            name,
            trust=trust_service("backup.amazonaws.com", self._account),
            may=self._may_back_up(storage),
            boundary=self._boundary,
            opts=self._inside,
        )
        aws.backup.Selection(
            name,
            name=name,
            plan_id=plan.id,
            iam_role_arn=role.arn,
            resources=[storage.table.arn],
            opts=pulumi.ResourceOptions(parent=self, depends_on=[role.policy]),
        )

    def _vault(
        self, name: str, key_arn: pulumi.Output[str], region: str | None
    ) -> aws.backup.Vault:
        protect = self._settings.protect
        return aws.backup.Vault(
            name,
            name=name,
            region=region,
            kms_key_arn=key_arn,
            force_destroy=not protect,
            opts=pulumi.ResourceOptions(parent=self, protect=protect, delete_before_replace=True),
        )

    def _may_back_up(self, storage: Storage) -> list[Statement]:
        table = storage.table.arn
        backups = pulumi.Output.concat(table, "/backup/*")
        vaults = self._account.arn("backup", f"backup-vault:{self._name}-backup")
        keys = [self._key.arn]
        if self._settings.recovery_region is not None and self._key.replica_arn is not None:
            keys.append(self._key.replica_arn)
        return [
            allow(
                "dynamodb:CreateBackup",
                "dynamodb:DescribeTable",
                "dynamodb:ListTagsOfResource",
                "dynamodb:StartAwsBackupJob",
                on=table,
            ),
            allow("dynamodb:DeleteBackup", "dynamodb:DescribeBackup", on=backups),
            allow("backup:CopyFromBackupVault", "backup:DescribeBackupVault", on=vaults),
            allow("backup:CopyIntoBackupVault", on=self._copies_go_to() or [vaults]),
            # What is kept carries the table's tags.
            allow("backup:TagResource", on=self._kept_in()),
            allow("kms:Decrypt", "kms:DescribeKey", "kms:GenerateDataKey", on=keys),
            allow("kms:CreateGrant", on=keys, when={"Bool": {"kms:GrantIsForAWSResource": "true"}}),
        ]

    def _kept_in(self) -> list[str]:
        regions = [self._account.region, self._settings.recovery_region]
        accounts = [Account(self._account.id, region) for region in regions if region is not None]
        return [account.arn("backup", "recovery-point:*") for account in accounts]

    def _copies_go_to(self) -> list[str]:
        region = self._settings.recovery_region
        if region is None:
            return []
        away = Account(self._account.id, region)
        return [away.arn("backup", f"backup-vault:{self._name}-backup-recovery")]

    def _replicate(
        self, bucket: PrivateBucket, what: str, region: str, key_arn: pulumi.Output[str]
    ) -> Copied:
        name = f"{self._name}-{what}-recovery"
        copy = PrivateBucket(
            f"{name}-{self._account.id}",
            protect=self._settings.protect,
            key_arn=key_arn,
            old_version_days=self._settings.old_version_days,
            region=region,
            opts=self._inside,
        )
        replicate(
            name,
            bucket,
            copy,
            source_key_arn=self._key.arn,
            copy_key_arn=key_arn,
            boundary=self._boundary,
            storage_class="STANDARD_IA",
            is_measured=True,
            parent=self,
        )
        return Copied(what, bucket.bucket, copy.bucket)
