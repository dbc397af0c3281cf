"""What must never be lost: the customers' files, the results and the records.

All of it is versioned or restorable to a point in time, and protected: neither a wrong preview nor
`pulumi destroy` takes it away.
"""

from __future__ import annotations

import pulumi
import pulumi_aws as aws


class Storage(pulumi.ComponentResource):
    """The uploads bucket, the results bucket and the predictions table."""

    def __init__(
        self, name: str, account_id: str, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("retainwise:infra:Storage", name, None, opts)
        # Names of buckets are global: the account's id keeps others from having taken them.
        self.uploads = self._private_bucket(f"{name}-uploads-{account_id}")
        self.results = self._private_bucket(f"{name}-results-{account_id}")
        self.table = self._predictions_table(f"{name}-predictions")
        self.register_outputs(
            {
                "uploads": self.uploads.bucket,
                "results": self.results.bucket,
                "table": self.table.name,
            }
        )

    def _private_bucket(self, name: str) -> aws.s3.Bucket:
        bucket = aws.s3.Bucket(name, bucket=name, opts=self._stateful())
        inside = pulumi.ResourceOptions(parent=bucket)
        # A record names the version it was made from, so an overwritten upload is noticed.
        aws.s3.BucketVersioning(
            name,
            bucket=bucket.bucket,
            versioning_configuration=aws.s3.BucketVersioningVersioningConfigurationArgs(
                status="Enabled"
            ),
            opts=inside,
        )
        # The parts of an upload whose process was killed are no object: no erasure would see them.
        aws.s3.BucketLifecycleConfiguration(
            name,
            bucket=bucket.bucket,
            rules=[
                aws.s3.BucketLifecycleConfigurationRuleArgs(
                    id="unfinished-uploads",
                    status="Enabled",
                    filter=aws.s3.BucketLifecycleConfigurationRuleFilterArgs(prefix=""),
                    abort_incomplete_multipart_upload={"days_after_initiation": 1},
                )
            ],
            opts=inside,
        )
        aws.s3.BucketPublicAccessBlock(
            name,
            bucket=bucket.bucket,
            block_public_acls=True,
            block_public_policy=True,
            ignore_public_acls=True,
            restrict_public_buckets=True,
            opts=inside,
        )
        return bucket

    def _predictions_table(self, name: str) -> aws.dynamodb.Table:
        """Keyed reads only: what a page costs does not grow with the table."""
        attribute = aws.dynamodb.TableAttributeArgs
        index = aws.dynamodb.TableGlobalSecondaryIndexArgs
        key = aws.dynamodb.TableGlobalSecondaryIndexKeySchemaArgs
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
            deletion_protection_enabled=True,
            opts=self._stateful(),
        )

    def _stateful(self) -> pulumi.ResourceOptions:
        # With a fixed name, created before deleted, the new one would be the one that is deleted.
        return pulumi.ResourceOptions(parent=self, protect=True, delete_before_replace=True)
