"""What a spawned stand-in tells a test of what it does, and where it can be made to stop.

By the environment, which it has from the test by way of the CLI.
"""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from itertools import count
from pathlib import Path
from typing import Any, Literal

import boto3

from engine.stand_in import StandIn
from infra.deploy_lease import TOKEN_VARIABLE

JOURNAL = "ENGINE_TEST_JOURNAL"
"""The variable that names the file to which each start, change and end is written."""
STOP = "ENGINE_TEST_STOP"
"""The variable with a `Stop`, as JSON."""
_READING = ("Describe", "Get", "Head", "List")

Where = Literal["before", "signed", "after"]


@dataclass(frozen=True)
class Stop:
    """Where a provider stops until it is killed or let go on.

    where: before a change, with its call signed and not sent, or after it.
    number: of the change, the first is 1.
    file: made when it stops; when it is deleted, it goes on.
    """

    where: Where
    number: int
    file: str

    def as_json(self) -> str:
        """Write it as the environment has it."""
        return json.dumps(asdict(self))


def watch(provider: StandIn, session: boto3.Session) -> Callable[[], None]:
    """Tell, and stop, as the environment says; return what is to be called when it ends."""
    journal = os.environ.get(JOURNAL)
    if journal is None:
        return lambda: None
    stop = Stop(**json.loads(os.environ[STOP])) if STOP in os.environ else None
    _write(journal, "starts", "provider", "")
    numbers = count(1)
    at_stop = threading.local()  # whether this thread makes the change to stop at

    def reached(where: Where) -> None:
        if stop is not None and where == stop.where and at_stop.is_here:
            at_stop.is_here = False
            _wait(stop)

    def before(what: str, name: str) -> None:
        _write(journal, "begins", what, name)
        at_stop.is_here = stop is not None and next(numbers) == stop.number
        reached("before")

    def signed(event_name: str, **_: Any) -> None:
        if not event_name.rpartition(".")[2].startswith(_READING):
            reached("signed")

    def after(what: str, name: str) -> None:
        _write(journal, "ends", what, name)
        reached("after")

    provider.before, provider.after = before, after
    session.events.register("before-send.*", signed)
    return lambda: _write(journal, "stops", "provider", "")


def _write(journal: str, *said: str) -> None:
    line = json.dumps([time.time(), os.environ.get(TOKEN_VARIABLE, ""), *said])
    with open(journal, "a", encoding="utf-8") as file:  # noqa: PTH123 - one write is one line
        file.write(f"{line}\n")


def _wait(stop: Stop) -> None:
    file = Path(stop.file)
    file.touch()
    while file.exists():
        time.sleep(0.01)


def entries(journal: Path) -> list[Mapping[str, Any]]:
    """Read a journal: when, under which lease, what it starts, begins or ends."""
    names = ("time", "token", "step", "what", "name")
    lines = journal.read_text("utf-8").splitlines() if journal.exists() else []
    return [dict(zip(names, json.loads(line), strict=True)) for line in lines]
