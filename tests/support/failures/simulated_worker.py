"""A worker whose code is the product's own, in threads that take turns (see `turns`).

What is played is the process around it: its clocks, its signals, its end, its job process.
"""

from __future__ import annotations

import math
import signal
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import worker.service
from failures.turns import Actor, here, played_time
from worker import job
from worker.job_process import Died, JobProcess
from worker.liveness import LONGEST_ROUND_S, Liveness
from worker.shutdown import Shutdown

if TYPE_CHECKING:
    from failures.world import World
    from predictions.record import Prediction

STOP_TIMEOUT_S = 120
"""From the first SIGTERM to ECS's SIGKILL."""
AWAKE_S = 5
"""In which a worker that was held up does what it was about to do."""
_STOP_BUDGET_S = 110
_MODEL: Any = SimpleNamespace(version="m")


@dataclass
class Process:
    """What has clocks, and stands still when it is stopped; the clocks go on."""

    name: str
    skew_s: float = 0.0
    booted_s: float = 0.0
    stands_still_until: float = float("-inf")


class SimulatedShutdown(Shutdown):
    """Waits by the run's clock."""

    def wait(self, seconds: float) -> bool:
        here().sleep(seconds, until=lambda: self.requested)
        return self.requested


class SimulatedExecutor:
    """Does what it is given in a thread of the same process that takes turns."""

    def __init__(self, *_: object, **__: object) -> None:
        pass

    def submit(self, what: Callable[..., None], *given: object) -> SimulatedFuture:
        me = here()
        return SimulatedFuture(me.turns.start(me.process, me.thread.name, partial(what, *given)))

    def shutdown(self) -> None:
        pass


@dataclass(frozen=True)
class SimulatedFuture:
    """What such a thread does."""

    actor: Actor

    def done(self) -> bool:
        return self.actor.ended

    def result(self) -> None:
        here().sleep(math.inf, until=lambda: self.actor.ended)


class SimulatedJobProcess:
    """The job process as its parent sees it: what it does is done in a thread that takes turns."""

    def __init__(self, world: World, process: SimulatedWorker) -> None:
        self._world = world
        self._worker = process
        self._said: list[object] = []
        self._exitcode: int | None = None
        self._child: Actor | None = None

    def ensure_ready(self) -> None:
        if self._exitcode is not None:
            here().sleep(2)  # loads the model
            self._exitcode = None

    def run(self, prediction: Prediction) -> None:
        self._said = []

        def child() -> None:
            pipe: Any = self
            with TemporaryDirectory() as folder:
                asked = job.Job(prediction, Path(folder))
                self.send(job.attempt(asked, _MODEL, self._world.cloud.files, 1, pipe))

        if self._exitcode is None:
            self._child = self._world.turns.start(self._worker, "job", child)

    def next_event(self, timeout_s: float) -> object:
        here().sleep(timeout_s, until=lambda: bool(self._said) or self._exitcode is not None)
        if self._said:
            return self._said.pop(0)
        return None if self._exitcode is None else Died(self._exitcode)

    def send(self, event: object) -> None:
        """Say something to the parent."""
        self._said.append(event)

    def stop(self) -> None:
        self._exitcode = -9
        self._world.turns.kill(lambda actor: actor is self._child)

    def stacks(self) -> list[str]:
        return []


class SimulatedWorker(Process):
    """A worker as `retainwise worker` puts it together, with threads that take turns."""

    def __init__(self, world: World, name: str) -> None:
        super().__init__(name, booted_s=world.plan.random.uniform(0, 1e6))
        self._world = world
        self.shutdown = SimulatedShutdown(_STOP_BUDGET_S, clock=played_time.monotonic)
        self.job_process = SimulatedJobProcess(world, self)
        self._has_been_told = False
        self._actors = [world.turns.start(self, "main", self._main)]

    def _main(self) -> None:
        settings = self._world.settings
        liveness = Liveness(
            self._world.folder / "heartbeat",
            loop_limit_s=LONGEST_ROUND_S + settings.lease_s,
            job_limit_s=settings.stuck_after_s,
            stop_budget_s=_STOP_BUDGET_S,
            clock=played_time.monotonic,
        )
        processes = cast("list[JobProcess]", [self.job_process])
        parts = worker.service._parts(settings, processes, self.shutdown, liveness)
        threads = [
            self._world.turns.start(self, part, partial(self._guarded, part, run))
            for part, run in parts.items()
        ]
        self._actors += threads
        while not all(thread.ended for thread in threads):
            here().sleep(
                math.inf,
                until=lambda: self._has_been_told or all(thread.ended for thread in threads),
            )
            self._has_been_told = False
            self.shutdown.notice()

    @property
    def has_ended(self) -> bool:
        return all(actor.ended for actor in self._actors)

    def stop(self) -> None:
        """Tell it to stop, as ECS does: it is killed when it has not ended in time."""
        self._tell()
        self._world.later(STOP_TIMEOUT_S, self.kill)

    def stop_now(self) -> None:
        """Tell it twice."""
        self.stop()
        self._world.later(1, self._tell)

    def kill(self) -> None:
        self._world.turns.kill(lambda actor: actor.process is self)

    def stall(self) -> None:
        """Let it stand still for longer than its lease."""
        world = self._world
        seconds = world.settings.lease_s * world.plan.random.uniform(1.2, 4)
        self.stands_still_until = world.turns.now + seconds
        world.busy_until = max(world.busy_until, self.stands_still_until + AWAKE_S)

    def _guarded(self, part: str, run: Callable[[], None]) -> None:
        try:
            run()
        except Exception as exc:  # noqa: BLE001 - whatever it is, no part may die of it
            self._world.audit.found.illegal.append(f"{self.name}/{part} died of {exc!r}")
            self._tell()

    def _tell(self) -> None:
        self.shutdown._count(signal.SIGTERM, None)
        self._has_been_told = True
