"""What the services read from their environment: all of it, and nothing that they do not read."""

from __future__ import annotations

from collections.abc import Mapping

import pulumi

from infra.edge import Edge
from infra.queues import PredictionsQueue
from infra.settings import Settings
from infra.storage import Storage

# In the images; which one scores is the release's affair, not the stack's.
_MODEL_DIR = "model/artifacts/telco"


def of_web(
    settings: Settings, storage: Storage, queues: PredictionsQueue, edge: Edge | None
) -> Mapping[str, pulumi.Input[str]]:
    """Tell the web service where everything is, and who signs people in."""
    web = settings.services.web
    signing_in = edge.environment if edge else {"IDENTITY_PROVIDER": str(web.identity_provider)}
    return {
        **_of_both(settings, storage, queues),
        **signing_in,
        "MAX_UPLOAD_BYTES": str(settings.predictions.max_upload_bytes),
        "REQUESTS_PER_MINUTE": str(web.requests_per_minute),
        "UPLOADS_PER_MINUTE": str(web.uploads_per_minute),
    }


def of_worker(
    settings: Settings, storage: Storage, queues: PredictionsQueue
) -> Mapping[str, pulumi.Input[str]]:
    """Tell the worker where everything is, and how long things may take."""
    worker = settings.services.worker
    return {
        **_of_both(settings, storage, queues),
        "PREDICTIONS_DLQ_URL": queues.dlq.url,
        "LEASE_S": str(settings.predictions.lease_s),
        "MAX_ATTEMPTS": str(settings.predictions.max_attempts),
        "JOB_PROCESSES": str(worker.job_processes),
        "JOB_THREADS": str(worker.job_threads),
        "STOP_BUDGET_S": str(worker.stop_budget_s),
        "POLL_WAIT_S": str(worker.poll_wait_s),
        "SWEEP_EVERY_S": str(worker.sweep_every_s),
        "STUCK_AFTER_S": str(worker.stuck_after_s),
    }


def _of_both(
    settings: Settings, storage: Storage, queues: PredictionsQueue
) -> dict[str, pulumi.Input[str]]:
    return {
        "RETAINWISE_ENV": settings.environment,
        "PREDICTIONS_QUEUE_URL": queues.queue.url,
        "PREDICTIONS_TABLE": storage.table.name,
        "UPLOADS_BUCKET": storage.uploads.bucket,
        "RESULTS_BUCKET": storage.results.bucket,
        "MODEL_DIR": _MODEL_DIR,
        "RESEND_AFTER_S": str(settings.predictions.resend_after_s),
    }
