"""The HTTP table: each call, from each status, and on what is not the caller's."""

from __future__ import annotations

import dataclasses
import io
import json
import re
from urllib.parse import unquote

import pytest

from app.services import SERVICES
from finished import CONTENT, FAILURE, RESULT, brought_to
from memory_cloud import TRACEPARENT
from predictions import message, trace
from predictions.errors import NotFound
from predictions.record import Status
from predictions.schema import Column, CustomerSchema
from predictions.store import Store

UNFINISHED = [Status.QUEUED, Status.PROCESSING]


def upload(client, content=CONTENT, name="may.csv", **headers):
    form = {"file": (io.BytesIO(content), name)}
    return client.post("/api/predictions", data=form, headers=headers)


def the_message(cloud):
    return next((message.read(one.body) for one in cloud.queue.receive(wait_s=0)), None)


def test_an_upload_is_stored_recorded_and_sent(client, cloud):
    answer = upload(client)

    assert answer.status_code == 202
    prediction_id = answer.json["id"]
    assert answer.headers["Location"] == f"/api/predictions/{prediction_id}"
    assert answer.json["status"] == "QUEUED"
    assert answer.json["file"] == {
        "name": "may.csv",
        "size_bytes": len(CONTENT),
        "rows": 2,
        "columns": 2,
        "encoding": "UTF-8",
        "delimiter": ",",
        "matches": {},
        "nearest": {},
    }
    assert answer.json["submitted_by"] == "demo"
    record = cloud.store.get("demo", prediction_id)
    stored = cloud.s3.get_object(Bucket=cloud.uploads_bucket, Key=record.input.key)
    assert stored["Body"].read() == CONTENT
    assert the_message(cloud).data.prediction_id == prediction_id


def test_a_body_of_csv_is_taken_like_a_form(client, cloud):
    answer = client.post("/api/predictions?name=june.csv", data=CONTENT, content_type="text/csv")

    assert answer.status_code == 202
    assert answer.json["file"]["name"] == "june.csv"
    assert answer.json["file"]["size_bytes"] == len(CONTENT)


def test_an_upload_is_accepted_while_the_queue_is_away(client, cloud):
    cloud.sqs.delete_queue(QueueUrl=cloud.queue_url)

    answer = upload(client)

    assert answer.status_code == 202
    assert cloud.store.get("demo", answer.json["id"]).status is Status.QUEUED


def test_the_callers_trace_goes_on(client, cloud):
    given = upload(client, traceparent=TRACEPARENT).json
    made_up = upload(client, traceparent="00-" + "0" * 32 + "-00f067aa0ba902b7-01").json

    assert given["trace_id"] == trace.trace_id(TRACEPARENT)
    kept = cloud.store.get("demo", given["id"]).traceparent
    assert trace.trace_id(kept) == given["trace_id"]
    assert trace.span_id(kept) != trace.span_id(TRACEPARENT)
    assert made_up["trace_id"] not in {"0" * 32, given["trace_id"], None}


def test_the_list_is_newest_first_and_filtered(client, cloud, tmp_path):
    older = brought_to(Status.FAILED, cloud, tmp_path).id
    newer = brought_to(Status.QUEUED, cloud, tmp_path).id
    brought_to(Status.QUEUED, cloud, tmp_path, account="other")

    def ids(query):
        return [p["id"] for p in client.get(f"/api/predictions{query}").json["predictions"]]

    assert ids("") == [newer, older]
    assert ids("?status=FAILED") == [older]
    assert ids("?status=COMPLETED") == []
    assert ids(f"?cursor={newer}") == [older]


def test_pages_follow_one_another(client, cloud):
    made = [cloud.submit(CONTENT).id for _ in range(26)]

    first = client.get("/api/predictions").json
    second = client.get(f"/api/predictions?cursor={first['next_cursor']}").json

    seen = [p["id"] for p in first["predictions"] + second["predictions"]]
    assert seen == made[::-1]
    assert second["next_cursor"] is None


