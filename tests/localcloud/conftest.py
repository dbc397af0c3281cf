"""A local cloud of one's own."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from emulator import REGION, Emulator, running_emulator
from localcloud import cloud as local_cloud
from localcloud.apply import Applied, apply
from localcloud.home import Home
from localcloud.program import Program


@pytest.fixture(autouse=True)
def _no_profile_of_the_developer(monkeypatch):
    monkeypatch.setenv("AWS_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[[], Emulator]]:
    """Start the local cloud in one folder; again after it was ended."""
    home = Home(tmp_path)
    with ExitStack() as stack:
        lock = stack.enter_context(home.held("a test"))

        def run() -> Emulator:
            return Emulator(stack.enter_context(local_cloud.running(home, lock)))

        yield run


@pytest.fixture
def emulator(start: Callable[[], Emulator]) -> Emulator:
    return start()


@pytest.fixture
def small(tmp_path: Path, emulator: Emulator) -> Callable[[str], Applied]:
    """Apply a program of a few lines; the next one is the same program after a change."""
    folder = tmp_path / "small"
    folder.mkdir()
    program = Program("small", folder, folder)

    def run(source: str) -> Applied:
        head = "import json, pulumi, pulumi_aws as aws\n"
        (folder / "__main__.py").write_text(head + textwrap.dedent(source))
        config = {"aws:region": REGION}
        return apply(emulator.clients, "test", config, program)

    return run


@pytest.fixture(scope="module")
def prod(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    """A local cloud to which production was applied, for all tests of a module.

    What one of them changes is put back by applying again, or it is not production's.
    """
    with running_emulator(tmp_path_factory.mktemp("prod")) as emulator:
        emulator.bootstrap("prod")
        emulator.apply("prod")
        yield emulator
