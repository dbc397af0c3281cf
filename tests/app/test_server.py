"""Clients that stop, stay or send nonsense: the service goes on for the others."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

import pytest

from app.server import LONGEST_HEADER_BYTES, SLOWEST_BYTES_PER_S, THREADS
from signed_in import SETTINGS, person, program, said_of
from web_process import WAIT_S, Server, serving

BEFORE = """
import itertools
import app, app.server
from flask import request

app.server.LONGEST_SILENCE_S = 1
create_app = app.create_app

def with_an_endless_answer(*args, **kwargs):
    made = create_app(*args, **kwargs)
    endless = lambda: made.response_class(itertools.repeat(b"x" * 65536))
    made.add_url_rule("/endless", "endless", endless)

    def followed():  # as `app.live` does
        request.environ["gunicorn.socket"].settimeout(1)
        return endless()

    made.add_url_rule("/followed", "followed", followed)
    return made

app.create_app = with_an_endless_answer
"""
FORM = "application/x-www-form-urlencoded"
SMALL_BODIES = [
    ("POST", "/predictions/head", "text/csv"),
    ("POST", "/columns", FORM),
    ("POST", "/columns/remove", FORM),
    ("POST", "/columns/remove", "multipart/form-data; boundary=x"),
    ("PUT", "/api/columns/matches", "application/json"),
]
BODIES = [
    *SMALL_BODIES,
    ("POST", "/predictions", "text/csv"),
    ("POST", "/api/predictions", "text/csv"),
]
SOON_S = 15
"""Far below the 30 s of a socket here, for a service that answers in a few seconds."""


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with serving(before=BEFORE) as server:
        yield server


def get(path: str, more: str = "") -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: localhost\r\n{more}\r\n".encode()


def head(method: str, path: str, content_type: str, size: str) -> bytes:
    return (
        f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nSec-Fetch-Site: same-origin\r\n"
        f"Content-Type: {content_type}\r\n{size}\r\n\r\n"
    ).encode()


def status_on(connection: socket.socket) -> int:
    return int(connection.recv(65536).split()[1])


def is_healthy_soon(server: Server) -> bool:
    began = time.monotonic()
    with server.connect() as connection:
        connection.sendall(get("/healthz"))
        return status_on(connection) == 200 and time.monotonic() - began < SOON_S


def test_what_is_no_request_is_not_logged_under_the_id_of_another(server):
    assert is_healthy_soon(server)
    assert "request" in server.wait_for("request_answered")
    with server.connect() as connection:  # served by the same thread: it is the only one so far
        connection.sendall(b"nonsense\r\n\r\n")
        assert status_on(connection) == 400

    assert "request" not in server.wait_for("Invalid request")


def test_connections_that_their_clients_leave_open_hold_nobody_up(server):
    connections = [server.connect() for _ in range(30)]
    try:
        for connection in connections:
            connection.sendall(get("/healthz", "Connection: close\r\n"))

        assert is_healthy_soon(server)
    finally:
        for connection in connections:
            connection.close()


def test_a_sender_that_falls_silent_gives_its_thread_back(server):
    begun = [head(*route, "Content-Length: 60000") + b"customerID" for route in BODIES]
    unfinished = get("/healthz")[:-2]
    senders = [(server.connect(), sent) for sent in [*begun, unfinished] * (THREADS // 8)]
    try:
        for connection, sent in senders:
            connection.sendall(sent)

        assert is_healthy_soon(server)
        for connection, sent in senders:
            assert connection.recv(65536)[9:12] == (b"" if sent is unfinished else b"400")
    finally:
        for connection, _sent in senders:
            connection.close()


@contextmanager
def trickling(connections: Sequence[socket.socket]) -> Iterator[None]:
    """Send a byte on each connection now and then, sooner than any silence is too long."""
    enough = threading.Event()

    def trickle():
        while not enough.wait(0.3):
            for connection in connections:
                with suppress(OSError):
                    connection.send(b"x")

    thread = threading.Thread(target=trickle)
    thread.start()
    try:
        yield
    finally:
        enough.set()
        thread.join()


@pytest.mark.parametrize(
    "begun",
    [
        get("/healthz")[:-2],
        head("POST", "/columns", FORM, "Content-Length: 60000"),
        head("POST", "/predictions", "text/csv", "Content-Length: 60000"),
        head("POST", "/predictions", "text/csv", "Transfer-Encoding: chunked") + b"EA60\r\n",
    ],
)
def test_senders_that_trickle_hold_nobody_up(server, begun):
    connections = [server.connect() for _ in range(THREADS + 1)]
    try:
        for connection in connections:
            connection.sendall(begun)
        with trickling(connections):
            assert is_healthy_soon(server)
    finally:
        for connection in connections:
            connection.close()


def test_a_slow_sender_that_goes_on_is_heard_to_the_end(server):
    piece = b"x" * (SLOWEST_BYTES_PER_S // 2)
    with server.connect() as connection:
        connection.sendall(head("POST", "/columns", FORM, f"Content-Length: {12 * len(piece)}"))
        for _ in range(12):
            time.sleep(0.25)
            connection.sendall(piece)

        assert b"did not arrive whole" not in connection.recv(65536)


@pytest.mark.parametrize("path", ["/endless", "/followed"])
def test_an_answer_that_nobody_reads_is_given_up(server, path):
    connections = [server.connect() for _ in range(THREADS)]
    try:
        for connection in connections:
            connection.sendall(get(path))
            assert connection.recv(1)

        assert is_healthy_soon(server)
        assert server.wait_for("A client was silent")["level"] == "info"
    finally:
        for connection in connections:
            connection.close()


@pytest.mark.parametrize("route", BODIES)
def test_a_body_whose_chunks_make_no_sense_is_refused(server, route):
    with server.connect() as connection:
        connection.sendall(head(*route, "Transfer-Encoding: chunked") + b"ZZZ\r\nabc\r\n")

        assert status_on(connection) == 400


@pytest.mark.parametrize("route", SMALL_BODIES)
@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_that_is_too_large_is_refused_where_its_sender_hears_it(server, route, chunked):
    size, piece = 400_000, b"x" * 400_000
    framed = f"{size:x}\r\n".encode() + piece + b"\r\n0\r\n\r\n" if chunked else piece
    length = "Transfer-Encoding: chunked" if chunked else f"Content-Length: {size}"
    with server.connect() as connection:
        connection.sendall(head(*route, length))
        connection.sendall(framed)

        assert status_on(connection) == 413


# ---- behind the load balancer ----


@pytest.fixture(scope="module")
def behind() -> Iterator[Server]:
    with serving(**{name.upper(): value for name, value in SETTINGS.items()}) as server:
        yield server


def lines(headers: dict[str, str]) -> str:
    return "".join(f"{name}: {value}\r\n" for name, value in headers.items())


def status_of(server: Server, path: str, more: str) -> int:
    with server.connect() as connection:
        connection.sendall(get(path, f"Connection: close\r\n{more}"))
        return status_on(connection)


def test_what_a_load_balancer_sends_with_a_request_is_not_too_long(behind):
    session = "c" * (LONGEST_HEADER_BYTES - len("Cookie: \r\n"))
    long_word = lines(person("acme", claims={"given_name": "n" * 8_000}))

    assert status_of(behind, "/columns", f"Cookie: {session}\r\n{long_word}") == 200
    assert status_of(behind, "/columns", f"Cookie: {session}cc\r\n{long_word}") == 431


def test_no_spelling_of_a_header_and_no_second_one_makes_somebody_else(behind):
    word, forged = f"X-Amzn-Oidc-Data: {said_of('acme')}\r\n", said_of("victim")
    bearer = lines(program("acme"))

    assert status_of(behind, "/columns", word) == 200
    assert status_of(behind, "/api/columns", bearer) == 200
    for path, more in [
        ("/columns", f"X_Amzn_Oidc_Data: {forged}\r\n"),
        ("/columns", f"X-Amzn-Oidc-Data: {forged}\r\n{word}"),
        ("/columns", f"{word}x-amzn-oidc-data: {forged}\r\n"),
        ("/columns", f"{word}{bearer}"),
        ("/columns", f"{word}Authorization:\r\n"),
        ("/api/columns", f"{word}Authorization:\r\n"),
        ("/api/columns", f"{word}Connection: close, Authorization\r\n"),
        ("/api/columns", f"{bearer}{bearer}"),
    ]:
        assert status_of(behind, path, more) == 401, more


def test_nothing_of_a_token_is_in_the_log_of_the_process(behind):
    sent = [said_of("logged"), said_of("logged", header={"exp": 1}), program("logged")]
    for word in sent[:2]:
        status_of(behind, "/columns", f"X-Amzn-Oidc-Data: {word}\r\n")
        status_of(behind, "/columns", f"X-Amzn-Oidc-Data: {word} {'x' * 20_000}\r\n")
        status_of(behind, "/columns", f"X-Amzn-Oidc-Data : {word}\r\n")
        status_of(behind, "/columns", f"X-Amzn-Oidc-Data: {word}\0\r\n")
    for more in (lines(sent[2]), lines(sent[2]).replace("rw_", "rw_0")):
        status_of(behind, "/api/columns", more)
        status_of(behind, "/columns", more)
    assert status_of(behind, "/healthz?last", "") == 200

    logged = []
    while not logged or '"route": "/healthz"' not in logged[-1]:
        logged.append(behind.lines.get(timeout=WAIT_S))
    assert any('"sign_in_refused"' in line for line in logged)
    assert any('"token_refused"' in line for line in logged)
    secrets = [part for word in sent[:2] for part in word.split(".")[:2]]
    secrets += sent[2]["Authorization"].removeprefix("Bearer rw_").split(".")
    for secret in secrets:
        assert secret[:40] not in "".join(logged)
