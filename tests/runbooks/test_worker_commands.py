"""The commands of the worker's runbooks on predictions and dead letters do what they say there."""

from __future__ import annotations

import re

import pytest

from walked import OF_THE_WORKER, RUNBOOKS, alike, blocks, walked

each_runbook = pytest.mark.parametrize("name", OF_THE_WORKER)


@each_runbook
def test_what_a_command_prints_is_what_the_runbook_says(name):
    ran = walked(name)
    assert ran
    for block, said in ran:
        if block.text is not None:
            assert alike(said) == alike(block.text), block.bash


@each_runbook
def test_no_command_is_left_out(name):
    """One inside a loop or behind a pipe would not be run as it stands."""
    text = (RUNBOOKS / f"{name}.md").read_text()
    written = re.findall(
        r"\bretainwise (?:predictions|dlq) \w+ ", "".join(b.bash for b in blocks(text))
    )
    ran = [line for block, _ in walked(name) for line in block.bash.splitlines()]
    assert len(written) == sum(line.startswith("retainwise ") for line in ran)


def test_every_command_on_predictions_is_in_a_runbook():
    from retainwise.predictions import predictions

    text = "".join((RUNBOOKS / f"{name}.md").read_text() for name in OF_THE_WORKER)
    named = set(re.findall(r"retainwise predictions (\w+) ", text))
    assert named == set(predictions.commands)
