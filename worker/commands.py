"""`retainwise worker`: the service, from its environment to its exit code."""

from __future__ import annotations

import sys

import click


@click.command()
def worker() -> None:
    """Score what is queued, until SIGTERM."""
    from botocore.exceptions import NoRegionError

    from predictions.settings import SettingsError, read_settings
    from worker.job_process import JobProcessUnusable
    from worker.service import serve
    from worker.settings import WorkerSettings

    try:
        sys.exit(serve(read_settings(WorkerSettings)))
    except (SettingsError, JobProcessUnusable, NoRegionError) as exc:
        click.echo(f"retainwise worker: {exc}", err=True)
        sys.exit(2)
