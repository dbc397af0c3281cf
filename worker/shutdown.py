"""Signals become a budget of time: finish what fits, hand back the rest.

The first SIGTERM or SIGINT stops receiving; work may go on until the budget is nearly used. A
second one hurries: what is at work is handed back at once.
"""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable
from types import FrameType

HAND_BACK_S = 5
"""Kept of the budget for stopping the job and handing back its record and message."""


class Shutdown:
    """Whether to stop, and until when work may go on.

    A signal handler runs inside the main thread, wherever that is, so it only counts; `notice`,
    called by the main thread in its own time, acts.
    """

    def __init__(self, budget_s: float, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._budget_s = budget_s
        self._clock = clock
        self._signals = 0
        self._requested = threading.Event()
        self._deadline = float("inf")

    def listen(self) -> None:
        """Count SIGTERM and SIGINT from now on."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._count)

    def notice(self) -> None:
        """Act on the signals that came."""
        if self._signals:
            self.request()
        if self._signals > 1:
            self._deadline = self._clock()

    def request(self) -> None:
        """Stop receiving; start the budget, once."""
        if self.requested:
            return
        self._deadline = self._clock() + max(0.0, self._budget_s - HAND_BACK_S)
        self._requested.set()

    @property
    def requested(self) -> bool:
        """Whether nothing new may be taken on."""
        return self._requested.is_set()

    @property
    def hand_back_now(self) -> bool:
        """Whether what is at work must be given back."""
        return self.requested and self._clock() >= self._deadline

    def wait(self, seconds: float) -> bool:
        """Pause; True as soon as a stop is requested. Never called by the main thread."""
        return self._requested.wait(seconds)

    def _count(self, _number: int, _frame: FrameType | None) -> None:
        self._signals += 1
