"""A bucket's copy in another region, kept by S3 under a role that can do just that."""

from __future__ import annotations

from collections.abc import Sequence

import pulumi
import pulumi_aws as aws

from infra.identity import Role, Statement, allow, trust_service
from infra.storage import PrivateBucket

EVERYTHING = "everything"
"""The id of the one rule, which its metrics carry."""


def replicate(
    name: str,
    source: PrivateBucket,
    copy: PrivateBucket,
    *,
    source_key_arn: pulumi.Input[str],
    copy_key_arn: pulumi.Input[str],
    boundary: str | None,
    storage_class: str = "STANDARD",
    is_measured: bool = False,
    parent: pulumi.Resource,
) -> None:
    """Have every new object and every mark of deletion copied; removals of versions are not.

    is_measured: count what waits and what failed, at the price of four metrics.
    """
    role = Role(
        name,
        trust=trust_service("s3.amazonaws.com", None),
        may=_may(source, copy, source_key_arn, copy_key_arn),
        boundary=boundary,
        opts=pulumi.ResourceOptions(parent=parent),
    )
    aws.s3.BucketReplicationConfig(
        name,
        bucket=source.bucket,
        role=role.arn,
        rules=[
            aws.s3.BucketReplicationConfigRuleArgs(
                id=EVERYTHING,
                status="Enabled",
                priority=1,
                filter={"prefix": ""},
                delete_marker_replication={"status": "Enabled"},
                source_selection_criteria={"sse_kms_encrypted_objects": {"status": "Enabled"}},
                destination=aws.s3.BucketReplicationConfigRuleDestinationArgs(
                    bucket=copy.arn,
                    storage_class=storage_class,
                    encryption_configuration={"replica_kms_key_id": copy_key_arn},
                    metrics={"status": "Enabled"} if is_measured else None,
                ),
            )
        ],
        # S3 takes it only between buckets that have versions.
        # What comes while the role may not copy it is not tried again.
        opts=pulumi.ResourceOptions(
            parent=parent, depends_on=[source.versioning, copy.versioning, role.policy]
        ),
    )


def _may(
    source: PrivateBucket,
    copy: PrivateBucket,
    source_key_arn: pulumi.Input[str],
    copy_key_arn: pulumi.Input[str],
) -> Sequence[Statement]:
    reads = [
        "s3:GetObjectVersionForReplication",
        "s3:GetObjectVersionAcl",
        "s3:GetObjectVersionTagging",
    ]
    if source.is_locked:
        reads += ["s3:GetObjectLegalHold", "s3:GetObjectRetention"]
    return [
        allow("s3:GetReplicationConfiguration", "s3:ListBucket", on=source.arn),
        allow(*reads, on=f"{source.arn}/*"),
        allow("s3:ReplicateDelete", "s3:ReplicateObject", "s3:ReplicateTags", on=f"{copy.arn}/*"),
        allow("kms:Decrypt", on=source_key_arn),
        allow("kms:Encrypt", "kms:GenerateDataKey", on=copy_key_arn),
    ]
