"""Release records: what was deployed, by whom and how it ended, as JSON beside the state.

`releases/<project>/<stack>/<id>.json` in the state's bucket. The ids are ULIDs, so the keys are in
the order of time. A record is written before anything changes: what is still running and has no
lease was cut off.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from pydantic import AwareDatetime, BaseModel, ConfigDict, ValidationError
from ulid import ULID

from localcloud.program import SERVICE
from operations.errors import OperationError

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

What: TypeAlias = Literal["deploy", "rollback"]
Ended: TypeAlias = Literal["good", "failed", "put back"]
"""How a release can end; put back: it failed, and the one before it runs again."""
Result: TypeAlias = Literal["running", "good", "failed", "put back"]


class DamagedRelease(OperationError):
    """What lies under a record's key is not one; the message names the key."""


class Release(BaseModel):
    """One release of a stack.

    revision: the commit; none where there was no repository. dirty: with changes that are in none.
    images: digests by service. configuration: the stack's file as it was used, secrets encrypted.
    puts_back: the id of the release whose images and configuration it brings back.
    """

    # What a later version adds does not stop this one from rolling back.
    model_config = ConfigDict(frozen=True, extra="ignore")

    id: str
    stack: str
    revision: str | None
    dirty: bool
    images: Mapping[str, str]
    configuration: Mapping[str, Any]
    who: str
    what: What
    started: AwareDatetime
    ended: AwareDatetime | None = None
    result: Result = "running"
    reason: str | None = None
    puts_back: str | None = None


class Releases:
    """The release records of one stack."""

    def __init__(self, s3: S3Client, bucket: str, stack: str) -> None:
        self._s3 = s3
        self._bucket = bucket
        self._stack = stack
        self._prefix = f"releases/{SERVICE.project}/{stack}/"

    def start(
        self,
        *,
        revision: str | None,
        dirty: bool,
        images: Mapping[str, str],
        configuration: Mapping[str, Any],
        who: str,
        what: What,
        puts_back: str | None = None,
    ) -> Release:
        """Write the record of a release that begins; to be called before anything changes.

        Under the deploy lease: it is to be the newest, also where another machine's clock is ahead.
        """
        newest = next(iter(self._keys_newest_first()), None)
        release = Release(
            id=_id_after(newest and newest.removeprefix(self._prefix).removesuffix(".json")),
            stack=self._stack,
            revision=revision,
            dirty=dirty,
            images=images,
            configuration=configuration,
            who=who,
            what=what,
            started=datetime.now(UTC),
            puts_back=puts_back,
        )
        self._write(release)
        return release

    def finish(self, release: Release, result: Ended, reason: str | None = None) -> Release:
        """Write how a release ended, and why it did not end well."""
        finished = release.model_copy(
            update={"ended": datetime.now(UTC), "result": result, "reason": reason}
        )
        self._write(finished)
        return finished

    def get(self, release_id: str) -> Release | None:
        """Return one record; None when there is no such. Raises DamagedRelease."""
        try:
            ULID.from_str(release_id)
            return self._read(self._key(release_id))
        except (ValueError, self._s3.exceptions.NoSuchKey):
            return None

    def newest_first(self, before: str | None = None) -> Iterator[Release]:
        """Yield the records, each read when it is asked for. Raises DamagedRelease.

        before: the id of a release; only those that are older.
        """
        for key in self._keys_newest_first():
            if before is None or key < self._key(before):
                yield self._read(key)

    def listed(self) -> Iterator[Release | DamagedRelease]:
        """Yield the records, newest first, and in its place what says that one is damaged."""
        for key in self._keys_newest_first():
            try:
                yield self._read(key)
            except DamagedRelease as exc:
                yield exc

    def last_good(self, before: str | None = None) -> Release | None:
        """Return the newest that ended well, or the newest such that is older than `before`."""
        return next((one for one in self.newest_first(before) if one.result == "good"), None)

    def _keys_newest_first(self) -> list[str]:
        pages = self._s3.get_paginator("list_objects_v2").paginate(
            Bucket=self._bucket, Prefix=self._prefix
        )
        # S3 lists forwards only. There is a key for each deploy there ever was: few pages.
        return [one["Key"] for page in pages for one in page.get("Contents", [])][::-1]

    def _read(self, key: str) -> Release:
        text = self._s3.get_object(Bucket=self._bucket, Key=key)["Body"].read()
        try:
            release = Release.model_validate_json(text)
        except ValidationError as exc:
            first, *_ = exc.errors(include_url=False)
            place = ".".join(str(part) for part in first["loc"])
            raise self._damaged(key, f"{place}: {first['msg']}" if place else first["msg"]) from exc
        if self._key(release.id) != key or release.stack != self._stack:
            raise self._damaged(key, f"it is the record {release.id} of {release.stack}")
        return release

    def _damaged(self, key: str, why: str) -> DamagedRelease:
        return DamagedRelease(
            f"s3://{self._bucket}/{key} is no release record: {why}. Bring an older version of it "
            "back, or move it elsewhere"
        )

    def _write(self, release: Release) -> None:
        self._s3.put_object(
            Bucket=self._bucket,
            Key=self._key(release.id),
            Body=release.model_dump_json(indent=1).encode(),
            ContentType="application/json",
        )

    def _key(self, release_id: str) -> str:
        return f"{self._prefix}{release_id}.json"


def _id_after(newest: str | None) -> str:
    """Make an id that sorts after the newest one."""
    made = ULID()
    with suppress(ValueError):  # a key that no deploy wrote
        after = ULID.from_str(newest) if newest else made
        if made < after:
            made = ULID.from_timestamp(after.milliseconds + 1)
    return str(made)
