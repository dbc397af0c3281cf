"""The job that every worker runs: it notes that it began, and takes its time."""

import os
import time
from pathlib import Path

from peers.stamps import Stamps

QUEUE_URL = os.environ["PREDICTIONS_QUEUE_URL"]
QUEUE = QUEUE_URL.rpartition("/")[-1]
_JOB_S = float(os.environ["BENCH_JOB_S"])
_STAMPS = Stamps(Path(os.environ["BENCH_STAMPS"]))


def run() -> None:
    """Run one."""
    _STAMPS.add()
    if _JOB_S:
        time.sleep(_JOB_S)
