"""What becomes of each kind of message. The job process is played; all else is the real code."""

import json
import time
from contextlib import contextmanager, suppress

import pytest
from botocore.exceptions import ClientError

from played_jobs import RESULT, SUMMARY
from predictions import sweeper
from predictions.errors import LeaseLost
from predictions.record import Failure, Status, new_id
from predictions.store import ERASE_AFTER_S, Store
from predictions.sweeper import claim_of
from worker.consumer import Consumer
from worker.job import Broke, Finished, Later, Progress, Refused
from worker.job_process import Died, Stuck
from worker.lease import Lease
from worker.liveness import Liveness
from worker.protection import TaskProtection
from worker.settings import WorkerSettings
from worker.shutdown import Shutdown

BAD = Failure(code="bad", message="It is bad.", hint="Mend it.")


class PlayedJobProcess:
    """Says what it is told to say; None as an event is silence."""

    def __init__(self, *events):
        self.events = list(events)
        self.jobs = []
        self.stopped = False

    def ensure_ready(self):
        pass

    def run(self, prediction):
        self.jobs.append(prediction)

    def next_event(self, timeout_s):
        event = self.events.pop(0)
        return event() if callable(event) else event

    def stop(self):
        self.stopped = True


@pytest.fixture
def worker(cloud, monkeypatch, tmp_path):
    for name, value in cloud.environment().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("MODEL_DIR", str(tmp_path))
    monkeypatch.setenv("MAX_ATTEMPTS", "2")

    def make(*events, shutdown=None, protection=None):
        job_process = PlayedJobProcess(*events)
        consumer = Consumer(
            WorkerSettings(),
            cloud.store,
            cloud.queue,
            job_process,
            shutdown or Shutdown(10),
            protection or TaskProtection(None),
            Liveness(tmp_path / "heartbeat", loop_limit_s=60, job_limit_s=60, stop_budget_s=60),
        )
        return consumer, job_process

    return make


def take(cloud, consumer):
    [received] = cloud.queue.receive(wait_s=0)
    consumer.process(received)
    consumer.batch.acknowledge()
    consumer.batch.wait_acknowledged()


def messages(cloud, url=None):
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    attributes = cloud.sqs.get_queue_attributes(
        QueueUrl=url or cloud.queue_url, AttributeNames=names
    )["Attributes"]
    return tuple(int(attributes[name]) for name in names)


def queued(cloud):
    prediction = cloud.submit(b"id\n1\n")
    cloud.queue.send(prediction)
    return prediction


def now(cloud, prediction):
    return cloud.store.get(prediction.account, prediction.id)


def test_a_finished_job_completes_the_record_and_deletes_the_message(cloud, worker):
    prediction = queued(cloud)
    consumer, _ = worker(Progress(1, 0.5), None, Finished(RESULT, SUMMARY))
    take(cloud, consumer)
    done = now(cloud, prediction)
    assert (done.status, done.result, done.summary) == (Status.COMPLETED, RESULT, SUMMARY)
    assert messages(cloud) == (0, 0)


def test_a_refused_file_fails_with_its_reason(cloud, worker):
    prediction = queued(cloud)
    take(cloud, worker(Refused(BAD))[0])
    assert now(cloud, prediction).failure == BAD
    assert messages(cloud) == (0, 0)


@pytest.mark.parametrize("end", [Died(-9), Broke("ClientError")], ids=repr)
def test_a_job_that_dies_gets_another_attempt_and_then_fails(cloud, worker, end):
    prediction = queued(cloud)
    take(cloud, worker(end)[0])
    again = now(cloud, prediction)
    assert (again.status, again.attempt, again.crashes) == (Status.QUEUED, 2, 1)
    assert messages(cloud) == (1, 0)
    take(cloud, worker(end)[0])
    assert now(cloud, prediction).failure.code == "attempts-used-up"
    assert messages(cloud) == (0, 0)


@pytest.mark.parametrize(
    ("end", "told"),
    [
        (Died(-9), "The last time the system killed it, most likely because it needed too much"),
        (Died(-11), "It stopped before its end each time."),
        (Died(1), "It stopped before its end each time."),
        (Broke("ClientError"), "It stopped before its end each time."),
        (Stuck(-9), "The last time it was ended because it had made no progress"),
    ],
    ids=repr,
)
def test_the_owner_is_told_how_often_it_was_tried_and_how_it_ended(cloud, worker, end, told):
    prediction = queued(cloud)
    for _ in range(2):
        take(cloud, worker(end)[0])
    failure = now(cloud, prediction).failure
    assert failure.message.startswith(f"Scoring was begun 2 times and never finished. {told}")
    assert ("Split the file" in failure.hint) == (end == Died(-9))


