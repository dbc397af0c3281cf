"""The program as a graph: run in this process, with nothing behind it."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from localcloud.program import Declared, run_program, stack_config

ACCOUNT_ID = "111122223333"


class Graph:
    """Records what the program declares; every resource gets an ARN and a URL with its name."""

    def __init__(self) -> None:
        self.resources: list[Declared] = []

    def resource(self, declared: Declared) -> tuple[str, Mapping[str, Any]]:
        self.resources.append(declared)
        service = declared.type.split(":")[1].split("/")[0]
        return declared.name, {
            "arn": f"arn:aws:{service}:::{declared.name}",
            "url": f"https://queues/{declared.name}",
        }

    def invoke(self, function: str) -> Mapping[str, Any]:
        return {"accountId": ACCOUNT_ID, "region": "eu-west-1"}

    def of(self, kind: str) -> dict[str, Declared]:
        """The resources of one type by their names."""
        return {one.name: one for one in self.resources if one.type.endswith(f":{kind}")}


@pytest.fixture
def declare() -> Callable[..., Graph]:
    """Run the program as a stack; `changes` are put into its configuration, section by section."""

    def run(stack: str, changes: Mapping[str, Mapping[str, Any]] | None = None) -> Graph:
        config = copy.deepcopy(stack_config(stack))
        for section, values in (changes or {}).items():
            config[f"retainwise:{section}"] |= values
        graph = Graph()
        run_program(graph, stack, config)
        return graph

    return run


@pytest.fixture
def recorder() -> Graph:
    return Graph()
