"""ECS's agent in a task, as far as the worker asks it: no emulator has one."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

PATH = "/task-protection/v1/state"
BUSY = {"ProtectionEnabled": True, "ExpiresInMinutes": 120}
IDLE = {"ProtectionEnabled": False}


class Agent:
    """Notes what it is asked, and answers with `status`, or not before its end when it `hangs`."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, dict]] = []
        self.status = 200
        self.hangs = False
        self.ended = threading.Event()
        self.uri = ""

    def told(self) -> list[dict]:
        """What it was asked for, all of it at the one address that there is."""
        assert {path for path, _ in self.asked} <= {PATH}
        return [body for _, body in self.asked]


@contextmanager
def serving(agent: Agent) -> Iterator[str]:
    """Serve it for the block; give what ECS puts into ECS_AGENT_URI."""

    class Handler(BaseHTTPRequestHandler):
        def do_PUT(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            agent.asked.append((self.path, json.loads(body)))
            if agent.hangs:
                agent.ended.wait()
                return
            self.send_response(agent.status)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        agent.ended.set()
        server.shutdown()
        thread.join()
        server.server_close()
