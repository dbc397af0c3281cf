"""How many processors this process may use: those of its container, not of the machine."""

from __future__ import annotations

import os
from math import ceil
from pathlib import Path

CGROUP = Path("/sys/fs/cgroup")
"""Where a container sees its own limits."""


def processors(cgroup: Path = CGROUP) -> int:
    """Return how many processors there are for this process, at least 1.

    A container that may use a part of a processor counts as a whole one more. The quota is that of
    Linux's cgroups, version 2 (`cpu.max`) or 1; without one, the processors it may run on count.
    """
    if hasattr(os, "sched_getaffinity"):
        usable = len(os.sched_getaffinity(0))
    else:
        usable = os.cpu_count() or 1
    quota = _quota(cgroup)
    return usable if quota is None else max(1, min(usable, ceil(quota)))


def _quota(cgroup: Path) -> float | None:
    """Return the seconds of processor time for each second; None where there is no limit."""
    try:
        quota, period = (cgroup / "cpu.max").read_text().split()
    except (OSError, ValueError):
        try:
            quota = (cgroup / "cpu" / "cpu.cfs_quota_us").read_text()
            period = (cgroup / "cpu" / "cpu.cfs_period_us").read_text()
        except OSError:
            return None
    try:
        return float(quota) / float(period) if float(quota) > 0 else None
    except ValueError:  # max
        return None