def test_the_link_leads_to_the_next_page_of_the_same_list(client, cloud, tmp_path):
    brought_to(Status.QUEUED, cloud, tmp_path)
    made = [brought_to(Status.FAILED, cloud, tmp_path).id for _ in range(3)]

    first = client.get("/api/predictions?status=FAILED&limit=2")
    following, _, relation = first.headers["Link"].partition("; ")
    second = client.get(following.strip("<>"))

    assert relation == 'rel="next"'
    assert first.json["next_cursor"] in following
    assert [p["id"] for p in first.json["predictions"]] == made[:0:-1]
    assert [p["id"] for p in second.json["predictions"]] == made[:1]
    assert "Link" not in second.headers


def test_the_cursor_of_another_account_is_only_a_moment(client, cloud, tmp_path):
    older = brought_to(Status.QUEUED, cloud, tmp_path).id
    theirs = brought_to(Status.QUEUED, cloud, tmp_path, account="other").id
    brought_to(Status.QUEUED, cloud, tmp_path)

    page = client.get(f"/api/predictions?cursor={theirs}").json

    assert [p["id"] for p in page["predictions"]] == [older]


@pytest.mark.parametrize(
    ("query", "code", "named"),
    [
        ("status=DONE", "bad-status", "QUEUED"),
        ("cursor=7", "bad-cursor", "next_cursor"),
        *((f"limit={limit}", "bad-limit", "100") for limit in ("0", "101", "", "-1", "1.0", "١")),
        ("limit=" + "9" * 5000, "bad-limit", "100"),
    ],
)
def test_a_wrong_question_is_told_what_is_allowed(client, query, code, named):
    answer = client.get(f"/api/predictions?{query}")

    assert (answer.status_code, answer.json["code"]) == (400, code)
    assert named in answer.json["detail"]


@pytest.mark.parametrize("status", Status)
def test_a_prediction_shows_what_its_status_has(client, cloud, tmp_path, status):
    prediction = brought_to(status, cloud, tmp_path)

    answer = client.get(f"/api/predictions/{prediction.id}")

    shown = answer.json
    assert shown["status"] == status
    is_completed, is_failed = status is Status.COMPLETED, status is Status.FAILED
    assert (shown["rows"], shown["model"]) == ((2, "m1") if is_completed else (None, None))
    assert (shown["summary"] is not None) == is_completed
    assert (shown["links"]["result"] is not None) == is_completed
    assert shown["error"] == (json.loads(FAILURE.model_dump_json()) if is_failed else None)
    assert (shown["links"]["retry"] is not None) == is_failed
    assert shown["progress"]["fraction"] == {"PROCESSING": 0.5, "COMPLETED": 1}.get(status, 0)
    for private in ("owner", "uploads/", prediction.input.sha256, "demo"):
        assert private not in answer.text


@pytest.mark.parametrize("status", Status)
def test_all_times_are_in_utc(client, cloud, tmp_path, status):
    prediction = brought_to(status, cloud, tmp_path)

    shown = client.get(f"/api/predictions/{prediction.id}").json

    times = [shown[name] for name in ("created_at", "started_at", "finished_at") if shown[name]]
    assert len(times) == {"QUEUED": 1, "PROCESSING": 2}.get(status, 3)
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z", time) for time in times)


def test_a_time_with_another_offset_is_sent_in_utc(client, cloud):
    prediction = cloud.submit(CONTENT)
    cloud.table.update_item(
        Key={"account": "demo", "id": prediction.id},
        UpdateExpression="SET created_at = :moment",
        ExpressionAttributeValues={":moment": "2026-05-01T10:00:00.5+02:00"},
    )

    shown = client.get(f"/api/predictions/{prediction.id}").json

    assert shown["created_at"] == "2026-05-01T08:00:00.500000Z"


def test_what_is_not_known_of_a_file_is_null(client, cloud):
    shown = client.get(f"/api/predictions/{cloud.submit(CONTENT).id}").json

    unknown = ("rows", "columns", "encoding", "delimiter", "matches", "nearest")
    assert [shown["file"][name] for name in unknown] == [None] * 6
    assert shown["submitted_by"] is None


