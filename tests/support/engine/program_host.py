"""Runs a Pulumi program on disk for the engine, in this process.

Pulumi's own language host for Python cannot be built from its modules; its SDK has the half that
runs a function, and this is the other half: a folder's `__main__.py`, with the folder on the path
and the CLI's environment, which a host that the CLI starts would have inherited.
"""

from __future__ import annotations

import asyncio
import os
import runpy
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path
from unittest import mock

import psutil
from google.protobuf import empty_pb2
from pulumi.automation import _server
from pulumi.runtime.proto import language_pb2, plugin_pb2


class ProgramHost(_server.LanguageServer):
    """One program at a time: what it imports, and the environment, are the process's."""

    def __init__(self, port: int | None = None) -> None:
        """Serve on `port` in a test's process; without it, this process is the CLI's own."""
        super().__init__(lambda: None)
        self._port = port
        self._at_work = threading.Lock()

    def Run(self, request, context):
        folder = Path(request.info.program_directory or request.pwd)
        self.program = lambda: run(folder)
        environment = _of_cli(self._port) if self._port else {}
        with self._at_work, _environment(environment), _loops_closed():
            return super().Run(request, context)

    def wait(self) -> None:
        """Wait for the end of a program, which the engine does not when it ends with an error."""
        with self._at_work:
            pass

    def Handshake(self, request, context):
        return language_pb2.LanguageHandshakeResponse()

    def GetPluginInfo(self, request, context):
        return plugin_pb2.PluginInfo(version=metadata.version("pulumi"))

    def Cancel(self, request, context):
        return empty_pb2.Empty()

    def InstallDependencies(self, request, context):
        yield from ()


def run(folder: Path) -> None:
    """Run the program in a folder, as `python folder` does."""
    sys.path.insert(0, str(folder))
    try:
        runpy.run_path(str(folder / "__main__.py"), run_name="__main__")
    finally:
        sys.path.remove(str(folder))


class _Asyncio:
    """The module, and the loops that were made by it."""

    def __init__(self) -> None:
        self.made: list[asyncio.AbstractEventLoop] = []

    def new_event_loop(self) -> asyncio.AbstractEventLoop:
        self.made.append(asyncio.new_event_loop())
        return self.made[-1]

    def __getattr__(self, name: str) -> object:
        return getattr(asyncio, name)


@contextmanager
def _loops_closed() -> Iterator[None]:
    """Close what the SDK leaves open when the engine ends before the program does."""
    noted = _Asyncio()
    _server.asyncio = noted
    try:
        yield
    finally:
        _server.asyncio = asyncio
        for loop in noted.made:
            if not loop.is_closed():
                loop.close()


def _of_cli(port: int) -> Mapping[str, str]:
    """Find the CLI that speaks to the host on this port; it was started from this process."""
    for process in psutil.Process().children(recursive=True):
        try:
            environment = process.environ()
        except psutil.Error:
            continue  # it has just ended
        if environment.get("PULUMI_DEBUG_LANGUAGES") == f"python:{port}":
            return environment
    return {}


@contextmanager
def _environment(variables: Mapping[str, str]) -> Iterator[None]:
    # In its place, not into it: a thread that goes through it must find all of one or the other.
    with mock.patch.object(os, "environ", os.environ | variables):
        yield
