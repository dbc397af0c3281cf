"""PyQS: a process for each core, ten messages at a time."""

import os

from pyqs import task
from pyqs.main import _main

from peers import job


@task(queue=job.QUEUE)
def one():
    job.run()


def send(count):
    for _ in range(count):
        one.delay()


def work():
    _main(
        queue_prefixes=[job.QUEUE],
        concurrency=os.cpu_count(),
        logging_level="ERROR",
        region=os.environ["AWS_REGION"],
        interval=0,
    )
