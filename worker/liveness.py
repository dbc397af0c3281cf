"""Whether the worker is alive: each loop goes round, and each job at work gets on.

- loop: a consumer shows that it goes round once in each long poll and, while its job runs, each
  time it listens to the job process; the sweeper, before each sweep and at each thing it finds. A
  loop that falls silent has its stacks logged; the health check fails (see `heartbeat`), and ECS
  replaces the task.
- job: rows get done or bytes move. A job that does not get on has its stacks logged; its consumer
  kills the job process, and the attempt counts as one that died.

The main thread shows itself by writing the file. If even that hangs, or nothing in Python runs any
more, a watchdog of `faulthandler` writes the stacks to standard error.
"""

from __future__ import annotations

import contextvars
import faulthandler
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

import structlog

from worker import heartbeat
from worker.heartbeat import Signal
from worker.job import Progress
from worker.job_process import JobProcess

LONGEST_ROUND_S = 600.0
"""A loop's longest round that is only slow, without its planned pause: AWS answers at the fourth
try and as late as the clients allow, three calls of SQS (160 s each) and one of DynamoDB (80 s)."""
_MAIN_LIMIT_S = 60.0  # ten times what writing stacks to the log takes
_SHOW_EVERY_S = 1.0
_STDERR = 2
_DEEPEST = 50  # calls of a stack in the log, innermost

log = structlog.get_logger()


@dataclass
class _Job:
    """What a loop has at work."""

    process: JobProcess
    progress: Progress | None
    context: contextvars.Context
    """Its log lines are bound to the prediction and the attempt in it."""


class Liveness:
    """Owns the signals. A part is named as its thread.

    loop_limit_s: how long a loop may stay silent; see LONGEST_ROUND_S. job_limit_s: how long a job
    may make no progress. stop_budget_s: from the request to stop until all has ended; meanwhile
    nothing else counts, because parts end one after another. `clock` is monotonic, in seconds.
    """

    def __init__(
        self,
        file: Path,
        *,
        loop_limit_s: float,
        job_limit_s: float,
        stop_budget_s: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._file = file
        self._loop_limit_s = loop_limit_s
        self._job_limit_s = job_limit_s
        self._stop_budget_s = stop_budget_s
        self._clock = clock
        self._loops: dict[str, Signal] = {}
        self._job_signals: dict[str, Signal] = {}
        self._jobs: dict[str, _Job] = {}
        self._told: dict[str, Signal] = {}
        self._stop: Signal | None = None
        self._shown_at = float("-inf")

    # ---- what the parts call, each in its own thread ----

    def loop(self) -> None:
        """Show that the calling thread's loop goes round."""
        self._loops[_name()] = Signal(self._clock(), self._loop_limit_s)

    @contextmanager
    def during_a_job(self, process: JobProcess) -> Iterator[None]:
        """Expect progress of the calling thread's job for the block."""
        name = _name()
        self._jobs[name] = _Job(process, None, contextvars.copy_context())
        try:
            yield
        finally:
            del self._jobs[name]
            self._job_signals.pop(name, None)

    def job_is_stuck(self, progress: Progress) -> bool:
        """Whether the calling thread's job has made no progress for too long: then, log where.

        Shows that the loop goes round as well: it looks after its job.
        """
        self.loop()
        name, now = _name(), self._clock()
        job = self._jobs[name]
        if progress != job.progress:
            job.progress = progress
            # The loop has its own limit on top, in which to kill the job.
            self._job_signals[name] = Signal(now, self._job_limit_s + self._loop_limit_s)
        silent_s = self._job_signals[name].silent_s(now)
        if silent_s <= self._job_limit_s:
            return False
        log.error("job_stuck", silent_s=round(silent_s), **self._stacks(name))
        return True

    # ---- what the main thread calls ----

    def show(self, *, stopping: bool) -> None:
        """Write the heartbeat file, once a second; log where the loops are that got stuck."""
        now = self._clock()
        if now - self._shown_at < _SHOW_EVERY_S:
            return
        self._shown_at = now
        faulthandler.dump_traceback_later(_MAIN_LIMIT_S, file=_STDERR)
        signals = {"main": Signal(now, _MAIN_LIMIT_S)}
        loops = self._loops.copy()  # in one go: the other threads write on
        if stopping:
            self._stop = self._stop or Signal(now, self._stop_budget_s)
            signals["stop"] = self._stop
        else:
            jobs = self._job_signals.copy()
            signals |= loops | {f"job of {name}": signal for name, signal in jobs.items()}
        try:
            heartbeat.write(self._file, signals)
        except OSError as exc:  # a full disk: when it stays so, the check fails
            log.warning("heartbeat_not_written", error=exc.strerror)
        if not stopping:
            self._tell_of_stuck(loops, now)

    def close(self) -> None:
        """Take the file away: the worker can take no more jobs."""
        faulthandler.cancel_dump_traceback_later()
        self._file.unlink(missing_ok=True)

    def _tell_of_stuck(self, loops: dict[str, Signal], now: float) -> None:
        for name, signal in loops.items():
            if signal.is_late(now) and self._told.get(name) != signal:  # once for each time
                self._told[name] = signal
                silent_s = round(signal.silent_s(now))
                log.error("loop_stuck", loop=name, silent_s=silent_s, **self._stacks(name))

    def _stacks(self, name: str) -> dict[str, Any]:
        """Where this process and the loop's job process are, and on what the loop works."""
        found: dict[str, Any] = {"stacks": _stacks_here()}
        job = self._jobs.get(name)
        if job is None:
            return found
        # A copy: two threads may look at once, and only one can be in a context.
        bound = job.context.copy().run(structlog.contextvars.get_contextvars)
        return found | {**bound, "job_stacks": job.process.stacks()}


def _name() -> str:
    return threading.current_thread().name


def _stacks_here() -> dict[str, list[str]]:
    """The calls that each thread is in, innermost first; never what they were given."""
    names = {thread.ident: thread.name for thread in threading.enumerate()}
    return {
        names.get(ident, str(ident)): _calls(frame)[:_DEEPEST]
        for ident, frame in sys._current_frames().items()
    }


def _calls(frame: FrameType) -> list[str]:
    return [
        f"{one.f_code.co_filename}:{line} {one.f_code.co_qualname}"
        for one, line in traceback.walk_stack(frame)
    ]
