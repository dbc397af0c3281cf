"""Vaults, what is put into them when, and of what."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from localcloud.kinds.base import EMPTY_TAG, Found, Inputs, Kind, Tags, from_aws, to_aws

# What AWS Backup spells otherwise than the AWS provider does.
_NAMES = {
    "targetVaultName": "TargetBackupVaultName",
    "schedule": "ScheduleExpression",
    "deleteAfter": "DeleteAfterDays",
    "destinationVaultArn": "DestinationBackupVaultArn",
}


class _Tagged(Kind):
    """What the resources with tags have in common."""

    def tag(self, found: Found, tags: Tags) -> None:
        """See Kind."""
        self.aws.backup.tag_resource(ResourceArn=found.outputs["arn"], Tags=tags)

    def _tags(self, arn: str) -> Tags:
        tags: Tags = self.aws.backup.list_tags(ResourceArn=arn)["Tags"]
        return tags


class Vault(_Tagged):
    """A vault, by its name."""

    type = "aws:backup/vault:Vault"
    takes_region = True

    def find(self, name: str, inputs: Inputs) -> Found | None:
        """See Kind."""
        vaults = self.aws.backup.list_backup_vaults()["BackupVaultList"]
        ours = (one for one in vaults if one["BackupVaultName"] == inputs["name"])
        return next(map(self._found, ours), None)

    def create(self, inputs: Inputs, tags: Tags) -> None:
        """See Kind."""
        self.aws.backup.create_backup_vault(
            BackupVaultName=inputs["name"],
            EncryptionKeyArn=inputs["kmsKeyArn"],
            BackupVaultTags=tags,
        )

    def owned(self) -> Iterable[Found]:
        """See Kind."""
        vaults = self.aws.backup.list_backup_vaults()["BackupVaultList"]
        return [found for found in map(self._found, vaults) if self.is_ours(found.tags)]

    def delete(self, found: Found) -> None:
        """See Kind. AWS refuses while there is a backup in it, so that is asked for apart."""
        backup = self.aws.backup
        if found.tags.get(EMPTY_TAG) == "yes":
            points = backup.list_recovery_points_by_backup_vault(BackupVaultName=found.id)
            for one in points["RecoveryPoints"]:
                backup.delete_recovery_point(
                    BackupVaultName=found.id, RecoveryPointArn=one["RecoveryPointArn"]
                )
        backup.delete_backup_vault(BackupVaultName=found.id)

    def _found(self, one: Mapping[str, Any]) -> Found:
        name, arn = one["BackupVaultName"], one["BackupVaultArn"]
        properties = {"name": name, "kmsKeyArn": one.get("EncryptionKeyArn")}
        return Found(name, properties, {"arn": arn, "name": name}, self._tags(arn))


class Plan(_Tagged):
    """A plan. AWS makes up its id, so it is found by its name among the stack's."""

    type = "aws:backup/plan:Plan"

    def find(self, name: str, inputs: Inputs) -> Found | None:
        """See Kind."""
        return next((one for one in self.owned() if one.properties["name"] == inputs["name"]), None)

    def create(self, inputs: Inputs, tags: Tags) -> None:
        """See Kind."""
        self.aws.backup.create_backup_plan(
            BackupPlan=_plan(self.wanted(inputs)), BackupPlanTags=tags
        )

    def change(self, found: Found, differing: Mapping[str, Any]) -> None:
        """See Kind."""
        self.aws.backup.update_backup_plan(
            BackupPlanId=found.id, BackupPlan=_plan({**found.properties, **differing})
        )

    def owned(self) -> Iterable[Found]:
        """See Kind."""
        for one in self.aws.backup.list_backup_plans()["BackupPlansList"]:
            tags = self._tags(one["BackupPlanArn"])
            if self.is_ours(tags):
                plan = self.aws.backup.get_backup_plan(BackupPlanId=one["BackupPlanId"])
                properties = {
                    "name": plan["BackupPlan"]["BackupPlanName"],
                    "rules": from_aws(plan["BackupPlan"]["Rules"], _NAMES),
                }
                yield Found(one["BackupPlanId"], properties, {"arn": one["BackupPlanArn"]}, tags)

    def delete(self, found: Found) -> None:
        """See Kind."""
        self.aws.backup.delete_backup_plan(BackupPlanId=found.id)


class Selection(Kind):
    """What a plan backs up, by the plan's id and its own name. AWS changes none of it."""

    type = "aws:backup/selection:Selection"
    has_tags = False

    def find(self, name: str, inputs: Inputs) -> Found | None:
        """See Kind."""
        ours = (
            one for one in self._of(inputs["planId"]) if one.properties["name"] == inputs["name"]
        )
        return next(ours, None)

    def create(self, inputs: Inputs, tags: Tags) -> None:
        """See Kind."""
        self.aws.backup.create_backup_selection(
            BackupPlanId=inputs["planId"],
            BackupSelection={
                "SelectionName": inputs["name"],
                "IamRoleArn": inputs["iamRoleArn"],
                "Resources": inputs["resources"],
            },
        )

    def change(self, found: Found, differing: Mapping[str, Any]) -> None:
        """See Kind. It holds nothing, so AWS's provider replaces it."""
        self.delete(found)
        self.create({**found.properties, **differing}, {})

    def owned(self) -> Iterable[Found]:
        """Give the selections of each plan of the stack."""
        for plan in Plan(self.aws, self.stack).owned():
            yield from self._of(plan.id)

    def delete(self, found: Found) -> None:
        """See Kind."""
        self.aws.backup.delete_backup_selection(
            BackupPlanId=found.properties["planId"], SelectionId=found.id
        )

    def _of(self, plan: str) -> Iterable[Found]:
        backup = self.aws.backup
        answer = backup.list_backup_selections(BackupPlanId=plan)
        for one in answer["BackupSelectionsList"]:
            selection = backup.get_backup_selection(
                BackupPlanId=plan, SelectionId=one["SelectionId"]
            )["BackupSelection"]
            properties = {
                "planId": plan,
                "name": selection["SelectionName"],
                "iamRoleArn": selection["IamRoleArn"],
                "resources": selection["Resources"],
            }
            yield Found(one["SelectionId"], properties)


def _plan(properties: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "BackupPlanName": properties["name"],
        "Rules": to_aws(properties["rules"], _NAMES),
    }
