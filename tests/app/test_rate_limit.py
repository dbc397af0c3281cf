"""How often an account may call, and that who waits as long as it is told is let in."""

from __future__ import annotations

import io
from types import SimpleNamespace

import pytest

from app.problems import Problem
from app.rate_limit import RATE_LIMITS, RateLimits
from finished import CONTENT, brought_to
from predictions.record import Status


@pytest.fixture
def clock(monkeypatch):
    """Replaces the time of the limits."""
    clock = SimpleNamespace(now=1_800_000_000.0)
    clock.time = lambda: clock.now
    for module in ("limits.storage.memory", "app.rate_limit"):
        monkeypatch.setattr(f"{module}.time", clock)
    return clock


@pytest.fixture
def tight(app):
    """Two calls and one upload a minute."""
    app.extensions[RATE_LIMITS] = RateLimits(requests_per_minute=2, uploads_per_minute=1)


def let_in(limits, account="demo"):
    """How many calls in a row are let in, and how long the first refused one has to wait."""
    count = 0
    while True:
        try:
            limits.count_request(account)
        except Problem as problem:
            return count, problem.retry_after_s
        count += 1


@pytest.mark.parametrize("limit", [1, 2, 7, 300, 6_000])
@pytest.mark.parametrize("pause_s", [0, 0.25, 7, 59.99])
def test_who_waits_as_told_is_let_in(clock, limit, pause_s):
    limits = RateLimits(requests_per_minute=limit, uploads_per_minute=1)
    limits.count_request("demo")
    clock.now += pause_s
    count, wait_s = let_in(limits)
    assert count == limit - 1
    for _ in range(20):
        assert isinstance(wait_s, int)
        assert 1 <= wait_s <= 61
        clock.now += wait_s
        count, wait_s = let_in(limits)
        assert 1 <= count <= limit


def test_over_any_minute_no_more_than_the_limit_is_let_in(clock):
    limits = RateLimits(requests_per_minute=60, uploads_per_minute=1)
    times = []
    for _ in range(400):
        times += [clock.now] * let_in(limits)[0]
        clock.now += 0.5
    for end in times:
        assert sum(end - 60 < moment <= end for moment in times) <= 60


def test_one_account_takes_nothing_from_another(clock):
    limits = RateLimits(requests_per_minute=3, uploads_per_minute=1)

    assert let_in(limits, "demo")[0] == let_in(limits, "other")[0] == 3


def test_an_account_that_calls_too_often_is_told_when_to_come_back(client, tight, clock):
    assert [client.get("/api/predictions").status_code for _ in range(2)] == [200, 200]

    refused = client.get("/api/predictions")

    assert (refused.status_code, refused.json["code"]) == (429, "rate-limited")
    assert refused.headers["Retry-After"] in refused.json["detail"]
    clock.now += int(refused.headers["Retry-After"])
    assert client.get("/api/predictions").status_code == 200


@pytest.mark.parametrize("first", ["/predictions", "/api/predictions"])
def test_uploads_through_both_doors_are_counted_together(client, cloud, tight, first):
    def upload(path):
        return client.post(path, data={"file": (io.BytesIO(CONTENT), "may.csv")})

    assert upload(first).status_code in {202, 303}
    page, api = upload("/predictions"), upload("/api/predictions")

    assert page.status_code == api.status_code == 429
    assert int(page.headers["Retry-After"]) >= 1
    assert int(api.headers["Retry-After"]) >= 1
    assert "too many" in page.text
    assert len(cloud.store.page("demo").predictions) == 1


def test_the_sender_of_a_refused_upload_is_heard_to_its_end(client, tight):
    def upload():
        body = io.BytesIO(CONTENT * 10_000)
        client.post(
            "/api/predictions",
            content_type="text/csv",
            environ_overrides={
                "wsgi.input": body,
                "wsgi.input_terminated": True,
                "HTTP_TRANSFER_ENCODING": "chunked",
            },
        )
        return body.tell()

    assert upload() == upload() == len(CONTENT) * 10_000


def test_reading_pages_files_and_health_is_not_counted(client, cloud, tmp_path, tight):
    prediction = brought_to(Status.COMPLETED, cloud, tmp_path)
    for _ in range(2):
        assert client.get("/api/predictions").status_code == 200
    for path in (
        *("/predictions", "/predictions/new", f"/predictions/{prediction.id}"),
        *("/static/style.css", "/healthz", "/readyz"),
    ):
        for _ in range(3):
            with client.get(path) as answer:
                assert answer.status_code == 200, path
    assert client.get("/api/predictions").status_code == 429
