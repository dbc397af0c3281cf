"""One job, without its process: from the upload to the stored result."""

from __future__ import annotations

import csv
import io
from dataclasses import replace
from multiprocessing import Pipe

import pytest

import worker.job
from customer_files import renamed, table, text, without
from model.artifact import SHIPPED, load
from plain import a_prediction
from predictions.errors import BadCustomerFile
from predictions.files import SummaryFile
from predictions.record import Failure, FileFacts
from predictions.schema import Column
from worker.job import Broke, Job, Progress, attempt, run

NAMES = {"tenure": "Months", "MonthlyCharges": "Fee"}
RENAMED = renamed(**NAMES)


def finished(cloud, folder, matches, content=RENAMED, *, model=None, checked_for=None):
    prediction = cloud.submit(content.encode())
    facts = FileFacts(
        rows=6, columns=20, encoding="UTF-8", delimiter=",", matches=matches, model=checked_for
    )
    uploaded = prediction.input.model_copy(update={"facts": facts})
    job = Job(prediction.model_copy(update={"input": uploaded}), folder)
    _theirs, ours = Pipe()
    return run(job, model or load(SHIPPED), cloud.files, 1, ours)


def next_model(*more_columns):
    """The shipped model under another version, which needs so many columns more."""
    shipped = load(SHIPPED)
    columns = shipped.schema.columns + tuple(
        Column(name=name, kind="numeric") for name in more_columns
    )
    schema = shipped.schema.model_copy(update={"version": "telco-next", "columns": columns})
    return replace(shipped, schema=schema)


def probabilities(cloud, event):
    stored = cloud.s3.get_object(Bucket=cloud.results_bucket, Key=event.result.key)["Body"].read()
    rows = csv.DictReader(io.StringIO(stored.decode()))
    return {row["customerID"]: row["churn_probability"] for row in rows}


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


def test_a_file_that_lacks_what_only_the_next_model_needs_says_so(cloud, tmp_path):
    shipped = load(SHIPPED).version
    with pytest.raises(BadCustomerFile) as caught:
        finished(cloud, tmp_path, NAMES, model=next_model("region"), checked_for=shipped)
    told = caught.value.failure
    assert (told.code, told.column) == ("model-mismatch", "region")
    assert told.message == (
        f"When it was uploaded, the file had all that the model {shipped} needs. The service has "
        "gone over to telco-next since. A column is missing: region."
    )
    assert told.hint == "Upload a file with the columns that are expected now."


@pytest.mark.parametrize("checked_for", [None, "telco-next"])
def test_where_the_model_is_the_one_that_it_was_checked_for_it_is_the_file(
    cloud, tmp_path, checked_for
):
    with pytest.raises(BadCustomerFile) as caught:
        finished(cloud, tmp_path, NAMES, model=next_model("region"), checked_for=checked_for)
    assert caught.value.failure.code == "missing-columns"


def test_what_no_model_could_read_is_no_mismatch(cloud, tmp_path):
    with pytest.raises(BadCustomerFile) as caught:
        finished(cloud, tmp_path, NAMES, RENAMED + '"', model=next_model(), checked_for="telco")
    assert caught.value.failure.code == "unclosed-quote"


def test_a_match_of_the_model_before_is_not_used_for_a_column_that_is_the_next_ones_own(
    cloud, tmp_path
):
    """“Months” was the file's name for tenure; now it is a column of the model itself."""
    with pytest.raises(BadCustomerFile) as caught:
        finished(cloud, tmp_path, NAMES, model=next_model("Months"), checked_for="telco")
    told = caught.value.failure
    assert (told.code, told.column) == ("model-mismatch", "tenure")


def test_the_next_model_finds_the_columns_of_a_file_by_their_names_wherever_they_stand(
    cloud, tmp_path
):
    turned = [dict(reversed(row.items())) for row in table()]
    (tmp_path / "turned").mkdir()
    as_it_was = finished(cloud, tmp_path, {}, text(), checked_for="telco")
    scored = finished(
        cloud, tmp_path / "turned", {}, text(turned), model=next_model(), checked_for="telco"
    )
    assert scored.result.model == "telco-next"
    assert probabilities(cloud, scored) == probabilities(cloud, as_it_was)


def test_the_words_for_a_mismatch_have_room_for_all_names(cloud, tmp_path):
    names = [f"{n}-{'x' * 100}" for n in range(30)]
    customers = [row | {f"{name[:-1]}y": "" for name in names} for row in table()]
    with pytest.raises(BadCustomerFile) as caught:
        finished(
            cloud,
            tmp_path,
            {},
            text(customers),
            model=next_model(*names),
            checked_for="x" * 200,
        )
    assert caught.value.failure.code == "model-mismatch"
    assert len(caught.value.failure.message) > 3000
    Failure.model_validate_json(caught.value.failure.model_dump_json())


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


def test_no_file_of_a_job_outlives_it(tmp_path, monkeypatch):
    folder = tmp_path / "of a process"  # nobody has made it, or somebody tidied it away

    def fail(job, *_):
        (job.folder / "input.csv").write_text("a customer's")
        (job.folder / ".retainwise-half").mkdir()
        (job.folder / ".retainwise-half" / "result.csv").write_text("a customer's")
        raise ZeroDivisionError

    monkeypatch.setattr(worker.job, "run", fail)
    for _ in range(2):
        assert attempt(Job(a_prediction(), folder), *[None] * 4) == Broke("ZeroDivisionError")
        assert list(folder.iterdir()) == []
    assert folder.stat().st_mode & 0o777 == 0o700
