"""`retainwise worker` as it is, but for hurried time-outs, a clock, and a child that goes wrong.

The file's name says what its job does: `slow-1.5.csv` takes so many seconds more; `killed.csv`,
`memory.csv`, `endless.csv` and `garbage.csv` go wrong at the first attempt.
"""

from __future__ import annotations

import os
import resource
import signal
import sys
import threading
import time
import urllib.request
from contextlib import suppress
from typing import Any, cast

from failures.broken import MUTATIONS
from failures.wire import STEP
from predictions import aws
from predictions.store import Store
from worker import job, job_process

SDK_WAITS_S = 1
SKEW = "PLAYED_SKEW_S"
MUTATION = "PLAYED_MUTATION"
_TOLD_EVERY_S = 0.1


def main() -> None:
    """Become the worker."""
    from retainwise.cli import main as cli

    threading.Thread(target=_end_with_stdin, daemon=True).start()
    _hurry()
    job_process.main = child  # type: ignore[assignment]
    skew_s = float(os.environ.get(SKEW, "0"))
    defaults = cast("dict[str, Any]", Store.__init__.__kwdefaults__)
    defaults["clock"] = lambda: time.time() + skew_s
    if name := os.environ.get(MUTATION):
        MUTATIONS[name]().start()
    cli(["worker"])


def child(*arguments: Any) -> None:
    """Become the job process."""
    _hurry()
    score = job.run

    def played(asked: job.Job, model: Any, files: Any, threads: int, pipe: Any) -> job.Finished:
        _go_wrong(asked, pipe)
        return score(asked, model, files, threads, pipe)

    job.run = played
    job.main(*arguments)


def _end_with_stdin() -> None:
    sys.stdin.read()
    os._exit(0)  # whoever plays the runs is gone


def _hurry() -> None:
    """Hung calls are given up sooner; all else of the SDK's time-outs and tries is as it is."""
    aws._READ_TIMEOUT_S = SDK_WAITS_S
    aws.LONGEST_POLL_S = SDK_WAITS_S
    aws._CONNECT_TIMEOUT_S = SDK_WAITS_S


def _go_wrong(asked: job.Job, pipe: Any) -> None:
    what, _, seconds = asked.prediction.input.name.removesuffix(".csv").partition("-")
    end = time.monotonic() + float(seconds or 0)
    told = 0
    _say_step("score")
    while time.monotonic() < end:
        told += 1
        pipe.send(job.Progress(0, 0.0, bytes_moved=told))
        time.sleep(_TOLD_EVERY_S)
    if asked.prediction.attempt > 1:
        return
    match what:
        case "killed":
            os.kill(os.getpid(), signal.SIGKILL)  # as the kernel does that is out of memory
        case "memory":
            _, most = resource.getrlimit(resource.RLIMIT_AS)
            resource.setrlimit(resource.RLIMIT_AS, (64 * 1024 * 1024, most))
            try:
                bytearray(1024**3)
            finally:
                resource.setrlimit(resource.RLIMIT_AS, (most, most))
        case "endless":
            while True:
                pass
        case "garbage":
            os.write(pipe.fileno(), os.urandom(64))
            time.sleep(60)


def _say_step(step: str) -> None:
    """Tell the wire; it may take a while, or be the end of us."""
    with suppress(OSError):
        urllib.request.urlopen(os.environ["AWS_ENDPOINT_URL"] + STEP + step, timeout=60)
