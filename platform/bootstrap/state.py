"""Where Pulumi keeps a stack's state, and the key for the state and the secrets in it.

The state says what belongs to the stack: without it, everything would have to be imported by hand.
So each version of it is kept, nothing in it is readable without the key, and by setting nobody can
delete it for a while and there is a copy of all of it in another region.
"""

from __future__ import annotations

import json

import pulumi
import pulumi_aws as aws

from bootstrap.settings import StateSettings
from infra.identity import Account, Role, allow, trust_service

_DELETION_WINDOW_DAYS = 30  # the longest: with the key, all state and all secrets are gone

_ADMINISTRATION = (
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
_USE = (
    "kms:Decrypt",
    "kms:Encrypt",
    "kms:GenerateDataKey",
    "kms:GenerateDataKeyWithoutPlaintext",
    "kms:ReEncryptFrom",
    "kms:ReEncryptTo",
)


class StateKey(pulumi.ComponentResource):
    """The key, and its copy in the recovery region where there is one.

    The copy opens what the key has closed: secrets can be read when the region is away.
    """

    def __init__(
        self,
        name: str,
        settings: StateSettings,
        account: Account,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("retainwise:bootstrap:StateKey", name, None, opts)
        stateful = pulumi.ResourceOptions(parent=self, protect=settings.protect)
        key = aws.kms.Key(
            name,
            description=f"{name}: Pulumi's state and secrets, the deploy lease, the images",
            enable_key_rotation=True,
            multi_region=True,  # cannot be changed later, and a replica needs it
            deletion_window_in_days=_DELETION_WINDOW_DAYS,
            policy=_key_policy(account),
            opts=stateful,
        )
        self.arn, self.arns = key.arn, [key.arn]
        self._alias(name, key.key_id, None, key)
        self.secrets_provider = f"awskms:///alias/{name}?region={account.region}"
        self.replica_arn: pulumi.Output[str] | None = None
        if settings.recovery_region is not None:
            replica = aws.kms.ReplicaKey(
                f"{name}-recovery",
                description=f"{name}: the copies in the recovery region",
                primary_key_arn=key.arn,
                region=settings.recovery_region,
                deletion_window_in_days=_DELETION_WINDOW_DAYS,
                policy=_key_policy(account),
                opts=stateful,
            )
            self.replica_arn = replica.arn
            self.arns.append(replica.arn)
            # The same alias: there, the same secrets provider works with the region changed.
            self._alias(name, replica.key_id, settings.recovery_region, replica)
        self.register_outputs({"arn": self.arn})

    def _alias(
        self, name: str, key_id: pulumi.Output[str], region: str | None, parent: pulumi.Resource
    ) -> None:
        aws.kms.Alias(
            name if region is None else f"{name}-recovery",
            name=f"alias/{name}",
            target_key_id=key_id,
            region=region,
            opts=pulumi.ResourceOptions(parent=parent, delete_before_replace=True),
        )


class State(pulumi.ComponentResource):
    """The state's bucket and, by setting, its copy in the recovery region."""

    def __init__(
        self,
        name: str,
        settings: StateSettings,
        account: Account,
        key: StateKey,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("retainwise:bootstrap:State", name, None, opts)
        inside = pulumi.ResourceOptions(parent=self)
        # Names of buckets are global: the account's id keeps others from having taken it.
        self.bucket = StateBucket(f"{name}-{account.id}", settings, key.arn, opts=inside)
        self.url = f"s3://{name}-{account.id}?region={account.region}"
        if settings.recovery_region is not None and key.replica_arn is not None:
            copy = StateBucket(
                f"{name}-recovery-{account.id}",
                settings,
                key.replica_arn,
                region=settings.recovery_region,
                opts=inside,
            )
            self._replicate(f"{name}-replication", account, copy, key.arn, key.replica_arn)
        self.register_outputs({"url": self.url})

    def _replicate(
        self,
        name: str,
        account: Account,
        copy: StateBucket,
        key_arn: pulumi.Output[str],
        replica_arn: pulumi.Output[str],
    ) -> None:
        source, target = self.bucket, copy
        role = Role(
            name,
            trust=trust_service("s3.amazonaws.com", account, source.arn),
            may=[
                allow("s3:GetReplicationConfiguration", "s3:ListBucket", on=source.arn),
                allow(
                    "s3:GetObjectLegalHold",
                    "s3:GetObjectRetention",
                    "s3:GetObjectVersionAcl",
                    "s3:GetObjectVersionForReplication",
                    "s3:GetObjectVersionTagging",
                    on=f"{source.arn}/*",
                ),
                allow(
                    "s3:ReplicateDelete",
                    "s3:ReplicateObject",
                    "s3:ReplicateTags",
                    on=f"{target.arn}/*",
                ),
                allow("kms:Decrypt", on=key_arn),
                allow("kms:Encrypt", "kms:GenerateDataKey", on=replica_arn),
            ],
            opts=pulumi.ResourceOptions(parent=self),
        )
        aws.s3.BucketReplicationConfig(
            name,
            bucket=source.name,
            role=role.arn,
            rules=[
                aws.s3.BucketReplicationConfigRuleArgs(
                    id="everything",
                    status="Enabled",
                    priority=1,
                    filter={"prefix": ""},
                    delete_marker_replication={"status": "Enabled"},
                    source_selection_criteria={"sse_kms_encrypted_objects": {"status": "Enabled"}},
                    destination=aws.s3.BucketReplicationConfigRuleDestinationArgs(
                        bucket=target.arn,
                        encryption_configuration={"replica_kms_key_id": replica_arn},
                    ),
                )
            ],
            # S3 takes it only between buckets that have versions.
            opts=pulumi.ResourceOptions(
                parent=self, depends_on=[source.versioning, target.versioning]
            ),
        )


class StateBucket(pulumi.ComponentResource):
    """A versioned, encrypted bucket that no one reaches from outside or without TLS.

    region: another one than the stack's, for a copy.
    """

    def __init__(
        self,
        name: str,
        settings: StateSettings,
        key_arn: pulumi.Output[str],
        region: str | None = None,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("retainwise:bootstrap:StateBucket", name, None, opts)
        bucket = aws.s3.Bucket(
            name,
            bucket=name,
            region=region,
            object_lock_enabled=settings.lock_days is not None,
            force_destroy=not settings.protect,
            # With a fixed name, created before deleted, the new one would be what is deleted.
            opts=pulumi.ResourceOptions(
                parent=self, protect=settings.protect, delete_before_replace=True
            ),
        )
        self.name, self.arn = bucket.bucket, f"arn:aws:s3:::{name}"
        inside = pulumi.ResourceOptions(parent=bucket)
        self.versioning = aws.s3.BucketVersioning(
            name,
            bucket=self.name,
            region=region,
            versioning_configuration={"status": "Enabled"},
            opts=inside,
        )
        # Only what has versions can be locked, and only old versions can expire.
        versioned = pulumi.ResourceOptions(parent=bucket, depends_on=[self.versioning])
        if settings.lock_days is not None:
            retention = {"mode": "GOVERNANCE", "days": settings.lock_days}
            aws.s3.BucketObjectLockConfiguration(
                name,
                bucket=self.name,
                region=region,
                rule={"default_retention": retention},
                opts=versioned,
            )
        aws.s3.BucketServerSideEncryptionConfiguration(
            name,
            bucket=self.name,
            region=region,
            rules=[
                {
                    "apply_server_side_encryption_by_default": {
                        "sse_algorithm": "aws:kms",
                        "kms_master_key_id": key_arn,
                    },
                    "bucket_key_enabled": True,  # one call to KMS for many objects
                }
            ],
            opts=inside,
        )
        aws.s3.BucketOwnershipControls(
            name,
            bucket=self.name,
            region=region,
            rule={"object_ownership": "BucketOwnerEnforced"},
            opts=inside,
        )
        access = aws.s3.BucketPublicAccessBlock(
            name,
            bucket=self.name,
            region=region,
            block_public_acls=True,
            block_public_policy=True,
            ignore_public_acls=True,
            restrict_public_buckets=True,
            opts=inside,
        )
        aws.s3.BucketPolicy(
            name,
            bucket=self.name,
            region=region,
            policy=_only_by_tls(self.arn),
            # AWS takes one change of who may reach a bucket at a time.
            opts=pulumi.ResourceOptions(parent=bucket, depends_on=[access]),
        )
        aws.s3.BucketLifecycleConfiguration(
            name,
            bucket=self.name,
            region=region,
            rules=_lifecycle(settings.old_version_days),
            opts=versioned,
        )
        self.register_outputs({"name": self.name})


def _only_by_tls(bucket_arn: str) -> str:
    statement = {
        "Sid": "OnlyByTls",
        "Effect": "Deny",
        "Principal": "*",
        # A denial of everything: here a wildcard is the strict choice.
        "Action": "s3:*",
        "Resource": [bucket_arn, f"{bucket_arn}/*"],
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def _lifecycle(old_version_days: int) -> list[aws.s3.BucketLifecycleConfigurationRuleArgs]:
    rule = aws.s3.BucketLifecycleConfigurationRuleArgs
    whole_bucket = aws.s3.BucketLifecycleConfigurationRuleFilterArgs(prefix="")
    return [
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
            # Each lock that Pulumi has taken and given back leaves one behind.
            expiration={"expired_object_delete_marker": True},
        ),
    ]


def _key_policy(account: Account) -> str:
    """Leave it to the account's own policies who may use the key.

    In a key's policy the resource is always `*`, which is this key.
    """
    statement = {
        "Sid": "Account",
        "Effect": "Allow",
        "Principal": {"AWS": account.global_arn("iam", "root")},
        "Action": sorted((*_ADMINISTRATION, *_USE)),
        "Resource": "*",
    }
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})
