"""A job process that is none: each job runs where it is given, with the shipped model."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from model.artifact import SHIPPED, load
from worker.job import Job, run

if TYPE_CHECKING:
    from predictions.files import Files
    from predictions.record import Prediction
    from worker.job import Finished


class JobInThisProcess:
    """Runs each job when it is given."""

    def __init__(self, files: Files) -> None:
        self.files = files
        self.model = load(SHIPPED)

    def ensure_ready(self) -> None:
        """It always is."""

    def send(self, progress: object) -> None:
        """Nobody listens."""

    def run(self, prediction: Prediction) -> None:
        """Score it, at once."""
        with TemporaryDirectory() as folder:
            job = Job(prediction, Path(folder))
            self.event = run(job, self.model, self.files, 1, self)

    def next_event(self, timeout_s: float) -> Finished:
        """Say what came of it."""
        return self.event

    def stop(self) -> None:
        """There is nothing to stop."""
