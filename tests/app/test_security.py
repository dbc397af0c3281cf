"""What another site, or a name that is not ours, can do here: nothing."""

from __future__ import annotations

import itertools

import pytest

from finished import brought_to
from predictions.record import Status

EVERYWHERE = [
    "/",
    "/predictions",
    "/predictions/new",
    "/nothing",
    "/api/predictions",
    "/api/nothing",
    "/healthz",
    "/readyz",
    "/static/style.css",
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
        assert ("no-store" in headers["Cache-Control"]) == (not path.startswith("/static/"))
        assert "Set-Cookie" not in headers


FOREIGN = [
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},
    {"Origin": "https://evil.example"},
    {"Origin": "http://localhost:9999"},
    {"Origin": "http://localhost.evil.example"},
    {"Origin": "null"},
    {"Origin": "http://[broken"},
    {"Origin": ""},
]
OWN = [
    {},
    {"Sec-Fetch-Site": "same-origin", "Origin": "http://localhost"},
    {"Sec-Fetch-Site": "none"},
    {"Origin": "https://LOCALHOST"},  # TLS may end before us
]


def test_another_site_changes_nothing(client, cloud, tmp_path):
    prediction = brought_to(Status.FAILED, cloud, tmp_path)
    base = f"predictions/{prediction.id}"
    attempts = [
        ("POST", "/api/predictions"),
        ("POST", "/predictions"),
        ("POST", f"/api/{base}/retry"),
        ("POST", f"/{base}/retry"),
        ("POST", f"/{base}/delete"),
        ("DELETE", f"/api/{base}"),
    ]
    for headers, (method, path) in itertools.product(FOREIGN, attempts):
        answer = client.open(path, method=method, headers=headers)
        assert answer.status_code == 403, (headers, method, path)
        assert path[:5] != "/api/" or answer.json["code"] == "cross-site"
    assert cloud.store.get("demo", prediction.id) == prediction


@pytest.mark.parametrize("headers", OWN)
def test_our_own_pages_and_programs_may_act(client, cloud, tmp_path, headers):
    prediction = brought_to(Status.FAILED, cloud, tmp_path)

    answer = client.post(f"/api/predictions/{prediction.id}/retry", headers=headers)

    assert answer.status_code == 202


def test_links_from_other_sites_may_be_followed(client):
    assert client.get("/predictions", headers={"Sec-Fetch-Site": "cross-site"}).status_code == 200


@pytest.mark.parametrize("status", Status)
def test_no_page_has_inline_code_or_styles(client, cloud, tmp_path, status):
    prediction = brought_to(status, cloud, tmp_path)
    paths = ["", f"/{prediction.id}", f"/{prediction.id}/delete", "/new", "/nothing"]
    for page in (client.get(f"/predictions{path}").text for path in paths):
        assert " style=" not in page
        assert "<script" not in page
        assert " onclick" not in page
        assert "http://" not in page.replace("http://www.w3.org/", "")
        assert "https://" not in page
