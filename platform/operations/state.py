"""The state of a stack in its bucket: where it is, its versions, and an older one put back."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from localcloud.program import SERVICE
from operations import toolchain
from operations.account import StackAccount
from operations.errors import OperationError, WrongInput


class NoSuchVersion(WrongInput):
    """The state has no such version, or it cannot be used; the message says which there are."""


class StateLocked(OperationError):
    """Pulumi's own lock is there: an update is at work beside the lease, or one was killed."""


@dataclass(frozen=True)
class Version:
    """One of the states that were written, or its deletion."""

    id: str
    written: datetime
    size_bytes: int
    is_newest: bool
    is_deleted: bool


@dataclass(frozen=True)
class Contents:
    """What a version has.

    pending: how many resources were being changed when it was written: something else came after.
    """

    resources: int
    pending: int


def backend_url(account: StackAccount) -> str:
    """Where Pulumi finds the state."""
    return f"s3://{account.state_bucket}?region={account.region}"


def secrets_provider(account: StackAccount) -> str:
    """The key of the secrets in the state, as Pulumi names it."""
    return f"awskms:///alias/{account.name}-state?region={account.region}"


def checkpoint_key(stack: str, project: str = SERVICE.project) -> str:
    """The object that holds a stack's newest state."""
    return f".pulumi/stacks/{project}/{stack}.json"


def refuse_if_locked(account: StackAccount) -> None:
    """Raise StateLocked when Pulumi's own lock is there, before it makes an update fail halfway."""
    s3 = account.session.client("s3")
    prefix = f".pulumi/locks/organization/{SERVICE.project}/{account.stack}/"
    for one in s3.list_objects_v2(Bucket=account.state_bucket, Prefix=prefix).get("Contents", ()):
        text = s3.get_object(Bucket=account.state_bucket, Key=one["Key"])["Body"].read()
        raise StateLocked(
            f"the state of {account.stack} is locked by {_who_locked(text)} since "
            f"{one['LastModified']:%Y-%m-%d %H:%M:%S} UTC: it is changed beside the deploy lease, "
            "or what changed it was killed. Nothing was changed now. See that the process is gone; "
            f"then `PULUMI_BACKEND_URL='{backend_url(account)}' {toolchain.pulumi()} cancel "
            f"{account.stack} --yes` takes the lock away"
        )


def _who_locked(text: bytes) -> str:
    try:
        lock = json.loads(text)
        return f"{lock['username']}@{lock['hostname']} (process {lock['pid']})"
    except (ValueError, KeyError, TypeError):  # killed while it wrote that
        return "somebody who left no name"


def was_cut_off(account: StackAccount) -> bool:
    """Whether an update was killed: the newest state notes something that was being done.

    No for one that is lost or damaged, of which the engine says more.
    """
    s3 = account.session.client("s3")
    try:
        answer = s3.get_object(Bucket=account.state_bucket, Key=checkpoint_key(account.stack))
        return _contents(answer["Body"].read()).pending > 0
    except (s3.exceptions.NoSuchKey, *_NOT_WHOLE):
        return False


def versions(account: StackAccount) -> Iterator[Version]:
    """List what can be had back, newest first, with the deletions in between."""
    key = checkpoint_key(account.stack)
    pages = account.session.client("s3").get_paginator("list_object_versions")
    found = []
    for page in pages.paginate(Bucket=account.state_bucket, Prefix=key):
        listed: list[Any] = [*page.get("Versions", ()), *page.get("DeleteMarkers", ())]
        for one in listed:
            if one["Key"] == key:
                found.append(
                    Version(
                        one["VersionId"],
                        one["LastModified"],
                        one.get("Size", 0),
                        one["IsLatest"],
                        "Size" not in one,
                    )
                )
    yield from sorted(found, key=lambda one: (one.is_newest, one.written), reverse=True)


def contents(account: StackAccount, version: Version) -> Contents:
    """Read a version. Raises NoSuchVersion when it is no whole state."""
    answer = account.session.client("s3").get_object(
        Bucket=account.state_bucket,
        Key=checkpoint_key(account.stack),
        VersionId=version.id,
    )
    try:
        return _contents(answer["Body"].read())
    except _NOT_WHOLE as exc:
        raise NoSuchVersion(f"version {version.id} is not a whole state: {exc!r}") from exc


_NOT_WHOLE = (ValueError, KeyError, TypeError, AttributeError)


def _contents(text: bytes) -> Contents:
    # A stack that was never updated has none.
    latest = json.loads(text)["checkpoint"].get("latest") or {}
    return Contents(len(latest.get("resources") or ()), len(latest.get("pending_operations") or ()))


def version_of(account: StackAccount, version_id: str) -> Version:
    """Return the version with this id. Raises NoSuchVersion."""
    for one in versions(account):
        if one.id == version_id and not one.is_deleted:
            return one
    raise NoSuchVersion(
        f"the state of {account.stack} has no version {version_id}; "
        f"`retainwise state {account.stack}` lists them"
    )


def restore(account: StackAccount, version: Version) -> Contents:
    """Write an older version once more, as the newest; return what it has.

    To be called under the lease. Nothing is lost: what was the newest is a version, too.
    Raises NoSuchVersion when it is no whole state.
    """
    has = contents(account, version)
    key = checkpoint_key(account.stack)
    account.session.client("s3").copy_object(
        Bucket=account.state_bucket,
        Key=key,
        CopySource={"Bucket": account.state_bucket, "Key": key, "VersionId": version.id},
    )
    return has
