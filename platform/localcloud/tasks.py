"""Runs a task definition's command as a process, the way ECS runs it as a container.

The same command, exactly the same environment, the task role's credentials, and SIGTERM with the
declared time to stop. What differs is the endpoint in the environment, as ever.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from localcloud.apply import Task
from localcloud.home import Home
from localcloud.program import CHECKOUT

# What a container has from its image, a process has from whoever starts it.
_INHERITED = ("PATH", "HOME", "LANG", "PYTHONPATH")


class Keeper:
    """The process that ends the groups of processes which a killed `up` leaves behind."""

    def __init__(self, home: Home, lock: int) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-I", Path(__file__).with_name("keeper.py"), home.env],
            start_new_session=True,
            stdin=subprocess.PIPE,
            pass_fds=[lock],
            text=True,
            bufsize=1,
        )

    def __enter__(self) -> Keeper:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate()

    def started(self, group: int) -> None:
        """Note that this process group runs."""
        self._tell(f"+{group}\n")

    def ended(self, group: int) -> None:
        """Note that it does not run any more."""
        self._tell(f"-{group}\n")

    def _tell(self, line: str) -> None:
        assert self._process.stdin is not None  # noqa: S101 - it is a pipe
        with suppress(BrokenPipeError):  # it is dead: no reason not to stop the others in order
            self._process.stdin.write(line)


class TaskProcess:
    """A running process of a service, in a process group of its own.

    `environment` is what is added to the task definition's: where AWS is and who the service is.
    """

    def __init__(
        self,
        task: Task,
        command: Sequence[str],
        environment: Mapping[str, str],
        home: Home,
        keeper: Keeper,
    ) -> None:
        self.scratch = home.scratch(task.service)
        self.started_at = time.monotonic()
        self._keeper = keeper
        inherited = {name: os.environ[name] for name in _INHERITED if name in os.environ}
        with home.log(task.service).open("ab") as log:
            self._process = subprocess.Popen(
                command,
                cwd=CHECKOUT,
                env={
                    **inherited,
                    **task.environment,
                    **environment,
                    "TMPDIR": str(self.scratch),
                    # No profile of the person who runs this: a container has none.
                    "AWS_CONFIG_FILE": os.devnull,
                    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
                },
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                # A Ctrl-C in the terminal reaches `up` alone, which then stops all in order.
                start_new_session=True,
            )
        keeper.started(self._process.pid)

    def exit_code(self) -> int | None:
        """None while it runs; once it ended, nothing that it started runs either."""
        code = self._process.poll()
        if code is not None:
            self._end_group()
        return code

    def terminate(self) -> None:
        """Ask it to stop, as ECS does first."""
        self._process.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """End it and all that it started, as ECS does when the time is up."""
        self._end_group()
        self._process.wait()

    def _end_group(self) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._keeper.ended(self._process.pid)
