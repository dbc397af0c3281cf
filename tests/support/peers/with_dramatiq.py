"""dramatiq with dramatiq-sqs: one process, with its usual eight threads."""

import os
import sys

import dramatiq
from dramatiq.cli import main, make_argument_parser
from dramatiq_sqs import SQSBroker

from peers import job

dramatiq.set_broker(
    SQSBroker(
        region_name=os.environ["AWS_REGION"],
        visibility_timeout=None,  # the queue's own, as all others have
    )
)


@dramatiq.actor(queue_name=job.QUEUE)
def one():
    job.run()


def send(count):
    for _ in range(count):
        one.send()


def work():
    arguments = ["peers.with_dramatiq", "--processes", "1", "--threads", "8"]
    sys.exit(main(make_argument_parser().parse_args(arguments)))
