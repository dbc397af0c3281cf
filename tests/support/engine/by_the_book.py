"""A runbook's own blocks, typed at a terminal, and what it says of them compared with what came.

A block is that of a step, such as `Diagnosis 2`, or of a section without steps, such as `Verify`.
It is run as it stands in the Markdown file, by bash, with `retainwise` and the like on the path;
what a command asks is answered as the runbook shows it.
"""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from localcloud.program import CHECKOUT

RUNBOOKS = CHECKOUT / "runbooks"
_LONGEST_S = 120.0
_SUPPORT = Path(__file__).parent
_FENCE = re.compile(
    r"^(?P<indent> *)```(?P<kind>bash|text)\n(?P<text>.*?)^(?P=indent)```\n",
    re.MULTILINE | re.DOTALL,
)
_QUESTION = re.compile(r"^(?P<asked>.*(?:\[y/N\]|, to break it)): ", re.MULTILINE)
_LEFT_OUT = "…"
_SEQUENCES = re.compile(r"\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b\[[0-9;?]*[A-JL-Za-z]")
# What differs from run to run, and between prod and the few resources of a test.
_ALIKE = (
    (re.compile(r"\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b"), "<version>"),
    (re.compile(r"\b01[0-9A-Z]{24}\b"), "<id>"),
    (re.compile(r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d(\.\d+)?(\+00:00)?"), "<time>"),
    (re.compile(r"\b\d\d:\d\d:\d\d UTC"), "<time>"),
    (re.compile(r"\b\d+ (h \d+ min|min \d+ s|s)\b"), "<age>"),
    (re.compile(r"\bto deploy(?: [0-9a-f]{7})?(?=[,;])"), "to deploy <commit>"),
    (re.compile(r"\b[\w-]+@[\w.-]+"), "<who>"),
    (re.compile(r"\S+/pulumi cancel"), "pulumi cancel"),
    (re.compile(r"https?://\S+/"), "prod's "),
    (re.compile(r"\b(?:[A-Z][a-z]+)+ (?:prod's )?prod-retainwise-[\w-]+"), "<resource>"),
    (re.compile(r"\d+"), "<n>"),
    (re.compile(r"(?<=\S) {2,}"), "  "),
)


@dataclass
class Step:
    """A step of a runbook: its block, and what it shows that comes of it or can come."""

    bash: str | None = None
    texts: list[str] = field(default_factory=list)


def steps(name: str) -> dict[str, Step]:
    """Return the steps of a runbook that have blocks, by section and number."""
    text = (RUNBOOKS / f"{name}.md").read_text("utf-8")
    found: dict[str, Step] = {}
    for match in _FENCE.finditer(text):
        before = text[: match.start()]
        title = ["First", *re.findall(r"^## (.+)$", before, re.MULTILINE)][-1]
        number = re.findall(r"^(\d+)\. ", before, re.MULTILINE)[-1] if match["indent"] else ""
        step = found.setdefault(f"{title} {number}".strip(), Step())
        inside = textwrap.dedent(match["text"])
        if match["kind"] == "text":
            step.texts.append(inside)
        else:
            assert step.bash is None, f"{name}: two blocks in {title} {number}"
            step.bash = inside
    return found


def answers(text: str) -> list[str]:
    """Return what a person types in what is shown, in order."""
    found = ((line, _QUESTION.match(line)) for line in text.splitlines())
    return [line[match.end() :] for line, match in found if match]


@dataclass(frozen=True)
class Desk:
    """Where a person sits: a checkout, a terminal, and the commands on the path.

    length_s: of the lease, seconds.
    """

    project: Path
    commands: Path
    length_s: float

    def __post_init__(self) -> None:
        deploy = _SUPPORT / "healing" / "deploy.py"
        options = f'{{"length_s": {self.length_s}, "without": null}}'
        self._command("retainwise", f"{deploy} '{options}' \"$@\" --project '{self.project}'")
        self._command("aws", f'{_SUPPORT / "aws_cli.py"} "$@"')

    def _command(self, name: str, what: str) -> None:
        file = self.commands / name
        file.write_text(f"#!/bin/bash\nexec '{sys.executable}' {what}\n", "utf-8")
        file.chmod(0o755)

    def environment(self, **more: str) -> dict[str, str]:
        """Return what a command has there; `ana` works on it."""
        return {
            **os.environ,
            "PYTHONPATH": os.pathsep.join(sys.path),
            "PATH": os.pathsep.join([str(self.commands), os.environ["PATH"]]),
            "LOGNAME": "ana",
            **more,
        }

    def type(self, bash: str, answers: Sequence[str] = (), **more: str) -> str:
        """Run bash at a terminal, answer what is asked, and return all that is seen there."""
        answers, kept = list(answers), self.commands / "variables"
        kept.touch()
        master, slave = pty.openpty()
        with subprocess.Popen(
            # What a block sets, those after it have: it is the same terminal to the person.
            ["bash", "--norc", "-u", "-c", f"set -a; . '{kept}'\n{bash}\nexport -p >'{kept}'"],
            cwd=self.project,
            env=self.environment(**more),
            stdin=slave,
            stdout=slave,
            stderr=slave,
            start_new_session=True,
        ):
            os.close(slave)
            seen, asked = "", 0
            until = time.monotonic() + _LONGEST_S
            for text in _read(master):
                seen += text
                assert time.monotonic() < until, seen
                questions = _QUESTION.findall(_as_seen(seen))
                if len(questions) > asked:
                    asked = len(questions)
                    assert answers, f"it asks what the runbook does not show:\n{seen}"
                    os.write(master, f"{answers.pop(0)}\n".encode())
            os.close(master)
        assert not answers, f"it does not ask what the runbook shows:\n{_as_seen(seen)}"
        return _as_seen(seen)


def _read(terminal: int) -> Iterator[str]:
    """Yield what is written to a terminal until nobody has it open any more."""
    while True:
        try:
            text = os.read(terminal, 65_536)
        except OSError:  # so Linux tells it
            return
        if not text:
            return
        yield text.decode(errors="replace")


def _as_seen(text: str) -> str:
    """Return what stays on the screen: what was written over is gone."""
    lines = _SEQUENCES.sub("", text).replace("\r\n", "\n").split("\n")
    return "\n".join(line.rpartition("\x1b[K")[2].rpartition("\r")[2] for line in lines)


def alike(line: str) -> str:
    """Leave out of a line what differs from run to run."""
    for pattern, said in _ALIKE:
        line = pattern.sub(said, line)
    return line.rstrip()


def differs(shown: str, came: str, may_miss: Sequence[str] = ()) -> str | None:
    """Say where what came is not what a runbook shows; none when it is.

    `…` stands for anything, and alone on a line for any lines.
    may_miss: what a line of the runbook has that need not come.
    """
    lines = [alike(line) for line in came.splitlines() if line.strip()]
    place, may_skip = 0, False
    for one in shown.splitlines():
        if one.strip() == _LEFT_OUT:
            may_skip = True
            continue
        wanted = ".*".join(map(re.escape, alike(one).split(_LEFT_OUT)))
        rest = lines[place:] if may_skip else lines[place : place + 1]
        at = next((at for at, line in enumerate(rest) if re.fullmatch(wanted, line)), None)
        if at is not None:
            place, may_skip = place + at + 1, False
        elif not any(part in one for part in may_miss):
            return f"shown: {alike(one)}\ncame:  {[*lines[place:], 'nothing'][0]}\nof:\n{came}"
    if place < len(lines) and not may_skip:
        return f"shown: nothing more\ncame:  {lines[place]}\nof:\n{came}"
    return None
