"""What signing in needs of the environment, and that all that is missing is named at once."""

from __future__ import annotations

import pytest

from app.settings import WebSettings
from predictions.settings import SettingsError, read_settings
from signed_in import SETTINGS
from web_process import ENVIRONMENT

BEHIND = {name.upper(): value for name, value in SETTINGS.items()}
NEEDED = sorted(BEHIND.keys() - {"IDENTITY_PROVIDER"})


@pytest.fixture
def read(monkeypatch):
    """Read the environment with these variables in it; None takes one away."""

    def run(**variables):
        for name, value in (ENVIRONMENT | variables).items():
            if value is None:
                monkeypatch.delenv(name, raising=False)
            else:
                monkeypatch.setenv(name, value)
        return read_settings(WebSettings)

    return run


def test_the_load_balancer_needs_all_of_them(read):
    settings = read(**BEHIND)

    for name, value in SETTINGS.items():
        given = getattr(settings, name)
        assert (given.get_secret_value() if name == "session_secret" else given) == value


@pytest.mark.parametrize("provider", ["demo", None])
def test_nobody_else_needs_any(read, provider):
    settings = read(IDENTITY_PROVIDER=provider)

    assert all(getattr(settings, name.lower()) is None for name in NEEDED)


def test_all_that_is_missing_is_named_at_once(read):
    with pytest.raises(SettingsError) as refused:
        read(IDENTITY_PROVIDER="load-balancer", PREDICTIONS_TABLE=None)

    for name in ("PREDICTIONS_TABLE", *NEEDED):
        assert f"{name}: Field required" in str(refused.value)


@pytest.mark.parametrize("name", NEEDED)
def test_an_empty_one_is_none(read, name):
    with pytest.raises(SettingsError, match=rf"complete: {name}: [^;]+$"):
        read(**BEHIND | {name: ""})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SIGN_IN_LOAD_BALANCER", "prod-retainwise"),
        ("SIGN_IN_LOAD_BALANCER", "arn:aws:s3:::bucket"),
        ("SIGN_OUT_URL", "http://sign-in.example/logout"),
        ("SIGN_OUT_URL", "/logout"),
        ("SIGN_OUT_URL", "https://sign-in.example; script-src */"),
        ("SESSION_SECRET", "x" * 31),
    ],
)
def test_one_of_another_form_is_named(read, name, value):
    with pytest.raises(SettingsError, match=rf"complete: {name}: [^;]+$"):
        read(**BEHIND | {name: value})


def test_the_secret_is_shown_nowhere(read):
    settings = read(**BEHIND)

    assert SETTINGS["session_secret"] not in f"{settings!r}{settings}{settings.model_dump()}"
    with pytest.raises(SettingsError) as refused:
        read(**BEHIND | {"SESSION_SECRET": "short-secret"})
    assert "short-secret" not in str(refused.value)
