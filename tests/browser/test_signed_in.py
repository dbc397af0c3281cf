"""The pages as somebody sees them who has signed in: the frame, API access, signing out."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from accessible import assert_accessible
from scenes import LOOKS
from signed_in import SIGN_OUT_URL, make_token, running, said

with_scripts = pytest.mark.parametrize("scripts", [True], ids=["with JavaScript"])  # axe is one


@pytest.fixture(scope="module")
def address(browser):
    """The application behind a load balancer, for which the browser speaks."""
    with running() as address:
        yield address


@pytest.fixture
def go(context, page, address):
    """Go to a path as somebody of an account; None: nobody."""

    def run(path, account="acme"):
        context.set_extra_http_headers({} if account is None else said(account or None))
        page.goto(address + path)

    return run


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
