"""What a deploy's engine and its spawned stand-in tell a test, and where they can be made to stop.

By the environment, which the stand-in has from the test by way of the CLI.
"""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from itertools import count
from pathlib import Path
from typing import Any, Literal

import boto3

from engine.stand_in import StandIn
from infra.deploy_lease import TOKEN_VARIABLE

JOURNAL = "ENGINE_TEST_JOURNAL"
"""The variable that names the file to which each run of the engine and change is written."""
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


def watch(provider: StandIn, session: boto3.Session) -> None:
    """Tell, and stop, as the environment says."""
    if JOURNAL not in os.environ:
        return
    token = os.environ.get(TOKEN_VARIABLE, "")
    stop = Stop(**json.loads(os.environ[STOP])) if STOP in os.environ else None
    numbers = count(1)
    at_stop = threading.local()  # whether this thread makes the change to stop at

    def reached(where: Where) -> None:
        if stop is not None and where == stop.where and at_stop.is_here:
            at_stop.is_here = False
            _wait(stop)

    def before(what: str, name: str) -> None:
        write(token, "begins", what, name)
        at_stop.is_here = stop is not None and next(numbers) == stop.number
        reached("before")

    def signed(event_name: str, **_: Any) -> None:
        if not event_name.rpartition(".")[2].startswith(_READING):
            reached("signed")

    def after(what: str, name: str) -> None:
        write(token, "ends", what, name)
        reached("after")

    provider.before, provider.after = before, after
    session.events.register("before-send.*", signed)


def write(token: str, step: str, what: str, name: str) -> None:
    """Write into the journal of this process, if it has one, what begins or ends under a lease."""
    if JOURNAL not in os.environ:
        return
    line = json.dumps([time.time(), token, step, what, name])
    with open(os.environ[JOURNAL], "a", encoding="utf-8") as file:  # noqa: PTH123 - one write is one line
        file.write(f"{line}\n")


def _wait(stop: Stop) -> None:
    file = Path(stop.file)
    file.touch()
    while file.exists():
        time.sleep(0.01)


def entries(journal: Path) -> list[Mapping[str, Any]]:
    """Read a journal: when, under which lease (none for a look), begins or ends what, of what."""
    names = ("time", "token", "step", "what", "name")
    lines = journal.read_text("utf-8").splitlines() if journal.exists() else []
    return [dict(zip(names, json.loads(line), strict=True)) for line in lines]
