"""Deploys that were killed at any moment leave nothing that needs a person: five of the fifty of
`make test-engine`."""

from __future__ import annotations

import pytest

from engine.healing.trials import a_field, killed


@pytest.mark.parametrize(
    ("where", "_number"),
    [("after", 1), ("any time", 1), ("before", 1), ("any time", 2), ("after", 2)],
)
def test_the_next_deploy_goes_on_without_help(there, where, _number, seed):
    seen = killed(there, seed, where=where)
    if where == "after":
        assert seen["noted_as_begun"]


def test_without_healing_it_would_not(seed):
    with a_field() as there, pytest.raises(AssertionError, match="is currently locked by 1 lock"):
        killed(there, seed, where="after", without="healing")
