"""Is the process alive, and can it do its work: for load balancers and operators, not for people.

A dependency that hangs must not hang the answer, so each is asked in a thread of its own: one at
a time, which whoever asks meanwhile waits for too, or each question would leave another behind.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import cast

import structlog
from botocore.exceptions import BotoCoreError, ClientError
from flask import Blueprint, Flask, Response, current_app

from app.answers import DependencyAnswer, HealthAnswer, ReadinessAnswer
from app.services import services

ANSWER_WITHIN_S = 4.0
_CHECKS = "retainwise.checks"

bp = Blueprint("health", __name__)
log = structlog.get_logger()


def init_app(app: Flask) -> None:
    """Add the two routes, and the checks that their requests share."""
    app.extensions[_CHECKS] = _Checks()
    app.register_blueprint(bp)


@bp.get("/healthz")
def healthz() -> Response:
    """The process answers."""
    return Response(HealthAnswer().model_dump_json(), mimetype="application/json")


@bp.get("/readyz")
def readyz() -> Response:
    """200 when every dependency answers, else 503; which, and the kind of error."""
    ours, begun = services(), cast("_Checks", current_app.extensions[_CHECKS])
    checks = {
        "table": begun.check("table", ours.store.ping),
        "files": begun.check("files", ours.files.ping),
        "queue": begun.check("queue", ours.queue.ping),
    }
    deadline = time.monotonic() + ANSWER_WITHIN_S
    found = {name: check.result(deadline) for name, check in checks.items()}
    ready = all(dependency.ok for dependency in found.values())
    if not ready:
        log.warning("not_ready", **{name: found[name].error or "ok" for name in found})
    answer = ReadinessAnswer(status="ready" if ready else "not-ready", dependencies=found)
    body = answer.model_dump_json(exclude_none=True)
    return Response(body, 200 if ready else 503, mimetype="application/json")


class _Checks:
    """The last check of each dependency; at most one of each is under way."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._last: dict[str, _Check] = {}

    def check(self, name: str, ping: Callable[[], None]) -> _Check:
        """Return the check that is under way, or begin one."""
        with self._lock:
            last = self._last.get(name)
            if last is None or last.is_over:
                last = self._last[name] = _Check(ping)
            return last


class _Check:
    """One call to one dependency, on its way from the moment it is made."""

    def __init__(self, ping: Callable[[], None]) -> None:
        self._ping = ping
        self._error: str | None = "NoAnswer"
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    @property
    def is_over(self) -> bool:
        """Whether the dependency has answered or failed."""
        return not self._thread.is_alive()

    def result(self, deadline: float) -> DependencyAnswer:
        """Wait until `deadline` (monotonic seconds) at most."""
        self._thread.join(max(0.0, deadline - time.monotonic()))
        return DependencyAnswer(ok=self._error is None, error=self._error)

    def _run(self) -> None:
        try:
            self._ping()
            self._error = None
        except ClientError as exc:
            self._error = exc.response["Error"].get("Code", type(exc).__name__)
        except BotoCoreError as exc:
            self._error = type(exc).__name__
