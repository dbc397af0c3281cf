"""What must never be lost: the customers' files, the results and the records.

All of it is encrypted with the stack's key, versioned or restorable to a point in time, and
protected: neither a wrong preview nor `pulumi destroy` takes it away. `recovery` keeps copies.
"""

from __future__ import annotations

import json

import pulumi
import pulumi_aws as aws

from infra.keys import DataKey
from infra.settings import DataSettings


class Storage(pulumi.ComponentResource):
    """The uploads bucket, the results bucket and the predictions table."""

    def __init__(
        self,
        name: str,
        settings: DataSettings,
        account_id: str,
        key: DataKey,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("retainwise:infra:Storage", name, None, opts)
        self._settings, self._key = settings, key
        # Names of buckets are global: the account's id keeps others from having taken them.
        self.uploads = self._bucket(f"{name}-uploads-{account_id}")
        self.results = self._bucket(f"{name}-results-{account_id}")
        self.table = self._predictions_table(f"{name}-predictions")
        self.register_outputs(
            {
                "uploads": self.uploads.bucket,
                "results": self.results.bucket,
                "table": self.table.name,
            }
        )

    def _bucket(self, name: str) -> PrivateBucket:
        return PrivateBucket(
            name,
            protect=self._settings.protect,
            key_arn=self._key.arn,
            old_version_days=self._settings.old_version_days,
            opts=pulumi.ResourceOptions(parent=self),
        )

    def _predictions_table(self, name: str) -> aws.dynamodb.Table:
        """Keyed reads only: what a page costs does not grow with the table."""
        attribute = aws.dynamodb.TableAttributeArgs
        index = aws.dynamodb.TableGlobalSecondaryIndexArgs
        key = aws.dynamodb.TableGlobalSecondaryIndexKeySchemaArgs
        protect = self._settings.protect
        replicas = [
            aws.dynamodb.TableReplicaArgs(
                region_name=self._settings.recovery_region,
                kms_key_arn=self._key.replica_arn,
                point_in_time_recovery=True,
                deletion_protection_enabled=protect,
                propagate_tags=True,
            )
        ]
        has_replica = self._settings.recovery_region is not None
        return aws.dynamodb.Table(
            name,
            name=name,
            billing_mode="PAY_PER_REQUEST",
            hash_key="account",
            range_key="id",  # a ULID: newest first is a query backwards
            attributes=[
                attribute(name="account", type="S"),
                attribute(name="account_status", type="S"),
                attribute(name="due_at", type="N"),
                attribute(name="id", type="S"),
                attribute(name="unfinished", type="S"),
            ],
            global_secondary_indexes=[
                # For a message that names only the id, and for operators.
                index(
                    name="by-id",
                    key_schemas=[key(attribute_name="id", key_type="HASH")],
                    projection_type="KEYS_ONLY",
                ),
                # The history, filtered by status.
                index(
                    name="by-status",
                    key_schemas=[
                        key(attribute_name="account_status", key_type="HASH"),
                        key(attribute_name="id", key_type="RANGE"),
                    ],
                    projection_type="ALL",
                ),
                # Sparse: only unfinished records are in it, so finding stuck ones is a query.
                index(
                    name="unfinished",
                    key_schemas=[
                        key(attribute_name="unfinished", key_type="HASH"),
                        key(attribute_name="due_at", key_type="RANGE"),
                    ],
                    projection_type="KEYS_ONLY",
                ),
            ],
            ttl=aws.dynamodb.TableTtlArgs(attribute_name="expires_at", enabled=True),
            point_in_time_recovery=aws.dynamodb.TablePointInTimeRecoveryArgs(enabled=True),
            server_side_encryption=aws.dynamodb.TableServerSideEncryptionArgs(
                enabled=True, kms_key_arn=self._key.arn
            ),
            deletion_protection_enabled=protect,
            # What a replica is fed from.
            stream_enabled=True if has_replica else None,
            stream_view_type="NEW_AND_OLD_IMAGES" if has_replica else None,
            replicas=replicas if has_replica else None,
            opts=pulumi.ResourceOptions(parent=self, protect=protect, delete_before_replace=True),
        )


class PrivateBucket(pulumi.ComponentResource):
    """A versioned, encrypted bucket that no one reaches from outside or without TLS.

    key_arn: None for what AWS itself writes and no key of ours can encrypt.
    region: another one than the stack's, for copies.
    expire_days: after how long all that is in it goes; None: never.
    lock_days: for how long nobody can remove a version; None: no lock. Cannot be changed later.
    """

    def __init__(
        self,
        name: str,
        *,
        protect: bool,
        key_arn: pulumi.Input[str] | None,
        old_version_days: int,
        region: str | None = None,
        expire_days: int | None = None,
        lock_days: int | None = None,
        also_allow: list[dict[str, object]] | None = None,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("retainwise:infra:PrivateBucket", name, None, opts)
        resource = aws.s3.Bucket(
            name,
            bucket=name,
            region=region,
            object_lock_enabled=lock_days is not None,
            force_destroy=not protect,
            # Created before deleted, the new one would be the one that is deleted: one name.
            opts=pulumi.ResourceOptions(parent=self, protect=protect, delete_before_replace=True),
        )
        self.bucket, self.arn = resource.bucket, f"arn:aws:s3:::{name}"
        self.is_locked = lock_days is not None
        self._inside = pulumi.ResourceOptions(parent=resource)
        # A record names the version it was made from, so an overwritten upload is noticed.
        self.versioning = aws.s3.BucketVersioning(
            name,
            bucket=self.bucket,
            region=region,
            versioning_configuration=aws.s3.BucketVersioningVersioningConfigurationArgs(
                status="Enabled"
            ),
            opts=self._inside,
        )
        # Only what has versions can be locked, and only old versions can be told and expire.
        versioned = pulumi.ResourceOptions(parent=resource, depends_on=[self.versioning])
        if lock_days is not None:
            retention = {"mode": "GOVERNANCE", "days": lock_days}
            aws.s3.BucketObjectLockConfiguration(
                name,
                bucket=self.bucket,
                region=region,
                rule={"default_retention": retention},
                opts=versioned,
            )
        aws.s3.BucketServerSideEncryptionConfiguration(
            name,
            bucket=self.bucket,
            region=region,
            rules=[_encryption(key_arn)],
            opts=self._inside,
        )
        aws.s3.BucketOwnershipControls(
            name,
            bucket=self.bucket,
            region=region,
            rule=aws.s3.BucketOwnershipControlsRuleArgs(object_ownership="BucketOwnerEnforced"),
            opts=self._inside,
        )
        access = aws.s3.BucketPublicAccessBlock(
            name,
            bucket=self.bucket,
            region=region,
            block_public_acls=True,
            block_public_policy=True,
            ignore_public_acls=True,
            restrict_public_buckets=True,
            opts=self._inside,
        )
        # For what writes here at once: to wait for this component is not to wait for its policy,
        # which is the bucket's child.
        self.policy = aws.s3.BucketPolicy(
            name,
            bucket=self.bucket,
            region=region,
            policy=_policy(self.arn, also_allow or []),
            # AWS takes one change of who may reach a bucket at a time.
            opts=pulumi.ResourceOptions(parent=resource, depends_on=[access]),
        )
        aws.s3.BucketLifecycleConfiguration(
            name,
            bucket=self.bucket,
            region=region,
            rules=_lifecycle(old_version_days, expire_days),
            opts=versioned,
        )
        self.register_outputs({"bucket": self.bucket})


def _encryption(
    key_arn: pulumi.Input[str] | None,
) -> aws.s3.BucketServerSideEncryptionConfigurationRuleArgs:
    default = (
        aws.s3.BucketServerSideEncryptionConfigurationRuleApplyServerSideEncryptionByDefaultArgs
    )
    by = default(sse_algorithm="AES256")
    if key_arn is not None:
        by = default(sse_algorithm="aws:kms", kms_master_key_id=key_arn)
    return aws.s3.BucketServerSideEncryptionConfigurationRuleArgs(
        apply_server_side_encryption_by_default=by,
        # One call to KMS for many objects, not one for each.
        bucket_key_enabled=key_arn is not None,
    )


def _policy(arn: str, also_allow: list[dict[str, object]]) -> str:
    only_tls = {
        "Sid": "OnlyByTls",
        "Effect": "Deny",
        "Principal": "*",
        # A denial of everything: here a wildcard is the strict choice.
        "Action": "s3:*",
        "Resource": [arn, f"{arn}/*"],
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }
    return json.dumps({"Version": "2012-10-17", "Statement": [only_tls, *also_allow]})


def _lifecycle(
    old_version_days: int, expire_days: int | None
) -> list[aws.s3.BucketLifecycleConfigurationRuleArgs]:
    rule = aws.s3.BucketLifecycleConfigurationRuleArgs
    whole_bucket = aws.s3.BucketLifecycleConfigurationRuleFilterArgs(prefix="")
    rules = [
        # The parts of an upload whose process was killed are no object: no erasure would see them.
        rule(
            id="unfinished-uploads",
            status="Enabled",
            filter=whole_bucket,
            abort_incomplete_multipart_upload={"days_after_initiation": 1},
        ),
        rule(
            id="old-versions",
            status="Enabled",
            filter=whole_bucket,
            noncurrent_version_expiration={"noncurrent_days": old_version_days},
            # What is left of an erased file: a mark that it was deleted, with nothing behind it.
            expiration={"expired_object_delete_marker": True},
        ),
    ]
    if expire_days is not None:
        rules.append(
            rule(
                id="old-files",
                status="Enabled",
                filter=whole_bucket,
                expiration={"days": expire_days},
            )
        )
    return rules
