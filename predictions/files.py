"""The objects of a prediction in S3: what was uploaded, what came out.

    uploads/<account>/<prediction>/input.csv
    results/<account>/<prediction>/<attempt>/result.csv
    results/<account>/<prediction>/<attempt>/summary.json

Keys hold no user input. An output is keyed by its attempt, so that a superseded job can overwrite
nothing that a record points to.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, cast

from boto3.s3.transfer import TransferConfig
from botocore.exceptions import ClientError
from pydantic import Field

from predictions.errors import InputChanged, InputMissing
from predictions.record import (
    CustomerAtRisk,
    Frozen,
    InputFile,
    NewValue,
    Prediction,
    RowError,
    Summary,
)

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_PART_BYTES = 8 * 1024 * 1024
# One part at a time, in the caller's own thread: a request then holds two parts at most.
_UPLOAD = TransferConfig(multipart_chunksize=_PART_BYTES, use_threads=False)
# One request for the whole file: the emulator ignores the range of a request that names a version.
_DOWNLOAD = TransferConfig(multipart_threshold=5 * 1024**4, use_threads=False)
_READ_BYTES = 256 * 1024


class SummaryFile(Frozen):
    """The content of summary.json: the record's summary and, only here, the customers at risk."""

    prediction: str
    model: str
    rows: int
    rows_failed: int
    summary: Summary | None = Field(
        description="None where all that is known of the result is the file itself."
    )
    customers_at_risk: tuple[CustomerAtRisk, ...]
    ids_are_row_numbers: bool = Field(
        default=False, description="The file has no id column: rows are numbered instead."
    )
    row_errors: tuple[RowError, ...] = Field(
        default=(),
        description="All errors of each of the first hundred rows without a score, by row.",
    )
    new_values: tuple[NewValue, ...] = Field(
        default=(), description="The first value of each column that the model does not know."
    )


@dataclass(frozen=True)
class OldFile:
    """An object that the first version left in one of the buckets."""

    bucket: str
    key: str
    modified_at: datetime


