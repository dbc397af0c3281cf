"""Celery, tuned for SQS: acknowledged late, no results, ten messages for a process, no gossip."""

import os
from urllib.parse import urlsplit

from celery import Celery

from peers import job

_PREFETCH = 10
_endpoint = urlsplit(os.environ["AWS_ENDPOINT_URL"])
_id, _secret = os.environ["AWS_ACCESS_KEY_ID"], os.environ["AWS_SECRET_ACCESS_KEY"]

app = Celery("bench", broker=f"sqs://{_id}:{_secret}@{_endpoint.netloc}")
app.conf.update(
    task_default_queue=job.QUEUE,
    task_ignore_result=True,
    task_acks_late=True,
    worker_prefetch_multiplier=_PREFETCH,
    worker_enable_remote_control=False,
    worker_send_task_events=False,
    broker_transport_options={
        "region": os.environ["AWS_REGION"],
        "is_secure": False,
        "wait_time_seconds": 20,
        "polling_interval": 0,
        "predefined_queues": {
            job.QUEUE: {"url": job.QUEUE_URL, "access_key_id": _id, "secret_access_key": _secret}
        },
    },
)


@app.task
def one():
    job.run()


def send(count):
    for _ in range(count):
        one.delay()


def work(pool):
    processes = "1" if pool == "solo" else str(os.cpu_count())
    app.worker_main(
        [
            *("worker", "--pool", pool, "--concurrency", processes, "--loglevel", "ERROR"),
            *("--without-gossip", "--without-mingle", "--without-heartbeat"),
        ]
    )
