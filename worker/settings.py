"""What the worker reads from its environment beyond what both services read."""

from __future__ import annotations

from pydantic import Field

from predictions.aws import LONGEST_POLL_S
from predictions.settings import ServiceSettings


class WorkerSettings(ServiceSettings):
    """The worker's settings; each is declared on its task definition."""

    predictions_dlq_url: str = Field(min_length=1)
    lease_s: int = Field(
        30,
        ge=1,
        le=43_200,
        description="How long a dead worker can hide a job; the queue's visibility timeout.",
    )
    job_processes: int = Field(1, ge=1, le=32, description="Jobs at a time.")
    job_threads: int = Field(
        0,
        ge=0,
        le=64,
        description="Threads that score one job; 0: the job's share of the container's processors.",
    )
    stop_budget_s: int = Field(
        110, ge=1, description="From SIGTERM to exit; below the task's stopTimeout of 120 s."
    )
    poll_wait_s: int = Field(20, ge=1, le=LONGEST_POLL_S, description="Length of one long poll.")
    sweep_every_s: float = Field(5, gt=0, description="Pause between two sweeps.")
    max_attempts: int = Field(5, ge=1, description="Attempts before a job that dies is FAILED.")
    stuck_after_s: int = Field(
        600,
        ge=1,
        description="Without progress for so long, a job is killed: an attempt that died.",
    )
