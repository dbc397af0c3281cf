"""The application under gunicorn: threads, because a request mostly waits for S3 or its sender."""

from __future__ import annotations

import gc
import socket
import struct
import sys
import time
from concurrent.futures import Future
from pathlib import Path

from flask import Flask
from gunicorn import util
from gunicorn.app.base import BaseApplication
from gunicorn.config import Config
from gunicorn.glogging import Logger
from gunicorn.http.parser import RequestParser
from gunicorn.http.unreader import SocketUnreader
from gunicorn.workers.gthread import TConn, ThreadWorker
from structlog.contextvars import clear_contextvars

THREADS = 32
"""Requests at a time. Each may be an upload, which holds 15 MB: all fit the 1 GiB of a task."""
IS_STOPPING = "retainwise.is_stopping"
"""The application's extension that says whether the server waits for its last requests to end."""

LONGEST_SILENCE_S = 30
"""A client that sends nothing, or takes nothing, for longer holds a thread for nothing."""
SLOWEST_BYTES_PER_S = 16 * 1024
"""One that sends less than this for each second that it is waited for, beyond the silence that is
allowed, does so too. The largest upload may take nine hours."""

LONGEST_HEADER_BYTES = 16 * 1024
"""As the load balancer has it: its cookie and its word on a person can pass gunicorn's 8 kB."""

# More of the service is more tasks: a second process would double the memory of each.
_WORKERS = 1
# Below ECS's 120 s between SIGTERM and SIGKILL, with time to log the end.
_GRACEFUL_S = 100
# Longer than the load balancer keeps an idle connection (60 s), or it sends into a closed one.
_KEEPALIVE_S = 75
_LINGER_S = 2  # as gunicorn does
_IN_MEMORY = Path("/dev/shm")  # noqa: S108 - the file there has no name


class _ToRootLogger(Logger):
    """Gunicorn's own lines go where all others go, in the same form."""

    def setup(self, cfg: Config) -> None:
        super().setup(cfg)
        self.error_log.handlers.clear()
        self.error_log.propagate = True

    def exception(self, msg: str, *args: object, **kwargs: object) -> None:
        """Log an error with its trace, but a client's silence, which is none of ours, without."""
        # The kernel ends a wait with the one, Python and `_Unreader` with the other.
        if isinstance(sys.exception(), (BlockingIOError, TimeoutError)):
            self.info("A client was silent or slow for too long.")
        else:
            super().exception(msg, *args, **kwargs)


class _Unreader(SocketUnreader):
    """Reads a connection, and waits for a request's bytes no longer than they are worth."""

    def __init__(self, connection: socket.socket) -> None:
        super().__init__(connection)
        self.begin_request()

    def begin_request(self) -> None:
        """Forget how long the request before was waited for."""
        self._waited_s = 0.0
        self._received_bytes = 0

    def chunk(self, size_hint: int | None = None) -> bytes:
        """Read what is there, or wait for it. Raises OSError when that takes too long."""
        # Only the waiting counts: while the service works or is stuck, no client is slow.
        allowed_s = LONGEST_SILENCE_S + self._received_bytes / SLOWEST_BYTES_PER_S
        left_s = min(LONGEST_SILENCE_S, allowed_s - self._waited_s)
        if left_s <= 0:
            raise TimeoutError
        # Kept by the kernel: gunicorn makes the socket block anew, and would end Python's timeouts.
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, _time_limit(left_s))
        began = time.monotonic()
        data: bytes = super().chunk(size_hint)
        self._waited_s += time.monotonic() - began
        self._received_bytes += len(data)
        return data


def _time_limit(limit_s: float) -> bytes:
    """Write a time as the kernel takes it; none at all would be no limit."""
    seconds, rest_s = divmod(limit_s, 1)
    return struct.pack("@ll", int(seconds), max(1, int(rest_s * 1_000_000)))


class _Worker(ThreadWorker):
    """Waits for no client without a limit, and for none in the loop that serves them all."""

    def handle(self, conn: TConn) -> object:
        """Handle a request in a thread of the pool; what is to be closed is closed there too."""
        if conn.parser is None:
            conn.parser = RequestParser(self.cfg, conn.sock, conn.client)
            conn.parser.unreader = _Unreader(conn.sock)
        conn.parser.unreader.begin_request()
        limit = _time_limit(LONGEST_SILENCE_S)
        conn.sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, limit)
        try:
            is_kept = super().handle(conn)
            if not is_kept:
                _close(conn)
            return is_kept
        finally:
            clear_contextvars()  # gunicorn's lines of the thread's next request are not this one's

    def finish_request(self, conn: TConn, future: Future[object]) -> None:
        """Put a connection back among the waiting ones, or forget it."""
        if conn.sock.fileno() == -1:
            self.nr_conns -= 1
        else:
            super().finish_request(conn, future)


def _close(conn: TConn) -> None:
    """Close at once where all was read, else in a way that the answer is not lost.

    Bytes that nobody read make the kernel reset the connection, and the sender may lose the answer.
    """
    is_begun = conn.parser is not None and conn.parser.mesg is not None
    if is_begun and conn.parser.finish_body(deadline=time.monotonic() + _LINGER_S):
        conn.close()
    else:
        util.close_graceful(conn.sock, timeout=_LINGER_S)


class Server(BaseApplication):
    """Serves an application that is made already, so that what is wrong with it shows at once."""

    def __init__(self, app: Flask, *, bind: str) -> None:
        self._app = app
        self._options = {
            "bind": bind,
            "workers": _WORKERS,
            "threads": THREADS,
            "worker_class": _Worker,
            "limit_request_field_size": LONGEST_HEADER_BYTES,
            "graceful_timeout": _GRACEFUL_S,
            "keepalive": _KEEPALIVE_S,
            "logger_class": _ToRootLogger,
            "control_socket_disable": True,
            "post_worker_init": self._started,
        }
        # The heartbeat is a file: on a disk that hangs it would look like a hung worker.
        if _IN_MEMORY.is_dir():
            self._options["worker_tmp_dir"] = str(_IN_MEMORY)
        super().__init__()

    def load_config(self) -> None:
        """Give gunicorn its options; it reads no file and no command line."""
        for name, value in self._options.items():
            self.cfg.set(name, value)

    def _started(self, worker: ThreadWorker) -> None:
        # Without this a full collection walks through all that was loaded, and nothing is answered
        # meanwhile.
        gc.collect()
        gc.freeze()
        self._app.extensions[IS_STOPPING] = lambda: not worker.alive

    def load(self) -> Flask:
        """Return the application."""
        return self._app
