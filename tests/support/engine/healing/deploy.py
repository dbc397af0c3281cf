"""One deploy as a process of its own, whose engine's runs are noted; it can be weakened on purpose.

    python deploy.py '{"length_s": 6, "without": null}' deploy dev --yes …

length_s: of the lease. without: of what makes deploys heal, what is taken out.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from engine.watched import write
from infra.deploy_lease import TOKEN_VARIABLE
from infra.lease_item import as_item
from operations import engine, fence, lease, under_lease
from retainwise.cli import main


def note_each_run() -> None:
    """Write each run of the engine's into the journal, from before it begins to after its end."""
    running = engine.Engine._running

    @contextmanager
    def noted(self: engine.Engine, *arguments: str) -> Iterator[Any]:
        token = self.environment.get(TOKEN_VARIABLE) or ""
        write(token, "begins", "pulumi", arguments[0])
        try:
            with running(self, *arguments) as given:
                yield given
        finally:
            write(token, "ends", "pulumi", arguments[0])

    engine.Engine._running = noted  # type: ignore[method-assign]


def without_lease() -> None:
    """Let everybody take it at any time, and nobody lose it."""

    def take(self: lease.DeployLease, owner: str, what: str) -> lease.Holder:
        holder = self._next(self.last(), owner, what, self.now())
        self._dynamodb.put_item(TableName=self._table, Item=as_item(self.stack, holder))
        return holder

    def renew(self: lease.DeployLease, holder: lease.Holder) -> lease.Holder:
        now = self.now()
        return replace(holder, renewed=now, expires=now + self.length)

    lease.DeployLease.take = take  # type: ignore[method-assign]
    lease.DeployLease.renew = renew  # type: ignore[method-assign]


def without_fence() -> None:
    """Let sessions go on when the lease has ended."""
    everything = {"Effect": "Allow", "Action": "*", "Resource": "*"}
    fence._until = lambda _end: {"Version": "2012-10-17", "Statement": [everything]}


def without_healing() -> None:
    """Leave what a killed deploy has left."""
    under_lease.heal = lambda *_: None  # type: ignore[assignment]


WEAKENED: Mapping[str, Callable[[], None]] = {
    "lease": without_lease,
    "fence": without_fence,
    "healing": without_healing,
}

if __name__ == "__main__":
    options = json.loads(sys.argv[1])
    lease.LENGTH_S = options["length_s"]
    if options["without"] is not None:
        WEAKENED[options["without"]]()
    note_each_run()
    main(sys.argv[2:])
