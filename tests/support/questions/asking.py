"""How a question is asked, and the ways to break a graph that it must find."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from operations.graph import Graph, kind_of

Answer = Callable[[Graph], Iterator[str]]
Break = Callable[[Graph], Graph]


@dataclass(frozen=True)
class Asked:
    """A question: its name, its answer and its twins, the breaks that it must find."""

    name: str
    answer: Answer
    twins: tuple[Break, ...]


QUESTIONS: list[Asked] = []


def question(*twins: Break) -> Callable[[Answer], Answer]:
    """Ask a question of every stack; its name is the sentence that must hold."""

    def add(answer: Answer) -> Answer:
        QUESTIONS.append(Asked(answer.__name__.replace("_", " "), answer, twins))
        return answer

    return add


def changed(
    kind: str, change: Callable[[dict[str, Any]], object], end: str = "", **guards: object
) -> Break:
    """Change the inputs, or the guards, of the first resource of a type whose name ends so."""

    def run(graph: Graph) -> Graph:
        resources, is_done = [], False
        for one in graph.resources:
            if kind_of(one) == kind and one.name.endswith(end) and not is_done:
                inputs = copy.deepcopy(dict(one.inputs))
                change(inputs)
                one, is_done = replace(one, inputs=inputs, **guards), True
            resources.append(one)
        assert is_done, f"there is no {kind} to break"
        return Graph(graph.stack, graph.region, resources)

    return run


def setting(kind: str, **inputs: object) -> Break:
    return changed(kind, lambda there: there.update(inputs))


def not_waiting(kind: str, end: str = "") -> Break:
    """Let a resource wait for nothing but what its inputs come from."""
    return changed(kind, lambda _: None, end, depends_on=())


def without(kind: str, end: str = "") -> Break:
    """Leave out the first resource of a type whose name ends so."""

    def run(graph: Graph) -> Graph:
        gone = next(
            one for one in graph.resources if kind_of(one) == kind and one.name.endswith(end)
        )
        return Graph(graph.stack, graph.region, [one for one in graph.resources if one is not gone])

    return run


def in_policy(
    kind: str, change: Callable[[dict[str, Any]], object], end: str = "", *, about: str = ""
) -> Break:
    """Change the first statement of a policy, or the first in which some words stand."""

    def run(inputs: dict[str, Any]) -> None:
        document = json.loads(inputs["policy"])
        change(next(one for one in document["Statement"] if about in json.dumps(one)))
        inputs["policy"] = json.dumps(document)

    return changed(kind, run, end)


def in_container(service: str = "", **values: object) -> Break:
    """Change a service's container; a value of None is taken out."""

    def run(inputs: dict[str, Any]) -> None:
        [container] = json.loads(inputs["containerDefinitions"])
        there = {key: one for key, one in (container | values).items() if one is not None}
        inputs["containerDefinitions"] = json.dumps([there])

    return changed("TaskDefinition", run, service)
