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
    """A question's name, answer and twin, as pytest shows it."""

    name: str
    answer: Answer
    broken: Break


QUESTIONS: list[Asked] = []


def question(broken: Break) -> Callable[[Answer], Answer]:
    """Ask a question of every stack; its name is the sentence that must hold."""

    def add(answer: Answer) -> Answer:
        QUESTIONS.append(Asked(answer.__name__.replace("_", " "), answer, broken))
        return answer

    return add


def changed(
    kind: str, change: Callable[[dict[str, Any]], object], end: str = "", **guards: bool
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


def without(kind: str) -> Break:
    """Leave out the first resource of a type."""

    def run(graph: Graph) -> Graph:
        gone = next(one for one in graph.resources if kind_of(one) == kind)
        return Graph(graph.stack, graph.region, [one for one in graph.resources if one is not gone])

    return run


def in_policy(kind: str, change: Callable[[dict[str, Any]], object]) -> Break:
    """Change the first statement of a policy."""

    def run(inputs: dict[str, Any]) -> None:
        document = json.loads(inputs["policy"])
        change(document["Statement"][0])
        inputs["policy"] = json.dumps(document)

    return changed(kind, run)


def in_container(**values: object) -> Break:
    def run(inputs: dict[str, Any]) -> None:
        [container] = json.loads(inputs["containerDefinitions"])
        inputs["containerDefinitions"] = json.dumps([container | values])

    return changed("TaskDefinition", run)
