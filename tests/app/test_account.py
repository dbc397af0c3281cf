"""Where the demo account is allowed, and under which names it answers."""

from __future__ import annotations

from pathlib import Path
from unittest import mock

import pytest

from app import create_app
from app.account import DEMO_ACCOUNT
from app.services import Services
from app.settings import WebSettings
from finished import SCHEMA
from predictions.settings import SettingsError

NO_SERVICES = mock.Mock(spec=Services, schema=SCHEMA, store=mock.MagicMock())


def start(bind_host, provider="demo"):
    settings = WebSettings(
        retainwise_env="test",
        predictions_queue_url="q",
        predictions_table="t",
        uploads_bucket="u",
        results_bucket="r",
        model_dir=Path("m"),
        identity_provider=provider,
    )
    return create_app(settings, NO_SERVICES, bind_host=bind_host)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.9.1", "::1", "[::1]", "localhost"])
def test_the_demo_account_is_allowed_on_the_loopback(host):
    assert start(host).name == "app"


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "0.0.0.0"])
def test_there_is_no_provider_by_default(host):
    with pytest.raises(SettingsError, match=r"^IDENTITY_PROVIDER: not set; demo.*127\.0\.0\.0/8"):
        start(host, provider=None)


@pytest.mark.parametrize(
    "host", ["", "0.0.0.0", "::", "10.0.0.7", "example.com", "127.0.0.1.nip.io"]
)
def test_it_is_refused_where_others_could_come(host):
    with pytest.raises(SettingsError, match=r"^IDENTITY_PROVIDER: .*127\.0\.0\.0/8, ::1"):
        start(host)


@pytest.mark.parametrize("host", ["localhost", "localhost:8000", "127.0.0.1:1", "[::1]", "[::1]:8"])
def test_it_answers_to_loopback_names(host):
    page = start("127.0.0.1").test_client().get("/predictions/new", headers={"Host": host})

    assert page.status_code == 200


@pytest.mark.parametrize(
    "host", ["evil.example", "localhost.evil.example:8000", "10.0.0.7", "[::2]", "[::", "a b", "@"]
)
@pytest.mark.parametrize("path", ["/predictions", "/api/predictions", "/static/style.css", "/no"])
def test_it_answers_to_no_other_name(host, path):
    answer = start("127.0.0.1").test_client().get(path, headers={"Host": host})

    assert answer.status_code == 400
    assert "customerID" not in answer.text


def test_the_pages_say_whose_they_are():
    page = start("127.0.0.1").test_client().get("/predictions/new").text

    assert "Local mode" in page
    assert f">{DEMO_ACCOUNT}<" in page.replace("</span>", "<").replace("Account: <", ">")
