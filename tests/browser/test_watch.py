"""The watch itself: what no person should meet is seen, with JavaScript and without."""

from __future__ import annotations

import pytest

from product import free_port

HOME = f"http://127.0.0.1:{free_port()}/"  # nobody listens: the test answers for it
STRICT = "default-src 'none'; img-src data:; script-src 'unsafe-inline'"


@pytest.fixture
def faults(page, watch):
    """Give a function that opens a page of such content and returns the faults it had."""

    def open_page(content, **answer):
        html = f"<!doctype html><link rel=icon href=data:,>{content}"
        page.route(HOME, lambda route: route.fulfill(body=html, **answer))
        page.goto(HOME)
        page.title()  # what the browser has to tell has come when it answers this
        faults = watch.faults.copy()
        watch.faults.clear()
        return faults

    return open_page


@pytest.mark.parametrize("scripts", [True], ids=["with JavaScript"])
@pytest.mark.parametrize(
    ("script", "seen"),
    [
        ("console.error('broken')", "console: broken"),
        ("undefined.x", "uncaught: Cannot read"),
        ("Promise.reject(new Error('late'))", "uncaught: late"),
        ("eval('1')", "Content Security Policy"),
    ],
)
def test_a_script_that_breaks(faults, script, seen):
    headers = {"Content-Type": "text/html", "Content-Security-Policy": STRICT}
    assert seen in " ".join(faults(f"<script>{script}</script>", headers=headers))


@pytest.mark.parametrize("content", ["<link rel=stylesheet href=a.css>", "<p style='color: red'>"])
def test_what_the_policy_forbids(faults, content):
    headers = {"Content-Type": "text/html", "Content-Security-Policy": STRICT}
    assert "Content Security Policy" in " ".join(faults(content, headers=headers))


def test_a_request_that_leaves_the_loopback(faults):
    seen = faults("<img src=http://example.org/a.png>", content_type="text/html")
    assert "off the loopback: http://example.org/a.png" in seen


def test_a_request_that_fails(faults):
    [fault] = faults(f"<img src={HOME}a.png>", content_type="text/html")
    assert fault == f"net::ERR_CONNECTION_REFUSED: GET {HOME}a.png"


@pytest.mark.parametrize("status", [404, 500])
def test_an_answer_that_refuses(faults, status):
    assert faults("", content_type="text/html", status=status) == [f"{status}: GET {HOME}"]


def test_a_refusal_that_the_test_provokes_and_a_good_page_have_no_faults(faults, watch):
    watch.refusals.add(422)
    assert faults("<p>Too large", content_type="text/html", status=422) == []
    assert faults("<p>All is well", content_type="text/html") == []
