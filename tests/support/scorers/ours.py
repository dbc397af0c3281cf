"""RetainWise: the one place in which the bench of the model asks it to score."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

from model.artifact import load
from model.scoring.predict import score_file
from model.scoring.processors import processors

COMMAND = Path(sys.executable).with_name("retainwise")


def scorer(folder: Path) -> Callable[..., None]:
    """Return what scores a file with the model in the folder."""
    model = load(folder)

    def score(source: Path, target: Path, *, reasons: bool) -> None:
        score_file(
            source,
            target,
            model,
            threads=processors(),
            progress=lambda _rows, _share: None,
            reasons=reasons,
        )

    return score


def command(source: Path, target: Path, model: Path, *, reasons: bool) -> list[str | Path]:
    """Return the command that scores a file, as a person types it."""
    leave_out = [] if reasons else ["--no-reasons"]
    return [COMMAND, "predict", source, "-o", target, "--model", model, *leave_out]
