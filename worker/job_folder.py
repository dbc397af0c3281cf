"""Where the files of a job are, and go with it.

One folder serves all jobs of a consumer: making and removing one writes to the disk's journal, and
on a busy disk that took longer (3 ms) than all else that the worker does for a small job.
"""

from __future__ import annotations

import shutil
import tempfile
import weakref
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


class JobFolder:
    """A folder of this process alone, removed with it."""

    def __init__(self) -> None:
        self._path = Path(tempfile.mkdtemp(prefix="retainwise-job-"))
        weakref.finalize(self, shutil.rmtree, self._path, ignore_errors=True)

    @contextmanager
    def for_a_job(self) -> Iterator[Path]:
        """Give the folder, empty, for the block; what it holds at the end of it is removed."""
        with suppress(FileExistsError):  # idle for days, it may have been tidied away
            self._path.mkdir(mode=0o700)
        try:
            yield self._path
        finally:
            for left in self._path.iterdir():
                shutil.rmtree(left) if left.is_dir() else left.unlink()
