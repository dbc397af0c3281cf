"""Chromium for the tests and pictures of the pages: the machine's own, or the distribution's.

As a command (`make browser`) it installs one where none is, and ends well whatever comes of that:
whoever needs the browser says what its absence means there.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import Browser

NAMES = ("chromium", "chromium-browser", "google-chrome")
_PACKAGE = "chromium"  # Debian's
_FLAGS = (
    "--no-sandbox",  # the sandbox refuses to run as root, as CI does
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-proxy-server",
    # What the browser wants from its maker on its own finds nobody either.
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
)


def find() -> str | None:
    """Return the path of a Chromium; None when there is none."""
    return next(filter(None, map(shutil.which, NAMES)), None)


def install() -> None:
    """Install the distribution's Chromium where none is, when that is possible without asking."""
    if find():
        return
    apt_get = _apt_get()
    if apt_get is None:
        _say("there is none, and only root can install one, with apt-get")
        return
    _say(f"installing the distribution's package {_PACKAGE} (some 100 MB, once)")
    for step in (["update"], ["install", "--yes", "--no-install-recommends", _PACKAGE]):
        # Without a terminal no package asks anything.
        subprocess.run([*apt_get, *step], stdin=subprocess.DEVNULL, check=False)
    if not find():
        _say("it could not be installed; apt-get says why above")


@contextmanager
def running(path: str) -> Iterator[Browser]:
    """Run the Chromium at `path`, unseen; it reaches this machine alone."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=_FLAGS)
        yield browser
        browser.close()


def _apt_get() -> list[str] | None:
    """Give the command that may install; None when this user may not."""
    if not shutil.which("apt-get"):
        return None
    quietly = ["apt-get", "--quiet", "--option", "DPkg::Lock::Timeout=60"]
    if os.geteuid() == 0:
        return quietly
    may = shutil.which("sudo") and subprocess.run(
        ["sudo", "-n", "true"], stderr=subprocess.DEVNULL, check=False
    )
    return ["sudo", "-n", *quietly] if may and may.returncode == 0 else None


def _say(what: str) -> None:
    print(f"Chromium: {what}", flush=True)  # noqa: T201 - it is a command


if __name__ == "__main__":
    install()
