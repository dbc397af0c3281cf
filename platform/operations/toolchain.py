"""The Pulumi CLI of the version that pyproject.toml pins: the machine's own, or built from source.

It is on no package index. As a command (`make tools`) it builds one where the PATH has none, from
the modules that `locks/pulumi` pins with their hashes: once for each machine, since what is built
is kept outside the checkout.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import threading
import time
from importlib import metadata
from pathlib import Path
from typing import TextIO

from localcloud.program import CHECKOUT
from operations.errors import OperationError

VERSION = metadata.version("pulumi")
"""Of the SDK, which the CLI must match: the format of the state hangs on it."""

_MODULES = CHECKOUT / "locks" / "pulumi"
_COMMAND = "github.com/pulumi/pulumi/pkg/v3/cmd/pulumi"
_STAMP = "github.com/pulumi/pulumi/sdk/v3/go/common/version.Version"
_SAY_EVERY_S = 15.0


class NoToolchain(OperationError):
    """There is no Pulumi CLI of the pinned version; the message says how to get it."""

    def __init__(self, why: str) -> None:
        super().__init__(
            f"the Pulumi CLI {VERSION} is missing: {why}. Run `make tools`, or install that "
            "version from pulumi.com so that `pulumi version` says it"
        )


def pulumi() -> Path:
    """Return the CLI of the pinned version, from the PATH or built here; raise NoToolchain."""
    on_path = shutil.which("pulumi")
    if on_path is not None and _version(Path(on_path)) == VERSION:
        return Path(on_path)
    if (built := _built()).exists():
        return built
    if on_path is not None:
        raise NoToolchain(f"{on_path} is {_version(Path(on_path)) or 'of no known version'}")
    raise NoToolchain("there is none on the PATH and none was built")


def install(log: TextIO) -> Path:
    """Build the CLI where there is none; raise NoToolchain when that is not possible.

    log: where progress is shown.
    """
    try:
        return pulumi()
    except NoToolchain:
        pass
    if (go := shutil.which("go")) is None:
        raise NoToolchain("it could be built, but there is no Go (1.25 or newer) on the PATH")
    built = _built()
    built.parent.mkdir(parents=True, exist_ok=True)
    # Two may build at once: each its own, and whoever comes last puts the same in its place.
    unfinished = built.with_name(f"pulumi.{os.getpid()}")
    print(f"building the Pulumi CLI {VERSION} from source (about five minutes, once)", file=log)
    errors = _build(go, unfinished, log)
    if errors is not None:
        unfinished.unlink(missing_ok=True)
        raise NoToolchain(f"building it failed, and Go says: {errors}")
    unfinished.replace(built)
    return built


def _build(go: str, to: Path, log: TextIO) -> str | None:
    """Build the CLI and say so now and then; return the last that Go says when it fails."""
    flags = f"-s -w -X {_STAMP}=v{VERSION}"
    command = [go, "build", "-mod=readonly", "-trimpath", "-tags=osusergo,grpcnotrace"]
    process = subprocess.Popen(
        [*command, f"-ldflags={flags}", "-o", to, _COMMAND],
        cwd=_MODULES,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    over = threading.Event()
    threading.Thread(target=_say_that_it_goes_on, args=(over, log), daemon=True).start()
    try:
        _, said = process.communicate()
    finally:
        over.set()
    if process.returncode == 0:
        return None
    return " | ".join(said.strip().splitlines()[-3:]) or f"exit {process.returncode}"


def _say_that_it_goes_on(over: threading.Event, log: TextIO) -> None:
    started = time.monotonic()
    while not over.wait(_SAY_EVERY_S):
        print(f"  still building, {time.monotonic() - started:.0f} s", file=log, flush=True)


def _built() -> Path:
    """Where it is built to: another set of modules is another place."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    sums = hashlib.sha256((_MODULES / "go.sum").read_bytes()).hexdigest()[:12]
    return cache / "retainwise" / f"pulumi-{VERSION}-{sums}" / "pulumi"


def _version(cli: Path) -> str | None:
    try:
        said = subprocess.run(
            [cli, "version"],
            env={**os.environ, "PULUMI_SKIP_UPDATE_CHECK": "true"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return said.stdout.strip().removeprefix("v") or None


if __name__ == "__main__":
    try:
        print(f"Pulumi CLI {VERSION}: {install(sys.stderr)}")  # noqa: T201 - it is a command
    except NoToolchain as exc:
        sys.exit(f"make tools: {exc}")
