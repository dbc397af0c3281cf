"""The clouds that the same tests are asked of, and what each is known to do otherwise than AWS.

`CONTRACT_ENDPOINT_URL` adds a third by its endpoint; region and credentials are the SDK's own
variables. The guard of the tests lets them reach the loopback alone: one that is farther away is
reached through a port of this machine.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import pytest

from differences import DIFFERENCES
from emulator import acting_in, of_this_machine, running_emulator
from made_cloud import Cloud, make_cloud
from moto_server import running_moto

THIRD = os.environ.get("CONTRACT_ENDPOINT_URL")


@contextmanager
def embedded(folder: Path) -> Iterator[Mapping[str, str]]:
    with running_emulator(folder) as emulator:
        yield of_this_machine(emulator.endpoint)


@contextmanager
def moto(_folder: Path) -> Iterator[Mapping[str, str]]:
    with running_moto() as endpoint:
        yield of_this_machine(endpoint)


@contextmanager
def third(_folder: Path) -> Iterator[Mapping[str, str]]:
    yield {**os.environ, "AWS_ENDPOINT_URL": str(THIRD)}


CLOUDS = [embedded, moto, *([third] if THIRD else [])]


@pytest.fixture(scope="session", params=CLOUDS, ids=lambda start: start.__name__)
def made(request, tmp_path_factory) -> Iterator[Cloud]:
    """A cloud with the product's resources, for all tests; each keeps to an account of its own."""
    with request.param(tmp_path_factory.mktemp("cloud")) as environment:
        with acting_in(environment):  # the SDK reads it when it makes a client
            cloud = make_cloud(new_name())
        cloud.table.wait_until_exists()
        yield cloud
        cloud.remove()


@pytest.fixture
def cloud(made) -> Cloud:
    return made


@pytest.fixture
def account() -> str:
    """An account that nobody else uses."""
    return f"a-{uuid4().hex[:12]}"


@pytest.fixture
def new_queues(made):
    """Makes queues that nobody else uses, and removes them."""
    given = []

    def make(**settings) -> Cloud:
        given.append(made.with_queues(new_name(), **settings))
        return given[-1]

    yield make
    for cloud in given:
        cloud.remove_queues()


def new_name() -> str:
    return f"contract-{uuid4().hex[:12]}"


def pytest_collection_modifyitems(items) -> None:
    """Expect of each cloud what it is known for: once it is mended, the test fails and says so."""
    for item in items:
        callspec = getattr(item, "callspec", None)
        if callspec is None or "made" not in callspec.params:
            continue
        for known in DIFFERENCES:
            if (known.cloud, known.test) == (callspec.params["made"].__name__, item.originalname):
                item.add_marker(known.mark())
