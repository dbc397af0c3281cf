"""RetainWise in AWS, top to bottom: what is kept, what waits, what runs and what it may do.

`pulumi up` applies this to AWS; `retainwise up` applies it to an emulated AWS on one machine.
"""

import pulumi
import pulumi_aws as aws

from infra import permissions
from infra.identity import Account
from infra.network import Network
from infra.queues import PredictionsQueue
from infra.services import Service
from infra.settings import read_settings
from infra.storage import Storage

settings = read_settings()  # a wrong one ends it here, before anything is declared
name = f"{settings.environment}-retainwise"
account = Account(aws.get_caller_identity().account_id, aws.get_region().region)

network = Network(name, settings.network, account.region)
storage = Storage(name, account.id)
queues = PredictionsQueue(
    f"{name}-predictions",
    visibility_s=settings.predictions.lease_s,
    max_receives=settings.predictions.max_receives,
)
cluster = aws.ecs.Cluster(name, name=name)

shared = {
    "RETAINWISE_ENV": settings.environment,
    "PREDICTIONS_QUEUE_URL": queues.queue.url,
    "PREDICTIONS_TABLE": storage.table.name,
    "UPLOADS_BUCKET": storage.uploads.bucket,
    "RESULTS_BUCKET": storage.results.bucket,
    "MODEL_DIR": "model/artifacts/telco",
    "RESEND_AFTER_S": str(settings.predictions.resend_after_s),
}
signing_in = {"IDENTITY_PROVIDER": p} if (p := settings.web.identity_provider) else {}

web = Service(
    f"{name}-web",
    settings.web,
    account=account,
    network=network,
    cluster=cluster,
    service="web",
    command=["retainwise", "web", "--bind", "0.0.0.0:8000"],
    ports=[8000],
    environment=shared
    | signing_in
    | {
        "MAX_UPLOAD_BYTES": str(settings.predictions.max_upload_bytes),
        "REQUESTS_PER_MINUTE": str(settings.web.requests_per_minute),
        "UPLOADS_PER_MINUTE": str(settings.web.uploads_per_minute),
    },
    may=permissions.web(storage, queues),
)
worker = Service(
    f"{name}-worker",
    settings.worker,
    account=account,
    network=network,
    cluster=cluster,
    service="worker",
    command=["retainwise", "worker"],
    environment=shared
    | {
        "PREDICTIONS_DLQ_URL": queues.dlq.url,
        "LEASE_S": str(settings.predictions.lease_s),
        "MAX_ATTEMPTS": str(settings.predictions.max_attempts),
        "JOB_PROCESSES": str(settings.worker.job_processes),
        "JOB_THREADS": str(settings.worker.job_threads),
        "STOP_BUDGET_S": str(settings.worker.stop_budget_s),
        "POLL_WAIT_S": str(settings.worker.poll_wait_s),
        "SWEEP_EVERY_S": str(settings.worker.sweep_every_s),
    },
    may=permissions.worker(storage, queues),
)

pulumi.export("queue_url", queues.queue.url)
pulumi.export("dlq_url", queues.dlq.url)
pulumi.export("table", storage.table.name)
pulumi.export("uploads_bucket", storage.uploads.bucket)
pulumi.export("results_bucket", storage.results.bucket)
pulumi.export("web_task_definition", web.task_definition.arn)
pulumi.export("worker_task_definition", worker.task_definition.arn)
