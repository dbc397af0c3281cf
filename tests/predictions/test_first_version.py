"""What becomes of the first version's rows, and that it may be stopped and repeated at will."""

from __future__ import annotations

import io
from collections import Counter
from datetime import UTC, datetime

import pytest

from job_here import JobInThisProcess
from model.artifact import SHIPPED, load
from old_rows import CUSTOMERS, EXPORT, OLD_RESULT, put_old_files
from predictions import message
from predictions.errors import BadExport, NotFound
from predictions.first_version import MODEL, Outcome, Row, read_rows, take_over
from predictions.record import RowErrorCount, Status
from predictions.store import Store
from worker.consumer import Consumer
from worker.liveness import Liveness
from worker.protection import TaskProtection
from worker.settings import WorkerSettings
from worker.shutdown import Shutdown

HEADER = "id,owner,status,upload_key,output_key,created_at\n"
GOOD = "10,demo,QUEUED,a.csv,,2024-03-01T08:00:00Z\n"
ANA = {"Ana@example.com": "ana"}


def rows_of(text=EXPORT):
    return read_rows(io.StringIO(text, newline=""))


def taken(cloud, rows=None, **more):
    return take_over(rows or rows_of(), cloud.store, cloud.files, cloud.queue, **more)


def record(cloud, old_id, account="demo"):
    row = next(row for row in rows_of() if row.id == old_id)
    return cloud.store.get(account, row.prediction_id)


def sent(cloud):
    """The predictions that the queue's messages name, all in today's format; it is empty then."""
    found = []
    while messages := cloud.queue.receive(wait_s=0):
        [received] = messages
        request = message.read(received.body)
        assert isinstance(request, message.Request)
        found.append(request.data.prediction_id)
        cloud.queue.delete(received)
    return Counter(found)


# ---- the export ----


def test_columns_may_stand_in_any_order_with_any_capitals_beside_others():
    text = (
        "\ufeffCreated_At,Notes,STATUS,Id,owner,Output_Key,upload_key\n"
        '\n2024-03-01T09:30:00+01:00,"two\nlines",queued,#10,demo,,a.csv\n'
        "2024-03-01,,Failed,11,demo,b.csv,\n"
    )
    assert rows_of(text) == [
        Row(3, "10", "demo", Status.QUEUED, "a.csv", "", datetime(2024, 3, 1, 8, 30, tzinfo=UTC)),
        Row(5, "11", "demo", Status.FAILED, "", "b.csv", datetime(2024, 3, 1, tzinfo=UTC)),
    ]


@pytest.mark.parametrize(
    ("text", "faults"),
    [
        ("", ["it is empty: it needs a header with " + HEADER.strip().replace(",", ", ")]),
        ("id,owner,status,upload_key,id\n", ["no column output_key", "no column created_at"]),
        (HEADER.replace("\n", ",ID\n"), ["line 1: two columns id"]),
        (HEADER + GOOD + "11,demo\n", ["line 3: 2 cells, the header has 6"]),
        (HEADER + GOOD.replace("10", ""), ["line 2, id: missing"]),
        (HEADER + GOOD.replace("10", "a/b"), ["line 2, id: “a/b” is none"]),
        (HEADER + GOOD + GOOD.replace("10", "#10"), ["line 3, id: “10” is in line 2 already"]),
        (HEADER + GOOD.replace("demo", " "), ["line 2, owner: missing"]),
        (
            HEADER + GOOD.replace("QUEUED", "done"),
            ["line 2, status: “done” is none of QUEUED, PROCESSING, COMPLETED, FAILED"],
        ),
        (HEADER + GOOD.replace("2024-03-01T08:00:00Z", "1 May"), ["line 2, created_at: “1 May”"]),
        (HEADER + GOOD.replace("2024", "1969"), ["line 2, created_at: “1969-03-01T08:00:00Z”"]),
        (HEADER + GOOD.replace("a.csv", '"a'), ["line 2: unexpected end of data"]),
        (
            HEADER + ",,QUEUED,,,2024-03-01\n" + GOOD.replace("QUEUED", ""),
            ["line 2, id: missing", "line 2, owner: missing", "line 3, status: “”"],
        ),
    ],
)
def test_each_fault_is_told_by_line_and_column(text, faults):
    with pytest.raises(BadExport) as refused:
        rows_of(text)
    for fault in faults:
        assert any(fault in told for told in refused.value.faults), refused.value.faults


def test_many_faults_are_counted():
    with pytest.raises(BadExport) as refused:
        rows_of(HEADER + GOOD.replace("QUEUED", "?") * 40)
    assert len(refused.value.faults) == 26
    assert refused.value.faults[-1] == "and 15 more"


