"""The parent's side of a job process: start it, give it a job, hear from it, end it.

The process is spawned, not forked (a fork would copy the parent's threads' locks), and kept warm
between jobs, because loading the model costs more than scoring a usual file.
"""

from __future__ import annotations

import multiprocessing
import os
import pickle
import signal
import socket
import struct
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from predictions.record import Prediction
from worker.job import Event, Job, JobSettings, Ready, Unusable, main

START_TIMEOUT_S = 60
_SILENCE_S = 1.0  # after which the stacks have been told
_CHUNK_BYTES = 64 * 1024
_LARGEST_EVENT_BYTES = 1024 * 1024  # what claims to be longer is waited for by nobody
_WHOLE_EVENT_S = 10  # from its first byte to its last
_DYING_S = 1.0  # from the end of its pipe to its own


@dataclass(frozen=True)
class Died:
    """The process is no more: `exitcode` is negative for a signal (-9: killed).

    None: it said what is no event, and was killed for that.
    """

    exitcode: int | None


class Stuck(Died):
    """It made no progress, and was killed for that."""


class JobProcessUnusable(Exception):
    """The process cannot start; the message says why."""


class JobProcess:
    """One process that runs one job at a time."""

    def __init__(self, settings: JobSettings) -> None:
        self._settings = settings
        self._context = multiprocessing.get_context("spawn")
        self._start()

    def wait_ready(self) -> None:
        """Wait until the model is loaded. Raises JobProcessUnusable."""
        event = self.next_event(START_TIMEOUT_S)
        if isinstance(event, Ready):
            return
        self.stop()
        if isinstance(event, Unusable):
            raise JobProcessUnusable(event.reason)
        raise JobProcessUnusable(f"the job process did not start: {event}")

    def ensure_ready(self) -> None:
        """Start it again when it was stopped or died. Raises JobProcessUnusable."""
        if not self._process.is_alive():
            self.stop()  # what is left of it
            self._start()
            self.wait_ready()

    def run(self, prediction: Prediction) -> None:
        """Give it a job. If it is dead by now, that is the next event."""
        with suppress(BrokenPipeError):
            self._pipe.send(Job(prediction, Path(self._folder.name)))

    def next_event(self, timeout_s: float) -> Event | Died | None:
        """Return what it says next; None when it says nothing for `timeout_s`.

        One that says what is no event is out of its mind, and is killed.
        """
        try:
            if not self._pipe.poll(timeout_s):
                return None
            event: object = pickle.loads(self._pipe.recv_bytes(_LARGEST_EVENT_BYTES))  # noqa: S301
        except Exception:  # noqa: BLE001 - its end is closed, or any bytes and any error in reading
            event = None
        if isinstance(event, Event):
            return event
        self._process.join(_DYING_S)
        if not self._process.is_alive():
            return Died(self._process.exitcode)
        self._process.kill()
        self._process.join()
        return Died(None)

    def stacks(self) -> list[str]:
        """Ask it where its threads are: a line for each call, innermost first, without values.

        Only while it has a job: asked before it is ready, it dies. Empty when it is dead by now.
        """
        pid, said = self._process.pid, b""
        if pid is None or not self._process.is_alive():
            return []
        with suppress(OSError):  # it died meanwhile, or was stopped
            os.kill(pid, signal.SIGUSR1)
            while self._stacks.poll(_SILENCE_S):
                chunk = os.read(self._stacks.fileno(), _CHUNK_BYTES)
                if not chunk:
                    break
                said += chunk
        return said.decode(errors="replace").splitlines()

    def stop(self) -> None:
        """Kill it, whatever it does; wait until it is gone, and the files of its job with it."""
        if self._process.pid is not None:  # it was started
            self._process.kill()
            self._process.join()
        self._pipe.close()
        self._stacks.close()
        self._folder.cleanup()

    def _start(self) -> None:
        # One for all its jobs: making one writes to the disk's journal, which may take 3 ms.
        self._folder = TemporaryDirectory(prefix="retainwise-job-", ignore_cleanup_errors=True)
        self._pipe, theirs = self._context.Pipe()
        _read_for(_WHOLE_EVENT_S, self._pipe.fileno())
        self._stacks, to_stacks = self._context.Pipe(duplex=False)
        self._process = self._context.Process(
            target=main,
            args=(theirs, to_stacks, self._settings),
            name="retainwise-job",
            daemon=True,
        )
        self._process.start()
        theirs.close()  # or its end would stay open here, and its death unnoticed
        to_stacks.close()


def _read_for(seconds: int, pipe: int) -> None:
    """Let a read fail that waits for longer: half an event would hold up who waits for the rest."""
    with socket.socket(fileno=os.dup(pipe)) as same:
        same.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("@ll", seconds, 0))
