"""The bootstrap's program as a graph: run in this process, with nothing behind it."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from localcloud.program import BOOTSTRAP, Declared, run_program, stack_config

ACCOUNT_ID = "111122223333"
REGION = "eu-west-1"


class Graph:
    """Records what the program declares; every resource gets an ARN and an id with its name."""

    def __init__(self) -> None:
        self.resources: list[Declared] = []

    def resource(self, declared: Declared) -> tuple[str, Mapping[str, Any]]:
        self.resources.append(declared)
        _, path, kind = declared.type.split(":")
        service = path.split("/")[0]
        region = declared.inputs.get("region", REGION)
        arn = {
            "iam": f"arn:aws:iam::{ACCOUNT_ID}:{kind.lower()}/{declared.name}",
            "s3": f"arn:aws:s3:::{declared.name}",
        }.get(service, f"arn:aws:{service}:{region}:{ACCOUNT_ID}:{kind.lower()}/{declared.name}")
        if kind in ("Key", "ReplicaKey"):
            arn = f"arn:aws:kms:{region}:{ACCOUNT_ID}:key/mrk-1"  # copies have the same id
        return declared.name, {"arn": arn, "keyId": "mrk-1"}

    def invoke(self, function: str, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
        return {"accountId": ACCOUNT_ID, "region": REGION}

    def of(self, kind: str) -> dict[str, Declared]:
        """The resources of one type by their names."""
        return {one.name: one for one in self.resources if one.type.endswith(f":{kind}")}


@pytest.fixture(scope="session")
def declare() -> Callable[..., Graph]:
    """Run the program as a stack, or as another with its configuration.

    `changes` are put into the configuration, section by section.
    """

    def run(
        stack: str,
        changes: Mapping[str, Mapping[str, Any]] | None = None,
        environment: str | None = None,
    ) -> Graph:
        config = copy.deepcopy(stack_config(stack, BOOTSTRAP))
        for section, values in (changes or {}).items():
            config.setdefault(f"retainwise-bootstrap:{section}", {}).update(values)
        graph = Graph()
        run_program(graph, environment or stack, config, BOOTSTRAP)
        return graph

    return run


@pytest.fixture(scope="session")
def declared_once(declare) -> Graph:
    return declare("prod")


@pytest.fixture
def prod(declared_once) -> Graph:
    """What production declares; to be broken at will."""
    graph = Graph()
    graph.resources = [*declared_once.resources]
    return graph


@pytest.fixture
def recorder() -> Graph:
    return Graph()
