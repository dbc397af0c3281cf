"""Live pages: what a stream says and when it ends, and that streams never use up the threads."""

from __future__ import annotations

import itertools
import json
import re
import signal
import socket
import threading
import time
from decimal import Decimal
from types import SimpleNamespace

import pytest
from boto3.dynamodb.types import TypeSerializer
from botocore.exceptions import EndpointConnectionError

from app import live
from finished import CONTENT, SUMMARY, brought_to
from plain import ID, a_prediction
from predictions.record import ResultFile, Status, utc_now
from predictions.store import Store
from predictions.sweeper import claim_of
from web_process import WAIT_S, Server, serving

ANEW = 'id="anew" hx-swap-oob="true"'
END = "event: end\ndata:\n\n"
MOST_LOOKS = 20
ENDS_WITHIN_S = 0.7 * live.HEARTBEAT_S
"""Far above the second that a stream needs; before a heartbeat, which would fail and tell too."""


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch):
    """A stream looks again at once, and so often at most: a silent one would never end."""
    looks = itertools.count(1)

    def look_again(_wait_s):
        assert next(looks) <= MOST_LOOKS, "the stream goes on in silence"

    clock = SimpleNamespace(sleep=look_again, monotonic=time.monotonic)
    monkeypatch.setattr(live, "time", clock)


def shape_on(page):
    return re.search(r"shape=(\w+)", page.text)[1]


def events(answer):
    """The stream's events as they come, without the first, which says how soon to reconnect."""
    pieces = (piece.decode() for piece in answer.iter_encoded())
    assert next(pieces) == "retry: 1000\n\n"
    return pieces


@pytest.fixture
def follow(client):
    """Open the page at an address, and the stream that it names."""

    def run(page, shape=None):
        address, _, query = page.partition("?")
        shape = shape or shape_on(client.get(page))
        return client.get(f"{address}/events?{query}&shape={shape}", buffered=False)

    return run


def test_a_stream_says_what_changed_and_ends_with_the_prediction(follow, cloud, tmp_path):
    prediction = brought_to(Status.PROCESSING, cloud, tmp_path)
    claim = claim_of(prediction)
    page = f"/predictions/{prediction.id}"

    answer = follow(page)
    stream = events(answer)
    first = next(stream)
    cloud.store.renew(claim, rows_done=2, fraction_done=0.75)
    second = next(stream)
    stored = ResultFile(key="k", summary_key="s", rows=2, rows_failed=0, model="m1")
    cloud.store.complete(claim, stored, SUMMARY)
    last = list(stream)

    assert answer.mimetype == "text/event-stream"
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["X-Accel-Buffering"] == "no"
    assert first.startswith("event: parts\ndata: ")
    assert "50\N{NO-BREAK SPACE}% of the file" in first
    assert "75\N{NO-BREAK SPACE}% of the file" in second
    assert "Scoring: 75\N{NO-BREAK SPACE}% done" in second
    assert len(last) == 1
    assert ANEW in last[0]
    assert f'hx-get="{page}"' in last[0]
    assert last[0].endswith(END)


def test_nothing_new_is_a_heartbeat(follow, cloud, monkeypatch):
    stream = events(follow(f"/predictions/{cloud.submit(CONTENT).id}"))
    next(stream)
    monkeypatch.setattr(live, "HEARTBEAT_S", 0)

    assert next(stream) == ":\n\n"
    stream.close()


def test_a_renewal_that_nobody_can_see_is_no_event(follow, cloud, tmp_path, monkeypatch):
    prediction = brought_to(Status.PROCESSING, cloud, tmp_path)
    stream = events(follow(f"/predictions/{prediction.id}"))
    next(stream)
    cloud.store.renew(claim_of(prediction), rows_done=1, fraction_done=0.5)
    monkeypatch.setattr(live, "HEARTBEAT_S", 0)

    assert next(stream) == ":\n\n"


def test_a_prediction_that_is_deleted_meanwhile_ends_its_stream(follow, client, cloud):
    prediction = cloud.submit(CONTENT)
    stream = events(follow(f"/predictions/{prediction.id}"))
    next(stream)
    cloud.store.delete("demo", prediction.id)

    assert ANEW in next(stream)
    assert list(stream) == []
    page = client.get(f"/predictions/{prediction.id}", headers={"HX-Request": "true"})
    assert "This prediction was deleted" in page.text


def test_a_page_that_asks_for_a_deleted_one_gets_the_page_that_says_so(client, cloud):
    prediction = cloud.submit(CONTENT)
    cloud.store.delete("demo", prediction.id)

    answer = client.get(f"/predictions/{prediction.id}/parts", headers={"HX-Request": "true"})

    assert answer.status_code == 404
    assert "This prediction was deleted" in answer.text
    assert answer.headers["HX-Retarget"] == answer.headers["HX-Reselect"] == "#main"


def test_the_list_says_which_cells_changed(follow, cloud, tmp_path):
    done = brought_to(Status.COMPLETED, cloud, tmp_path)
    prediction = brought_to(Status.PROCESSING, cloud, tmp_path)

    stream = events(follow("/predictions"))
    first = next(stream)
    cloud.store.renew(claim_of(prediction), rows_done=2, fraction_done=0.75)
    second = next(stream)

    assert done.id in first
    assert f'<td id="s-{prediction.id}" hx-swap-oob="true"' in second
    assert "75\N{NO-BREAK SPACE}%" in second
    assert done.id not in second
    assert "1 processing, 0 queued" in second
    stream.close()


