"""RetainWise: the one place in which the bench of the model asks it to score."""

from __future__ import annotations

import inspect
import os
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path

from model.artifact import load
from model.predict import score_file

THREADS = os.cpu_count() or 1
COMMAND = Path(sys.executable).with_name("retainwise")


def scorer(folder: Path) -> Callable[..., None]:
    """Return what scores a file with the model in the folder."""
    model = load(folder)

    def score(source: Path, target: Path, *, reasons: bool) -> None:
        can_leave_out = "reasons" in inspect.signature(score_file).parameters
        options = {"reasons": reasons} if can_leave_out else {}
        score_file(
            source, target, model, threads=THREADS, progress=lambda _rows, _share: None, **options
        )

    return score


def command(source: Path, target: Path, model: Path, *, reasons: bool) -> list[str | Path]:
    """Return the command that scores a file, as a person types it."""
    leave_out = [] if reasons else _leave_out()
    return [COMMAND, "predict", source, "-o", target, "--model", model, *leave_out]


@cache
def _leave_out() -> list[str]:
    """Return the option for a result without reasons, if there is one."""
    told = subprocess.run(
        [COMMAND, "predict", "--help"], capture_output=True, text=True, check=True
    )
    return ["--no-reasons"] if "--no-reasons" in told.stdout else []
