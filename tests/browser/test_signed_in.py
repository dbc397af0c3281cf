"""The pages as somebody sees them who has signed in: the frame, API access, signing out."""

from __future__ import annotations

import threading

import pytest
from playwright.sync_api import expect
from werkzeug.serving import WSGIRequestHandler, make_server

from accessible import assert_accessible
from app import create_app
from app.services import Services
from app.settings import WebSettings
from finished import SCHEMA
from memory_cloud import memory_cloud
from scenes import LOOKS
from signed_in import SETTINGS, SIGN_OUT_URL, said_of

with_scripts = pytest.mark.parametrize("scripts", [True], ids=["with JavaScript"])  # axe is one


class Quiet(WSGIRequestHandler):
    def log(self, *_args):
        pass


@pytest.fixture(scope="module")
def address(browser):
    """The application behind a load balancer, for which the browser speaks."""
    with memory_cloud() as cloud:
        environment = {name.lower(): value for name, value in cloud.environment().items()}
        settings = WebSettings.model_validate(environment | SETTINGS | {"model_dir": "."})
        app = create_app(settings, Services(cloud.store, cloud.files, cloud.queue, SCHEMA))
        server = make_server("127.0.0.1", 0, app, threaded=True, request_handler=Quiet)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def go(context, page, address):
    """Go to a path as somebody of an account; None: nobody."""

    def run(path, account="acme"):
        said = {} if account is None else {"X-Amzn-Oidc-Data": said_of(account or None)}
        context.set_extra_http_headers(said)
        page.goto(address + path)

    return run


def make_token(page, purpose="nightly upload"):
    page.get_by_label("What it is for").fill(purpose)
    page.get_by_role("button", name="Make token").click()


def test_a_token_is_shown_once(page, go):
    go("/predictions")
    page.get_by_role("link", name="API access").click()

    make_token(page)

    token = page.locator(".token").inner_text()
    assert token.startswith("rw_")
    page.get_by_role("link", name="API access").click()
    expect(page.get_by_label("What it is for")).to_have_value("")
    assert token not in page.content()


def test_signing_out_leads_to_the_user_pool(page, go, watch):
    go("/predictions")

    # A Content-Security-Policy that forbids it would be one more fault.
    with page.expect_event("requestfailed"):
        page.get_by_role("button", name="Sign out").click()

    assert watch.faults == [
        f"off the loopback: {SIGN_OUT_URL}",
        f"net::ERR_NAME_NOT_RESOLVED: GET {SIGN_OUT_URL}",
    ]
    watch.faults.clear()


@with_scripts
@pytest.mark.parametrize(
    ("path", "account"),
    [
        ("/predictions", "acme"),
        ("/predictions", "a" * 64),
        ("/predictions", ""),
        ("/predictions", None),
        ("/api-tokens", "acme"),
    ],
)
def test_axe_finds_nothing_and_nothing_is_cut_off(page, go, watch, path, account):
    watch.refusals |= {401, 403}
    go(path, account)
    if path == "/api-tokens":
        make_token(page, "x" * 60)
    for look in LOOKS:
        look.at(page)
        assert_accessible(page)
        assert page.evaluate("document.documentElement.scrollWidth") <= look.width, look
