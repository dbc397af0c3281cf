"""A Pulumi project of a test's own: its stack's file, and the real CLI with the stand-ins attached.

The servers run in this process, which saves the CLI from starting them for each command, and lets a
test look into them.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import pytest
import yaml
from pulumi.runtime.proto import language_pb2_grpc, provider_pb2_grpc

from emulator import REGION, Emulator, bootstrap_config
from engine.plugin import OPTIONS
from engine.program_host import ProgramHost
from engine.stand_in import StandIn
from localcloud import cloud as local_cloud
from localcloud.apply import apply
from localcloud.kinds.base import Clients
from localcloud.program import BOOTSTRAP, CHECKOUT, SERVICE, Program
from operations import toolchain
from operations.account import StackAccount
from operations.engine import Engine
from operations.state import backend_url, secrets_provider

PLUGINS = Path(__file__).parent / "plugins"
_STATE_ALONE = Path(__file__).parent / "state_alone"
STATE_ALONE = Program(BOOTSTRAP.project, BOOTSTRAP.stacks, _STATE_ALONE)
"""The bootstrap with what keeps the state, and nothing else."""


@dataclass(frozen=True)
class Workspace:
    """A folder with both programs, in which a stack's file can be changed."""

    folder: Path
    emulator: Emulator
    host: ProgramHost
    provider: StandIn

    @property
    def bootstrap(self) -> Path:
        """The folder of the bootstrap's project."""
        return self.folder / "bootstrap"

    def write_stack(self, stack: str, like: str | None = None) -> None:
        """Copy a stack's files of the checkout, with a zone that the account has."""
        for source, folder in ((SERVICE.stacks, self.folder), (BOOTSTRAP.stacks, self.bootstrap)):
            document = yaml.safe_load((source / f"Pulumi.{like or stack}.yaml").read_text("utf-8"))
            if edge := document["config"].get("retainwise:edge"):
                domain = edge["host"].partition(".")[2]
                edge["hosted_zone_id"] = self.emulator.hosted_zone(domain)
            document["config"]["aws:allowedAccountIds"] = [local_cloud.ACCOUNT_ID]
            if folder == self.bootstrap:
                deploy = document["config"].setdefault("retainwise-bootstrap:deploy", {})
                deploy["people"] = ["root"]  # the emulator knows no other person
            (folder / f"Pulumi.{stack}.yaml").write_text(yaml.safe_dump(document), "utf-8")

    def new_stack(self, stack: str, like: str | None = None, *, alone: bool = False) -> None:
        """Write the stack's files, and make its state, empty.

        alone: with what keeps the state, and nothing else that the bootstrap makes.
        """
        if alone:
            apply(self.emulator.clients, stack, bootstrap_config(stack), STATE_ALONE)
        self.write_stack(stack, like)
        provider = secrets_provider(self.account(stack))
        made = self.pulumi(stack, "stack", "init", stack, "--secrets-provider", provider)
        made.check_returncode()

    def change(self, stack: str, section: str, **values: Any) -> None:
        """Change values of a section of the stack's file; a dict is merged into what is there."""
        path = self.folder / f"Pulumi.{stack}.yaml"
        document = yaml.safe_load(path.read_text("utf-8"))
        there = document["config"].setdefault(f"retainwise:{section}", {})
        for key, value in values.items():
            there[key] = {**there[key], **value} if isinstance(value, dict) else value
        path.write_text(yaml.safe_dump(document), "utf-8")

    @contextmanager
    def spawned(self) -> Iterator[None]:
        """Let the CLI start the stand-ins itself for the block, as it starts plugins."""
        file = self.folder / "Pulumi.yaml"
        before = file.read_text("utf-8")
        plugins = {
            "providers": [{"name": "aws", "path": str(PLUGINS)}],
            "languages": [{"name": "python", "path": str(PLUGINS)}],
        }
        document = {**yaml.safe_load(before), "plugins": plugins}
        file.write_text(yaml.safe_dump(document), "utf-8")
        try:
            with pytest.MonkeyPatch.context() as patch:
                patch.delenv("PULUMI_DEBUG_LANGUAGES")
                patch.delenv("PULUMI_DEBUG_PROVIDERS")
                # The plugins begin with `env python3`.
                own = str(Path(sys.executable).parent)
                patch.setenv("PATH", os.pathsep.join([own, os.environ["PATH"]]))
                yield
        finally:
            file.write_text(before, "utf-8")

    def use_program(self, source: str) -> None:
        """Put a program of a few lines in the service's place."""
        program = self.folder / "platform"
        if program.is_symlink():
            program.unlink()
            program.mkdir()
        (program / "__main__.py").write_text(source, "utf-8")

    def account(self, stack: str) -> StackAccount:
        return StackAccount.of(stack, self.folder)

    def engine(self, stack: str) -> Engine:
        return Engine(stack, backend_url(self.account(stack)), self.folder)

    def pulumi(self, stack: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Type a command of the CLI as a person does, against the stack's state."""
        done = subprocess.run(
            [toolchain.pulumi(), *arguments, "--non-interactive", "--color=never"],
            cwd=self.folder,
            env={
                **os.environ,
                "PULUMI_BACKEND_URL": backend_url(self.account(stack)),
                "PULUMI_STACK": stack,
                "PULUMI_SKIP_UPDATE_CHECK": "true",
            },
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        self.host.wait()
        return done


@contextmanager
def workspace(folder: Path, emulator: Emulator) -> Iterator[Workspace]:
    """Lay out a project for the block, with this process's environment set for it."""
    # Pulumi wants the program below the project, and the program's checkout stays where it is.
    project = folder / "project"
    (project / "bootstrap").mkdir(parents=True)
    (project / "platform").symlink_to(CHECKOUT / "platform")
    (project / "bootstrap" / "program").symlink_to(BOOTSTRAP.main)
    shutil.copy(SERVICE.stacks / "Pulumi.yaml", project)
    document = yaml.safe_load((BOOTSTRAP.stacks / "Pulumi.yaml").read_text("utf-8"))
    (project / "bootstrap" / "Pulumi.yaml").write_text(
        yaml.safe_dump({**document, "main": "program"}), "utf-8"
    )
    with (
        attached(emulator.clients) as (host, provider, debugging),
        pytest.MonkeyPatch.context() as patch,
    ):
        for name in list(os.environ):
            if name.startswith(("AWS_", "PULUMI_", "GITHUB_")):
                patch.delenv(name)
        environment = {
            "AWS_ACCESS_KEY_ID": local_cloud.ACCOUNT_ID,
            "AWS_SECRET_ACCESS_KEY": local_cloud.SECRET,
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_ENDPOINT_URL": emulator.endpoint,
            "AWS_REGION": REGION,
            "PULUMI_HOME": str(folder / "pulumi"),
            "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
            **debugging,
        }
        for name, value in environment.items():
            patch.setenv(name, value)
        yield Workspace(project, emulator, host, provider)


@contextmanager
def attached(clients: Clients) -> Iterator[tuple[ProgramHost, StandIn, dict[str, str]]]:
    """Serve the host and the provider for the block; say where, as the CLI takes it."""
    provider = StandIn(clients)
    with _served() as (host_server, host_port), _served() as (provider_server, provider_port):
        host = ProgramHost(host_port)
        language_pb2_grpc.add_LanguageRuntimeServicer_to_server(host, host_server)
        provider_pb2_grpc.add_ResourceProviderServicer_to_server(provider, provider_server)
        host_server.start()
        provider_server.start()
        yield (
            host,
            provider,
            {
                "PULUMI_DEBUG_LANGUAGES": f"python:{host_port}",
                "PULUMI_DEBUG_PROVIDERS": f"aws:{provider_port}",
            },
        )


@contextmanager
def _served() -> Iterator[tuple[grpc.Server, int]]:
    server = grpc.server(ThreadPoolExecutor(16), options=OPTIONS)
    port = server.add_insecure_port("127.0.0.1:0")
    try:
        yield server, port
    finally:
        server.stop(0).wait()