def unreachable(status=503):
    response = {"Error": {"Code": "Whatever"}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return ClientError(response, "UpdateItem")


def test_what_depends_on_something_that_is_down_waits_and_costs_no_attempt(cloud, worker):
    prediction = queued(cloud)
    take(cloud, worker(Later("ReadTimeoutError"))[0])
    waits = now(cloud, prediction)
    assert (waits.status, waits.attempt) == (Status.QUEUED, 1)
    assert (waits.crashes, waits.delays) == (0, 1)
    assert cloud.queue.receive(wait_s=0) == [], "not at once"
    [message] = cloud.sqs.get_queue_attributes(
        QueueUrl=cloud.queue_url, AttributeNames=["ApproximateNumberOfMessagesDelayed"]
    )["Attributes"].values()
    assert message == "1"


def test_what_depends_on_something_that_stays_down_fails_in_the_end(cloud, worker, monkeypatch):
    monkeypatch.setattr(sweeper, "MOST_DELAYS", 2)
    monkeypatch.setattr(sweeper, "_FIRST_DELAY_S", 0)
    prediction = queued(cloud)
    for _ in range(3):
        take(cloud, worker(Later("ReadTimeoutError"))[0])
    failed = now(cloud, prediction)
    assert (failed.status, failed.failure.code) == (Status.FAILED, "dependency-down")
    assert messages(cloud) == (0, 0)
    assert cloud.store.requeue(prediction.account, prediction.id).delays == 0


def test_a_result_is_committed_once_the_table_takes_it_again(cloud, worker, monkeypatch):
    prediction = queued(cloud)
    complete, faults = cloud.store.complete, [unreachable(), unreachable()]

    def fail_twice(*arguments):
        if faults:
            raise faults.pop()
        return complete(*arguments)

    monkeypatch.setattr(cloud.store, "complete", fail_twice)
    consumer, job_process = worker(Finished(RESULT, SUMMARY))
    take(cloud, consumer)
    assert now(cloud, prediction).status is Status.COMPLETED
    assert len(job_process.jobs) == 1


def test_a_result_that_the_table_refuses_is_not_tried_again(cloud, worker, monkeypatch):
    queued(cloud)
    tries = []

    def refuse(*arguments):
        tries.append(arguments)
        raise unreachable(status=400)

    monkeypatch.setattr(cloud.store, "complete", refuse)
    with pytest.raises(ClientError):
        take(cloud, worker(Finished(RESULT, SUMMARY))[0])
    assert len(tries) == 1


def test_a_person_may_retry_after_the_last_attempt(cloud, worker):
    prediction = queued(cloud)
    for _ in range(2):
        take(cloud, worker(Died(-9))[0])
    cloud.queue.send(cloud.store.requeue(prediction.account, prediction.id))
    take(cloud, worker(Died(-9))[0])
    assert now(cloud, prediction).status is Status.QUEUED
    take(cloud, worker(Finished(RESULT, SUMMARY))[0])
    assert now(cloud, prediction).status is Status.COMPLETED


def test_a_superseded_worker_commits_nothing_and_leaves_the_message(cloud, worker):
    prediction = queued(cloud)

    def meanwhile():
        cloud.store.put_back(claim_of(now(cloud, prediction)))
        return Finished(RESULT, SUMMARY)

    take(cloud, worker(meanwhile)[0])
    assert now(cloud, prediction).status is Status.QUEUED
    assert messages(cloud) == (0, 1)


@pytest.mark.parametrize("error", [LeaseLost, ZeroDivisionError])
def test_whatever_ends_an_attempt_early_ends_its_job(cloud, worker, monkeypatch, error):
    """Or what it says later would be taken for what the next job says."""
    prediction = queued(cloud)
    consumer, job_process = worker(None)

    def keep(lease, *_):
        raise LeaseLost(lease.claim, "another") if error is LeaseLost else error

    monkeypatch.setattr(Lease, "keep", keep)
    with suppress(ZeroDivisionError):
        take(cloud, consumer)
    assert job_process.stopped
    assert now(cloud, prediction).status is Status.PROCESSING


def test_what_a_job_wrote_after_its_prediction_was_deleted_is_erased(cloud, worker):
    prediction = queued(cloud)

    def meanwhile():
        cloud.store.delete(prediction.account, prediction.id, erase_after_s=0)
        [order] = cloud.store.erasures_due()
        cloud.store.erased(order)  # the eraser was there before the job had written
        return Finished(RESULT, SUMMARY)

    take(cloud, worker(meanwhile)[0])
    assert list(cloud.store.erasures_due()) == [], "another stalled job may still write"
    later = Store(
        cloud.table, resend_after_s=60, clock=lambda: time.time() + ERASE_AFTER_S
    ).erasures_due()
    assert [order.prediction_id for order in later] == [prediction.id]


def test_the_second_message_of_a_finished_prediction_starts_nothing(cloud, worker):
    prediction = queued(cloud)
    cloud.queue.send(prediction)
    take(cloud, worker(Finished(RESULT, SUMMARY))[0])
    consumer, job_process = worker()
    take(cloud, consumer)
    assert job_process.jobs == []
    assert messages(cloud) == (0, 0)


def test_the_message_of_a_running_job_is_kept_for_later(cloud, worker):
    prediction = queued(cloud)
    cloud.store.claim(prediction.account, prediction.id, 1, "another")
    take(cloud, worker()[0])
    assert now(cloud, prediction).owner == "another"
    assert messages(cloud) == (0, 1)


def test_an_old_attempts_message_is_deleted_while_the_new_one_runs(cloud, worker):
    prediction = queued(cloud)
    claimed = cloud.store.claim(prediction.account, prediction.id, 1, "first")
    cloud.store.put_back(claim_of(claimed))
    cloud.store.claim(prediction.account, prediction.id, 2, "second")
    take(cloud, worker()[0])
    assert messages(cloud) == (0, 0)


def test_an_unreadable_record_stops_nobody(cloud, worker, monkeypatch):
    broken = queued(cloud)
    cloud.table.update_item(
        Key={"account": broken.account, "id": broken.id},
        UpdateExpression="SET #input = :nonsense",
        ExpressionAttributeNames={"#input": "input"},
        ExpressionAttributeValues={":nonsense": "x"},
    )
    sound = queued(cloud)
    shutdown = Shutdown(10)
    consumer, _ = worker(Finished(RESULT, SUMMARY), shutdown=shutdown)
    receive = cloud.queue.receive
    polls = iter(range(3))

    def stop_after_two(*, wait_s, most):
        if next(polls) == 2:
            shutdown.request()
        return receive(wait_s=0)

    monkeypatch.setattr(cloud.queue, "receive", stop_after_two)
    consumer.run()
    assert now(cloud, sound).status is Status.COMPLETED
    assert messages(cloud) == (0, 1)


def test_a_stop_acknowledges_what_is_done_and_hands_back_what_waits(cloud, worker, monkeypatch):
    both = [queued(cloud), queued(cloud)]
    shutdown = Shutdown(10)

    def told_to_stop():
        shutdown.request()
        return Finished(RESULT, SUMMARY)

    consumer, _ = worker(told_to_stop, shutdown=shutdown)
    receive = cloud.queue.receive
    monkeypatch.setattr(cloud.queue, "receive", lambda **_: receive(wait_s=0, most=2))
    consumer.run()
    assert {now(cloud, one).status for one in both} == {Status.COMPLETED, Status.QUEUED}
    assert messages(cloud) == (1, 0)


def test_an_error_that_nobody_foresaw_ends_no_worker(cloud, worker, monkeypatch):
    surprising, sound = queued(cloud), queued(cloud)
    shutdown = Shutdown(10)
    consumer, _ = worker(Finished(RESULT, SUMMARY), shutdown=shutdown)
    monkeypatch.setattr(shutdown, "wait", lambda _seconds: False)
    claim, receive, polls = cloud.store.claim, cloud.queue.receive, iter(range(3))

    def surprised(account, prediction_id, *rest):
        if prediction_id == surprising.id:
            raise ArithmeticError("whatever")
        return claim(account, prediction_id, *rest)

    def stop_after_two(*, wait_s, most):
        if next(polls) == 2:
            shutdown.request()
        return receive(wait_s=0)

    monkeypatch.setattr(cloud.store, "claim", surprised)
    monkeypatch.setattr(cloud.queue, "receive", stop_after_two)
    consumer.run()
    assert now(cloud, sound).status is Status.COMPLETED
    assert now(cloud, surprising).status is Status.QUEUED
    assert messages(cloud) == (0, 1)


def test_a_prediction_whose_message_cannot_be_deleted_is_completed_once(cloud, worker, monkeypatch):
    prediction = queued(cloud)
    shutdown = Shutdown(10)
    consumer, job_process = worker(Finished(RESULT, SUMMARY), shutdown=shutdown)
    monkeypatch.setattr(shutdown, "wait", lambda _seconds: False)
    delete, receive, polls = cloud.queue.delete, cloud.queue.receive, iter(range(3))

    def refused_once(*received):
        monkeypatch.setattr(cloud.queue, "delete", delete)
        cloud.queue.hand_back(*received)  # as if its time were over
        raise ClientError({"Error": {"Code": "ReceiptHandleIsInvalid"}}, "DeleteMessage")

    def stop_after_two(*, wait_s, most):
        if next(polls) == 2:
            shutdown.request()
        consumer.batch.wait_acknowledged()  # it goes on beside the poll
        return receive(wait_s=0)

    monkeypatch.setattr(cloud.queue, "delete", refused_once)
    monkeypatch.setattr(cloud.queue, "receive", stop_after_two)
    consumer.run()
    assert now(cloud, prediction).status is Status.COMPLETED
    assert len(job_process.jobs) == 1
    assert messages(cloud) == (0, 0)


def test_the_message_of_a_deleted_prediction_is_deleted(cloud, worker):
    prediction = queued(cloud)
    cloud.store.delete(prediction.account, prediction.id, erase_after_s=0)
    take(cloud, worker()[0])
    assert messages(cloud) == (0, 0)


@pytest.mark.parametrize("spelling", ["prediction_id", "predictionId", "id", "s3_key"])
def test_an_older_message_becomes_todays_and_the_prediction_finishes(cloud, worker, spelling):
    prediction = cloud.submit(b"id\n1\n")
    value = prediction.input.key if spelling == "s3_key" else prediction.id
    cloud.sqs.send_message(
        QueueUrl=cloud.queue_url, MessageBody=json.dumps({spelling: value, "user": 3})
    )
    take(cloud, worker()[0])
    assert messages(cloud) == (1, 0)
    take(cloud, worker(Finished(RESULT, SUMMARY))[0])
    assert now(cloud, prediction).status is Status.COMPLETED


@pytest.mark.parametrize(
    "body", ["garbage", "{}", json.dumps({"prediction_id": new_id()})], ids=["text", "empty", "id"]
)
def test_a_message_that_names_nothing_goes_to_the_dead_letters_with_a_reason(cloud, worker, body):
    cloud.sqs.send_message(QueueUrl=cloud.queue_url, MessageBody=body)
    take(cloud, worker()[0])
    assert messages(cloud) == (0, 0)
    dead = cloud.sqs.receive_message(QueueUrl=cloud.dlq_url, MessageAttributeNames=["reason"])
    [letter] = dead["Messages"]
    assert letter["Body"] == body
    assert letter["MessageAttributes"]["reason"]["StringValue"]


def test_a_stop_hands_the_job_back_without_costing_an_attempt(cloud, worker):
    prediction = queued(cloud)
    shutdown = Shutdown(0)
    consumer, job_process = worker(Progress(1, 0.5), lambda: shutdown.request(), shutdown=shutdown)
    take(cloud, consumer)
    assert job_process.stopped
    back = now(cloud, prediction)
    assert (back.status, back.attempt, back.crashes) == (Status.QUEUED, 1, 0)
    assert messages(cloud) == (1, 0)


def test_a_message_of_the_last_poll_is_handed_back(cloud, worker, monkeypatch):
    prediction = queued(cloud)
    shutdown = Shutdown(10)
    consumer, job_process = worker(shutdown=shutdown)
    receive = cloud.queue.receive

    def stop_while_polling(*, wait_s, most):
        shutdown.request()
        return receive(wait_s=0)

    monkeypatch.setattr(cloud.queue, "receive", stop_while_polling)
    consumer.run()
    assert job_process.jobs == []
    assert now(cloud, prediction).status is Status.QUEUED
    assert messages(cloud) == (1, 0)


class NotedProtection:
    def __init__(self):
        self.jobs = 0

    @contextmanager
    def during_a_job(self):
        self.jobs += 1
        yield


def test_the_task_is_protected_for_each_job_and_for_nothing_else(cloud, worker):
    protection = NotedProtection()
    consumer, _ = worker(Finished(RESULT, SUMMARY), protection=protection)
    queued(cloud)
    take(cloud, consumer)
    assert protection.jobs == 1
    cloud.sqs.send_message(QueueUrl=cloud.queue_url, MessageBody="nothing that we know")
    take(cloud, consumer)
    assert protection.jobs == 1
