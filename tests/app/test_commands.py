"""`retainwise web` as a process: its start, its refusals, its end, and a socket to speak to."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator

import pytest
from click.testing import CliRunner

from app.commands import web
from product import ROOT
from web_process import COMMAND, WAIT_S, Server, environment, serving

HEADER = (ROOT / "model/data/telco.csv").read_bytes().partition(b"\n")[0] + b"\n"
"""Of a file that can be scored: what is wrong with the names of columns is told at once."""


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with serving() as server:
        yield server


def upload_head(length: int | None) -> bytes:
    size = "Transfer-Encoding: chunked" if length is None else f"Content-Length: {length}"
    return (
        "POST /api/predictions HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/csv\r\n"
        f"{size}\r\n\r\n"
    ).encode()


def answer_on(connection: socket.socket) -> tuple[int, str]:
    """The status and the problem's code."""
    received = b""
    while b"\r\n\r\n" not in received or not received.rstrip().endswith(b"}"):
        piece = connection.recv(65536)
        assert piece, received
        received += piece
    head, _, body = received.partition(b"\r\n\r\n")
    return int(head.split()[1]), json.loads(body)["code"]


def test_a_request_is_one_line_in_the_log(server):
    with server.connect() as connection:
        connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert connection.recv(65536).startswith(b"HTTP/1.1 200 OK\r\n")

    line = server.wait_for("request_answered")
    assert (line["service"], line["route"], line["status"]) == ("web", "/healthz", 200)


@pytest.mark.parametrize("sent", [b"", HEADER + b"1,", HEADER + b"1,2\n" * 500_000])
def test_a_sender_that_stops_early_is_told(server, sent):
    with server.connect() as connection:
        connection.sendall(upload_head(3_000_000) + sent)
        connection.shutdown(socket.SHUT_WR)

        assert answer_on(connection) == (400, "incomplete-upload")


@pytest.mark.parametrize("chunked", [False, True])
def test_a_browser_that_sends_too_much_gets_to_see_why(server, chunked):
    # A browser reads no answer before it has sent all; a closed connection is all it would show.
    size = 7_000_000
    piece = HEADER + b"1,2,3,45\n" * 100_000
    with server.connect() as connection:
        connection.sendall(upload_head(None if chunked else size))
        for _ in range(size // len(piece)):
            framed = f"{len(piece):x}\r\n".encode() + piece + b"\r\n" if chunked else piece
            connection.sendall(framed)
        connection.sendall(b"0\r\n\r\n" if chunked else b"1" * (size % len(piece)))

        assert answer_on(connection) == (413, "file-too-large")


def test_what_is_under_way_is_finished_before_it_ends():
    with serving() as server, server.connect() as connection:
        connection.sendall(upload_head(10) + b"custo")
        with server.connect() as other:  # answered: the upload before it is being handled
            other.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            while other.recv(65536):
                pass
        server.process.send_signal(signal.SIGTERM)
        server.wait_for("Handling signal: term")
        connection.sendall(b"mers\n")

        assert answer_on(connection) == (422, "not-a-csv")
        assert server.process.wait(WAIT_S) == 0


@pytest.mark.parametrize(
    ("more", "bind", "named"),
    [
        ({"UPLOADS_BUCKET": ""}, "127.0.0.1:0", "UPLOADS_BUCKET"),
        ({"MAX_UPLOAD_BYTES": "many"}, "127.0.0.1:0", "MAX_UPLOAD_BYTES"),
        ({"IDENTITY_PROVIDER": "none"}, "127.0.0.1:0", "IDENTITY_PROVIDER"),
        ({"AWS_REGION": ""}, "127.0.0.1:0", "AWS_REGION"),
        ({"IDENTITY_PROVIDER": None}, "127.0.0.1:0", "IDENTITY_PROVIDER: not set; demo"),
        ({"MODEL_DIR": None}, "127.0.0.1:0", "MODEL_DIR: Field required"),
        ({"MODEL_DIR": "nowhere"}, "127.0.0.1:0", "MODEL_DIR: nowhere/schema.json: No such file"),
        ({}, "0.0.0.0:8000", "IDENTITY_PROVIDER"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(more, bind, named):
    ended = subprocess.run(
        [*COMMAND, "--bind", bind],
        env=environment(**more),
        capture_output=True,
        text=True,
        timeout=WAIT_S,
        check=False,
    )

    assert ended.returncode == 2
    assert ended.stderr.count("\n") == 1
    assert named in ended.stderr
    assert ended.stdout == ""


@pytest.mark.parametrize("bind", ["8000", ":8000", "localhost", "localhost:http"])
def test_an_address_of_another_form_is_refused(bind):
    ended = CliRunner().invoke(web, ["--bind", bind])

    assert ended.exit_code == 2
    assert f"{bind} is not HOST:PORT" in ended.output


def test_the_command_is_there_without_the_weight():
    code = "import sys, app.commands; print({'flask', 'gunicorn', 'boto3'} & set(sys.modules))"
    ended = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=WAIT_S
    )

    assert ended.stdout.strip() == "set()"
