"""How much memory a process has, as Linux tells it.

A question takes twenty microseconds, much of a small job, so there is one a second at most.
"""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

_STATUS = Path("/proc/self/status")
_SIZES = re.compile(rb"VmHWM:\s+(\d+) kB\nVmRSS:\s+(\d+) kB")


@dataclass(frozen=True)
class Memory:
    """Resident memory, in bytes."""

    now_bytes: int
    peak_bytes: int
    """The most that it has had since its start."""


def memory_of_this_process() -> Memory | None:
    """Return what the calling process has, or had a second ago; None where nobody tells."""
    return _memory_at(int(time.monotonic()))


@lru_cache(maxsize=1)
def _memory_at(_second: int) -> Memory | None:
    try:
        found = _SIZES.search(_STATUS.read_bytes())
    except OSError:
        return None
    return found and Memory(now_bytes=int(found[2]) * 1024, peak_bytes=int(found[1]) * 1024)
