"""`retainwise web` as a process of its own over a stub of its table, and a socket to it."""

from __future__ import annotations

import json
import os
import queue
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from product import ROOT

_RUN = "from app.commands import web; web()"
COMMAND = [sys.executable, "-c", _RUN]
ENVIRONMENT = {
    "RETAINWISE_ENV": "test",
    "IDENTITY_PROVIDER": "demo",
    "PREDICTIONS_QUEUE_URL": "http://127.0.0.1:1/queue",
    "PREDICTIONS_TABLE": "t",
    "UPLOADS_BUCKET": "u",
    "RESULTS_BUCKET": "r",
    "MODEL_DIR": str(ROOT / "model/artifacts/telco"),
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
    """Give the process its variables; None takes one away."""
    inherited = {name: os.environ[name] for name in ("PATH", "PYTHONPATH") if name in os.environ}
    given = inherited | ENVIRONMENT | more
    return {name: value for name, value in given.items() if value is not None}


@contextmanager
def table(answer: Callable[[str], object]) -> Iterator[str]:
    """Stand in for DynamoDB: `answer` gives what each operation (GetItem, …) answers."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self):
            self.rfile.read(int(self.headers["Content-Length"]))
            body = json.dumps(answer(self.headers["X-Amz-Target"].partition(".")[2])).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_args):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as stub:
        stub.daemon_threads = True
        thread = threading.Thread(target=stub.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{stub.server_port}"
        finally:
            stub.shutdown()
            thread.join(WAIT_S)


@contextmanager
def serving(
    answer: Callable[[str], object] = lambda _operation: {}, *, before: str = "", **more: str
) -> Iterator[Server]:
    """Run the service; unless told otherwise its table takes every write and has no items.

    before: Python that its process runs first; more: variables of its environment.
    """
    with table(answer) as table_url:
        process = subprocess.Popen(
            [sys.executable, "-c", f"{before}\n{_RUN}", "--bind", "127.0.0.1:0"],
            env=environment(AWS_ENDPOINT_URL_DYNAMODB=table_url, **more),
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
