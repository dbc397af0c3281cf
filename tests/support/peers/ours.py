"""RetainWise's worker: the real service, with real messages; its jobs are the bench's.

work records N  with its job processes and its records in DynamoDB, as it is in production
work jobs N     with its job processes; every claim is granted and every commit taken
work loop N     the same, and the jobs run in the worker's process, as the other libraries' do

N: jobs at a time.
"""

import os
import sys

from peers import job as bench_job
from plain import a_prediction
from played_jobs import RESULT, SUMMARY
from predictions.aws import dynamodb_table, sqs_client
from predictions.record import Status, new_id
from predictions.settings import read_settings
from predictions.store import Store
from predictions.work_queue import WorkQueue
from worker import job, job_process, service
from worker.job import Finished
from worker.settings import WorkerSettings

_QUEUED = a_prediction()
_PROCESSING = _QUEUED.model_copy(update={"status": Status.PROCESSING, "owner": "me"})


class NoStore:
    """Gives the same record, whichever it is asked for."""

    def __init__(self, *_, **__):
        pass

    def claim(self, account, prediction_id, attempt, owner):
        return _PROCESSING

    def renew(self, claim, *_, **__):
        pass

    complete = fail = hand_back = renew

    def queued_and_due(self):
        return iter(())

    processing = erasures_due = queued_and_due


class NoJobProcess:
    """Runs the job at once."""

    def __init__(self, _settings):
        pass

    def ensure_ready(self):
        pass

    wait_ready = stop = ensure_ready

    def run(self, _prediction):
        bench_job.run()

    def next_event(self, _timeout_s):
        return Finished(RESULT, SUMMARY)


def send(count):
    queue = WorkQueue(sqs_client(), bench_job.QUEUE_URL)
    store = Store(dynamodb_table(os.environ["PREDICTIONS_TABLE"]), resend_after_s=3600)
    for _ in range(count):
        queue.send(store.submit("bench", new_id(), _QUEUED.input, traceparent=_QUEUED.traceparent))


def work(parts, jobs_at_once):
    os.environ["JOB_PROCESSES"] = jobs_at_once
    job_process.main = _main
    if parts != "records":
        service.Store = NoStore
    if parts == "loop":
        service.JobProcess = NoJobProcess
    sys.exit(service.serve(read_settings(WorkerSettings)))


def _main(*arguments):
    """Start a job process as ever, in the child."""
    job.run = _run
    job.main(*arguments)


def _run(*_):
    bench_job.run()
    return Finished(RESULT, SUMMARY)
