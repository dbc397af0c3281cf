"""Bodies of requests that are no upload: how large, and that nothing is done by half of one."""

from __future__ import annotations

import io

import pytest

from app.bodies import LONGEST_BODY_BYTES

REMEMBERED = {"tenure": "Dauer"}
ROUTES = [
    ("POST", "/predictions/head", "text/csv", b"id,tenure\n"),
    ("POST", "/columns", "application/x-www-form-urlencoded", b'names=["a"]&column:tenure=0'),
    ("POST", "/columns/remove", "application/x-www-form-urlencoded", b"column=tenure"),
    ("PUT", "/api/columns/matches", "application/json", b'{"matches": {"tenure": "a"}}'),
]


@pytest.fixture
def send(client, cloud):
    cloud.store.remember_column_matches("demo", REMEMBERED)

    def send(method, path, content_type, body, announced=None):
        how = {"wsgi.input": io.BytesIO(body), "wsgi.input_terminated": True}
        how["CONTENT_LENGTH"] = str(announced or len(body))
        return client.open(
            path, method=method, content_type=content_type, data=b"", environ_overrides=how
        )

    return send


@pytest.mark.parametrize("route", ROUTES)
def test_a_body_that_is_cut_off_is_not_acted_on(send, cloud, route):
    answer = send(*route, announced=500)

    assert answer.status_code == 400
    assert "did not arrive whole" in answer.text
    assert cloud.store.column_matches("demo") == REMEMBERED
    assert send(*route).status_code < 400


@pytest.mark.parametrize("route", ROUTES)
def test_a_body_over_the_limit_is_refused_and_the_limit_named(send, cloud, route):
    method, path, content_type, body = route

    answer = send(method, path, content_type, body.ljust(LONGEST_BODY_BYTES + 1))

    assert answer.status_code == 413
    assert "256\N{NO-BREAK SPACE}kB" in answer.text
    assert cloud.store.column_matches("demo") == REMEMBERED
