"""Chromium where none is: installed when this user may, and said so when not."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import browser

TESTS = Path(__file__).parent


@pytest.fixture
def programs(tmp_path, monkeypatch):
    """Give the only folder on PATH, and a function that writes a program into it."""
    monkeypatch.setenv("PATH", str(tmp_path))

    def write(name, script):
        path = tmp_path / name
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)

    write.log = tmp_path / "log"
    write.apt_get = (
        f'echo "$@" >> {write.log}; case "$*" in *install*) /bin/cp "$0" {tmp_path}/chromium;; esac'
    )
    return write


@pytest.mark.parametrize("name", browser.NAMES)
def test_the_machines_own_is_found_and_nothing_installed(programs, name, capfd):
    programs(name, "")
    programs("apt-get", programs.apt_get)

    browser.install()

    assert browser.find().endswith(name)
    assert not programs.log.exists()
    assert capfd.readouterr().out == ""


def test_root_installs_the_distributions(programs, monkeypatch, capfd):
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    programs("apt-get", programs.apt_get)

    browser.install()

    assert browser.find().endswith("chromium")
    update, install = programs.log.read_text().splitlines()
    assert update.endswith("update")
    assert install.endswith("chromium")
    assert "installing" in capfd.readouterr().out


def test_so_does_who_may_become_root_without_a_password(programs, monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    programs("apt-get", programs.apt_get)
    programs("true", "")
    programs("sudo", f'echo sudo "$@" >> {programs.log}; shift; exec "$@"')

    browser.install()

    assert browser.find()
    assert programs.log.read_text().count("sudo -n apt-get") == 2


@pytest.mark.parametrize(
    ("present", "said"),
    [
        ({}, "only root"),
        ({"apt-get": "exit 100"}, "only root"),
        ({"apt-get": "exit 100", "sudo": "exit 1"}, "only root"),
        ({"apt-get": "exit 100", "sudo": 'shift; exec "$@"', "true": ""}, "could not be installed"),
    ],
    ids=["no apt-get", "no sudo", "sudo asks for a password", "apt-get fails"],
)
def test_where_it_cannot_be_installed_it_says_so_and_ends_well(
    programs, monkeypatch, capfd, present, said
):
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    for name, script in present.items():
        programs(name, script)

    browser.install()

    assert browser.find() is None
    assert said in capfd.readouterr().out


@pytest.mark.parametrize(("ci", "outcome"), [("", "1 skipped"), ("true", "1 error")])
def test_without_one_the_tests_of_the_pages_are_skipped_but_fail_in_ci(tmp_path, ci, outcome):
    asked = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-k", "console"]
    run = subprocess.run(
        [*asked, str(TESTS / "test_watch.py")],
        env={**os.environ, "PATH": str(tmp_path), "CI": ci},
        cwd=TESTS.parents[1],
        capture_output=True,
        text=True,
    )

    assert outcome in run.stdout
    assert "make browser" in run.stdout
