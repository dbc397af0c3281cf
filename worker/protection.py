"""Keeps ECS from taking a task away while it runs a job.

ECS's agent in the task is asked, and asks ECS under the task's role. A worker is right without it:
a job that is cut off is handed back or put back. So whatever goes wrong here is only logged.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import structlog
import urllib3

_PATH = "/task-protection/v1/state"
_EXPIRES_MINUTES = 120
"""Longer than the largest file takes; a worker that died keeps its task no longer."""
_TIMEOUT_S = 2.0

log = structlog.get_logger()


class TaskProtection:
    """Protects the task while any of its jobs runs.

    agent_uri: what ECS puts into ECS_AGENT_URI of each container; None outside ECS, where there is
    nothing to be protected from.
    """

    def __init__(self, agent_uri: str | None) -> None:
        self._uri = agent_uri
        self._http = urllib3.PoolManager(retries=False, timeout=_TIMEOUT_S)
        self._lock = threading.Lock()
        self._jobs = 0

    @contextmanager
    def during_a_job(self) -> Iterator[None]:
        """Protect the task for the block; blocks of several threads may overlap."""
        self._count(+1)
        try:
            yield
        finally:
            self._count(-1)

    def _count(self, change: int) -> None:
        with self._lock:  # held while asking: the answers come in the order of the changes
            was_busy, self._jobs = self._jobs > 0, self._jobs + change
            is_busy = self._jobs > 0
            if self._uri is not None and is_busy != was_busy:
                self._ask(self._uri, is_busy)

    def _ask(self, uri: str, is_busy: bool) -> None:
        wanted: dict[str, object] = {"ProtectionEnabled": is_busy}
        if is_busy:
            wanted["ExpiresInMinutes"] = _EXPIRES_MINUTES
        try:
            answer = self._http.request("PUT", f"{uri}{_PATH}", json=wanted)
        except urllib3.exceptions.HTTPError as exc:
            log.warning("protection_failed", protect=is_busy, error=type(exc).__name__)
            return
        if answer.status != 200:  # it refuses, for instance, while a deploy is taken back
            log.warning("protection_failed", protect=is_busy, status=answer.status)
