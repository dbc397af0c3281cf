"""What the Makefile asks of the system's Python, before there is a virtualenv."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from retainwise import preflight

SCRIPT = Path(preflight.__file__)


def test_this_python_will_do():
    done = subprocess.run([sys.executable, "-I", SCRIPT], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize("version", [(3, 8), (3, 10)])
def test_an_old_python_is_told_in_one_line(version):
    line = preflight.problem(version)
    assert f"this is {version[0]}.{version[1]}" in line
    assert "make up PYTHON=" in line
    assert "\n" not in line


def test_a_missing_module_is_told_with_how_to_get_it():
    line = preflight.problem((3, 11), (("not_there", "the virtual environment"),))
    assert "lacks its module not_there" in line
    assert "apt install python3-venv" in line


def test_it_can_be_read_by_the_pythons_that_it_refuses():
    ast.parse(SCRIPT.read_text(), feature_version=(3, 6))


def test_it_imports_nothing_but_the_standard_library():
    imported = {
        alias.name
        for node in ast.walk(ast.parse(SCRIPT.read_text()))
        if isinstance(node, ast.Import)
        for alias in node.names
    }
    assert imported <= set(sys.stdlib_module_names)
