"""The real Pulumi CLI with the stand-ins; without the CLI these tests cannot run."""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Iterator

import pytest
from click.testing import CliRunner, Result

from emulator import Emulator, running_emulator
from engine.healing.trials import Field, a_field
from engine.readiness import Readiness, readiness
from engine.workspace import Workspace, workspace
from operations import toolchain
from retainwise.cli import main


@pytest.fixture(scope="session", autouse=True)
def _cli() -> None:
    try:
        toolchain.pulumi()
    except toolchain.NoToolchain as exc:
        if os.environ.get("CI"):
            pytest.fail(str(exc), pytrace=False)
        pytest.skip(str(exc))


@pytest.fixture(scope="module")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    """A local cloud with nothing in it, for all tests of a module."""
    with running_emulator(tmp_path_factory.mktemp("cloud")) as emulator:
        yield emulator


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory, emulator: Emulator) -> Iterator[Workspace]:
    """A Pulumi project whose programs make what they declare in the local cloud."""
    with workspace(tmp_path_factory.mktemp("engine"), emulator) as project:
        yield project


@pytest.fixture(scope="module")
def there() -> Iterator[Field]:
    """An account of a module's own for deploys that are processes, with nothing in it at first."""
    with a_field() as there:
        yield there


@pytest.fixture
def seed(request: pytest.FixtureRequest) -> random.Random:
    """What a test leaves to chance; another test has other luck, and the same one the same."""
    return random.Random(request.node.nodeid)


@pytest.fixture
def ready() -> Iterator[Readiness]:
    """A service that is well, unless a test says otherwise."""
    with readiness() as ready:
        yield ready


@pytest.fixture
def run(project: Workspace) -> Callable[..., Result]:
    """Run `retainwise …` on the test's project."""

    def command(*arguments: str, code: int = 0) -> Result:
        result = CliRunner().invoke(main, [*arguments, "--project", str(project.folder)])
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        project.host.wait()
        assert result.exit_code == code, result.output
        return result

    return command


@pytest.fixture
def deploy(run: Callable[..., Result], ready: Readiness) -> Callable[..., str]:
    """Deploy a stack of the test's project, or roll it back; return what a person is told."""

    def go(
        stack: str, *options: str, command: str = "deploy", wait: str = "1", code: int = 0
    ) -> str:
        given = ("--yes", "--wait", wait, "--url", ready.url, *options)
        return run(command, stack, *given, code=code).output

    return go
