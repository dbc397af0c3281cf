"""Runs a Python program as its command would, and says how much memory it took at most.

    python as_command.py PEAK PROGRAM [ARGUMENT...]

Asked of the process itself, at its end: its parent would be told the parent's own peak where that
was higher, since a child has all of its parent's memory for a moment.
"""

import atexit
import runpy
import sys
from pathlib import Path


def peak_bytes() -> int:
    """Return the most memory that this process has had so far (Linux: VmHWM)."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    raise OSError("this kernel does not tell a process's peak memory")


if __name__ == "__main__":
    peak, *command = sys.argv[1:]
    atexit.register(lambda: Path(peak).write_text(str(peak_bytes())))
    sys.argv = command
    sys.path.pop(0)  # this folder is not the program's
    runpy.run_path(command[0], run_name="__main__")
