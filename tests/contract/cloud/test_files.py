"""What the product relies on from S3, in buckets that keep versions."""

from __future__ import annotations

import hashlib
import io
import random

import pytest
from botocore.exceptions import ClientError

from finished import AT_RISK, RESULT, SUMMARY, brought_to
from predictions.errors import InputMissing
from predictions.files import Files, OldFile, SummaryFile
from predictions.record import Status, utc_now

PART_BYTES = 8 * 1024 * 1024
SUMMARY_FILE = SummaryFile(
    prediction="p", model="m1", rows=2, rows_failed=0, summary=SUMMARY, customers_at_risk=()
)


class Breaking(io.RawIOBase):
    """Gives one part and then fails, as a connection does."""

    def __init__(self):
        self.parts = [b"x" * PART_BYTES]

    def read(self, size=-1):
        if not self.parts:
            raise ConnectionResetError("gone")
        return self.parts.pop()


@pytest.fixture
def put(cloud, account):
    """Uploads a file as the app does."""

    def put(content, prediction_id="p"):
        return cloud.files.put_upload(account, prediction_id, io.BytesIO(content), name="a.csv")

    return put


@pytest.fixture
def fetch(cloud, tmp_path):
    """Downloads the version that a record names."""

    def fetch(stored):
        cloud.files.fetch_upload(stored, tmp_path / "fetched")
        return (tmp_path / "fetched").read_bytes()

    return fetch


def listed(cloud, account, kind="Versions"):
    return [
        entry["Key"]
        for bucket, root in ((cloud.uploads_bucket, "uploads"), (cloud.results_bucket, "results"))
        for entry in cloud.s3.list_object_versions(Bucket=bucket, Prefix=f"{root}/{account}/").get(
            kind, ()
        )
    ]


def test_each_upload_of_one_key_is_a_version_that_is_fetched_by_its_id(put, fetch):
    first, second = put(b"first"), put(b"the second")
    assert first.key == second.key
    assert first.version_id != second.version_id
    assert (fetch(first), fetch(second)) == (b"first", b"the second")


def test_each_version_keeps_its_own_tag(cloud, put):
    uploads = [put(b"first"), put(b"the second")]
    tags = [
        cloud.s3.head_object(
            Bucket=cloud.uploads_bucket, Key=upload.key, VersionId=upload.version_id
        )["ETag"]
        for upload in uploads
    ]
    assert tags == [upload.etag for upload in uploads]
    assert tags[0] != tags[1]


def test_an_upload_in_parts_comes_back_as_it_was(put, fetch):
    content = random.Random(1).randbytes(PART_BYTES + 1)
    stored = put(content)
    assert stored.size_bytes == len(content)
    assert stored.etag.endswith('-2"'), "one of two parts"
    assert hashlib.sha256(fetch(stored)).hexdigest() == stored.sha256


def test_an_upload_that_breaks_leaves_neither_a_version_nor_a_part(cloud, account):
    with pytest.raises(ConnectionResetError):
        cloud.files.put_upload(account, "p", Breaking(), name="a.csv")
    assert listed(cloud, account) == []
    parts = cloud.s3.list_multipart_uploads(
        Bucket=cloud.uploads_bucket, Prefix=f"uploads/{account}/"
    )
    assert not parts.get("Uploads")


def test_a_version_that_is_gone_is_told_from_an_error(cloud, put, fetch, account):
    stored = put(b"first")
    cloud.files.erase(account, "p")
    with pytest.raises(InputMissing, match="no longer there"):
        fetch(stored)


def test_a_result_is_streamed_and_says_its_size_and_type(cloud, account, tmp_path):
    done = brought_to(Status.COMPLETED, cloud, tmp_path, account=account)
    chunks, size = cloud.files.open_result(done)
    streamed = b"".join(chunks)
    assert (streamed, size) == (RESULT.encode(), len(RESULT))
    assert cloud.files.read_summary(done).customers_at_risk == (AT_RISK,)
    head = cloud.s3.head_object(Bucket=cloud.results_bucket, Key=done.result.key)
    assert head["ContentType"] == "text/csv"


def test_a_range_of_a_version_is_that_range_alone(cloud, put):
    stored = put(b"0123456789")
    answer = cloud.s3.get_object(
        Bucket=cloud.uploads_bucket,
        Key=stored.key,
        VersionId=stored.version_id,
        Range="bytes=2-4",
    )
    assert answer["Body"].read() == b"234"


def test_what_is_erased_is_gone_in_all_versions_and_its_mark_stays(cloud, put, account, tmp_path):
    (tmp_path / "r").write_text("x")
    uploads = [put(b"first"), put(b"the second")]
    results = cloud.files.put_result(account, "p", 1, tmp_path / "r", SUMMARY_FILE)
    other = put(b"stays", "another")
    assert cloud.files.erase(account, "p") == 4
    assert listed(cloud, account) == [other.key]
    assert sorted(listed(cloud, account, "DeleteMarkers")) == sorted([uploads[0].key, *results])
    assert cloud.files.find_upload(uploads[0].key) is None
    assert cloud.files.erase(account, "p") == 0


def test_all_versions_are_erased_though_they_are_listed_in_pages(cloud, put, account, monkeypatch):
    for number in range(5):
        put(str(number).encode())
    whole = cloud.s3.get_paginator

    class TwoAtATime:
        def __init__(self, name):
            self.pages = whole(name)

        def paginate(self, **asked):
            return self.pages.paginate(**asked, PaginationConfig={"PageSize": 2})

    monkeypatch.setattr(cloud.s3, "get_paginator", TwoAtATime)
    assert cloud.files.erase(account, "p") == 5
    assert listed(cloud, account) == []


def test_a_file_of_the_first_version_is_copied_within_s3(cloud, account, fetch):
    old = OldFile(cloud.uploads_bucket, f"uploads/{account}/old name (1).csv", utc_now())
    cloud.s3.put_object(Bucket=old.bucket, Key=old.key, Body=b"id\n1\n")
    stored = cloud.files.copy_upload(old, account, "p", name="a.csv")
    assert fetch(stored) == b"id\n1\n"
    assert cloud.files.find_upload(old.key) is not None, "the old one is left"


def test_a_key_that_is_not_there_is_told_from_an_error(cloud, account):
    assert cloud.files.find_upload(f"uploads/{account}/nothing") is None


def test_a_bucket_that_is_not_there_is_out_of_reach(cloud):
    cloud.files.ping()
    nowhere = f"{cloud.uploads_bucket}-not-there"
    with pytest.raises(ClientError):
        Files(cloud.s3, uploads_bucket=nowhere, results_bucket=nowhere).ping()
