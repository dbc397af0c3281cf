"""A text's bash blocks, run by bash in their order with programs that only write down their call.

So what is judged is what bash makes of a block: its quotes, variables, loops and pipes. No block
can do anything here: on the path there are the recorders and a few filters, nothing else.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from operations.graph import ACCOUNT_ID

_RECORDED = ("aws", "curl", "git", "make", "pulumi", "retainwise", "sed")
_FILTERS = ("cut", "date", "grep", "head", "paste", "sort", "uniq", "wc")
_END = "\x1e"
# A line of a log, which filters and loops take as they take a list of ids.
_SAID = """ {"event": "job_failed", "prediction": "01M864PSY1XY8RDE4PHFWF680Z"}"""
_RECORDER = f"""#!{shutil.which("bash")}
printf '%s\\0' "${{0##*/}}" "$@" $'{_END}' >>"$CALLS"
case "$*" in
  *get-caller-identity*) echo {ACCOUNT_ID} ;;
  *) printf '%s\\n' '{_SAID}' ;;
esac
"""
_BLOCK = re.compile(r"^( *)```bash\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Pasted:
    """What came of it: every call with its arguments, and what bash complained of."""

    calls: Sequence[Sequence[str]]
    complaints: str


def bash_blocks(text: str) -> list[str]:
    """Return the fenced bash blocks of a Markdown text."""
    return [textwrap.dedent(block) for _, block in _BLOCK.findall(text)]


def paste(blocks: Sequence[str], folder: Path) -> Pasted:
    """Run blocks one after another in one shell, in which an unset variable is an error."""
    for name in _RECORDED:
        program = folder / name
        program.write_text(_RECORDER)
        program.chmod(0o755)
    for name in _FILTERS:
        (folder / name).symlink_to(shutil.which(name))
    calls = folder / "calls"
    calls.touch()
    done = subprocess.run(
        [shutil.which("bash"), "--norc", "-u", "-c", "\n".join(blocks)],
        capture_output=True,
        text=True,
        timeout=60,
        cwd=folder,
        env={"PATH": str(folder), "CALLS": str(calls), "LC_ALL": os.environ.get("LC_ALL", "C")},
    )
    records = calls.read_text().split(f"{_END}\0")[:-1]
    return Pasted([one.split("\0")[:-1] for one in records], done.stderr)
