"""Uploads and results in S3: exactly what was stored, and all of it gone when erased."""

import hashlib
import io

import pytest

from predictions.errors import InputMissing
from predictions.files import SummaryFile
from predictions.record import Summary

SUMMARY = SummaryFile(
    prediction="p",
    model="m",
    rows=1,
    rows_failed=0,
    summary=Summary(expected_churners=1, predicted_churners=1, bands=(), top_reasons=()),
    customers_at_risk=(),
)


class Broken(io.RawIOBase):
    """Gives some megabytes and then fails, as a connection does."""

    def __init__(self, chunks):
        self.chunks = chunks

    def read(self, size=-1):
        if not self.chunks:
            raise ConnectionResetError("gone")
        self.chunks -= 1
        return b"x" * size


def put(cloud, content):
    return cloud.files.put_upload("demo", "p", io.BytesIO(content), name="=evil/../a.csv")


def everything_in(cloud):
    return [
        version["Key"]
        for bucket in (cloud.uploads_bucket, cloud.results_bucket)
        for version in cloud.s3.list_object_versions(Bucket=bucket).get("Versions", ())
    ]


def test_an_upload_is_described_exactly_and_its_key_holds_no_user_input(cloud, tmp_path):
    stored = put(cloud, b"a,b\n1,2\n")
    assert stored.key == "uploads/demo/p/input.csv"
    assert stored.size_bytes == 8
    assert stored.sha256 == hashlib.sha256(b"a,b\n1,2\n").hexdigest()
    cloud.files.fetch_upload(stored, tmp_path / "f")
    assert (tmp_path / "f").read_bytes() == b"a,b\n1,2\n"


def test_the_recorded_version_is_fetched_even_when_the_object_was_overwritten(cloud, tmp_path):
    stored = put(cloud, b"first")
    put(cloud, b"second")
    cloud.files.fetch_upload(stored, tmp_path / "f")
    assert (tmp_path / "f").read_bytes() == b"first"


def test_an_upload_that_is_gone_is_told(cloud, tmp_path):
    stored = put(cloud, b"first")
    cloud.files.erase("demo", "p")
    with pytest.raises(InputMissing):
        cloud.files.fetch_upload(stored, tmp_path / "f")


@pytest.mark.parametrize("chunks", [0, 3])
def test_a_broken_upload_leaves_nothing(cloud, chunks):
    with pytest.raises(ConnectionResetError):
        cloud.files.put_upload("demo", "p", Broken(chunks), name="a.csv")
    assert everything_in(cloud) == []
    uploads = cloud.s3.list_multipart_uploads(Bucket=cloud.uploads_bucket)
    assert uploads.get("Uploads", []) == []


def test_each_attempt_has_its_own_result(cloud, tmp_path):
    (tmp_path / "r").write_text("x")
    keys = {cloud.files.put_result("demo", "p", n, tmp_path / "r", SUMMARY) for n in (1, 2)}
    assert keys == {
        (f"results/demo/p/{n}/result.csv", f"results/demo/p/{n}/summary.json") for n in (1, 2)
    }


def test_erasing_removes_every_version_of_every_file_of_this_prediction_only(cloud, tmp_path):
    (tmp_path / "r").write_text("x")
    put(cloud, b"first"), put(cloud, b"second")
    cloud.files.put_result("demo", "p", 1, tmp_path / "r", SUMMARY)
    cloud.files.put_upload("demo", "p2", io.BytesIO(b"stays"), name="a.csv")
    cloud.s3.delete_object(Bucket=cloud.uploads_bucket, Key="uploads/demo/p/input.csv")
    assert cloud.files.erase("demo", "p") == 4  # two uploads, a result, a summary
    assert everything_in(cloud) == ["uploads/demo/p2/input.csv"]
    assert cloud.files.erase("demo", "p") == 0


def test_what_is_erased_was_marked_as_deleted_for_its_copies_to_follow(cloud, tmp_path):
    put(cloud, b"first")
    (tmp_path / "r").write_text("x")
    key, summary_key = cloud.files.put_result("demo", "p", 1, tmp_path / "r", SUMMARY)
    cloud.files.erase("demo", "p")
    marked = {
        marker["Key"]
        for bucket in (cloud.uploads_bucket, cloud.results_bucket)
        for marker in cloud.s3.list_object_versions(Bucket=bucket).get("DeleteMarkers", ())
    }
    assert marked == {"uploads/demo/p/input.csv", key, summary_key}


def test_a_summary_of_before_new_values_were_counted_is_read():
    old = SUMMARY.model_dump(exclude={"new_values": True, "summary": {"new_values"}})
    assert SummaryFile.model_validate(old) == SUMMARY
