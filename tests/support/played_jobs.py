"""Job processes that do not score: what `worker.job.main` is replaced by, in the child itself.

All but the job's inside is the real thing: the process, its pipes, the model, the signal.
"""

from __future__ import annotations

import logging
import os
import re
import struct
import time
from functools import partial

from predictions.record import Band, ResultFile, Summary
from worker import job
from worker.job import Finished, Progress

SUMMARY = Summary(
    expected_churners=1.0,
    predicted_churners=1,
    bands=(Band(name="low", customers=1),),
    top_reasons=(),
)
RESULT = ResultFile(
    key="results/k/result.csv",
    summary_key="results/k/summary.json",
    rows=1,
    rows_failed=0,
    model="m",
)
STEPS = 12
STEP_S = 0.25


def that_never_end(*arguments):
    """Start as ever; the job then never gives the interpreter back."""
    job.run = _spin
    job.main(*arguments)


def that_take_their_time(*arguments):
    """Start as ever; the job then makes a little progress at a time."""
    job.run = _walk
    job.main(*arguments)


def that_are_half_done(*arguments):
    """Start as ever; the job then fetches its file, and comes no further."""
    job.run = _fetch
    job.main(*arguments)


def that_warn(*arguments):
    """Start as ever; a library that the job uses then warns of something."""
    job.run = _warn
    job.main(*arguments)


def that_say_what_is_no_event(*arguments):
    """Start as ever; the job then says something else."""
    job.run = lambda *_: ["garbage"]
    job.main(*arguments)


def that_say_what_is_no_pickle(*arguments):
    """Start as ever; the job then writes into the pipe what nobody can read."""
    job.run = partial(_write, struct.pack("!i", 7) + b"garbage")
    job.main(*arguments)


def that_claim_to_say_much(*arguments):
    """Start as ever; the job then announces two gigabytes, and says nothing."""
    job.run = partial(_write, struct.pack("!i", 2**31 - 1))
    job.main(*arguments)


def that_say_half(*arguments):
    """Start as ever; the job then announces a kilobyte, and says nothing."""
    job.run = partial(_write, struct.pack("!i", 1024))
    job.main(*arguments)


def _write(what, _job, _model, _files, _threads, pipe):
    os.write(pipe.fileno(), what)
    time.sleep(60)


def that_sleep(*arguments):
    """Start as ever; the job then says nothing for longer than a test waits."""
    job.run = _sleep
    job.main(*arguments)


def _spin(*_):
    secret = "a" * 64 + "b"  # what a stack must not show
    re.match("(a+)+$", secret)  # longer than anybody lives, in C


def _sleep(*_):
    time.sleep(60)


def _fetch(asked, _model, _files, _threads, pipe):
    (asked.folder / "input.csv").write_text("a customer's")
    pipe.send(Progress(0, 0.0, bytes_moved=12))
    time.sleep(60)


def _walk(_job, _model, _files, _threads, pipe):
    for step in range(STEPS):
        time.sleep(STEP_S)
        pipe.send(Progress(0, 0.0, bytes_moved=step + 1))
    return Finished(RESULT, SUMMARY)


def _warn(*_):
    logging.getLogger("library").warning("it is slow")
    return Finished(RESULT, SUMMARY)
