"""A token made on its page, and signing out."""

from __future__ import annotations

import re
from datetime import timedelta
from http.cookies import SimpleCookie

import pytest
from structlog.testing import capture_logs

from app.api_tokens import LONGEST_PURPOSE, VALID_DAYS
from predictions.record import utc_now
from signed_in import SIGN_OUT_URL, person, program

TOKEN = re.compile(r"rw_[A-Za-z0-9_.-]{20,}")


@pytest.fixture
def ada(behind):
    """The browser of somebody who has signed in."""
    client = behind.test_client()
    for name, value in person("acme").items():
        client.environ_base[f"HTTP_{name.upper().replace('-', '_')}"] = value
    return client


def make(client, purpose):
    return client.post("/api-tokens", data={"purpose": purpose})


def test_a_token_is_shown_once_and_opens_the_api(ada, behind, cloud):
    cloud.store.remember_column_matches("acme", {"tenure": "months"})

    with capture_logs() as lines:
        made = make(ada, "  nightly upload ")

    [token] = TOKEN.findall(made.text)
    assert made.status_code == 200
    assert made.headers["Cache-Control"] == "no-store"
    until = utc_now() + timedelta(days=VALID_DAYS)
    assert f"{until.day} {until:%b %Y}" in made.text
    assert "<bdi>nightly upload</bdi>" in made.text
    assert not TOKEN.search(ada.get("/api-tokens").text)
    columns = behind.test_client().get("/api/columns", headers={"Authorization": f"Bearer {token}"})
    assert columns.json["matches"] == {"tenure": "months"}
    assert {"event": "api_token_made", "account": "acme", "log_level": "info"} in lines
    assert token not in str(lines)


def test_the_page_says_how_a_token_is_sent_and_how_it_ends(ada):
    page = ada.get("/api-tokens", headers={"X-Forwarded-Proto": "https", "Host": "churn.example"})

    assert "--url https://churn.example -o" in page.text
    assert "https://churn.example/api/predictions" in page.text
    assert "It is valid for 90 days." in page.text
    assert "changes the secret that signs them, which ends all tokens of all accounts" in page.text


@pytest.mark.parametrize("purpose", ["", " ", "x" * (LONGEST_PURPOSE + 1), "a\nb", "<b>\x1b</b>"])
def test_without_a_purpose_there_is_no_token(ada, purpose):
    refused = make(ada, purpose)

    assert refused.status_code == 422
    assert "The token was not made" in refused.text
    assert not TOKEN.search(refused.text)
    assert "<b>" not in refused.text


def test_a_form_without_the_field_is_refused_too(ada):
    assert ada.post("/api-tokens").status_code == 422


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_token_makes_no_token(behind, method):
    headers = program("acme") | {"Sec-Fetch-Site": "same-origin"}

    answer = behind.test_client().open(
        "/api-tokens", method=method, headers=headers, data={"purpose": "more"}
    )

    assert answer.status_code == 401
    assert not TOKEN.search(answer.text)


def test_signing_out_ends_the_load_balancer_s_session_and_goes_on_to_the_user_pool(ada):
    answer = ada.post("/sign-out")

    assert answer.status_code == 303
    assert answer.location == SIGN_OUT_URL
    cookies = {}
    for header in answer.headers.getlist("Set-Cookie"):
        cookies |= SimpleCookie(header)
    assert set(cookies) == {f"AWSELBAuthSessionCookie-{number}" for number in range(4)}
    for cookie in cookies.values():
        assert (cookie.value, cookie["max-age"], cookie["path"]) == ("", "0", "/")
        assert cookie["expires"] == "Thu, 01 Jan 1970 00:00:00 GMT"
        assert cookie["secure"]
        assert cookie["httponly"]


def test_a_link_signs_nobody_out(ada):
    assert ada.get("/sign-out").status_code == 405
    assert ada.get("/sign-out", headers={"Sec-Fetch-Site": "cross-site"}).status_code == 405


@pytest.mark.parametrize("path", ["/api-tokens", "/sign-out"])
def test_another_site_makes_no_token_and_signs_nobody_out(ada, path):
    answer = ada.post(path, data={"purpose": "x"}, headers={"Sec-Fetch-Site": "cross-site"})

    assert answer.status_code == 403
    assert "Set-Cookie" not in answer.headers


@pytest.mark.parametrize("path", ["/api-tokens", "/sign-out"])
def test_the_demo_account_can_do_neither(client, path):
    assert client.get(path).status_code == client.post(path).status_code == 404
    assert path not in client.get("/predictions").text
