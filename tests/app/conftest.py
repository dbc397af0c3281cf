"""The application over the emulated cloud, and how a browser or a program would speak to it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from app import create_app
from app.services import Services
from app.settings import WebSettings

if TYPE_CHECKING:
    from flask import Flask
    from flask.testing import FlaskClient

    from tests.conftest import Cloud  # only a name: nothing is imported


@pytest.fixture
def settings(cloud: Cloud) -> WebSettings:
    return WebSettings.model_validate(
        {name.lower(): value for name, value in cloud.environment().items()}
    )


@pytest.fixture
def app(cloud: Cloud, settings: WebSettings) -> Flask:
    return create_app(settings, Services(cloud.store, cloud.files, cloud.queue))


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return app.test_client()
