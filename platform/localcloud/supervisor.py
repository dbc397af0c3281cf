"""Keeps the services running, as ECS does, and stops them in order.

A service that dies is started again, later each time; one that keeps dying ends the run.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from localcloud.tasks import TaskProcess

# Dead sooner than this after its start, a process did not come to work.
_QUICK_DEATH_S = 10.0
_QUICK_DEATHS = 5
_BACK_OFF_S = 0.5
_POLL_S = 0.1
_READY_S = 60.0
_LAST_LINES = 15

Say = Callable[[str], None]
Interrupted = Callable[[], int]
"""How often the person asked to stop."""


class Failed(Exception):
    """Something that must run does not; the message says what, and what it said last."""


class Service:
    """A service of the product: its present process, and how often the earlier ones died.

    `start` starts a process; `ready` says whether it can take work, given its scratch folder.
    """

    def __init__(
        self,
        name: str,
        log: Path,
        stop_timeout_s: float,
        start: Callable[[], TaskProcess],
        ready: Callable[[Path], bool],
    ) -> None:
        self.name = name
        self.stop_timeout_s = stop_timeout_s
        self._log = log
        self._start = start
        self._ready = ready
        self._process: TaskProcess | None = None
        self._start_at = 0.0
        self._quick_deaths = 0

    def start(self) -> None:
        """Start its first process."""
        self._process = self._start()

    def is_ready(self) -> bool:
        """Whether it can take work. Raises Failed when it has ended instead."""
        if self._process is None:
            return False
        code = self._process.exit_code()
        if code is not None:
            self._process = None
            raise Failed(self._obituary(code))
        return self._ready(self._process.scratch)

    def tend(self, say: Say) -> None:
        """Start it again if it died. Raises Failed when that happens too often."""
        if self._process is None:
            if time.monotonic() >= self._start_at:
                self._process = self._start()
            return
        code = self._process.exit_code()
        if code is None:
            return
        quick = time.monotonic() - self._process.started_at < _QUICK_DEATH_S
        self._process = None
        self._quick_deaths = self._quick_deaths + 1 if quick else 0
        if self._quick_deaths >= _QUICK_DEATHS:
            raise Failed(f"{self._obituary(code)}\n{self.name} died {_QUICK_DEATHS} times in a row")
        pause_s = _BACK_OFF_S * 2**self._quick_deaths
        self._start_at = time.monotonic() + pause_s
        say(f"{self.name} ended with {code}; starting it again in {pause_s:g} s (see {self._log})")

    def terminate(self) -> None:
        """Ask it to stop."""
        if self._process is not None:
            self._process.terminate()

    def has_ended(self) -> bool:
        """Whether nothing of it runs."""
        if self._process is not None and self._process.exit_code() is not None:
            self._process = None
        return self._process is None

    def kill(self) -> None:
        """End it now."""
        if self._process is not None:
            self._process.kill()
            self._process = None

    def last_lines(self) -> str:
        """What it wrote last, indented."""
        lines = self._log.read_text("utf-8", "replace").splitlines()[-_LAST_LINES:]
        return "\n".join(f"  {line}" for line in lines)

    def _obituary(self, code: int) -> str:
        return (
            f"{self.name} ended with {code}; its last lines, from {self._log}:\n{self.last_lines()}"
        )


def start(services: Sequence[Service], interrupted: Interrupted, check: Callable[[], None]) -> bool:
    """Start them all and wait until all can take work; False when interrupted before.

    `check` raises when what they stand on is gone. Raises Failed when one ends or takes too long.
    """
    for service in services:
        service.start()
    deadline = time.monotonic() + _READY_S
    waiting = list(services)
    while waiting and not interrupted():
        check()
        waiting = [service for service in waiting if not service.is_ready()]
        if time.monotonic() > deadline:
            late = waiting[0]
            raise Failed(
                f"{late.name} is not ready after {_READY_S:g} s; its last lines:\n"
                f"{late.last_lines()}"
            )
        time.sleep(_POLL_S)
    return not waiting


def watch(
    services: Sequence[Service],
    interrupted: Interrupted,
    check: Callable[[], None],
    say: Say,
) -> None:
    """Keep them running until interrupted. Raises what `check` raises, and Failed."""
    while not interrupted():
        check()
        for service in services:
            service.tend(say)
        time.sleep(_POLL_S)


def stop(services: Iterable[Service], hurry: Callable[[], bool]) -> None:
    """Ask all of them at once to stop; kill those whose time is up, and all in a hurry."""
    left = [service for service in services if not service.has_ended()]
    for service in left:
        service.terminate()
    asked_at = time.monotonic()
    while left:
        for service in left:
            if hurry() or time.monotonic() > asked_at + service.stop_timeout_s:
                service.kill()
        left = [service for service in left if not service.has_ended()]
        time.sleep(_POLL_S)
