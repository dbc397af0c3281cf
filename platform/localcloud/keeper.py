"""Ends what a killed `retainwise up` left behind; works wherever processes have groups.

    python keeper.py ENV_FILE

Told on its standard input which process groups are running: `+4711`, `-4711`. When that input ends
and groups are left, whoever held it was killed: the groups are killed too, so that nothing goes on
holding the port. In peace the list is empty by then.
"""

from __future__ import annotations

import os
import signal
import sys
from contextlib import suppress
from pathlib import Path


def main(env_file: Path) -> None:
    """Keep the list until the input ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    groups: set[int] = set()
    for line in sys.stdin:
        group = int(line[1:])
        if line.startswith("+"):
            groups.add(group)
        else:
            groups.discard(group)
    for group in groups:
        with suppress(ProcessLookupError):
            os.killpg(group, signal.SIGKILL)
    env_file.unlink(missing_ok=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
