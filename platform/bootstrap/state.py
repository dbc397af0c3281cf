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
from infra.identity import Account
from infra.keys import KEY_ADMINISTRATION, KEY_USE
from infra.replication import replicate
from infra.storage import PrivateBucket

_DELETION_WINDOW_DAYS = 30  # the longest: with the key, all state and all secrets are gone


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
        # Names of buckets are global: the account's id keeps others from having taken it.
        self.bucket = _bucket(f"{name}-{account.id}", settings, key.arn, None, self)
        self.url = f"s3://{name}-{account.id}?region={account.region}"
        if settings.recovery_region is not None and key.replica_arn is not None:
            region = settings.recovery_region
            copy = _bucket(f"{name}-recovery-{account.id}", settings, key.replica_arn, region, self)
            replicate(
                f"{name}-replication",
                self.bucket,
                copy,
                source_key_arn=key.arn,
                copy_key_arn=key.replica_arn,
                boundary=None,  # it is no role of the service's
                parent=self,
            )
        self.register_outputs({"url": self.url})


def _bucket(
    name: str,
    settings: StateSettings,
    key_arn: pulumi.Output[str],
    region: str | None,
    parent: pulumi.Resource,
) -> PrivateBucket:
    return PrivateBucket(
        name,
        protect=settings.protect,
        key_arn=key_arn,
        old_version_days=settings.old_version_days,
        lock_days=settings.lock_days,
        region=region,
        opts=pulumi.ResourceOptions(parent=parent),
    )


def _key_policy(account: Account) -> str:
    """Leave it to the account's own policies who may use the key.

    In a key's policy the resource is always `*`, which is this key.
    """
    statement = {
        "Sid": "Account",
        "Effect": "Allow",
        "Principal": {"AWS": account.global_arn("iam", "root")},
        "Action": sorted((*KEY_ADMINISTRATION, *KEY_USE)),
        "Resource": "*",
    }
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})
