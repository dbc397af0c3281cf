"""The application under gunicorn: threads, because a request mostly waits for S3 or its sender."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from flask import Flask
from gunicorn.app.base import BaseApplication
from gunicorn.config import Config
from gunicorn.glogging import Logger

if TYPE_CHECKING:
    from gunicorn.workers.gthread import ThreadWorker

THREADS = 32
"""Requests at a time. Each may be an upload, which holds 15 MB: all fit the 1 GiB of a task."""
IS_STOPPING = "retainwise.is_stopping"
"""The application's extension that says whether the server waits for its last requests to end."""

# More of the service is more tasks: a second process would double the memory of each.
_WORKERS = 1
# Below ECS's 120 s between SIGTERM and SIGKILL, with time to log the end.
_GRACEFUL_S = 100
# Longer than the load balancer keeps an idle connection (60 s), or it sends into a closed one.
_KEEPALIVE_S = 75
_IN_MEMORY = Path("/dev/shm")  # noqa: S108 - the file there has no name


class _ToRootLogger(Logger):
    """Gunicorn's own lines go where all others go, in the same form."""

    def setup(self, cfg: Config) -> None:
        super().setup(cfg)
        self.error_log.handlers.clear()
        self.error_log.propagate = True


class Server(BaseApplication):
    """Serves an application that is made already, so that what is wrong with it shows at once."""

    def __init__(self, app: Flask, *, bind: str) -> None:
        self._app = app
        self._options = {
            "bind": bind,
            "workers": _WORKERS,
            "threads": THREADS,
            "worker_class": "gthread",
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
        self._app.extensions[IS_STOPPING] = lambda: not worker.alive

    def load(self) -> Flask:
        """Return the application."""
        return self._app
