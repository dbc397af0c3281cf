"""The first version's predictions on the pages and in the API, once they are taken over."""

from __future__ import annotations

import io

import pytest

from old_rows import CUSTOMERS, EXPORT, OLD_RESULT, put_old_files
from page_text import text_of
from predictions.first_version import read_rows, take_over


@pytest.fixture
def ids(cloud):
    """The new id of each old one; 14's result has no probabilities."""
    put_old_files(cloud)
    cloud.s3.put_object(Bucket=cloud.results_bucket, Key="out/gone.csv", Body=b"id,label\nC1,yes\n")
    rows = read_rows(io.StringIO(EXPORT))
    take_over(rows, cloud.store, cloud.files, cloud.queue)
    return {row.id: row.prediction_id for row in rows}


@pytest.mark.parametrize(
    ("old", "content"), [("7", OLD_RESULT), ("8", OLD_RESULT), ("14", b"id,label\nC1,yes\n")]
)
def test_a_completed_one_is_downloaded(client, ids, old, content):
    for path in (f"/predictions/{ids[old]}", f"/api/predictions/{ids[old]}"):
        answer = client.get(f"{path}/result.csv")
        assert (answer.status_code, answer.data) == (200, content)


def test_all_are_in_the_list(client, ids):
    shown = text_of(client.get("/predictions"))
    assert "7.csv 2 of 3 scored 1 50.0 %" in shown
    for old in ("9", "10", "11", "13"):
        assert f"{old}.csv" in shown
    assert client.get("/api/predictions").json["next_cursor"] is None


def test_the_page_of_each_is_shown(client, ids):
    said = {
        "7": "1 of 2 customers are expected to leave, 50.0 %",
        "9": "Waiting for its turn",
        "12": "Neither the uploaded file nor a readable result was kept by an earlier version.",
        "13": "The file could not be scored by an earlier version of this service.",
        "14": "The result is in the file",
    }
    for old, words in said.items():
        page = client.get(f"/predictions/{ids[old]}")
        assert page.status_code == 200
        assert words in text_of(page), text_of(page)


def test_rows_without_a_score_are_told(client, ids):
    assert "1 row (row 3): cannot be used." in text_of(client.get(f"/predictions/{ids['7']}"))
    for old, failed in (("7", 1), ("14", 0)):
        answer = client.get(f"/api/predictions/{ids[old]}/row-errors").json
        assert (answer["rows_failed"], sum(one["rows"] for one in answer["counts"])) == (
            failed,
            failed,
        )


def test_a_failed_one_can_be_retried(client, cloud, ids):
    assert client.post(f"/api/predictions/{ids['13']}/retry").status_code == 202
    record = cloud.store.get("demo", ids["13"])
    assert (record.status, record.input.size_bytes) == ("QUEUED", len(CUSTOMERS))


def test_one_can_be_deleted_with_its_copies(client, cloud, ids):
    assert client.delete(f"/api/predictions/{ids['7']}").status_code == 204
    assert cloud.files.erase("demo", ids["7"]) == 3
