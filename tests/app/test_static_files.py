"""How long browsers keep the static files."""

from __future__ import annotations

import os
import re

import pytest
from flask import Flask, url_for

from app import static_files

KEPT = "public, max-age=31536000, immutable"


@pytest.fixture
def address(app):
    """Where a static file is, as a page would link it."""

    def of(name):
        with app.test_request_context("/"):
            return url_for("static", filename=name)

    return of


def age(client, path):
    with client.get(path) as answer:
        return answer.status_code, answer.headers["Cache-Control"]


def test_a_file_is_kept_under_an_address_with_its_hash(client, address):
    path = address("style.css")

    assert re.fullmatch(r"/static/style\.css\?v=[0-9a-f]{12}", path)
    assert age(client, path) == (200, KEPT)


def test_what_a_page_links_is_kept(client):
    linked = re.findall(r'"(/static/[^"]+)"', client.get("/predictions/new").text)

    assert linked
    for path in linked:
        assert age(client, path) == (200, KEPT), path


@pytest.mark.parametrize("query", ["", "?v=", "?v=000000000000", "?v=a&v=b"])
def test_without_its_hash_it_is_asked_for_each_time(client, query):
    assert age(client, f"/static/style.css{query}") == (200, "no-cache")


def test_another_content_has_another_address(tmp_path):
    app = Flask(__name__, static_folder=str(tmp_path))
    static_files.init_app(app)
    file = tmp_path / "a.css"

    def address():
        with app.test_request_context("/"):
            return url_for("static", filename="a.css")

    file.write_text("a{}")
    first = address()
    file.write_text("b{}")
    os.utime(file, ns=(0, 0))  # a clock may be too coarse to tell the two apart
    second = address()

    assert first != second
    assert age(app.test_client(), first) == (200, "no-cache")
    assert age(app.test_client(), second) == (200, KEPT)


@pytest.mark.parametrize("name", ["nothing.css", "../security.py", "..%2Fsecurity.py", "%00", "."])
@pytest.mark.parametrize("query", ["", "?v=000000000000"])
def test_what_is_not_there_is_not_kept(client, name, query):
    assert age(client, f"/static/{name}{query}") == (404, "no-store")


def test_a_link_to_a_missing_file_does_not_break_the_page(address):
    assert address("nothing.css") == "/static/nothing.css"