def test_a_list_with_a_new_one_is_fetched_anew(follow, cloud):
    cloud.submit(CONTENT)
    stream = events(follow("/predictions?status=QUEUED"))
    next(stream)
    cloud.submit(CONTENT)

    assert 'hx-get="/predictions?status=QUEUED"' in next(stream)
    assert list(stream) == []


def test_a_list_whose_last_one_ends_is_fetched_anew(follow, cloud, tmp_path):
    prediction = brought_to(Status.PROCESSING, cloud, tmp_path)
    stream = events(follow("/predictions"))
    next(stream)
    stored = ResultFile(key="k", summary_key="s", rows=2, rows_failed=0, model="m1")
    cloud.store.complete(claim_of(prediction), stored, SUMMARY)

    assert next(stream).endswith(END)


@pytest.mark.parametrize("page", ["/predictions", "/predictions/{id}"])
def test_one_that_asks_gets_the_same(page, client, cloud):
    page = page.format(id=cloud.submit(CONTENT).id)
    shape = shape_on(client.get(page))

    same = client.get(f"{page}/parts?shape={shape}")
    other = client.get(f"{page}/parts?shape=another")

    assert "hx-swap-oob" in same.text
    assert ANEW not in same.text
    assert ANEW in other.text


def test_a_list_where_all_is_done_offers_no_stream_but_asks(client, cloud, tmp_path):
    brought_to(Status.COMPLETED, cloud, tmp_path)

    page = client.get("/predictions").text

    assert "sse-connect" not in page
    assert 'data-asks="/predictions/parts?shape=' in page


def test_when_the_table_does_not_answer_the_stream_ends_quietly(follow, cloud, monkeypatch):
    stream = events(follow(f"/predictions/{cloud.submit(CONTENT).id}"))
    next(stream)

    def fails(*_args):
        raise EndpointConnectionError(endpoint_url="table")

    monkeypatch.setattr(Store, "get", fails)

    assert list(stream) == []


def test_no_stream_lasts_for_ever(follow, cloud, monkeypatch):
    monkeypatch.setattr(live, "LONGEST_S", 0)
    stream = events(follow(f"/predictions/{cloud.submit(CONTENT).id}"))

    assert [event.partition("\n")[0] for event in stream] == ["event: parts"]


def test_a_page_that_gets_no_stream_is_told_when_to_ask_again(app, client, follow, cloud):
    app.extensions[live.PLACES] = threading.BoundedSemaphore(1)
    page = f"/predictions/{cloud.submit(CONTENT).id}"
    shape = shape_on(client.get(page))

    one = follow(page, shape)
    refused = follow(page, shape)
    one.close()
    again = follow(page, shape)

    assert (one.status_code, refused.status_code, again.status_code) == (200, 503, 200)
    assert int(refused.headers["Retry-After"]) > 0
    again.close()


# ---- over a socket -----------------------------------------------------------------------------


def table_with_one(operation: str) -> object:
    """A prediction that is PROCESSING for ever."""
    prediction = a_prediction(status=Status.PROCESSING, started_at=utc_now())
    values = json.loads(prediction.model_dump_json(exclude_none=True), parse_float=Decimal)
    return {"Item": TypeSerializer().serialize(values)["M"]} if operation == "GetItem" else {}


@pytest.fixture(scope="module")
def server():
    with serving(table_with_one) as server:
        yield server


def get(server: Server, path: str) -> tuple[socket.socket, bytes]:
    """Ask, and give the connection and the answer's first line."""
    connection = server.connect()
    connection.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
    return connection, connection.recv(17)[9:12]


def shape_of_the_one() -> str:
    return live.shape_of([a_prediction(status=Status.PROCESSING)])


STREAM = f"/predictions/{ID}/events?shape={shape_of_the_one()}"


def opened(server: Server, count: int) -> list[socket.socket]:
    """Open streams, and take all that comes at first: what is unread, closing would reset."""
    streams = []
    for _ in range(count):
        connection, status = get(server, STREAM)
        assert status == b"200"
        answer = b""
        while not (b"event: parts" in answer and answer.endswith(b"\n\n\r\n")):
            answer += connection.recv(65536)
        streams.append(connection)
    return streams


def test_streams_leave_threads_for_requests_and_closed_tabs_free_theirs(server):
    streams = opened(server, live.MOST_STREAMS)
    for path, expected in ((STREAM, b"503"), (f"/predictions/{ID}", b"200"), ("/healthz", b"200")):
        connection, status = get(server, path)
        connection.close()
        assert status == expected

    for connection in streams:
        connection.close()
    closed_at = time.monotonic()
    again: list[socket.socket] = []
    while len(again) < live.MOST_STREAMS:
        assert time.monotonic() < closed_at + ENDS_WITHIN_S, f"{len(again)} places are free again"
        connection, status = get(server, STREAM)
        if status == b"200":
            again.append(connection)
        else:
            connection.close()
            time.sleep(0.05)
    for connection in again:
        connection.close()


def test_a_stream_is_one_line_in_the_log_when_it_ends(server):
    (stream,) = opened(server, 1)
    while True:  # lines of the other tests
        connection, _ = get(server, "/healthz")
        connection.close()
        route = server.wait_for("request_answered")["route"]
        if route == "/healthz":
            break
    stream.close()

    while server.wait_for("request_answered")["route"] != "/predictions/<prediction_id>/events":
        pass


def test_open_streams_do_not_hold_up_the_end():
    with serving(table_with_one) as server:
        streams = opened(server, live.MOST_STREAMS)
        asked_at = time.monotonic()
        server.process.send_signal(signal.SIGTERM)

        assert server.process.wait(WAIT_S) == 0
        assert time.monotonic() - asked_at < ENDS_WITHIN_S
        for connection in streams:
            connection.close()
