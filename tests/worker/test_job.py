"""One job, without its process: from the upload to the stored result."""

from __future__ import annotations

import csv
import io
from multiprocessing import Pipe

import pytest

import worker.job
from customer_files import renamed, table, text, without
from model.artifact import SHIPPED, load
from predictions.errors import BadCustomerFile
from predictions.files import SummaryFile
from predictions.record import FileFacts
from worker.job import Job, Progress, run

NAMES = {"tenure": "Months", "MonthlyCharges": "Fee"}
RENAMED = renamed(**NAMES)


def finished(cloud, folder, matches, content=RENAMED):
    prediction = cloud.submit(content.encode())
    facts = FileFacts(rows=6, columns=20, encoding="UTF-8", delimiter=",", matches=matches)
    uploaded = prediction.input.model_copy(update={"facts": facts})
    job = Job(prediction.model_copy(update={"input": uploaded}), folder)
    _theirs, ours = Pipe()
    return run(job, load(SHIPPED), cloud.files, 1, ours)


def test_a_file_is_scored_by_the_columns_that_were_matched(cloud, tmp_path):
    event = finished(cloud, tmp_path, NAMES)

    stored = cloud.s3.get_object(Bucket=cloud.results_bucket, Key=event.result.key)["Body"].read()
    rows = list(csv.DictReader(io.StringIO(stored.decode())))
    assert [row["customerID"] for row in rows] == [row["customerID"] for row in table()]
    assert all(row["churn_probability"] for row in rows)
    assert (event.result.rows, event.result.rows_failed) == (6, 0)


def test_without_matches_the_same_file_misses_them(cloud, tmp_path):
    with pytest.raises(BadCustomerFile) as caught:
        finished(cloud, tmp_path, {})
    assert caught.value.failure.code == "missing-columns"


def test_values_that_the_model_does_not_know_are_told_in_both_summaries(cloud, tmp_path):
    customers = [row | {"Contract": "Weekly", "gender": "FEMALE"} for row in table()]
    event = finished(cloud, tmp_path, NAMES, renamed(customers, **NAMES))

    (new,) = event.summary.new_values
    assert (new.column, new.rows, new.first_row) == ("Contract", 6, 1)
    stored = cloud.s3.get_object(Bucket=cloud.results_bucket, Key=event.result.summary_key)
    summary_file = SummaryFile.model_validate_json(stored["Body"].read())
    assert summary_file.summary == event.summary
    assert [first.text for first in summary_file.new_values] == ["Weekly"]


@pytest.mark.parametrize(
    ("content", "matches", "are_numbers"),
    [
        (text(), {}, False),
        (renamed(customerID="No."), {"customerID": "No."}, False),
        (renamed(customerID="No."), {}, True),
        (without("customerID"), {}, True),
    ],
)
def test_the_summary_says_whether_rows_are_numbered(cloud, tmp_path, content, matches, are_numbers):
    event = finished(cloud, tmp_path, matches, content)

    key = event.result.summary_key
    stored = cloud.s3.get_object(Bucket=cloud.results_bucket, Key=key)["Body"].read()
    assert SummaryFile.model_validate_json(stored).ids_are_row_numbers == are_numbers


def test_bytes_that_are_fetched_and_stored_are_progress(cloud, tmp_path, monkeypatch):
    monkeypatch.setattr(worker.job, "_PROGRESS_EVERY_S", 0)
    content = text().encode()
    ours, theirs = Pipe()
    finished = run(Job(cloud.submit(content), tmp_path), load(SHIPPED), cloud.files, 1, theirs)
    told = []
    while ours.poll():
        told.append(ours.recv())
    stored = cloud.s3.head_object(Bucket=cloud.results_bucket, Key=finished.result.key)
    assert told[0] == Progress(0, 0.0, bytes_moved=len(content))
    assert told[-1] == Progress(6, 1.0, bytes_moved=len(content) + stored["ContentLength"])
    assert len(set(told)) == len(told)
