"""What another site, or a name that is not ours, can do here: nothing."""

from __future__ import annotations

import itertools
import re

import pytest
from flask import Flask

from app import security
from finished import brought_to
from predictions.record import Status
from signed_in import person, program


@pytest.fixture
def anybody(app):
    """Sends what it is given and no header of its own."""
    return app.test_client()


EVERYWHERE = [
    "/",
    "/predictions",
    "/predictions/new",
    "/columns",
    "/nothing",
    "/api/predictions",
    "/api/nothing",
    "/healthz",
    "/readyz",
    "/static/style.css",
    "/static/nothing.css",
    "/static/../security.py",
]


def test_every_answer_is_hardened(client):
    for path in EVERYWHERE:
        with client.get(path) as answer:
            headers = answer.headers
        policy = headers["Content-Security-Policy"]
        assert policy.startswith("default-src 'none'; ")
        assert "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
        assert headers["Cross-Origin-Opener-Policy"] == "same-origin"
        assert headers["Referrer-Policy"] == "same-origin"
        assert "camera=()" in headers["Permissions-Policy"]
        assert "Strict-Transport-Security" not in headers
        assert (headers["Cache-Control"] == "no-store") == (path != "/static/style.css")


def test_who_came_by_https_is_to_come_so_for_a_year(client):
    for path in EVERYWHERE:
        with client.get(path, base_url="https://localhost") as answer:
            assert answer.headers["Strict-Transport-Security"] == "max-age=31536000"


def test_the_load_balancer_is_believed_that_it_was_https(behind):
    for path in EVERYWHERE:
        headers = {"X-Forwarded-Proto": "https"} | person("acme")
        with behind.test_client().get(path, headers=headers) as answer:
            assert answer.headers["Strict-Transport-Security"] == "max-age=31536000"
        with behind.test_client().get(path, headers=person("acme")) as answer:
            assert "Strict-Transport-Security" not in answer.headers


def test_without_a_load_balancer_nobody_is_believed_that_it_was_https(anybody):
    answer = anybody.get("/predictions", headers={"X-Forwarded-Proto": "https"})

    assert "Strict-Transport-Security" not in answer.headers


def test_only_the_form_that_signs_out_may_lead_to_another_site(client, behind):
    def form_targets(answer):
        return re.search(r"form-action ([^;]+);", answer.headers["Content-Security-Policy"])[1]

    assert form_targets(client.get("/predictions")) == "'self'"
    page = behind.test_client().get("/predictions", headers=person("acme"))
    assert form_targets(page) == "'self' https://prod-retainwise.auth.example"


def test_no_answer_sets_a_cookie(app, client, cloud, tmp_path):
    addresses = app.url_map.bind("localhost")
    tried = 0
    for rule in app.url_map.iter_rules():
        for method in sorted(rule.methods):
            prediction = brought_to(Status.FAILED, cloud, tmp_path)
            known = {"prediction_id": prediction.id, "filename": "style.css"}
            values = {name: known[name] for name in rule.arguments}
            path = addresses.build(rule.endpoint, values, method=method)
            for headers in ({}, {"Sec-Fetch-Site": "cross-site"}, {"Cookie": "session=x"}):
                with client.open(path, method=method, headers=headers) as answer:
                    assert "Set-Cookie" not in answer.headers, (method, path)
                tried += 1
    assert tried > 50


@pytest.mark.parametrize(("bind_host", "is_secure"), [("127.0.0.1", False), ("0.0.0.0", True)])
def test_a_cookie_would_be_as_strict_as_it_can_be(bind_host, is_secure):
    app = Flask(__name__)
    security.init_app(app, bind_host)

    assert app.config["SESSION_COOKIE_SECURE"] is is_secure
    assert app.config["SESSION_COOKIE_HTTPONLY"] is True
    assert app.config["SESSION_COOKIE_SAMESITE"] == "Lax"


FOREIGN = [
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},
    {"Origin": "https://evil.example"},
    {"Origin": "http://localhost:9999"},
    {"Origin": "http://localhost.evil.example"},
    {"Origin": "null"},
    {"Origin": "http://[broken"},
    {"Origin": ""},
    {"Sec-Fetch-Site": ""},
    {"Sec-Fetch-Site": "none", "Origin": "null"},
    {"Sec-Fetch-Site": "cross-site", "Origin": "http://localhost"},
    {"Sec-Fetch-Site": "same-origin", "Origin": "https://evil.example"},
]
OWN = [
    {"Sec-Fetch-Site": "same-origin", "Origin": "http://localhost"},
    {"Sec-Fetch-Site": "none"},
    {"Origin": "https://LOCALHOST"},  # TLS may end before us
]