def test_a_file_in_another_encoding_is_told(tmp_path):
    path = tmp_path / "export.csv"
    path.write_bytes((HEADER + GOOD.replace("demo", "démo")).encode("latin-1"))
    with path.open(encoding="utf-8", newline="") as file, pytest.raises(BadExport, match="UTF-8"):
        read_rows(file)


def test_ids_are_the_same_each_time_and_sort_by_age_whatever_the_precision():
    ids = [row.prediction_id for row in rows_of()]
    assert ids == sorted(ids) == [row.prediction_id for row in rows_of()]
    assert len(set(ids)) == len(ids)
    finer = rows_of(EXPORT.replace(":00Z", ":00.123Z"))
    assert [row.prediction_id for row in finer] == ids


# ---- what becomes of the rows ----


def test_each_row_gets_its_record(cloud):
    put_old_files(cloud)

    done = taken(cloud)

    assert {outcome: n for outcome, n in done.counts.items() if n} == {
        Outcome.QUEUED: 2,
        Outcome.COMPLETED: 2,
        Outcome.SCORED_ANEW: 1,
        Outcome.FAILED: 1,
        Outcome.FILES_LOST: 2,
    }
    assert done.refused == (
        "line 10, #15: the owner “Ana@example.com” is no account "
        "(small letters, digits and hyphens, 64 at most): say which one it is",
    )
    statuses = {
        "7": "COMPLETED",
        "8": "COMPLETED",
        **dict.fromkeys(("9", "10", "11"), "QUEUED"),
        **dict.fromkeys(("12", "13", "14"), "FAILED"),
    }
    assert {old: record(cloud, old).status for old in statuses} == statuses
    codes = [record(cloud, old).failure.code for old in ("12", "13", "14")]
    assert codes == ["files-lost", "failed-before", "files-lost"]
    newest = [prediction.id for prediction in cloud.store.page("demo").predictions]
    assert newest == sorted((record(cloud, old).id for old in statuses), reverse=True)
    assert sent(cloud) == Counter(record(cloud, old).id for old in ("9", "10", "11"))


def test_an_owner_with_another_name_is_told_the_account(cloud):
    put_old_files(cloud)
    done = taken(cloud, accounts=ANA)
    assert done.refused == ()
    anas = record(cloud, "15", account="ana")
    assert (anas.status, anas.submitted_by) == (Status.QUEUED, "Ana@example.com")


def test_a_result_is_summed_up(cloud):
    put_old_files(cloud)
    taken(cloud)
    for old in ("7", "8"):
        prediction = record(cloud, old)
        assert (prediction.result.rows, prediction.result.rows_failed) == (3, 1)
        assert prediction.result.model == MODEL
        assert prediction.summary.expected_churners == 1.25
        assert prediction.summary.predicted_churners == 2
        [unscored] = prediction.summary.row_errors
        assert unscored == RowErrorCount(kind="no-score", rows=1, first_row=3)
        assert b"".join(cloud.files.open_result(prediction)[0]) == OLD_RESULT
        assert cloud.files.read_summary(prediction).summary == prediction.summary


def test_the_copy_of_an_upload_is_described_exactly_and_the_old_one_is_left(cloud, tmp_path):
    put_old_files(cloud)
    taken(cloud)
    recorded = record(cloud, "10").input
    assert (recorded.name, recorded.size_bytes) == ("10.csv", len(CUSTOMERS))
    cloud.files.fetch_upload(recorded, tmp_path / "copy.csv")
    assert (tmp_path / "copy.csv").read_bytes() == CUSTOMERS
    old = cloud.s3.get_object(Bucket=cloud.uploads_bucket, Key="incoming/10.csv")
    assert old["Body"].read() == CUSTOMERS
    versions = cloud.s3.list_object_versions(Bucket=cloud.uploads_bucket, Prefix="incoming/")
    assert "DeleteMarkers" not in versions


@pytest.mark.parametrize(
    "not_a_result", [b"", b"customerID,churn_probability\n", b"PK\x03\x04", b'a,b\n"x,1\n']
)
def test_a_file_that_is_no_result_is_scored_anew_or_lost(cloud, not_a_result):
    put_old_files(cloud)
    for key in ("out/7.csv", "out/gone.csv"):
        cloud.s3.put_object(Bucket=cloud.results_bucket, Key=key, Body=not_a_result)
    taken(cloud)
    assert record(cloud, "7").status is Status.QUEUED
    assert record(cloud, "14").failure.code == "files-lost"


