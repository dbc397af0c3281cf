"""Threads that take turns on a clock of their own: one run of them is one seed's.

Exactly one thread runs at a time, from one call that waits to the next; who is next, and when, the
clock and the seed decide. Minutes pass in no time, and a run that went wrong goes wrong again.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from random import Random
from typing import Any

GIVE_UP_REAL_S = 60.0


class Killed(BaseException):
    """The thread's process is gone; nothing that it does from here on has an effect."""


class Actor:
    """A thread of a process that exists in one run only."""

    def __init__(self, turns: Turns, process: Any, name: str, run: Callable[[], None]) -> None:
        self.turns = turns
        self.process = process
        self.wake_at = turns.now
        self.until: Callable[[], bool] | None = None
        self.killed = False
        self.ended = False
        self.error: BaseException | None = None
        self._mine = threading.Semaphore(0)
        self._run = run
        self.thread = threading.Thread(target=self._main, name=name, daemon=True)
        self.thread.start()

    def sleep(self, seconds: float, until: Callable[[], bool] | None = None) -> None:
        """Let others run for so long, or until the condition holds."""
        if self.killed:
            raise Killed
        self.wake_at = self.turns.now + max(0.0, seconds)
        self.until = until
        self.turns.over.release()
        self._mine.acquire()
        self.until = None
        if self.killed:
            raise Killed

    def go_on(self) -> None:
        """Run it until it sleeps or ends."""
        self._mine.release()
        if not self.turns.over.acquire(timeout=GIVE_UP_REAL_S):
            raise TimeoutError(f"{self.thread.name} does not give its turn back")

    def _main(self) -> None:
        self._mine.acquire()
        _here.actor = self
        try:
            if not self.killed:
                self._run()
        except Killed:
            pass
        except BaseException as exc:  # noqa: BLE001 - the run is told of it
            self.error = exc
        self.ended = True
        self.turns.over.release()


class Turns:
    """Who is next, and what time it is: `now` counts seconds from the begin of the run."""

    def __init__(self, random: Random) -> None:
        self.random = random
        self.now = 0.0
        self.over = threading.Semaphore(0)
        self.actors: list[Actor] = []

    def start(self, process: Any, name: str, run: Callable[[], None]) -> Actor:
        """Let a thread of `process` begin with its next turn."""
        actor = Actor(self, process, name, run)
        self.actors.append(actor)
        return actor

    def run(self, *, until: Callable[[], bool], for_s: float) -> bool:
        """Give turns until the condition holds (True) or so much time has passed (False).

        Raises what a thread died of.
        """
        end = self.now + for_s
        while not until():
            if not self._one_turn(end):
                self.now = max(self.now, end)
                return until()
        return True

    def kill(self, chosen: Callable[[Actor], bool]) -> None:
        """End threads where they stand: nothing that they do has an effect from now on."""
        for actor in self.actors:
            actor.killed = actor.killed or chosen(actor)

    def _one_turn(self, end: float) -> bool:
        ready = []
        for actor in self.actors:
            at = actor.wake_at
            if actor.killed or (actor.until is not None and actor.until()):
                at = self.now  # at once
            if not actor.killed:
                at = max(at, actor.process.stands_still_until, self.now)
            ready.append((at, self.random.random(), actor))
        if not ready:
            return False
        at, _, actor = min(ready, key=lambda one: one[:2])
        if at > end:
            return False
        self.now = at
        actor.go_on()
        if actor.ended:
            self.actors.remove(actor)
            if actor.error is not None:
                raise actor.error
        return True


class PlayedTime:
    """What modules find as `time`: the clocks of the process whose thread asks."""

    def sleep(self, seconds: float) -> None:
        """Let others run."""
        here().sleep(seconds)

    def monotonic(self) -> float:
        """Seconds since nobody knows when."""
        actor = here()
        return actor.turns.now + actor.process.booted_s

    def time(self) -> float:
        """Unix time, as this machine believes."""
        actor = here()
        return EPOCH_S + actor.turns.now + actor.process.skew_s


EPOCH_S = 1_800_000_000.0
played_time = PlayedTime()
_here = threading.local()


def current() -> Actor | None:
    """Return whose turn it is; None in a thread that takes none, such as the test's."""
    return getattr(_here, "actor", None)


def here() -> Actor:
    """Return whose turn it is. Raises RuntimeError where `current` is None."""
    actor = current()
    if actor is None:
        raise RuntimeError("only a thread that takes turns has a clock")
    return actor