def changing(app, prediction):
    """Each call that changes something: method, path, and whether it is the API's."""
    addresses = app.url_map.bind("localhost")
    for rule in app.url_map.iter_rules():
        values = dict.fromkeys(rule.arguments, prediction.id)
        for method in sorted(rule.methods - {"GET", "HEAD", "OPTIONS"}):
            path = addresses.build(rule.endpoint, values, method=method)
            yield method, path, rule.endpoint.startswith("api.")


def each_on_its_own(app, cloud, folder):
    """The same calls, each on a new FAILED prediction."""
    for place, _ in enumerate(changing(app, brought_to(Status.FAILED, cloud, folder))):
        yield list(changing(app, brought_to(Status.FAILED, cloud, folder)))[place]


def test_another_site_changes_nothing(app, anybody, cloud, tmp_path):
    prediction = brought_to(Status.FAILED, cloud, tmp_path)
    for headers, attempt in itertools.product(FOREIGN, changing(app, prediction)):
        method, path, is_api = attempt
        answer = anybody.open(path, method=method, headers=headers)
        assert answer.status_code == 403, (headers, method, path)
        assert not is_api or answer.json["code"] == "cross-site"
    assert cloud.store.get("demo", prediction.id) == prediction


@pytest.mark.parametrize("headers", OWN)
def test_our_own_pages_may_act(app, anybody, cloud, tmp_path, headers):
    for method, path, _is_api in each_on_its_own(app, cloud, tmp_path):
        answer = anybody.open(path, method=method, headers=headers)
        assert answer.status_code != 403, (method, path)


PUBLIC = {"Host": "churn.example", "X-Forwarded-Proto": "https"}


@pytest.mark.parametrize(
    ("origin", "is_ours"),
    [
        ("https://churn.example", True),
        ("https://churn.example:8443", False),
        ("https://evil.example", False),
        ("https://churn.example.evil.example", False),
        ("null", False),
    ],
)
def test_behind_the_load_balancer_our_own_pages_have_the_public_name(
    behind, cloud, origin, is_ours
):
    cloud.store.remember_column_matches("acme", {"tenure": "months"})
    headers = {"X-Amzn-Oidc-Data": person("acme")["X-Amzn-Oidc-Data"], "Origin": origin} | PUBLIC

    answer = behind.test_client().post(
        "/columns/remove", headers=headers, data={"column": "tenure"}
    )

    assert answer.status_code == (303 if is_ours else 403)
    assert cloud.store.column_matches("acme") == ({} if is_ours else {"tenure": "months"})


@pytest.mark.parametrize("headers", [{}, {"Sec-Fetch-Site": "cross-site"}])
def test_a_token_does_not_let_another_site_act(behind, cloud, tmp_path, headers):
    prediction = brought_to(Status.FAILED, cloud, tmp_path, account="acme")
    path = f"/api/predictions/{prediction.id}"

    answer = behind.test_client().delete(path, headers=program("acme") | PUBLIC | headers)

    assert answer.status_code == (403 if headers else 204)


def test_who_says_nothing_is_a_program_and_may_use_the_api_only(app, anybody, cloud, tmp_path):
    for method, path, is_api in each_on_its_own(app, cloud, tmp_path):
        answer = anybody.open(path, method=method)
        assert (answer.status_code == 403) is not is_api, (method, path)


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS"])
@pytest.mark.parametrize("path", ["/predictions", "/api/predictions"])
def test_links_from_other_sites_may_be_followed(anybody, method, path):
    for headers in ({}, {"Sec-Fetch-Site": "cross-site"}):
        assert anybody.open(path, method=method, headers=headers).status_code == 200


@pytest.mark.parametrize("status", Status)
def test_no_page_has_inline_code_or_styles(client, cloud, tmp_path, status):
    prediction = brought_to(status, cloud, tmp_path)
    paths = ["", f"/{prediction.id}", f"/{prediction.id}/delete", "/new", "/nothing"]
    for page in (client.get(f"/predictions{path}").text for path in paths):
        assert not re.search(r"<style|<script(?![^>]* src=\"/)", page)
        assert not re.search(r"<[^>]+ (style|on\w+|hx-on[\w:-]*)=", page)
        assert "http://" not in page.replace("http://www.w3.org/", "")
        assert "https://" not in page
