"""Of two deploys that are started together, one is at work at a time: five of the fifty of
`make test-engine`."""

from __future__ import annotations

import pytest

from engine.healing.trials import a_field, raced


@pytest.mark.parametrize("number", range(5))
def test_two_are_never_both_at_work(there, number, seed):
    raced(there, seed)


def test_without_the_lease_they_would_be(seed):
    with a_field() as there, pytest.raises(AssertionError, match="both were at work"):
        raced(there, seed, is_held=True, without="lease")
