"""The account's consent to AWS Backup: without it no table is backed up or copied by a plan."""

from __future__ import annotations

import pulumi
import pulumi_aws as aws


def allow_backups_of_tables(name: str, opts: pulumi.ResourceOptions | None = None) -> None:
    """Let plans back tables up in full, which copies into another region need.

    One setting for the account and region; of other types it says nothing.
    """
    tables = {"DynamoDB": True}
    aws.backup.RegionSettings(
        name,
        resource_type_opt_in_preference=tables,
        resource_type_management_preference=tables,
        # AWS answers with all types, and each preview would show those that we do not name.
        opts=pulumi.ResourceOptions.merge(
            opts,
            pulumi.ResourceOptions(
                ignore_changes=["resourceTypeOptInPreference", "resourceTypeManagementPreference"]
            ),
        ),
    )
