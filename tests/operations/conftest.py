"""Stacks as graphs, as tests/infra has them; a local cloud with what the bootstrap makes."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import count
from typing import Any

import pytest

from emulator import Emulator, running_emulator
from operations.graph import Graph
from operations.lease import DeployLease, table_name
from third_service import with_third_service

_numbers = count()


@pytest.fixture(scope="session")
def graphs() -> dict[str, Graph]:
    return {stack: Graph.of(stack) for stack in ("prod", "dev", "local")}


@pytest.fixture(scope="session")
def prod(graphs: dict[str, Graph]) -> Graph:
    return graphs["prod"]


@pytest.fixture(scope="session")
def with_reports(tmp_path_factory: pytest.TempPathFactory) -> Graph:
    return with_third_service(tmp_path_factory.mktemp("main"))


@pytest.fixture(scope="session")
def altered() -> Callable[..., Graph]:
    """Change the inputs of the resources of a type, without running the program again."""

    def run(graph: Graph, kind: str, change: Callable[[dict[str, Any]], object]) -> Graph:
        resources = []
        for one in graph.resources:
            if one.type.endswith(f":{kind}"):
                inputs = copy.deepcopy(dict(one.inputs))
                change(inputs)
                one = replace(one, inputs=inputs)
            resources.append(one)
        return Graph(graph.stack, graph.region, resources)

    return run


@pytest.fixture(scope="session")
def bootstrapped(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    """A local cloud with what must be there before the service of the stack `local`."""
    with running_emulator(tmp_path_factory.mktemp("bootstrapped")) as emulator:
        emulator.bootstrap()
        yield emulator


@pytest.fixture
def sdk_of_the_emulator(bootstrapped: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    """The SDK's own configuration as somebody has it who is the account's root."""
    bootstrapped.as_root(monkeypatch)


@pytest.fixture(scope="session")
def dynamodb(bootstrapped: Emulator) -> Any:
    return bootstrapped.client("dynamodb")


@pytest.fixture
def stack() -> str:
    """A stack of the test's own, which nobody ever had the lease of."""
    return f"stack{next(_numbers)}"


@pytest.fixture
def lease(dynamodb: Any, stack: str) -> DeployLease:
    return DeployLease(dynamodb, table_name("local-retainwise"), stack)
