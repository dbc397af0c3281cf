"""A place for what is not finished, beside what it is to become; its end when a signal comes."""

from __future__ import annotations

import atexit
import secrets
import shutil
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from threading import current_thread, main_thread
from types import FrameType

_ENDING = (signal.SIGTERM, signal.SIGHUP)


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


@contextmanager
def tidy_at_signals() -> Iterator[None]:
    """Let SIGTERM and SIGHUP end the block as Ctrl-C does, by a SystemExit with 128 and the number.

    Without it they end the process at once, and leave what is not finished.
    """

    def end(number: int, _frame: FrameType | None) -> None:
        for one in ours:
            signal.signal(one, signal.SIG_IGN)  # a second one would end the tidying up
        raise SystemExit(128 + number)

    # What is ignored stays so, as under nohup; only the main thread may ask for signals.
    ours = [one for one in _ENDING if signal.getsignal(one) is signal.SIG_DFL]
    if current_thread() is not main_thread():
        ours = []
    for one in ours:
        signal.signal(one, end)
    try:
        yield
    finally:
        for one in ours:
            signal.signal(one, signal.SIG_DFL)
