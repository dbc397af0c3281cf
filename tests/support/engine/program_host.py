"""Runs a Pulumi program on disk for the engine, in this process.

Pulumi's own language host for Python cannot be built from its modules; its SDK has the half that
runs a function, and this is the other half: a folder's `__main__.py`, with the folder on the path.
"""

from __future__ import annotations

import runpy
import sys
from importlib import metadata
from pathlib import Path

from pulumi.automation._server import LanguageServer
from pulumi.runtime.proto import language_pb2, plugin_pb2


class ProgramHost(LanguageServer):
    """One program at a time: what it imports, and the settings of its run, are the process's."""

    def __init__(self) -> None:
        super().__init__(lambda: None)

    def Run(self, request, context):
        folder = request.info.program_directory or request.pwd
        entry = Path(folder, request.info.entry_point or request.program)
        # A folder is run by its __main__.py; what that imports lies beside it.
        self.program = lambda: run(entry if entry.is_dir() else Path(folder))
        return super().Run(request, context)

    def Handshake(self, request, context):
        return language_pb2.LanguageHandshakeResponse()

    def GetPluginInfo(self, request, context):
        return plugin_pb2.PluginInfo(version=metadata.version("pulumi"))

    def InstallDependencies(self, request, context):
        yield from ()


def run(folder: Path) -> None:
    sys.path.insert(0, str(folder))
    try:
        runpy.run_path(str(folder / "__main__.py"), run_name="__main__")
    finally:
        sys.path.remove(str(folder))
