"""The heartbeat file: what a worker shows of itself, and the check that judges it.

`python -m worker.heartbeat` is the container's health check: a new process every ten seconds, on a
processor that has jobs to score. So it imports next to nothing, and asks nobody but the file.

Times are of the monotonic clock, which is one and the same for all processes of a host: the check
can compare its own with the worker's. The wall clock would not do, nor the file's date: where it is
put right by minutes, every worker would look stuck. While a laptop sleeps, it stands still.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

FILE = "worker-heartbeat"
"""In the temporary directory; it is there from when the worker can take jobs until it ends."""


class Signal(NamedTuple):
    """A sign of life of one part of the worker."""

    seen_s: float
    """When it last came, on the monotonic clock."""
    limit_s: float
    """How long it may stay away, seconds."""

    def silent_s(self, now_s: float) -> float:
        """How long it has stayed away, seconds."""
        return now_s - self.seen_s

    def is_late(self, now_s: float) -> bool:
        """Whether its part counts as stuck."""
        return self.silent_s(now_s) > self.limit_s


def path() -> Path:
    """Where the file is, for the worker and for the check in its container."""
    return Path(tempfile.gettempdir()) / FILE


def write(file: Path, signals: Mapping[str, Signal]) -> None:
    """Put the signals into the file, by the names of their parts; nobody ever reads half of them.

    Raises OSError.
    """
    unfinished = file.with_suffix(".new")
    unfinished.write_text(json.dumps(signals), encoding="utf-8")
    unfinished.replace(file)


def problem(file: Path, now_s: float) -> str | None:
    """Say in one line why the worker is to be replaced; None while it is not.

    now_s: on the monotonic clock.
    """
    try:
        signals = {
            name: Signal(float(seen_s), float(limit_s))
            for name, (seen_s, limit_s) in json.loads(file.read_text(encoding="utf-8")).items()
        }
    except FileNotFoundError:
        return f"{file} is not there: the worker is not ready yet, or has ended"
    except OSError as exc:
        return f"{file} cannot be read: {exc.strerror}"
    except (ValueError, TypeError, AttributeError):
        return f"{file} is not what a worker writes"
    for name, signal in signals.items():
        if signal.is_late(now_s):
            silent_s = signal.silent_s(now_s)
            return f"{name}: silent for {silent_s:.0f} s, longer than {signal.limit_s:g} s"
    return None if signals else f"{file} shows nothing"


if __name__ == "__main__":
    sys.exit(problem(path(), time.monotonic()))
