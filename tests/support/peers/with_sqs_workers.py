"""sqs-workers: its loop as it is, with JSON, which pickles nothing."""

from sqs_workers import SQSEnv

from peers import job

queue = SQSEnv(codec="json").queue(job.QUEUE)


@queue.processor("one")
def one():
    job.run()


def send(count):
    with queue.add_batch():
        for _ in range(count):
            one.delay()


def work():
    queue.process_queue(wait_second=20)
