"""Vaults, what is put into them when, and of what."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

from localcloud.kinds.base import EMPTY_TAG, Found, Inputs, Kind, Tags, from_aws, the_one, to_aws

# What AWS Backup spells otherwise than the AWS provider does.
_NAMES = {
    "targetVaultName": "TargetBackupVaultName",
    "schedule": "ScheduleExpression",
    "deleteAfter": "DeleteAfterDays",
    "destinationVaultArn": "DestinationBackupVaultArn",
    "startWindow": "StartWindowMinutes",
    "completionWindow": "CompletionWindowMinutes",
}
# Of a rule, what AWS has where nothing is declared.
_RULE = {"startWindow": 60, "completionWindow": 180}
_MADE_UP = "ruleId"


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
    replaced_for = frozenset({"kmsKeyArn", "name"})

    def find(self, name: str, inputs: Inputs) -> Found | None:
        """See Kind."""
        return self.get(inputs["name"])

    def get(self, resource_id: str) -> Found | None:
        """See Kind."""
        try:
            one = self.aws.backup.describe_backup_vault(BackupVaultName=resource_id)
        except self.aws.backup.exceptions.ResourceNotFoundException:
            return None
        return self._found(one)

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
    replaced_for = frozenset({"name"})

    def find(self, name: str, inputs: Inputs) -> Found | None:
        """See Kind."""
        return next((one for one in self.owned() if one.properties["name"] == inputs["name"]), None)

    def get(self, resource_id: str) -> Found | None:
        """See Kind."""
        try:
            answer = self.aws.backup.get_backup_plan(BackupPlanId=resource_id)
        except self.aws.backup.exceptions.ResourceNotFoundException:
            return None
        if "DeletionDate" in answer:
            return None
        plan = answer["BackupPlan"]
        properties = {
            "name": plan["BackupPlanName"],
            "rules": [_rule(one) for one in from_aws(plan["Rules"], _NAMES)],
        }
        arn = answer["BackupPlanArn"]
        return Found(resource_id, properties, {"arn": arn}, self._tags(arn))

    def look_for(self, name: str, inputs: Inputs) -> Found | None:
        """See Kind. By its name, which several can have."""
        ids = [
            one["BackupPlanId"] for one in self._all() if one["BackupPlanName"] == inputs["name"]
        ]
        return the_one(found for found in map(self.get, ids) if found)

    def wanted(self, inputs: Inputs) -> Mapping[str, Any]:
        """See Kind."""
        return {**super().wanted(inputs), "rules": [_rule(one) for one in inputs["rules"]]}

    def inputs_of(self, found: Found) -> dict[str, Any]:
        """See Kind."""
        rules = [
            {key: value for key, value in rule.items() if value != _RULE.get(key)}
            for rule in found.properties["rules"]
        ]
        return {**super().inputs_of(found), "rules": rules}

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
        for one in self._all():
            if self.is_ours(self._tags(one["BackupPlanArn"])):
                found = self.get(one["BackupPlanId"])
                if found:
                    yield found

    def delete(self, found: Found) -> None:
        """See Kind."""
        self.aws.backup.delete_backup_plan(BackupPlanId=found.id)

    def _all(self) -> Iterable[Mapping[str, Any]]:
        for page in self.aws.backup.get_paginator("list_backup_plans").paginate():
            yield from page["BackupPlansList"]


class Selection(Kind):
    """What a plan backs up, by the plan's id and its own name. AWS changes none of it."""

    type = "aws:backup/selection:Selection"
    has_tags = False
    defaults: ClassVar = {"resources": []}
    replaced_for = frozenset({"iamRoleArn", "name", "planId", "resources"})

    def find(self, name: str, inputs: Inputs) -> Found | None:
        """See Kind."""
        ours = (
            one for one in self._of(inputs["planId"]) if one.properties["name"] == inputs["name"]
        )
        return next(ours, None)

    def get(self, resource_id: str) -> Found | None:
        """See Kind. The id is the plan's and its own."""
        plan, _, selection = resource_id.partition("|")
        try:
            return self._found(plan, selection)
        except self.aws.backup.exceptions.ResourceNotFoundException:
            return None

    def import_id(self, resource_id: str, inputs: Inputs) -> str:
        """See Kind. A program knows it by its own alone."""
        return resource_id if "|" in resource_id else f"{inputs['planId']}|{resource_id}"

    def look_for(self, name: str, inputs: Inputs) -> Found | None:
        """See Kind. By its name, which several can have."""
        try:
            selections = list(self._of(inputs["planId"]))
        except self.aws.backup.exceptions.ResourceNotFoundException:
            return None
        return the_one(one for one in selections if one.properties["name"] == inputs["name"])

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
            BackupPlanId=found.properties["planId"], SelectionId=found.id.partition("|")[2]
        )

    def _of(self, plan: str) -> Iterable[Found]:
        answer = self.aws.backup.list_backup_selections(BackupPlanId=plan)
        for one in answer["BackupSelectionsList"]:
            yield self._found(plan, one["SelectionId"])

    def _found(self, plan: str, selection: str) -> Found:
        answer = self.aws.backup.get_backup_selection(BackupPlanId=plan, SelectionId=selection)
        one = answer["BackupSelection"]
        properties = {
            "planId": plan,
            "name": one["SelectionName"],
            "iamRoleArn": one["IamRoleArn"],
            "resources": one.get("Resources", []),
        }
        return Found(f"{plan}|{selection}", properties, {"id": selection})


def _rule(rule: Mapping[str, Any]) -> dict[str, Any]:
    return {**_RULE, **{key: value for key, value in rule.items() if key != _MADE_UP}}


def _plan(properties: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "BackupPlanName": properties["name"],
        "Rules": to_aws(properties["rules"], _NAMES),
    }
