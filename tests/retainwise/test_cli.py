"""The table of commands, and what calling one costs."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys

import pytest
from click.testing import CliRunner

from retainwise.cli import COMMANDS, main

LOADED = """
import json, sys
from retainwise.cli import main
try:
    main(sys.argv[1:])
except SystemExit:
    pass
heavy = {"pulumi", "pulumi_aws", "flask", "boto3", "botocore", "xgboost", "pandas", "localcloud"}
print("LOADED", json.dumps(sorted(heavy & set(sys.modules))))
"""


def loaded_by(*arguments):
    """Which of the heavy packages a command line imports."""
    done = subprocess.run(
        [sys.executable, "-c", LOADED, *arguments], capture_output=True, text=True, check=True
    )
    return json.loads(done.stdout.rpartition("LOADED ")[2])


def test_help_imports_nothing_heavy():
    assert loaded_by("--help") == []


def test_predict_pays_neither_for_pulumi_nor_for_flask_nor_for_aws():
    heavy = set(loaded_by("predict", "--help"))
    assert not heavy & {"pulumi", "pulumi_aws", "flask", "boto3", "botocore", "localcloud"}


def test_every_command_is_listed_with_what_it_does():
    listed = CliRunner().invoke(main, ["--help"]).output
    for name, (_, line) in COMMANDS.items():
        assert f"  {name}" in listed
        assert line in listed


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_command_exists_and_explains_itself(name):
    module = COMMANDS[name][0].partition(":")[0]
    assert importlib.util.find_spec(module) is not None
    outcome = CliRunner().invoke(main, [name, "--help"])
    assert outcome.exit_code == 0, outcome.output
    assert "Usage:" in outcome.output


def test_a_name_that_is_no_command_is_a_usage_error():
    outcome = CliRunner().invoke(main, ["deploi"])
    assert outcome.exit_code == 2
    assert "No such command 'deploi'" in outcome.output
