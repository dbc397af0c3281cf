"""`retainwise web` as a process: its start, its refusals, its end, and a socket to speak to."""

from __future__ import annotations

import json
import os
import queue
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from click.testing import CliRunner

from app.commands import web

COMMAND = [sys.executable, "-c", "from app.commands import web; web()"]
ENVIRONMENT = {
    "RETAINWISE_ENV": "test",
    "IDENTITY_PROVIDER": "demo",
    "PREDICTIONS_QUEUE_URL": "http://127.0.0.1:1/queue",
    "PREDICTIONS_TABLE": "t",
    "UPLOADS_BUCKET": "u",
    "RESULTS_BUCKET": "r",
    "MODEL_DIR": str(Path(__file__).parents[2] / "model/artifacts/telco"),
    "MAX_UPLOAD_BYTES": "4000000",
    "AWS_REGION": "eu-central-1",
    "AWS_ENDPOINT_URL": "http://127.0.0.1:1",
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "AWS_CONFIG_FILE": os.devnull,
}
WAIT_S = 30


class Server:
    """A running service, and the lines that it logs."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.lines: queue.Queue[str] = queue.Queue()
        self.reader = threading.Thread(target=self._read)
        self.reader.start()
        listening = self.wait_for("Listening at: ")["event"]
        self.port = int(listening.split(" (")[0].rpartition(":")[2])
        self.wait_for("Booting worker")

    def _read(self) -> None:
        for line in self.process.stdout:
            self.lines.put(line)

    def wait_for(self, event: str) -> dict[str, object]:
        while True:
            line = json.loads(self.lines.get(timeout=WAIT_S))
            if str(line["event"]).startswith(event):
                return line

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=WAIT_S)


def environment(**more: str | None) -> dict[str, str]:
    inherited = {name: os.environ[name] for name in ("PATH", "PYTHONPATH") if name in os.environ}
    given = inherited | ENVIRONMENT | more
    return {name: value for name, value in given.items() if value is not None}


class TakesAnything(BaseHTTPRequestHandler):
    """DynamoDB as far as an upload that is refused needs it: every write is fine."""

    protocol_version = "HTTP/1.1"

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *_args):
        pass


@contextmanager
def table() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), TakesAnything) as stub:
        stub.daemon_threads = True
        thread = threading.Thread(target=stub.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{stub.server_port}"
        finally:
            stub.shutdown()
            thread.join(WAIT_S)


@contextmanager
def serving() -> Iterator[Server]:
    with table() as table_url, process_at(table_url) as server:
        yield server


@contextmanager
def process_at(table_url: str) -> Iterator[Server]:
    process = subprocess.Popen(
        [*COMMAND, "--bind", "127.0.0.1:0"],
        env=environment(AWS_ENDPOINT_URL_DYNAMODB=table_url),
        stdout=subprocess.PIPE,
        text=True,
    )
    server = None
    try:
        server = Server(process)
        yield server
    finally:
        process.terminate()
        process.wait(WAIT_S)
        if server:
            server.reader.join(WAIT_S)
        process.stdout.close()


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


@pytest.mark.parametrize("sent", [b"", b"a,b\n1,", b"a,b\n" + b"1,2\n" * 500_000])
def test_a_sender_that_stops_early_is_told(server, sent):
    with server.connect() as connection:
        connection.sendall(upload_head(3_000_000) + sent)
        connection.shutdown(socket.SHUT_WR)

        assert answer_on(connection) == (400, "incomplete-upload")


@pytest.mark.parametrize("chunked", [False, True])
def test_a_browser_that_sends_too_much_gets_to_see_why(server, chunked):
    # A browser reads no answer before it has sent all; a closed connection is all it would show.
    size = 7_000_000
    piece = b"1,2,3,45\n" * 100_000
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
