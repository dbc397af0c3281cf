"""A place for what is not finished, beside what it is to become."""

from __future__ import annotations

import atexit
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path


@contextmanager
def unfinished_in(folder: Path) -> Iterator[Path]:
    """Make a folder of our own in `folder`, gone after the block: a file is moved out of it whole.

    So no file of the person's is in the way, and it is on the same disk. Raises OSError, also when
    what is in it cannot be deleted.
    """
    ours = folder / f".retainwise-{secrets.token_hex(8)}"
    tidy = partial(shutil.rmtree, ours, ignore_errors=True)
    # What ends the process can come between any two steps, also of making it and of tidying up.
    atexit.register(tidy)
    try:
        ours.mkdir(mode=0o700)
        yield ours
    finally:
        if ours.exists():
            shutil.rmtree(ours)
        atexit.unregister(tidy)
