"""A stand-in for the service's `/readyz`, as a deploy asks it."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http import HTTPStatus


class Readiness:
    """What `/readyz` answers: well, unless `answers` is set to say otherwise."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.answers: Callable[[], int] = lambda: 200


@contextmanager
def readiness() -> Iterator[Readiness]:
    """Serve it for the block."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            code = served.answers() if self.path == "/readyz" else 404
            self.send_response(code)
            self.end_headers()
            self.wfile.write(b'{"status": "ready"}' if code == HTTPStatus.OK else b"")

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        served = Readiness(f"http://127.0.0.1:{server.server_port}")
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield served
        finally:
            server.shutdown()
            thread.join()
