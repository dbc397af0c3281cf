"""The scripts of others are what their table says: version, content and licence."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import pytest

import app

VENDOR = Path(app.__file__).parent / "static" / "vendor"
LINE = re.compile(
    r"^\| [^|]+ \| (?P<version>[\d.]+) \| `(?P<file>[^`]+)` \| `(?P<sha256>[0-9a-f]{64})` "
    r"\| \[[\w-]+\]\((?P<licence>[^)]+)\) \| [^|]+ \|$",
    re.MULTILINE,
)
LISTED = [match.groupdict() for match in LINE.finditer((VENDOR / "README.md").read_text())]


@pytest.mark.parametrize("script", LISTED, ids=lambda script: script["file"])
def test_a_script_is_the_one_that_was_published(script):
    content = (VENDOR / script["file"]).read_bytes()

    assert hashlib.sha256(content).hexdigest() == script["sha256"]
    assert "Permission to use" in (VENDOR / script["licence"]).read_text()


def test_htmx_says_the_version_of_the_table():
    versions = {script["file"]: script["version"] for script in LISTED}

    assert f'version:"{versions["htmx.min.js"]}"' in (VENDOR / "htmx.min.js").read_text()


def test_nothing_else_is_there():
    listed = {name for script in LISTED for name in (script["file"], script["licence"])}

    assert {path.name for path in VENDOR.iterdir()} == listed | {"README.md"}
    assert len(LISTED) == 2