def test_a_result_without_probabilities_is_kept_without_a_summary(cloud):
    put_old_files(cloud)
    cloud.s3.put_object(
        Bucket=cloud.results_bucket, Key="out/gone.csv", Body=b"id;Score\nC1;85 %\nC2;12 %\n"
    )
    taken(cloud)
    prediction = record(cloud, "14")
    assert (prediction.status, prediction.result.rows) == (Status.COMPLETED, 2)
    assert prediction.summary is None
    assert cloud.files.read_summary(prediction).summary is None


def test_a_record_that_exists_is_not_written_over(cloud):
    put_old_files(cloud)
    [row] = [row for row in rows_of() if row.id == "10"]
    upload = cloud.files.put_upload("demo", row.prediction_id, io.BytesIO(b"mine"), name="mine.csv")
    mine = cloud.store.submit("demo", row.prediction_id, upload, traceparent=row.traceparent)
    assert taken(cloud, [row]).counts[Outcome.ALREADY_THERE] == 1
    assert cloud.store.get("demo", row.prediction_id) == mine
    assert sent(cloud) == {}


# ---- again, and after a kill ----


def everything(cloud):
    """All items of the table and all versions in the buckets."""
    items = cloud.table.scan()["Items"]
    versions = [
        (bucket, version["Key"], version["VersionId"])
        for bucket in (cloud.uploads_bucket, cloud.results_bucket)
        for version in cloud.s3.list_object_versions(Bucket=bucket)["Versions"]
    ]
    return sorted(items, key=lambda item: item["id"]), sorted(versions)


def test_a_second_run_changes_nothing_and_sends_nothing(cloud):
    put_old_files(cloud)
    taken(cloud)
    before = everything(cloud)
    sent(cloud)

    again = taken(cloud)

    assert again.counts[Outcome.ALREADY_THERE] == sum(again.counts.values()) == 8
    assert everything(cloud) == before
    assert sent(cloud) == {}


def test_what_was_deleted_since_does_not_come_back(cloud):
    put_old_files(cloud)
    taken(cloud)
    prediction = record(cloud, "7")
    cloud.store.delete("demo", prediction.id)
    taken(cloud)
    with pytest.raises(NotFound):
        cloud.store.get("demo", prediction.id)


class Killed(BaseException):
    """What ends a process at a call."""


def killed_at(cloud, call, rows):
    """Take rows over and end at the call of this number; False when there are not as many."""
    left = [call]

    def count(**_):
        left[0] -= 1
        if left[0] < 0:
            raise Killed

    clients = (cloud.s3, cloud.sqs, cloud.table.meta.client)
    for client in clients:
        client.meta.events.register_first("before-send.*", count)
    try:
        taken(cloud, rows)
    except Killed:
        return True
    finally:
        for client in clients:
            client.meta.events.unregister("before-send.*", count)
    return False


def test_killed_at_any_call_it_is_finished_by_the_next_run(cloud):
    put_old_files(cloud)
    later = Store(cloud.table, resend_after_s=60, clock=lambda: 4e9)
    kills, was_killed = 0, True
    while was_killed:
        # An account of its own each time: nothing of an earlier round helps this one.
        rows = rows_of(EXPORT.replace("demo", f"round-{kills}"))
        rows = [row for row in rows if row.id in {"8", "9", "12"}]
        was_killed = killed_at(cloud, kills, rows)
        taken(cloud, rows)
        done = [cloud.store.get(row.owner, row.prediction_id) for row in rows]
        told = f"killed at call {kills}"
        assert [one.status for one in done] == ["COMPLETED", "QUEUED", "FAILED"], told
        messages = sent(cloud)
        assert set(messages.values()) <= {1}, told
        if not messages:  # killed between the record and its message: the sweeper's
            assert done[1] in later.queued_and_due(), told
        kills += 1
    assert kills > 20


# ---- the worker ----


def test_the_stuck_ones_are_completed_by_todays_worker(cloud, monkeypatch, tmp_path):
    put_old_files(cloud)
    taken(cloud, accounts=ANA)
    for name, value in cloud.environment().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("MODEL_DIR", str(SHIPPED))
    consumer = Consumer(
        WorkerSettings(),
        cloud.store,
        cloud.queue,
        JobInThisProcess(cloud.files),
        Shutdown(10),
        TaskProtection(None),
        Liveness(tmp_path / "heartbeat", loop_limit_s=60, job_limit_s=60, stop_budget_s=60),
    )

    while received := cloud.queue.receive(wait_s=0):
        consumer.process(*received)
        consumer.batch.acknowledge()
        consumer.batch.wait_acknowledged()

    for old, account in (("9", "demo"), ("10", "demo"), ("11", "demo"), ("15", "ana")):
        prediction = record(cloud, old, account)
        assert (prediction.status, prediction.result.rows) == (Status.COMPLETED, 6)
        assert prediction.result.model == load(SHIPPED).version
