"""Starts the emulator's process and ends it."""

from __future__ import annotations

import os
import select
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import boto3

from localcloud.home import Home, Unusable
from localcloud.program import CHECKOUT
from localcloud.supervisor import Failed

# The account of the local cloud. To the emulator, an access key of 12 digits is that account's
# root, whatever the secret.
ACCOUNT_ID = "000000000000"
SECRET = "local"  # noqa: S105 - it keeps nothing secret

PYTHON = CHECKOUT / ".venv-localcloud" / "bin" / "python"
_START_S = 30.0
_STOP_S = 30.0  # it writes its state as it goes


@dataclass(frozen=True)
class Cloud:
    """A running local cloud."""

    process: subprocess.Popen[bytes]
    port: int
    log: Path

    @property
    def endpoint(self) -> str:
        """Where its APIs are."""
        return f"http://127.0.0.1:{self.port}"

    def is_alive(self) -> bool:
        """Whether its process runs."""
        return self.process.poll() is None

    def check(self) -> None:
        """Raise Failed when it has died."""
        if not self.is_alive():
            raise Failed(f"the local cloud ended with {self.process.returncode}; see {self.log}")

    def session(self, region: str) -> boto3.Session:
        """Act as the account's root in one region."""
        return boto3.Session(ACCOUNT_ID, SECRET, region_name=region)


@contextmanager
def running(home: Home, lock: int) -> Iterator[Cloud]:
    """Run the local cloud for the block; it holds the folder's lock for as long as it lives.

    Raises Unusable when its state cannot be read or it does not start.
    """
    if not PYTHON.exists():
        raise Unusable(f"{PYTHON} is missing: the local cloud is not installed; run `make install`")
    log = home.log("cloud")
    with log.open("wb") as stderr:
        process = subprocess.Popen(
            [PYTHON, "-m", "localcloud.server", home.cloud],
            # Its own session: a Ctrl-C in the terminal must not reach it before the services.
            start_new_session=True,
            stdin=subprocess.PIPE,  # when this ends, it knows that we are gone
            stdout=subprocess.PIPE,
            stderr=stderr,
            pass_fds=[lock],
            env=_environment(),
        )
    try:
        yield Cloud(process, _port(process, log), log)
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.communicate(timeout=_STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()


def _environment() -> dict[str, str]:
    path = [str(CHECKOUT / "platform"), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {
        "PATH": os.environ.get("PATH", os.defpath),
        "PYTHONPATH": os.pathsep.join(path),
        "PYTHONDONTWRITEBYTECODE": "1",
    }


def _port(process: subprocess.Popen[bytes], log: Path) -> int:
    """Wait for the line with which it says that it can serve."""
    assert process.stdout is not None  # noqa: S101 - it is a pipe
    ready, _, _ = select.select([process.stdout], [], [], _START_S)
    line = process.stdout.readline() if ready else b""
    if line:
        return int(line)
    said = log.read_text("utf-8", "replace").strip().splitlines()
    raise Unusable(said[-1] if said else f"the local cloud did not start; see {log}")
