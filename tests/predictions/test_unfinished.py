"""That nothing unfinished is left beside a result, whatever ends the process and when."""

from __future__ import annotations

import subprocess
import sys

import pytest

from predictions.unfinished import unfinished_in

# Ends like a signal, at the line that is the nth of what makes and deletes the folder.
ENDED_AT = """
import shutil, sys
from pathlib import Path
from predictions import unfinished

folder, left = Path(sys.argv[1]), int(sys.argv[2])

def trace(frame, event, _):
    global left
    if frame.f_code.co_filename not in (unfinished.__file__, shutil.__file__):
        return None
    if event == "line":
        left -= 1
        if left == 0:
            sys.settrace(None)
            raise SystemExit(143)
    return trace

sys.settrace(trace)
with unfinished.unfinished_in(folder) as ours:
    (ours / "result.csv").write_text("a customer's")
"""


def ended_at(folder, line):
    command = [sys.executable, "-c", ENDED_AT, str(folder), str(line)]
    return subprocess.run(command, check=False, timeout=60).returncode


def test_nothing_is_left_wherever_it_is_ended(tmp_path):
    line = 1
    while ended_at(tmp_path, line) != 0:
        assert list(tmp_path.iterdir()) == [], f"it was ended at line {line}"
        line += 1
    assert list(tmp_path.iterdir()) == []
    assert line > 20  # making it, the block, and a good part of deleting it


def test_it_is_for_the_owner_only_and_gone_after_the_block(tmp_path):
    with unfinished_in(tmp_path) as ours:
        assert ours.parent == tmp_path
        assert ours.stat().st_mode & 0o777 == 0o700
        (ours / "result.csv").write_text("a customer's")
    assert list(tmp_path.iterdir()) == []


def test_where_it_cannot_be_made_the_error_says_so(tmp_path):
    with pytest.raises(FileNotFoundError), unfinished_in(tmp_path / "nowhere"):
        pytest.fail("there is no such folder")
