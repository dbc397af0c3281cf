"""The Pulumi CLI: the machine's own when its version is the pinned one, else built, else said."""

from __future__ import annotations

import io
import subprocess
import sys

import pytest

from operations import toolchain

RIGHT, WRONG = f"echo v{toolchain.VERSION}", "echo v3.0.0"


@pytest.fixture
def programs(tmp_path, monkeypatch):
    """The only folder on PATH, into which programs are written, and a cache of one's own."""
    (tmp_path / "bin").mkdir()
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))

    def write(name, script):
        path = tmp_path / "bin" / name
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)
        return path

    return write


# Takes the place of `go build … -o PATH COMMAND`, and builds a CLI that says its version.
GO = f"""
while [ "$1" != -o ]; do shift; done
printf '#!/bin/sh\\n{RIGHT}\\n' > "$2"; /bin/chmod +x "$2"
"""


def test_the_one_on_the_path_is_used_when_its_version_is_the_pinned_one(programs):
    own = programs("pulumi", RIGHT)
    programs("go", "exit 1")
    assert toolchain.install(io.StringIO()) == own
    assert toolchain.pulumi() == own


def test_another_version_is_not_used(programs):
    programs("pulumi", WRONG)
    with pytest.raises(toolchain.NoToolchain, match=r"is 3\.0\.0\. Run `make tools`"):
        toolchain.pulumi()


def test_it_is_built_once_outside_the_checkout(programs, tmp_path):
    programs("pulumi", WRONG)
    programs("go", GO)
    log = io.StringIO()
    built = toolchain.install(log)
    assert built.is_relative_to(tmp_path / "cache")
    assert "building the Pulumi CLI" in log.getvalue()
    programs("go", "exit 1")
    assert toolchain.install(io.StringIO()) == toolchain.pulumi() == built


def test_a_build_that_fails_says_why_and_leaves_nothing(programs, tmp_path):
    programs("go", "echo no such module >&2; exit 1")
    with pytest.raises(toolchain.NoToolchain, match="Go says: no such module"):
        toolchain.install(io.StringIO())
    assert [path for path in (tmp_path / "cache").rglob("*") if path.is_file()] == []


def test_with_neither_it_says_what_to_install(programs):
    with pytest.raises(toolchain.NoToolchain, match=r"no Go \(1\.25 or newer\).*pulumi\.com"):
        toolchain.install(io.StringIO())


def test_a_long_build_shows_that_it_goes_on(programs, monkeypatch):
    monkeypatch.setattr(toolchain, "_SAY_EVERY_S", 0.05)
    programs("go", f"/bin/sleep 0.4{GO}")
    log = io.StringIO()
    toolchain.install(log)
    assert "still building" in log.getvalue()


def test_as_a_command_it_ends_with_an_error_and_one_line(programs):
    done = subprocess.run(
        [sys.executable, "-m", "operations.toolchain"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert done.stderr.startswith("make tools: the Pulumi CLI")
    assert len(done.stderr.splitlines()) == 1
