"""Ends a Pulumi CLI that is at work: in order, or at once with all that it has started."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

_TOLD_TWICE = 8
"""How the CLI ends at a second signal, at once."""


class Ending:
    """A way to end a running CLI, and those that would follow it, from another thread."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None
        self._told: subprocess.Popen[str] | None = None
        self._turn = threading.RLock()
        self._asked = threading.Event()
        self.has_killed = False
        """Whether a CLI was killed in the middle of what it did, by whomever."""

    @property
    def was_asked_for(self) -> bool:
        """Whether the CLI was ended, and none is to be started."""
        return self._asked.is_set()

    def in_order(self) -> None:
        """Let it end what it has begun, and note that."""
        self._asked.set()
        with self._turn:
            if self._process is not None:
                self._tell(self._process)

    def now(self) -> None:
        """Kill it: what it does no longer counts."""
        self._asked.set()
        with self._turn:
            if self._process is not None:
                self._kill(self._process)

    def whatever_runs(self) -> None:
        """Kill what is at work still, where a signal has ended the wait for it, and see it end."""
        with self._turn:
            process = self._process
            if process is not None:
                self._kill(process)
                process.wait()

    @contextmanager
    def running(
        self, start: Callable[[], subprocess.Popen[str]], *, is_write: bool = False
    ) -> Iterator[subprocess.Popen[str]]:
        """Start a process and know it for the block.

        Afterwards it has ended with all that it started, or a signal came while that was waited
        for: then `whatever_runs` is to be called.
        is_write: whether all it does is to write the state, and it heeds nobody.
        """
        with start() as process:
            self._process = process
            try:
                if self._asked.is_set():
                    self._kill(process)
                yield process
            finally:
                self._end(process, is_write=is_write)

    def _end(self, process: subprocess.Popen[str], *, is_write: bool) -> None:
        if process.poll() is None:
            self._tell(process)
            try:
                _wait_for(process)
            except BaseException:  # told twice: nothing of it may outlive the lease
                self._kill(process)
                raise
        self._look_how_it_ended(process, is_write=is_write)
        with self._turn:
            self._process = None  # its id may be another's from now on

    def _tell(self, process: subprocess.Popen[str]) -> None:
        """Tell it once, whoever wants to: told twice, it leaves things half done."""
        with self._turn:
            if self._told is not process and process.poll() is None:
                self._told = process
                process.terminate()

    def _look_how_it_ended(self, process: subprocess.Popen[str], *, is_write: bool) -> None:
        if process.returncode is None:
            return
        if process.returncode < 0:
            _kill(process)  # what it had started
        # It heeds what it is told from before it changes anything in AWS; until then it just ends.
        is_told = self._told is process and process.returncode == -signal.SIGTERM
        was_killed = process.returncode < 0 and (is_write or not is_told)
        self.has_killed |= was_killed or process.returncode == _TOLD_TWICE

    def _kill(self, process: subprocess.Popen[str]) -> None:
        self.has_killed |= process.poll() is None
        _kill(process)


def _kill(process: subprocess.Popen[str]) -> None:
    """Kill the CLI with the plugins that it started: the provider is what calls AWS."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def _wait_for(process: subprocess.Popen[str]) -> None:
    """Wait for the end of a process whose output nobody reads any more: a full pipe stops it."""
    for _ in process.stdout or ():
        pass
    process.wait()
