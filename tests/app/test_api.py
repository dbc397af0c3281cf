"""The HTTP table: each call, from each status, and on what is not the caller's."""

from __future__ import annotations

import io
import json
from urllib.parse import unquote

import pytest

from finished import CONTENT, FAILURE, RESULT, brought_to
from predictions import message
from predictions.errors import NotFound
from predictions.record import Status, new_id
from predictions.store import Store

UNFINISHED = [Status.QUEUED, Status.PROCESSING]


def upload(client, content=CONTENT, name="may.csv", **headers):
    form = {"file": (io.BytesIO(content), name)}
    return client.post("/api/predictions", data=form, headers=headers)


def the_message(cloud):
    received = cloud.queue.receive(wait_s=0)
    return message.read(received.body) if received else None


def test_an_upload_is_stored_recorded_and_sent(client, cloud):
    answer = upload(client)

    assert answer.status_code == 202
    prediction_id = answer.json["id"]
    assert answer.headers["Location"] == f"/api/predictions/{prediction_id}"
    assert answer.json["status"] == "QUEUED"
    assert answer.json["file"] == {"name": "may.csv", "size_bytes": len(CONTENT)}
    record = cloud.store.get("demo", prediction_id)
    stored = cloud.s3.get_object(Bucket=cloud.uploads_bucket, Key=record.input.key)
    assert stored["Body"].read() == CONTENT
    assert the_message(cloud).data.prediction_id == prediction_id


def test_a_body_of_csv_is_taken_like_a_form(client, cloud):
    answer = client.post("/api/predictions?name=june.csv", data=CONTENT, content_type="text/csv")

    assert answer.status_code == 202
    assert answer.json["file"] == {"name": "june.csv", "size_bytes": len(CONTENT)}


def test_an_upload_is_accepted_while_the_queue_is_away(client, cloud):
    cloud.sqs.delete_queue(QueueUrl=cloud.queue_url)

    answer = upload(client)

    assert answer.status_code == 202
    assert cloud.store.get("demo", answer.json["id"]).status is Status.QUEUED


def test_the_callers_trace_goes_on(client, cloud):
    trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"

    given = upload(client, traceparent=trace).json["id"]
    made_up = upload(client, traceparent="00-" + "0" * 32 + "-00f067aa0ba902b7-01").json["id"]

    assert cloud.store.get("demo", given).traceparent == trace
    assert cloud.store.get("demo", made_up).traceparent[3:35] != "0" * 32


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


@pytest.mark.parametrize(
    ("query", "code", "named"),
    [("status=DONE", "bad-status", "QUEUED"), ("cursor=7", "bad-cursor", "next_cursor")],
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


ON_ONE = [
    ("GET", "/api/predictions/{}"),
    ("GET", "/api/predictions/{}/result.csv"),
    ("POST", "/api/predictions/{}/retry"),
    ("DELETE", "/api/predictions/{}"),
    ("GET", "/predictions/{}"),
    ("GET", "/predictions/{}/result.csv"),
    ("POST", "/predictions/{}/retry"),
    ("GET", "/predictions/{}/delete"),
    ("POST", "/predictions/{}/delete"),
]


@pytest.mark.parametrize(("method", "path"), ON_ONE)
def test_another_accounts_prediction_looks_like_none(client, cloud, tmp_path, method, path):
    theirs = brought_to(Status.FAILED, cloud, tmp_path, account="other")

    def ask(prediction_id):
        answer = client.open(path.format(prediction_id), method=method)
        told = answer.text.replace(answer.headers["X-Request-Id"], "")
        return answer.status_code, told

    assert ask(theirs.id) == ask(new_id()) == ask("no-id") == ask("x" * 3000)
    assert ask(theirs.id)[0] == 404
    assert cloud.store.get("other", theirs.id) == theirs


def test_what_is_no_id_is_not_looked_up(client, monkeypatch):
    # DynamoDB refuses a key of more than 1,024 bytes, which would look like an outage.
    monkeypatch.setattr(Store, "get", None)

    assert client.get(f"/api/predictions/{'x' * 1100}").status_code == 404


def test_every_route_on_one_prediction_is_tried_as_another_account(app):
    routes = {
        (method, rule.rule.replace("<prediction_id>", "{}"))
        for rule in app.url_map.iter_rules()
        if "prediction_id" in rule.arguments
        for method in rule.methods - {"HEAD", "OPTIONS"}
    }
    assert routes == set(ON_ONE)


def test_what_is_not_there_is_a_problem_too(client):
    nothing = client.get("/api/nothing")
    method = client.put("/api/predictions")

    assert (nothing.status_code, nothing.json["code"]) == (404, "not-found")
    assert nothing.mimetype == method.mimetype == "application/problem+json"
    assert (method.status_code, method.json["code"]) == (405, "method-not-allowed")
    assert "POST" in method.headers["Allow"]
