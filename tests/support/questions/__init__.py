"""Questions to the graph of a stack, in words; each answers with what is wrong, hopefully nothing.

Beside each stands a way to break the graph that the question must find. A module for each concern;
`asking` has what they are asked with.
"""

from __future__ import annotations

from questions import (
    compute,
    data,
    edge,
    events,
    identity,
    keys,
    names,
    network,
    observability,
    order,
    recovery,
    trails,
)
from questions.asking import (
    QUESTIONS,
    Asked,
    Break,
    changed,
    in_container,
    in_policy,
    setting,
    without,
)

ALL = tuple(QUESTIONS)

__all__ = [
    "ALL",
    "Asked",
    "Break",
    "changed",
    "compute",
    "data",
    "edge",
    "events",
    "identity",
    "in_container",
    "in_policy",
    "keys",
    "names",
    "network",
    "observability",
    "order",
    "recovery",
    "setting",
    "trails",
    "without",
]
