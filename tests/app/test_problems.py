"""Errors that are nobody's fault here: what people are told, and what only the log knows."""

from __future__ import annotations

import pytest
import structlog
from botocore.exceptions import ClientError, EndpointConnectionError

from app.problems import PROBLEMS, Problem
from predictions.errors import BadCustomerFile, MissingColumn, MissingColumns
from predictions.record import Failure
from predictions.store import Store

THROTTLED = ClientError(
    {"Error": {"Code": "ThrottlingException", "Message": "secret detail"}}, "Query"
)
UNREACHABLE = EndpointConnectionError(endpoint_url="https://secret.example")


@pytest.fixture
def failing(monkeypatch):
    def fail_with(error):
        def page(*_args, **_kwargs):
            raise error

        monkeypatch.setattr(Store, "page", page)

    return fail_with


@pytest.mark.parametrize("error", [THROTTLED, UNREACHABLE])
def test_aws_being_away_is_said_without_its_words(client, failing, error):
    failing(error)

    with structlog.testing.capture_logs() as lines:
        api, page = client.get("/api/predictions"), client.get("/predictions")

    assert (api.status_code, api.json["code"]) == (503, "unavailable")
    assert page.status_code == 503
    assert api.headers["Retry-After"] == page.headers["Retry-After"] == "5"
    assert "secret" not in api.text + page.text
    assert [line["error"] for line in lines if line["event"] == "aws_failed"] == [
        type(error).__name__
    ] * 2


def test_a_bug_is_known_to_the_log_by_the_id_that_people_see(client, failing):
    failing(RuntimeError("secret detail"))

    with structlog.testing.capture_logs(
        processors=[structlog.contextvars.merge_contextvars]
    ) as lines:
        api, page = client.get("/api/predictions"), client.get("/predictions")

    assert (api.status_code, api.json["code"]) == (500, "internal-error")
    assert page.status_code == 500
    assert "secret" not in api.text + page.text
    assert "Traceback" not in api.text + page.text
    logged = [line["request"] for line in lines if line["event"] == "request_failed"]
    assert logged == [api.json["request_id"], page.headers["X-Request-Id"]]
    assert api.json["request_id"] in api.json["detail"]


def test_each_request_is_one_line_without_what_people_sent(client):
    with structlog.testing.capture_logs() as lines:
        with client.post(
            "/api/predictions?name=secret-name.csv",
            data=b"customerID,tenure\nsecret,1\n",
            content_type="text/csv",
        ) as answer:
            pass
        with client.get(f"/api/predictions/{answer.json['id']}?x=secret"):
            pass

    answered = [line for line in lines if line["event"] == "request_answered"]
    assert [(line["method"], line["route"], line["status"]) for line in answered] == [
        ("POST", "/api/predictions", 202),
        ("GET", "/api/predictions/<prediction_id>", 200),
    ]
    assert "secret" not in str(lines)


def test_every_problem_has_its_status_and_form(app):
    for code, (status, title) in PROBLEMS.items():
        with app.test_request_context("/api/predictions"):
            app.preprocess_request()
            answer = app.handle_user_exception(Problem(code, "What to do."))
        assert answer.mimetype == "application/problem+json"
        assert answer.json["status"] == answer.status_code == status
        assert answer.json["type"] == f"urn:retainwise:problem:{code}"
        assert (answer.json["title"], answer.json["detail"]) == (title, "What to do.")


BAD_FILE = Failure(
    code="unclosed-quote", message="Row 3 has an open quote.", hint="Close it.", row=3, column="a"
)
REFUSED_FILES = [
    "empty-file",
    "no-rows",
    "not-text",
    "not-a-csv",
    "not-utf-8",
    "duplicate-columns",
    "missing-columns",
    "too-many-columns",
    "row-too-long",
    "cell-too-long",
    "unclosed-quote",
]


@pytest.mark.parametrize("code", REFUSED_FILES)
def test_a_refused_file_is_a_problem_of_its_own(client, failing, code):
    failing(BadCustomerFile(BAD_FILE.model_copy(update={"code": code})))

    answer = client.get("/api/predictions")

    assert (answer.status_code, answer.json["code"]) == (422, code)
    told = {name: answer.json[name] for name in ("detail", "hint", "row", "column")}
    assert told == {
        "detail": "Row 3 has an open quote.",
        "hint": "Close it.",
        "row": 3,
        "column": "a",
    }
    assert "missing" not in answer.json


def test_all_missing_columns_are_named_with_the_nearest_that_is_there(client, failing):
    missing = (MissingColumn("tenure", "Tenure"), MissingColumn("Contract", None))
    failing(MissingColumns(BAD_FILE, missing, ("Tenure",)))

    assert client.get("/api/predictions").json["missing"] == [
        {"column": "tenure", "nearest": "Tenure"},
        {"column": "Contract", "nearest": None},
    ]
    assert client.get("/predictions").status_code == 422


def test_what_does_not_apply_is_left_out(client):
    assert set(client.get("/api/nothing").json) == {
        *("type", "title", "status", "detail", "code", "request_id")
    }
