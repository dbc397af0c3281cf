"""Stacks as graphs: the program run in this process, with nothing behind it."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from localcloud.program import stack_config
from operations.graph import Graph

SERVICES = ("web", "worker")


@pytest.fixture
def declare() -> Callable[..., Graph]:
    """Run the program as a stack; `changes` are put into its configuration, section by section.

    A service's section is that in `retainwise:services`; None takes a section away.
    """

    def run(stack: str, changes: Mapping[str, Mapping[str, Any] | None] | None = None) -> Graph:
        config = copy.deepcopy(stack_config(stack))
        for section, values in (changes or {}).items():
            if values is None:
                del config[f"retainwise:{section}"]
            elif section in SERVICES:
                config["retainwise:services"][section] |= values
            else:
                config.setdefault(f"retainwise:{section}", {}).update(values)
        return Graph.of(stack, config)

    return run


@pytest.fixture(scope="session")
def graphs() -> dict[str, Graph]:
    """Every stack as it stands."""
    return {stack: Graph.of(stack) for stack in ("prod", "dev", "local")}
