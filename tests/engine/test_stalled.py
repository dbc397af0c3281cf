"""A deploy that was stalled past its lease changes nothing when it wakes: five of the twenty of
`make test-engine`."""

from __future__ import annotations

import pytest

from engine.healing.trials import a_field, stalled


@pytest.mark.parametrize(
    ("where", "_number"),
    [("before", 1), ("signed", 1), ("after", 1), ("any time", 1), ("any time", 2)],
)
def test_what_wakes_changes_nothing(there, where, _number, seed):
    stalled(there, seed, where=where)


def test_without_the_fence_it_would(seed):
    """With its call signed and not sent: whatever looks before it sends has looked by then."""
    with a_field() as there:
        there.deploy(there.next_version())
        version = there.next_version()  # what is there would be changed back to this one
        with pytest.raises(AssertionError, match=r"release .* runs"):
            stalled(there, seed, where="signed", version=version, without="fence")
