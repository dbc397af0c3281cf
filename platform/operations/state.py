"""The state of a stack in its bucket: where it is, its versions, and an older one put back."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from localcloud.program import SERVICE
from operations import toolchain
from operations.account import StackAccount
from operations.errors import OperationError, WrongInput


class NoSuchVersion(WrongInput):
    """The state has no such version, or it cannot be used; the message says which there are."""


class StateLocked(OperationError):
    """Pulumi's own lock is there, and it is of no deploy: something is at work beside the lease."""


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


@dataclass(frozen=True)
class Lock:
    """Pulumi's own lock of a stack.

    host, pid: of the CLI that wrote it; none where it was killed while it wrote.
    """

    key: str
    written: datetime
    user: str | None
    host: str | None
    pid: int | None

    def __str__(self) -> str:
        if self.host is None:
            return "somebody who left no name"
        return f"{self.user}@{self.host} (process {self.pid})"

    @classmethod
    def of(cls, key: str, written: datetime, text: bytes) -> Lock:
        """Read what the CLI wrote into it."""
        try:
            said = dict(json.loads(text))
        except (ValueError, TypeError):
            said = {}
        user, host, pid = (said.get(name) for name in ("username", "hostname", "pid"))
        return cls(key, written, user, host, pid if isinstance(pid, int) else None)


def locks(account: StackAccount, project: str = SERVICE.project) -> Iterator[Lock]:
    """List Pulumi's own locks of a stack: one for each update at work, or killed."""
    s3 = account.session.client("s3")
    prefix = f".pulumi/locks/organization/{project}/{account.stack}/"
    for one in s3.list_objects_v2(Bucket=account.state_bucket, Prefix=prefix).get("Contents", ()):
        text = s3.get_object(Bucket=account.state_bucket, Key=one["Key"])["Body"].read()
        yield Lock.of(one["Key"], one["LastModified"], text)


def is_running(pid: int) -> bool:
    """Tell whether a process of this machine is at work, and not only to be reaped."""
    with suppress(OSError, IndexError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    try:
        os.kill(pid, 0)  # asks, and sends nothing
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:  # somebody else's
        return True
    return True


def unlocking(account: StackAccount) -> str:
    """Give the command that takes the locks away, for a person, in the program's folder."""
    url = backend_url(account)
    return f"`PULUMI_BACKEND_URL='{url}' {toolchain.pulumi()} cancel {account.stack} --yes`"


def take_away(account: StackAccount, lock: Lock) -> None:
    """Delete a lock. Whose holder is at work still loses its state to the next one."""
    account.session.client("s3").delete_object(Bucket=account.state_bucket, Key=lock.key)


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


def note_as_begun(account: StackAccount, being_made: Iterable[Mapping[str, Any]]) -> None:
    """Note in the state what may have been made and it does not know, as an update that was killed.

    To be called under the lease. The CLI writes no such notes, and leaves them out of an import.
    being_made: resources as a state has them.
    """
    s3, key = account.session.client("s3"), checkpoint_key(account.stack)
    answer = s3.get_object(Bucket=account.state_bucket, Key=key)
    state = json.loads(answer["Body"].read())
    latest = state["checkpoint"]["latest"]
    pending = latest.get("pending_operations") or []
    latest["pending_operations"] = pending + [
        {"resource": one, "type": "creating"} for one in being_made
    ]
    s3.put_object(Bucket=account.state_bucket, Key=key, Body=json.dumps(state).encode())


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
