"""How a person is told what goes on; what the engine is doing, on a terminal only."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

from operations.engine import Event

Say = Callable[[str], None]
"""Tells a person something, in a line."""

_EVERY_S = 0.1


class Progress:
    """One line, written over and over; a log gets a line for each resource that was changed."""

    def __init__(self) -> None:
        self._is_terminal = sys.stderr.isatty()
        self._done = 0
        self._shown = 0.0

    def __call__(self, event: Event) -> None:
        """Take an event of the engine."""
        if "summaryEvent" in event:
            self._end()
        elif told := event.get("resOutputsEvent"):
            self._done += 1
            self._show(told["metadata"], is_planning=bool(told.get("planning")))

    def _show(self, resource: dict[str, str], *, is_planning: bool) -> None:
        name = f"{resource['type'].rpartition(':')[2]} {resource['urn'].rpartition('::')[2]}"
        if self._is_terminal:
            if time.monotonic() - self._shown > _EVERY_S:
                self._shown = time.monotonic()
                doing = "looked at" if is_planning else "done"
                self._write(f"\r\x1b[K{self._done} {doing}: {name}")
        elif not is_planning and resource["op"] not in ("same", "read", "refresh"):
            self._write(f"{resource['op']:8} {name}\n")

    def _end(self) -> None:
        self._done = 0
        if self._is_terminal:
            self._write("\r\x1b[K")

    @staticmethod
    def _write(text: str) -> None:
        sys.stderr.write(text)
        sys.stderr.flush()
