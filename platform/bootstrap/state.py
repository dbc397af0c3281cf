"""Where Pulumi keeps a stack's state, and the key for the state and the secrets in it.

The state says what belongs to the stack: without it, everything would have to be imported by hand.
So each version of it is kept, nothing in it is readable without the key, and by setting nobody can
delete it for a while and there is a copy of all of it in another region.
"""

from __future__ import annotations

import json

import pulumi

from bootstrap.settings import StateSettings
from infra.identity import Account
from infra.keys import CopiedKey, account_decides
from infra.replication import replicate
from infra.storage import PrivateBucket


class StateKey(CopiedKey):
    """The key of the state.

    Its copy opens what it has closed: secrets can be read when the region is away. The copy has the
    same alias: there, the same secrets provider works with the region changed.
    """

    def __init__(
        self,
        name: str,
        settings: StateSettings,
        account: Account,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__(
            "retainwise:bootstrap:StateKey",
            name,
            of="Pulumi's state and secrets, the deploy lease, the images",
            copy_of="the copies in the recovery region",
            policy=_key_policy,
            account=account,
            recovery_region=settings.recovery_region,
            protect=settings.protect,
            is_copy_named=True,
            opts=opts,
        )
        self.secrets_provider = f"awskms:///alias/{name}?region={account.region}"


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
    return json.dumps({"Version": "2012-10-17", "Statement": [account_decides(account)]})
