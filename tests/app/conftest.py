"""The application over the emulated cloud."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from app import create_app
from app.services import Services
from app.settings import WebSettings
from finished import SCHEMA
from signed_in import SETTINGS

if TYPE_CHECKING:
    from flask import Flask
    from flask.testing import FlaskClient

    from memory_cloud import Cloud

MAX_UPLOAD_BYTES = 300_000


@pytest.fixture
def settings(cloud: Cloud) -> WebSettings:
    environment = {name.lower(): value for name, value in cloud.environment().items()}
    ours = {"max_upload_bytes": MAX_UPLOAD_BYTES, "identity_provider": "demo", "model_dir": "."}
    return WebSettings.model_validate(environment | ours)


@pytest.fixture
def app(cloud: Cloud, settings: WebSettings) -> Flask:
    return create_app(settings, Services(cloud.store, cloud.files, cloud.queue, SCHEMA))


@pytest.fixture
def behind(cloud: Cloud, settings: WebSettings) -> Flask:
    """The application behind its load balancer; `signed_in` has who speaks to it."""
    behind = WebSettings.model_validate(settings.model_dump() | SETTINGS)
    ours = Services(cloud.store, cloud.files, cloud.queue, SCHEMA)
    return create_app(behind, ours, bind_host="0.0.0.0")


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    """A browser that is on one of our own pages; tests/app/test_security.py has others."""
    client = app.test_client()
    client.environ_base["HTTP_SEC_FETCH_SITE"] = "same-origin"
    return client