def test_rows_without_a_score_are_counted_and_listed(client, cloud, tmp_path):
    prediction = brought_to(Status.COMPLETED, cloud, tmp_path)
    kept = cloud.files.read_summary(prediction)
    count = {"kind": "not-a-number", "column": "tenure", "rows": 1, "first_row": 2}
    error = {
        "row": 2,
        "column": "tenure",
        "kind": "not-a-number",
        "text": "<n/a>",
        "message": "“<n/a>” is not a number.",
    }
    content = kept.model_dump(mode="json") | {"rows_failed": 1, "row_errors": [error]}
    content["summary"]["row_errors"] = [count]
    cloud.s3.put_object(
        Bucket=cloud.results_bucket,
        Key=prediction.result.summary_key,
        Body=json.dumps(content).encode(),
    )

    answer = client.get(f"/api/predictions/{prediction.id}/row-errors")

    assert answer.json == {"rows_failed": 1, "counts": [count], "errors": [error]}


@pytest.mark.parametrize("status", [*UNFINISHED, Status.FAILED])
def test_there_are_no_row_errors_before_it_is_completed(client, cloud, tmp_path, status):
    prediction = brought_to(status, cloud, tmp_path)

    answer = client.get(f"/api/predictions/{prediction.id}/row-errors")

    assert (answer.status_code, answer.json["code"]) == (409, "not-completed")
    assert answer.json["prediction_status"] == status


@pytest.fixture
def telco(app):
    """The model has a column with categories, and a revenue column that it does not look at."""
    schema = CustomerSchema(
        version="m2",
        columns=(
            Column(name="tenure", kind="numeric"),
            Column(name="Contract", kind="categorical", categories=("Monthly", "Yearly")),
        ),
        id_column="customerID",
        revenue_column="Charges",
        label="Churn",
    )
    app.extensions[SERVICES] = dataclasses.replace(app.extensions[SERVICES], schema=schema)


def test_the_columns_that_a_file_must_have_are_told(client, telco):
    def column(name, kind, categories=(), needed=True):
        return {"name": name, "kind": kind, "categories": [*categories], "needed": needed}

    assert client.get("/api/columns").json == {
        "model": "m2",
        "id_column": "customerID",
        "columns": [
            column("customerID", "id", needed=False),
            column("tenure", "numeric"),
            column("Contract", "categorical", ["Monthly", "Yearly"]),
            column("Charges", "numeric"),
        ],
        "matches": {},
    }


def test_matches_replace_what_was_there(client, cloud, telco):
    cloud.store.remember_column_matches("other", {"tenure": "theirs"})
    first = {"customerID": "Kunde", "Charges": " Umsatz ", "tenure": "tenure"}
    second = {"tenure": "x" * 200}

    set_first = client.put("/api/columns/matches", json={"matches": first})
    set_second = client.put("/api/columns/matches", json={"matches": second})

    # The names in a header are read without the spaces around them.
    assert set_first.json["matches"] == {"customerID": "Kunde", "Charges": "Umsatz"}
    assert set_second.json == client.get("/api/columns").json
    assert set_second.json["matches"] == cloud.store.column_matches("demo") == second
    assert cloud.store.column_matches("other") == {"tenure": "theirs"}


@pytest.mark.parametrize(
    ("body", "status", "named"),
    [
        ({"matches": {"Tenure": "Laufzeit"}}, 422, "“Tenure”"),
        ({"matches": {"Churn": "x"}}, 422, "“Churn”"),
        ({"matches": {"tenure": ""}}, 422, "tenure"),
        ({"matches": {"tenure": " "}}, 422, "tenure"),
        ({"matches": {"tenure": "x" * 201}}, 422, "tenure"),
        ({"matches": {"tenure": None}}, 422, "tenure"),
        ({"matches": {"tenure": "a", "Contract": "a"}}, 422, "“a”"),
        ({"matches": {"tenure": "Contract"}}, 422, "“Contract”"),
        ({"matches": {f"c{i}": "a" for i in range(5000)}}, 422, "“c0”"),
        ({"matches": ["tenure"]}, 422, "matches"),
        ({"matches": {}, "more": 1}, 422, "more"),
        ({}, 422, "matches"),
        ([], 422, "object"),
        ({"matches": {"tenure": "x" * 300_000}}, 413, ""),
    ],
)
def test_wrong_matches_are_named_and_change_nothing(client, cloud, telco, body, status, named):
    cloud.store.remember_column_matches("demo", {"tenure": "Laufzeit"})

    answer = client.put("/api/columns/matches", json=body)

    assert answer.status_code == status
    assert answer.json["code"] == {422: "bad-matches", 413: "request-too-large"}[status]
    assert named in answer.json["detail"]
    assert len(answer.json["detail"]) < 300
    assert cloud.store.column_matches("demo") == {"tenure": "Laufzeit"}


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", ""])
def test_matches_are_json(client, content_type):
    form = client.put("/api/columns/matches", data='{"matches": {}}', content_type=content_type)
    broken = client.put("/api/columns/matches", data="{", content_type="application/json")

    assert (form.status_code, form.json["code"]) == (415, "unsupported-media-type")
    assert (broken.status_code, broken.json["code"]) == (422, "bad-matches")
    assert broken.json["detail"].startswith("Invalid JSON")


