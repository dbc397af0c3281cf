"""What the texts point to is there."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from differences import DIFFERENCES
from retainwise.cli import COMMANDS

ROOT = Path(__file__).parents[1]
TEXTS = sorted(
    path
    for path in ROOT.rglob("*.md")
    if not any(part.startswith(".") for part in path.relative_to(ROOT).parts)
)


@pytest.mark.parametrize("text", TEXTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_relative_link_leads_somewhere(text):
    links = re.findall(r"\]\(([^)#]+?)(?:#[^)]*)?\)", text.read_text())
    missing = [
        link
        for link in links
        if not re.match(r"[a-z]+:", link) and not (text.parent / link).exists()
    ]
    assert missing == []


def test_every_make_command_in_the_texts_exists():
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = {
        name
        for text in TEXTS
        for name in re.findall(r"`(?:\w+=\w+ )?make ([a-z]+)", text.read_text())
    }
    assert named
    assert named <= targets


def test_every_retainwise_command_in_the_texts_exists():
    named = {
        name
        for text in TEXTS
        for name in re.findall(r"`(?:\.venv/bin/)?retainwise ([a-z]+)", text.read_text())
    }
    assert {"deploy", "drift", "rollback"} <= named <= set(COMMANDS)


def test_every_test_that_the_texts_name_exists():
    tests = {
        name
        for path in (ROOT / "tests").rglob("test_*.py")
        for name in re.findall(r"def (test_\w+)\(", path.read_text())
    }
    named = {name for text in TEXTS for name in re.findall(r"`(test_\w+)`", text.read_text())}
    assert {known.test for known in DIFFERENCES} <= named <= tests


def test_every_command_of_the_command_line_explains_itself():
    asked = [sys.executable, "-m", "retainwise", "--help"]
    listed = subprocess.run(asked, capture_output=True, text=True, check=True, cwd=ROOT).stdout
    for name in COMMANDS:
        assert re.search(rf"^  {name} +\w", listed, re.MULTILINE), f"{name} is not in:\n{listed}"
