"""The app behind its load balancer: the settings for that, and what people and programs send."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from playwright.sync_api import expect
from pydantic import SecretStr

from app import create_app
from app.api_tokens import ApiTokens, Token
from app.services import Services
from app.settings import WebSettings
from finished import SCHEMA
from memory_cloud import memory_cloud
from served import serving

if TYPE_CHECKING:
    from playwright.sync_api import Page

LOAD_BALANCER = (
    "arn:aws:elasticloadbalancing:eu-central-1:111122223333:loadbalancer/app/prod-retainwise/50dc6c"
)
CLIENT = "1h57kf5cpq17m0eml12"
SIGN_OUT_URL = (
    "https://prod-retainwise.auth.example/logout?client_id=1h57&logout_uri=https%3A%2F%2Fa"
)
SECRET = "a-secret-that-is-only-for-tests-0"
SETTINGS = {
    "identity_provider": "load-balancer",
    "sign_in_load_balancer": LOAD_BALANCER,
    "sign_in_client": CLIENT,
    "sign_out_url": SIGN_OUT_URL,
    "session_secret": SECRET,
}
HEADER = {
    "typ": "JWT",
    "kid": "12345678-1234-1234-1234-123456789012",
    "alg": "ES256",
    "iss": "https://cognito-idp.eu-central-1.amazonaws.com/eu-central-1_EXAMPLE",
    "client": CLIENT,
    "signer": LOAD_BALANCER,
}
CLAIMS = {
    "sub": "23d498b2-3031-70d2-8a15-49dd886a087b",
    "email_verified": "true",
    "email": "ada@acme.example",
    "username": "ada",
}
SIGNATURE = b"s" * 64


def segment(content: object, *, is_padded: bool = True) -> str:
    """Write one part of a JWT as the load balancer does, which pads it."""
    content = content if isinstance(content, bytes) else json.dumps(content).encode()
    text = base64.urlsafe_b64encode(content).decode()
    return text if is_padded else text.rstrip("=")


def said_of(
    account: object = "acme",
    *,
    header: Mapping[str, Any] | None = None,
    claims: Mapping[str, Any] | None = None,
) -> str:
    """Give what the load balancer says of a person of `account`; None in a mapping removes."""
    parts = (
        HEADER | {"exp": int(time.time()) + 120} | dict(header or {}),
        CLAIMS | {"custom:account": account} | dict(claims or {}),
    )
    kept = ({name: value for name, value in part.items() if value is not None} for part in parts)
    return ".".join([*map(segment, kept), segment(SIGNATURE)])


def person(account: object = "acme", **more: Any) -> dict[str, str]:
    """Give the headers of somebody who has signed in, on a page of ours."""
    return {"X-Amzn-Oidc-Data": said_of(account, **more), "Sec-Fetch-Site": "same-origin"}


def said(account: object = "acme") -> dict[str, str]:
    """Give the header in which the load balancer says who has signed in."""
    return {"X-Amzn-Oidc-Data": said_of(account)}


def token(account: str = "acme", *, secret: str = SECRET) -> str:
    """Make an API token."""
    return ApiTokens(SecretStr(secret)).make(
        Token(account=account, made_by="ada@acme.example", purpose="nightly upload")
    )


def program(account: str = "acme") -> dict[str, str]:
    """Give the headers of a program with a token."""
    return {"Authorization": f"Bearer {token(account)}"}


def headers_for(path: str, account: str = "acme") -> dict[str, str]:
    """Give the headers of whoever may call a path: programs the API, people the rest."""
    return program(account) if path.startswith("/api/") else person(account)


@contextmanager
def running() -> Iterator[str]:
    """Serve the app without its load balancer; yield the address. A browser speaks for that."""
    with memory_cloud() as cloud:
        environment = {name.lower(): value for name, value in cloud.environment().items()}
        settings = WebSettings.model_validate(environment | SETTINGS | {"model_dir": "."})
        app = create_app(settings, Services(cloud.store, cloud.files, cloud.queue, SCHEMA))
        with serving(app) as address:
            yield address


def make_token(page: Page, purpose: str = "nightly upload") -> None:
    """Make a token on the page of API access."""
    page.get_by_label("What it is for").fill(purpose)
    page.get_by_role("button", name="Make token").click()
    expect(page.locator(".token")).to_be_visible()
