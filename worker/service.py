"""The worker as a whole: its job processes, a consumer for each, the sweeper, and their end."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable

import structlog
from botocore.exceptions import BotoCoreError, ClientError

from model.scoring.processors import processors
from predictions import log as service_log
from predictions.aws import dynamodb_table, s3_client, sqs_client
from predictions.files import Files
from predictions.store import Store
from predictions.sweeper import Sweeper
from predictions.work_queue import WorkQueue
from worker import heartbeat
from worker.consumer import Consumer
from worker.job import JobSettings
from worker.job_process import JobProcess
from worker.liveness import LONGEST_ROUND_S, Liveness
from worker.protection import TaskProtection
from worker.settings import WorkerSettings
from worker.shutdown import Shutdown

_NOTICE_EVERY_S = 0.1

log = structlog.get_logger()


def serve(settings: WorkerSettings) -> int:
    """Work until SIGTERM or SIGINT; return the exit code: 0, or 1 when a part of it died.

    Raises JobProcessUnusable when the model cannot be loaded.
    """
    service_log.configure("worker", settings.retainwise_env)
    shutdown = Shutdown(settings.stop_budget_s)
    shutdown.listen()
    job_settings = JobSettings(
        model_dir=settings.model_dir,
        threads=settings.job_threads or max(1, processors() // settings.job_processes),
        uploads_bucket=settings.uploads_bucket,
        results_bucket=settings.results_bucket,
    )
    job_processes = [JobProcess(job_settings) for _ in range(settings.job_processes)]
    liveness = Liveness(
        heartbeat.path(),
        # It also pauses to commit again, for as long as the lease holds.
        loop_limit_s=LONGEST_ROUND_S
        + max(settings.poll_wait_s, settings.sweep_every_s, settings.lease_s),
        job_limit_s=settings.stuck_after_s,
        stop_budget_s=settings.stop_budget_s,
    )
    try:
        for process in job_processes:
            process.wait_ready()
        log.info("worker_ready", job_processes=len(job_processes))
        return _run_parts(_parts(settings, job_processes, shutdown, liveness), shutdown, liveness)
    finally:
        liveness.close()
        for process in job_processes:
            process.stop()


def _parts(
    settings: WorkerSettings,
    job_processes: list[JobProcess],
    shutdown: Shutdown,
    liveness: Liveness,
) -> dict[str, Callable[[], None]]:
    """Name what runs side by side, each in a thread of its own."""
    store = Store(
        dynamodb_table(settings.predictions_table), resend_after_s=settings.resend_after_s
    )
    queue = WorkQueue(sqs_client(), settings.predictions_queue_url, settings.predictions_dlq_url)
    files = Files(
        s3_client(),
        uploads_bucket=settings.uploads_bucket,
        results_bucket=settings.results_bucket,
    )
    sweeper = Sweeper(
        store,
        queue,
        files,
        lease_s=settings.lease_s,
        max_attempts=settings.max_attempts,
        goes_on=liveness.loop,
    )

    def sweep() -> None:
        while not shutdown.wait(settings.sweep_every_s):
            liveness.loop()
            try:
                sweeper.sweep()
            except (BotoCoreError, ClientError) as exc:
                log.warning("sweep_failed", error=str(exc))
            except Exception as exc:  # noqa: BLE001 - or one record would end all workers, in turn
                # The kind only: the text may quote what the record holds.
                log.error("sweep_failed", error=type(exc).__name__)

    parts: dict[str, Callable[[], None]] = {"sweeper": sweep}
    protection = TaskProtection(os.environ.get("ECS_AGENT_URI"))
    for number, process in enumerate(job_processes):
        consumer = Consumer(settings, store, queue, process, shutdown, protection, liveness)
        parts[f"consumer-{number}"] = consumer.run
    return parts


def _run_parts(parts: dict[str, Callable[[], None]], shutdown: Shutdown, liveness: Liveness) -> int:
    """Run the parts until all have ended. One that ends before its time stops the others."""
    died: list[str] = []

    def guarded(name: str, run: Callable[[], None]) -> None:
        liveness.loop()  # from here on, its silence is noticed
        try:
            run()
        except Exception:
            died.append(name)
            log.exception("part_died", part=name)
            shutdown.request()

    threads = [
        threading.Thread(target=guarded, args=(name, run), name=name) for name, run in parts.items()
    ]
    for thread in threads:
        thread.start()
    stopping = False
    while any(thread.is_alive() for thread in threads):
        time.sleep(_NOTICE_EVERY_S)
        shutdown.notice()
        liveness.show(stopping=shutdown.requested)
        if shutdown.requested and not stopping:
            stopping = True
            log.info("worker_stopping", waits_for=[t.name for t in threads if t.is_alive()])
    log.info("worker_stopped", died=died)
    return 1 if died else 0
