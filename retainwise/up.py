"""`retainwise up`: the whole product on one machine, as it runs in AWS.

It starts the local cloud, applies the Pulumi program to it, and runs the two services from the task
definitions that the program declares, under their own roles. Ctrl-C stops the services first, so
that they drain into a cloud that still answers.
"""

from __future__ import annotations

import functools
import http.client
import os
import signal
import socket
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import FrameType

import click
import pulumi
from botocore.exceptions import BotoCoreError, ClientError

from localcloud import cloud as local_cloud
from localcloud import credentials, supervisor
from localcloud.apply import Task, apply
from localcloud.home import Home, Unusable
from localcloud.kinds.base import Clients, Unapplicable
from localcloud.program import BOOTSTRAP, CHECKOUT, stack_config
from localcloud.supervisor import Failed, Service
from localcloud.tasks import Keeper, TaskProcess
from retainwise import preflight
from worker import heartbeat

_STACK = "local"
_READYZ_TIMEOUT_S = 5


@click.command()
@click.option("--port", default=8000, show_default=True, type=click.IntRange(1, 65535))
@click.option(
    "--data-dir",
    default=CHECKOUT / ".local",
    type=click.Path(path_type=Path),
    hidden=True,
    help="Where the state is kept; for tests.",
)
def up(port: int, data_dir: Path) -> None:
    """Run the whole product on this machine until Ctrl-C.

    Everything is kept under .local/: the next start finds the predictions and files of this one.
    """
    interrupts = Interrupts()
    home = Home(data_dir.absolute())
    try:
        _check(port)
        _forget_the_persons_own_cloud()
        _run(home, port, interrupts)
    except (Unusable, Unapplicable, pulumi.RunError) as exc:
        _end(str(exc), 2)
    except (BotoCoreError, ClientError) as exc:
        _end(f"the local cloud refused: {exc}; see {home.log('cloud')}", 2)
    except OSError as exc:  # the disk is full, something is in the way of a file
        _end(f"{exc.filename or home.root}: {exc.strerror or exc}", 2)
    except Failed as exc:
        _end(str(exc), 1)


class Interrupts:
    """How often the person asked to stop. The signal handlers do nothing but count."""

    def __init__(self) -> None:
        self._count = 0
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._note)

    def __call__(self) -> int:
        """Return the count."""
        return self._count

    def _note(self, _number: int, _frame: FrameType | None) -> None:
        self._count += 1


def _check(port: int) -> None:
    """Raise Unusable when this cannot work from the start."""
    if line := preflight.problem(sys.version_info[:2]):
        raise Unusable(line)
    with socket.socket() as probe:
        # As the web server does: what is left of a closed connection is not in the way.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as exc:
            raise Unusable(
                f"port {port} of 127.0.0.1 cannot be had ({exc.strerror}); free it, or choose "
                f"another: `make up PORT={port + 1}`"
            ) from exc


def _forget_the_persons_own_cloud() -> None:
    """Drop what this shell knows of a real AWS account and of proxies; nothing here is for them."""
    for name in list(os.environ):
        if name.startswith("AWS_") or name.lower().endswith("_proxy"):
            del os.environ[name]
    os.environ |= {"AWS_CONFIG_FILE": os.devnull, "AWS_SHARED_CREDENTIALS_FILE": os.devnull}


def _run(home: Home, port: int, interrupts: Interrupts) -> None:
    address = f"http://127.0.0.1:{port}"
    with home.held(address) as lock, Keeper(home, lock) as keeper:
        _say("starting the local cloud")
        with local_cloud.running(home, lock) as cloud:
            region = stack_config(_STACK)["aws:region"]
            clients = Clients(cloud.session(region), cloud.endpoint)
            _say("applying the Pulumi programs to it: what must be there before, and the service")
            before = apply(clients, _STACK, program=BOOTSTRAP)
            applied = apply(clients, _STACK)
            for name in (*before.kept, *applied.kept):
                _say(f"kept {name}: no longer declared, but protected")
            for name in (*before.skipped, *applied.skipped):
                _say(f"left out {name}: the emulator cannot create it")
            with credentials.serving(clients.sts) as agent:
                _say("starting " + " and ".join(task.service for task in applied.tasks))
                aws = {"AWS_REGION": region, "AWS_ENDPOINT_URL": cloud.endpoint}
                services = [
                    _service(task, port, {**aws, **agent.admit(task)}, home, keeper)
                    for task in applied.tasks
                ]
                try:
                    if supervisor.start(services, interrupts, cloud.check):
                        home.write_env(
                            _for_others(applied.tasks, cloud, region) | {"RETAINWISE_URL": address}
                        )
                        _say(f"RetainWise is ready: {address}")
                        for task in applied.tasks:
                            _say(f"  log of {task.service}: {home.log(task.service)}")
                        _say(f"  to join in: set -a; . {home.env}")
                        _say("  to stop: Ctrl-C")
                        supervisor.watch(services, interrupts, cloud.check, _say)
                    _say("stopping; once more Ctrl-C hurries")
                finally:
                    home.env.unlink(missing_ok=True)
                    # Without a cloud there is nothing that they could drain into.
                    supervisor.stop(services, lambda: interrupts() > 1 or not cloud.is_alive())
    _say("stopped")


def _service(
    task: Task, port: int, environment: Mapping[str, str], home: Home, keeper: Keeper
) -> Service:
    command = _command_here(task.command, port)
    log = home.log(task.service)
    log.unlink(missing_ok=True)  # a log is of one run
    return Service(
        task.service,
        log,
        task.stop_timeout_s,
        start=lambda: TaskProcess(task, command, environment, home, keeper),
        ready=functools.partial(_READY[task.service], port),
    )


def _command_here(command: Sequence[str], port: int) -> list[str]:
    """Turn the image's command into this checkout's: its own virtualenv, the address asked for."""
    program, *arguments = command
    if "--bind" in arguments:
        arguments[arguments.index("--bind") + 1] = f"127.0.0.1:{port}"
    return [str(Path(sys.executable).with_name(program)), *arguments]


def _web_is_ready(port: int, _scratch: Path) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_READYZ_TIMEOUT_S)
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status == http.HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _worker_is_ready(_port: int, scratch: Path) -> bool:
    return (scratch / heartbeat.FILE).exists()


_READY = {"web": _web_is_ready, "worker": _worker_is_ready}


def _for_others(tasks: Sequence[Task], cloud: local_cloud.Cloud, region: str) -> dict[str, str]:
    """What a script of one's own needs to join in: the endpoint, credentials, and every name."""
    names = {name: value for task in tasks for name, value in task.environment.items()}
    return names | {
        "AWS_ENDPOINT_URL": cloud.endpoint,
        "AWS_REGION": region,
        "AWS_DEFAULT_REGION": region,
        "AWS_ACCESS_KEY_ID": local_cloud.ACCOUNT_ID,
        "AWS_SECRET_ACCESS_KEY": local_cloud.SECRET,
    }


def _say(line: str) -> None:
    with suppress(OSError):  # the terminal is gone: no reason not to stop in order
        click.echo(line)


def _end(why: str, code: int) -> None:
    with suppress(OSError):
        click.echo(f"retainwise up: {why}", err=True)
    sys.exit(code)
