"""A real Chromium on the running product's pages; what goes wrong beside the test fails it."""

from __future__ import annotations

import os

import pytest
from playwright.sync_api import expect

import browser as chromium
from joined import Joined
from product import Product
from watch import Watch

NO_BROWSER = "no Chromium on this machine, so the pages are not tested: `make browser`"

# Two noisy processors: what a page does on its own may take its time.
expect.set_options(timeout=20_000)


@pytest.fixture(scope="module")
def browser():
    """Run Chromium. Where there is none, CI fails; a person's tests are skipped, and say so."""
    path = chromium.find()
    if path is None:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(NO_BROWSER)
    with chromium.running(path) as browser:
        yield browser


@pytest.fixture(scope="module")
def product(browser, tmp_path_factory):
    """Run the product; not without a browser to look at it. How it stops is tested elsewhere."""
    with Product(tmp_path_factory.mktemp("product") / "local") as product:
        yield product


@pytest.fixture(scope="module")
def joined(product):
    return Joined(product)


@pytest.fixture(params=[True, False], ids=["with JavaScript", "without JavaScript"])
def scripts(request):
    """Say whether the pages may run JavaScript."""
    return request.param


@pytest.fixture
def context(browser, scripts):
    context = browser.new_context(java_script_enabled=scripts)
    yield context
    context.close()


@pytest.fixture
def watch(context):
    watch = Watch(context)
    yield watch
    context.close()  # so that nothing comes later
    assert watch.faults == []


@pytest.fixture
def page(context, watch):
    """Open an empty page, watched."""
    return context.new_page()
