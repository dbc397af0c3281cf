"""The app does what its OpenAPI document says, and the document says all that the app does."""

from __future__ import annotations

import re
from pathlib import Path
from unittest import mock

import pytest
import schemathesis
from hypothesis import HealthCheck, settings

from app import create_app, openapi
from app.answers import ProblemAnswer
from app.rate_limit import RATE_LIMITS, RateLimits
from app.services import SERVICES, Services
from app.settings import WebSettings
from finished import CONTENT, SCHEMA, brought_to
from predictions.record import Status, new_id
from signed_in import SETTINGS, program

AN_ID = "/api/predictions/{prediction_id}"


@schemathesis.serializer("text/csv")
def csv_as_it_is(_context, value):
    return value if isinstance(value, bytes) else str(value).encode()


# The document is read when pytest collects; the cloud behind the app comes with each test.
def made(**signing_in):
    settings = WebSettings(
        retainwise_env="test",
        predictions_queue_url="unused",
        predictions_table="unused",
        uploads_bucket="unused",
        results_bucket="unused",
        model_dir=Path("unused"),
        **signing_in,
    )
    return create_app(settings, mock.Mock(spec=Services))


APP = made(identity_provider="demo")
BEHIND = made(**SETTINGS)
# What is inside a file, no schema can say: 422 is an answer to a well-formed upload too.
CONFIG = schemathesis.Config.from_dict(
    {"checks": {"positive_data_acceptance": {"expected-statuses": ["2xx", 404, 409, 422]}}}
)
schema = schemathesis.openapi.from_wsgi("/api/openapi.json", APP, config=CONFIG)
behind = schemathesis.openapi.from_wsgi("/api/openapi.json", BEHIND, config=CONFIG)


@pytest.fixture(autouse=True)
def services(cloud, monkeypatch):
    ours = Services(cloud.store, cloud.files, cloud.queue, SCHEMA)
    for app in (APP, BEHIND):
        monkeypatch.setitem(app.extensions, SERVICES, ours)


@schema.parametrize()
@settings(
    max_examples=30,
    deadline=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
)
def test_no_request_gets_an_answer_that_is_not_documented(case):
    case.call_and_validate()


# One of its checks leaves the token out and gives a wrong one: both must be refused.
@behind.parametrize()
@settings(
    max_examples=10,
    deadline=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
)
def test_with_a_token_no_request_gets_an_answer_that_is_not_documented(case):
    case.call_and_validate(headers=program("demo"))


@pytest.mark.parametrize("status", Status)
def test_each_status_is_answered_as_documented(cloud, tmp_path, status):
    for path, method in [
        (AN_ID, "GET"),
        (f"{AN_ID}/result.csv", "GET"),
        (f"{AN_ID}/retry", "POST"),
        (AN_ID, "DELETE"),
    ]:
        prediction = brought_to(status, cloud, tmp_path)
        schema[path][method].Case(
            path_parameters={"prediction_id": prediction.id}
        ).call_and_validate()
    brought_to(status, cloud, tmp_path)
    schema["/api/predictions"]["GET"].Case().call_and_validate()


@pytest.mark.parametrize("content", [CONTENT, b"", b"\0", b"one column\n"])
def test_an_upload_is_answered_as_documented(content):
    upload = schema["/api/predictions"]["POST"]
    upload.Case(body=content, media_type="text/csv").call_and_validate()
    upload.Case(body={"file": content}, media_type="multipart/form-data").call_and_validate()


def test_who_calls_too_often_is_answered_as_documented(monkeypatch):
    limits = RateLimits(requests_per_minute=1, uploads_per_minute=1)
    monkeypatch.setitem(APP.extensions, RATE_LIMITS, limits)
    listing = schema["/api/predictions"]["GET"].Case()
    upload = schema["/api/predictions"]["POST"].Case(body=CONTENT, media_type="text/csv")
    for case, status in ((listing, 200), (upload, 202)):
        assert case.call_and_validate().status_code == status

        refused = case.call_and_validate()

        assert refused.status_code == 429
        assert int(refused.headers["retry-after"][0]) >= 1


def test_readiness_is_answered_as_documented_when_nothing_is_there(cloud):
    cloud.table.delete()

    response = schema["/readyz"]["GET"].Case().call()

    assert response.status_code == 503
    # A server error on purpose, so only its form is checked.
    schema["/readyz"]["GET"].validate_response(response)


def test_the_document_has_every_route_and_no_other():
    documented = {
        (path, method.upper())
        for path, operations in openapi.document(needs_token=True)["paths"].items()
        for method in operations.keys() - {"parameters"}
    }
    routes = {
        (rule.rule.replace("<", "{").replace(">", "}"), method)
        for rule in APP.url_map.iter_rules()
        if rule.endpoint.partition(".")[0] in {"api", "health"}
        for method in rule.methods - {"HEAD", "OPTIONS"}
    }
    assert documented == routes


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
@pytest.mark.parametrize(
    ("how", "status"),
    [
        ({"method": "POST"}, 405),
        ({"headers": {"Host": "evil.example"}}, 400),
        ({"headers": {"Host": "a b"}}, 400),
    ],
)
def test_what_is_refused_beside_the_api_is_a_problem_too(path, how, status):
    answer = APP.test_client().open(path, **how)

    assert (answer.status_code, answer.mimetype) == (status, "application/problem+json")
    assert status != 400 or answer.json["code"] in described(path, "get", status)
    assert ProblemAnswer.model_validate(answer.json).status == status


def test_every_call_needs_a_token_but_those_that_are_for_anybody():
    document = BEHIND.test_client().get("/api/openapi.json").json
    [scheme] = document["components"]["securitySchemes"]
    assert document["security"] == [{scheme: []}]
    for path, operations in document["paths"].items():
        for operation in (operations[name] for name in operations.keys() - {"parameters"}):
            is_for_anybody = path in {"/healthz", "/readyz", "/api/openapi.json"}
            assert operation.get("security") == ([] if is_for_anybody else None)
            assert ("401" in operation["responses"]) is not is_for_anybody


def test_the_demo_account_needs_none():
    assert APP.test_client().get("/api/openapi.json").json["security"] == []


def described(path, method, status):
    operation = openapi.document(needs_token=False)["paths"][path][method]
    return operation["responses"][str(status)]["description"]


def test_every_call_says_that_it_answers_to_some_hosts_only():
    calls = [
        (path, method)
        for path, operations in openapi.document(needs_token=False)["paths"].items()
        for method in operations.keys() - {"parameters"}
    ]
    for path, method in calls:
        address = path.replace("{prediction_id}", new_id())
        answer = APP.test_client().open(address, method=method, headers={"Host": "evil.example"})
        assert (answer.status_code, answer.json["code"]) == (400, "untrusted-host")
        assert "`untrusted-host`" in described(path, method, 400), (path, method)


def test_the_patterns_are_those_that_the_code_checks():
    operations = openapi.document(needs_token=True)["paths"]["/api/predictions"]
    given = {
        parameter["name"]: parameter["schema"].get("pattern", "")
        for operation in operations.values()
        for parameter in operation["parameters"]
    }
    assert re.search(given["cursor"], new_id())
    assert not re.search(given["cursor"], new_id().lower())
    assert re.search(given["Idempotency-Key"], "!" * 255)
    assert not re.search(given["Idempotency-Key"], "a b")
