"""A command in a process of its own that is ended in the middle of what the engine does.

With Ctrl-C as a terminal sends it, with SIGTERM as CI cancels a job, or with no time for a last
word, as when the power fails. The
servers are in that process too, so that they end with it and the test's own know nothing of it.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from typing import Literal

import boto3
import psutil

from emulator import REGION
from engine.workspace import Workspace, attached
from localcloud.kinds.base import Clients
from retainwise.cli import main

When = Literal["before", "after"]
How = Literal["Ctrl-C", "SIGTERM", "kill"]


def interrupted(
    project: Workspace, command: Sequence[str], when: When, resource: str, how: How
) -> int:
    """Run `retainwise …` until a resource is about to be made, or just was; return its exit code.

    A killed process's code is -9.
    """
    done = subprocess.run(
        [sys.executable, __file__, when, resource, how, *command, "--project", project.folder],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        start_new_session=True,  # else Ctrl-C would end the test as well
    )
    # Else it was not interrupted at all.
    assert done.returncode != 0, done.stdout + done.stderr
    return done.returncode


def _run(when: When, resource: str, how: How, command: Sequence[str]) -> None:
    endpoint = os.environ["AWS_ENDPOINT_URL"]
    session = boto3.Session(region_name=REGION)
    # Also where what started the tests ignores it, and all that comes of it.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    with attached(Clients(session, endpoint)) as (_host, provider, debugging):
        os.environ |= debugging

        def end(what: str, name: str) -> None:
            if (what, name) == ("create", resource):
                _end(how)

        setattr(provider, when, end)
        main(command)


def _end(how: How) -> None:
    if how == "Ctrl-C":
        os.killpg(0, signal.SIGINT)
        return
    if how == "SIGTERM":
        os.kill(os.getpid(), signal.SIGTERM)
        return
    for process in psutil.Process().children(recursive=True):
        process.kill()
        process.wait(10)
    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    _run(*sys.argv[1:4], sys.argv[4:])
