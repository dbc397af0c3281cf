"""The folder `.local/`: what the local cloud keeps, whose turn it is, and what others may read.

lock        held while somebody runs; says who
env         while it runs: how others join in
log/        of this run: cloud.log, web.log, worker.log
cloud/      the emulator's state and objects
tmp/        scratch, one folder for each service
"""

from __future__ import annotations

import fcntl
import os
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

# The cloud of a run that was killed needs a moment to write its state and go.
_LEFTOVER_S = 10.0


class Unusable(Exception):
    """The folder cannot be used now; the message says why, in one line."""


class Home:
    """The paths inside the folder, and its lock."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.env = root / "env"
        self.cloud = root / "cloud"

    def log(self, name: str) -> Path:
        """Where the named process writes."""
        return self.root / "log" / f"{name}.log"

    def scratch(self, service: str) -> Path:
        """Make an empty folder for a service, as a new task has one."""
        folder = self.root / "tmp" / service
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        return folder

    @contextmanager
    def held(self, note: str) -> Iterator[int]:
        """Hold the folder for the block; `note` tells others who has it.

        Yields the lock's file descriptor: a process that inherits it holds the folder too. Raises
        Unusable when somebody else has it, or when it cannot be written.
        """
        try:
            (self.root / "log").mkdir(parents=True, exist_ok=True)
            descriptor = os.open(self.root / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as exc:
            raise Unusable(f"cannot write to {self.root}: {exc.strerror}") from exc
        try:
            self._lock(descriptor)
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, f"{os.getpid()} {note}".encode(), 0)
            yield descriptor
        finally:
            os.close(descriptor)

    def _lock(self, descriptor: int) -> None:
        deadline = time.monotonic() + _LEFTOVER_S
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                pid, _, note = os.pread(descriptor, 1024, 0).decode().partition(" ")
                if _is_alive(pid) or time.monotonic() > deadline:
                    raise Unusable(
                        f"{self.root} is in use by process {pid} ({note}); stop that one first"
                    ) from None
                time.sleep(0.1)
            else:
                return

    def write_env(self, variables: Mapping[str, str]) -> None:
        """Tell others how to join in; they are the account's root, so only for the owner's eyes."""
        descriptor = os.open(self.env, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.writelines(f"{name}={value}\n" for name, value in sorted(variables.items()))


def _is_alive(pid: str) -> bool:
    try:
        os.kill(int(pid), 0)
    except (ValueError, ProcessLookupError):
        return False
    except PermissionError:
        return True
    return True
