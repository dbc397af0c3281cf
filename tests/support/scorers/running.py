"""Runs scorers as processes of their own: warm ones that answer, whole commands, the pass in C."""

from __future__ import annotations

import csv
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from localcloud.program import CHECKOUT
from model.artifact import Schema
from predictions.schema import read_schema

SUPPORT = Path(__file__).parents[1]
AS_COMMAND = Path(__file__).with_name("as_command.py")
IN_C = Path(__file__).with_name("onepass.c")

OFFLINE = str(SUPPORT / "loopback")
"""Python starts with it: no connection leaves this machine. Every contender bears it alike."""
PRODUCT = (OFFLINE, *map(str, (SUPPORT, CHECKOUT, CHECKOUT / "platform")))


@dataclass(frozen=True)
class Run:
    """What one run took."""

    took_s: float
    peak_bytes: int = 0
    """Of the process so far; 0 where nobody asked."""
    cpu_s: float = 0
    """Of a command: user and system."""


class ContenderFailed(Exception):
    """A scorer or a command came to a bad end; its own words are above."""


class Warm:
    """A process that scores what it is asked to. Use as a context: it ends with the block."""

    def __init__(self, module: str, model: Path, target: Path) -> None:
        self._target = target
        self._command = [sys.executable, "-m", "scorers", module, str(model)]

    def __enter__(self) -> Warm:
        self._process = subprocess.Popen(
            self._command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=with_path(PRODUCT),
            cwd=CHECKOUT,
            text=True,
        )
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()

    def score(self, source: Path, *, reasons: bool) -> Run:
        """Score a file; where the result goes, the last one was."""
        request = {"source": str(source), "target": str(self._target), "reasons": reasons}
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        if not answer:
            raise ContenderFailed(" ".join(self._command))
        return Run(**json.loads(answer))


def run_command(
    python: Path | str, command: Sequence[str | Path], path: Sequence[str], peak: Path
) -> Run:
    """Run a Python program as a command, from start to end; `peak` is a file for it to write."""
    peak.unlink(missing_ok=True)
    began = time.perf_counter()
    process = subprocess.Popen(
        [python, AS_COMMAND, peak, *command],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        env=with_path(path) | {"MLFLOW_DISABLE_TELEMETRY": "true"},
        cwd=peak.parent,
    )
    said = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    took_s = time.perf_counter() - began
    process.stderr.close()
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.stderr.buffer.write(said)
        raise ContenderFailed(" ".join(map(str, command)))
    return Run(took_s, int(peak.read_text()), usage.ru_utime + usage.ru_stime)


def with_path(path: Sequence[str]) -> Mapping[str, str]:
    """Return this environment with another path of Python's."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join(path)}


def compiled(folder: Path) -> Path | None:
    """Compile the pass in C; None where there is no compiler."""
    compiler = shutil.which(os.environ.get("CC", "cc"))
    if compiler is None:
        return None
    program = folder / "onepass"
    subprocess.run([compiler, "-std=c11", "-O3", "-o", program, IN_C], check=True)
    return program


def one_pass(program: Path, source: Path, model: Path) -> Run:
    """Run the pass in C over a file: start and end of a process are a millisecond of it."""
    schema = read_schema(model, Schema)
    letters = {c.name: "n" if c.kind == "numeric" else "w" for c in schema.columns}
    with source.open(encoding="utf-8", newline="") as file:
        header = next(csv.reader(file))
    kinds = "".join("i" if name == schema.id_column else letters.get(name, "-") for name in header)
    began = time.perf_counter()
    subprocess.run([program, source, program.with_suffix(".csv"), kinds], check=True)
    return Run(time.perf_counter() - began)