class Files:
    """The uploads bucket and the results bucket."""

    def __init__(self, s3: S3Client, *, uploads_bucket: str, results_bucket: str) -> None:
        self._s3 = s3
        self._uploads = uploads_bucket
        self._results = results_bucket

    def put_upload(
        self, account: str, prediction_id: str, stream: IO[bytes], *, name: str
    ) -> InputFile:
        """Stream an upload to its object in bounded memory, and say exactly what is there now.

        `stream.read(n)` must give n bytes until the end. What it raises comes through, and nothing
        is left in the bucket then.
        """
        key = upload_key(account, prediction_id)
        measured = Measured(stream)
        self._s3.upload_fileobj(cast("IO[bytes]", measured), self._uploads, key, Config=_UPLOAD)
        head = self._s3.head_object(Bucket=self._uploads, Key=key)
        return InputFile(
            key=key,
            name=name,
            size_bytes=measured.size_bytes,
            sha256=measured.sha256,
            etag=head["ETag"],
            version_id=head.get("VersionId"),
        )

    def fetch_upload(
        self, input_file: InputFile, target: Path, *, moved: Callable[[int], None] | None = None
    ) -> None:
        """Download the recorded version of an upload; `moved` is told of bytes as they come.

        Raises InputMissing when it is gone, InputChanged when it is another file by now.
        """
        version = {"VersionId": input_file.version_id} if input_file.version_id else {}
        try:
            if not version:  # a bucket without versions: the key may hold another file by now
                head = self._s3.head_object(Bucket=self._uploads, Key=input_file.key)
                if head["ETag"] != input_file.etag:
                    raise InputChanged(f"{input_file.key} is another file than was uploaded")
            self._s3.download_file(
                self._uploads,
                input_file.key,
                str(target),
                ExtraArgs=version,
                Config=_DOWNLOAD,
                Callback=moved,
            )
        except ClientError as exc:
            if _is_missing(exc):
                raise InputMissing(f"{input_file.key} is no longer there") from exc
            raise
        if target.stat().st_size != input_file.size_bytes:
            raise InputChanged(f"{input_file.key} has not the size that was uploaded")

    def has_upload(self, input_file: InputFile) -> bool:
        """Say whether the recorded version of an upload is there."""
        version: Any = {"VersionId": input_file.version_id} if input_file.version_id else {}
        try:
            head = self._s3.head_object(Bucket=self._uploads, Key=input_file.key, **version)
        except ClientError as exc:
            if _is_missing(exc):
                return False
            raise
        return head["ETag"] == input_file.etag

    def put_result(
        self,
        account: str,
        prediction_id: str,
        attempt: int,
        result: Path,
        summary: SummaryFile,
        *,
        traceparent: str | None = None,
        moved: Callable[[int], None] | None = None,
    ) -> tuple[str, str]:
        """Store a scored file with its summary; return their keys.

        traceparent: the span that made them, for their metadata. moved: told of the file's bytes
        as they go; a part sent again takes its own back first.
        """
        key, summary_key = _result_keys(account, prediction_id, attempt)
        metadata = {"traceparent": traceparent} if traceparent else {}
        self._s3.upload_file(
            str(result),
            self._results,
            key,
            Config=_UPLOAD,
            ExtraArgs={"ContentType": "text/csv", "Metadata": metadata},
            Callback=moved,
        )
        self._put_summary(summary_key, summary, metadata)
        return key, summary_key

    def open_result(self, prediction: Prediction) -> tuple[Iterator[bytes], int]:
        """Open a COMPLETED prediction's file: its chunks and its size in bytes."""
        if prediction.result is None:
            raise ValueError(f"{prediction.id} has no result: it is {prediction.status}")
        answer = self._s3.get_object(Bucket=self._results, Key=prediction.result.key)
        return answer["Body"].iter_chunks(_READ_BYTES), answer["ContentLength"]

    def read_summary(self, prediction: Prediction) -> SummaryFile:
        """Read a COMPLETED prediction's summary.json."""
        if prediction.result is None:
            raise ValueError(f"{prediction.id} has no summary: it is {prediction.status}")
        answer = self._s3.get_object(Bucket=self._results, Key=prediction.result.summary_key)
        return SummaryFile.model_validate_json(answer["Body"].read())

    # ---- what the first version left ----

    def find_upload(self, key: str) -> OldFile | None:
        """Return the first version's upload of this key, if it is still there."""
        return self._find(self._uploads, key)

    def find_results(self, keys: Iterable[str]) -> Iterator[OldFile]:
        """Yield which of these keys are there, in their order: it had results in both buckets."""
        for key in keys:
            for bucket in (self._results, self._uploads):
                if found := self._find(bucket, key):
                    yield found

    def read_old(self, old: OldFile) -> Iterator[bytes]:
        """Yield the content of one that was found."""
        answer = self._s3.get_object(Bucket=old.bucket, Key=old.key)
        return answer["Body"].iter_chunks(_READ_BYTES)

    def copy_upload(
        self, old: OldFile, account: str, prediction_id: str, *, name: str
    ) -> InputFile:
        """Copy an upload to where a prediction's is, within S3, and say exactly what is there."""
        key = upload_key(account, prediction_id)
        self._s3.copy({"Bucket": old.bucket, "Key": old.key}, self._uploads, key, Config=_UPLOAD)
        answer = self._s3.get_object(Bucket=self._uploads, Key=key)
        measured = Measured(cast("IO[bytes]", answer["Body"]))
        while measured.read(_READ_BYTES):
            pass
        return InputFile(
            key=key,
            name=name,
            size_bytes=measured.size_bytes,
            sha256=measured.sha256,
            etag=answer["ETag"],
            version_id=answer.get("VersionId"),
        )

    def copy_result(
        self, old: OldFile, account: str, prediction_id: str, attempt: int, summary: SummaryFile
    ) -> tuple[str, str]:
        """Copy a result to where an attempt's is, within S3, with a summary; return their keys."""
        key, summary_key = _result_keys(account, prediction_id, attempt)
        self._s3.copy(
            {"Bucket": old.bucket, "Key": old.key},
            self._results,
            key,
            Config=_UPLOAD,
            ExtraArgs={"ContentType": "text/csv", "MetadataDirective": "REPLACE"},
        )
        self._put_summary(summary_key, summary, {})
        return key, summary_key

    def erase(self, account: str, prediction_id: str) -> int:
        """Remove every version of every file of a prediction; return how many there were.

        Each file is marked as deleted first and the mark stays: marks reach the copies in a
        recovery region, whose versions then end by their lifecycle; removals of versions do not.
        """
        return sum(
            self._erase_versions(bucket, f"{root}/{account}/{prediction_id}/")
            for bucket, root in ((self._uploads, "uploads"), (self._results, "results"))
        )

    def erase_attempts(
        self, account: str, prediction_id: str, *, up_to: int, but: int | None = None
    ) -> int:
        """Remove what the attempts from 1 to `up_to` have stored, `but` one; return how much."""
        return sum(
            self._erase_versions(self._results, f"results/{account}/{prediction_id}/{attempt}/")
            for attempt in range(1, up_to + 1)
            if attempt != but
        )

    def ping(self) -> None:
        """Make one cheap call to each bucket; raises the SDK's error when one is out of reach."""
        for bucket in (self._uploads, self._results):
            self._s3.head_bucket(Bucket=bucket)

    def _put_summary(self, key: str, summary: SummaryFile, metadata: dict[str, str]) -> None:
        self._s3.put_object(
            Bucket=self._results,
            Key=key,
            Body=summary.model_dump_json().encode(),
            ContentType="application/json",
            Metadata=metadata,
        )

    def _find(self, bucket: str, key: str) -> OldFile | None:
        try:
            head = self._s3.head_object(Bucket=bucket, Key=key)
        except ClientError as exc:
            if _is_missing(exc):
                return None
            raise
        return OldFile(bucket, key, head["LastModified"])

    def _erase_versions(self, bucket: str, prefix: str) -> int:
        pages = self._s3.get_paginator("list_object_versions").paginate(
            Bucket=bucket, Prefix=prefix
        )
        # All are listed first: AWS does not say what follows a page whose last version is gone.
        entries = [entry for page in pages for entry in page.get("Versions", ())]
        for entry in entries:
            if entry["IsLatest"]:
                self._s3.delete_object(Bucket=bucket, Key=entry["Key"])
            self._s3.delete_object(Bucket=bucket, Key=entry["Key"], VersionId=entry["VersionId"])
        return len(entries)


class Measured:
    """A readable stream that counts and digests what is read through it."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._sha256 = hashlib.sha256()
        self.size_bytes = 0

    def read(self, size: int = -1) -> bytes:
        """Read up to `size` bytes; b"" at the end."""
        chunk = self._stream.read(size)
        self.size_bytes += len(chunk)
        self._sha256.update(chunk)
        return chunk

    @property
    def sha256(self) -> str:
        """The digest of what was read so far, in hexadecimal."""
        return self._sha256.hexdigest()


def upload_key(account: str, prediction_id: str) -> str:
    """Return the key of a prediction's upload, whether or not it is there."""
    return f"uploads/{account}/{prediction_id}/input.csv"


def _result_keys(account: str, prediction_id: str, attempt: int) -> tuple[str, str]:
    folder = f"results/{account}/{prediction_id}/{attempt}"
    return f"{folder}/result.csv", f"{folder}/summary.json"


def _is_missing(error: ClientError) -> bool:
    return error.response.get("ResponseMetadata", {}).get("HTTPStatusCode") == 404