def test_the_result_is_downloaded_under_a_name_of_its_own(client, cloud, tmp_path):
    prediction = brought_to(Status.COMPLETED, cloud, tmp_path, name='Kündigungen "Mai".csv')

    answer = client.get(f"/api/predictions/{prediction.id}/result.csv")

    assert answer.text == RESULT
    assert answer.headers["Content-Length"] == str(len(RESULT))
    assert answer.mimetype == "text/csv"
    disposition = answer.headers["Content-Disposition"]
    assert disposition.startswith('attachment; filename="Kundigungen \\"Mai\\"-churn.csv"; ')
    assert unquote(disposition).endswith("UTF-8''Kündigungen \"Mai\"-churn.csv")


@pytest.mark.parametrize("status", [*UNFINISHED, Status.FAILED])
def test_there_is_no_result_before_it_is_completed(client, cloud, tmp_path, status):
    prediction = brought_to(status, cloud, tmp_path)

    answer = client.get(f"/api/predictions/{prediction.id}/result.csv")

    assert (answer.status_code, answer.json["code"]) == (409, "not-completed")
    assert answer.json["prediction_status"] == status


def test_a_failed_prediction_is_queued_again_and_sent(client, cloud, tmp_path):
    prediction = brought_to(Status.FAILED, cloud, tmp_path)

    answer = client.post(f"/api/predictions/{prediction.id}/retry")

    assert answer.status_code == 202
    assert (answer.json["status"], answer.json["attempt"]) == ("QUEUED", 2)
    assert the_message(cloud).data.attempt == 2


@pytest.mark.parametrize("status", [*UNFINISHED, Status.COMPLETED])
def test_only_a_failed_prediction_is_retried(client, cloud, tmp_path, status):
    prediction = brought_to(status, cloud, tmp_path)

    answer = client.post(f"/api/predictions/{prediction.id}/retry")

    assert (answer.status_code, answer.json["code"]) == (409, "not-failed")
    assert answer.json["prediction_status"] == status
    assert the_message(cloud) is None


@pytest.mark.parametrize("status", Status)
def test_a_deleted_prediction_is_gone_at_once_and_its_files_later(client, cloud, tmp_path, status):
    prediction = brought_to(status, cloud, tmp_path)

    assert client.delete(f"/api/predictions/{prediction.id}").status_code == 204

    assert client.get(f"/api/predictions/{prediction.id}").status_code == 404
    assert client.delete(f"/api/predictions/{prediction.id}").status_code == 404
    with pytest.raises(NotFound):
        cloud.store.get("demo", prediction.id)
    assert list(cloud.store.erasures_due()) == []  # not yet: a job may be at work on them


def test_what_is_no_id_is_not_looked_up(client, monkeypatch):
    # DynamoDB refuses a key of more than 1,024 bytes, which would look like an outage.
    monkeypatch.setattr(Store, "get", None)

    assert client.get(f"/api/predictions/{'x' * 1100}").status_code == 404


def test_what_is_not_there_is_a_problem_too(client):
    nothing = client.get("/api/nothing")
    method = client.put("/api/predictions")

    assert (nothing.status_code, nothing.json["code"]) == (404, "not-found")
    assert nothing.mimetype == method.mimetype == "application/problem+json"
    assert (method.status_code, method.json["code"]) == (405, "method-not-allowed")
    assert "POST" in method.headers["Allow"]
