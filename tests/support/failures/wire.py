"""The wire between one worker and the emulated cloud, on which a run lets things go wrong.

An HTTP server that passes each request on as it is, once the run has seen it: which call it is, in
the names of the SDK, and whether it may go, fail, wait, or be lost.
"""

from __future__ import annotations

import http.client
import json
import threading
from collections.abc import Callable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

STEP = "/step/"
"""The worker's child asks for this path to say at what step it is."""


@dataclass(frozen=True)
class Call:
    """A request, by the SDK's names."""

    service: str
    operation: str
    parameters: dict[str, Any]


@dataclass(frozen=True)
class Answer:
    """What the cloud said."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes


class Lost(Exception):
    """There is no answer: the connection is closed."""


Send = Callable[[], Answer]
Decide = Callable[[Call, Send], Answer]


class Wire:
    """A port of this machine that is a worker's whole network.

    decide: is given each call and how to send it on; what it returns is the answer.
    """

    def __init__(self, endpoint: str, decide: Decide, at_step: Callable[[str], None]) -> None:
        upstream = urlsplit(endpoint)

        class Handler(_Handler):
            pass

        Handler.upstream = (str(upstream.hostname), int(upstream.port or 80))
        Handler.decide = staticmethod(decide)
        Handler.at_step = staticmethod(at_step)
        self._server = _Server(("127.0.0.1", 0), Handler)
        self.endpoint = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Let nobody in any more."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False  # a held request must not hold up the end

    def handle_error(self, *_: Any) -> None:
        """A worker that was killed leaves connections half open: that is what we are here for."""


class _Handler(BaseHTTPRequestHandler):
    upstream: tuple[str, int]
    decide: Decide
    at_step: Callable[[str], None]
    protocol_version = "HTTP/1.1"

    def setup(self) -> None:
        super().setup()
        self._cloud = http.client.HTTPConnection(*self.upstream, timeout=60)

    def finish(self) -> None:
        self._cloud.close()
        super().finish()

    def _pass_on(self) -> None:
        if self.path.startswith(STEP):
            self.at_step(self.path.removeprefix(STEP).replace("-", " "))
            self._reply(Answer(204, [], b""))
            return
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        try:
            answer = self.decide(self._call(body), lambda: self._send(body))
        except Lost:
            self.close_connection = True
            return
        self._reply(answer)

    do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = _pass_on  # noqa: N815 - the library's names

    def _call(self, body: bytes) -> Call:
        target = self.headers.get("X-Amz-Target")
        if target is not None:
            service, operation = target.split(".")
            name = "dynamodb" if service.startswith("DynamoDB") else "sqs"
            return Call(name, operation, json.loads(body))
        url = urlsplit(self.path)
        _, bucket, *rest = url.path.split("/", 2)
        parameters = {"Bucket": bucket, "Key": rest[0] if rest else ""}
        is_list = "versions" in parse_qs(url.query, keep_blank_values=True)
        names = {"GET": "GetObject", "HEAD": "HeadObject", "PUT": "PutObject"}
        operation = names.get(self.command, "DeleteObject")
        return Call("s3", "ListObjectVersions" if is_list else operation, parameters)

    def _send(self, body: bytes) -> Answer:
        # By its own name: the local cloud lets nobody in who was sent to it by another.
        headers = dict(self.headers.items()) | {"Host": "{}:{}".format(*self.upstream)}
        self._cloud.request(self.command, self.path, body, headers)
        answer = self._cloud.getresponse()
        return Answer(answer.status, answer.getheaders(), answer.read())

    def _reply(self, answer: Answer) -> None:
        self.send_response_only(answer.status)
        for name, value in answer.headers:
            if name.lower() not in ("connection", "transfer-encoding", "content-length"):
                self.send_header(name, value)
        length = {name.lower(): value for name, value in answer.headers}.get("content-length")
        is_head = self.command == "HEAD"
        if answer.status != 204:
            self.send_header(
                "Content-Length", length if is_head and length else str(len(answer.body))
            )
        self.end_headers()
        if not is_head:
            self.wfile.write(answer.body)

    def log_message(self, *_: Any) -> None:
        """Nobody reads it."""
