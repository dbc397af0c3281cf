"""What the product relies on from SQS, of a standard queue.

A receive that does not wait may, on AWS, find nothing though something is there: what must be found
is waited for, and only what must not be there is looked for at once.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from botocore.exceptions import ClientError

from made_cloud import TRACEPARENT
from predictions import message
from predictions.record import InputFile, Prediction, Status, new_id, utc_now
from predictions.work_queue import WorkQueue

# Nothing is expected to take so long; what is there ends the wait.
LONG_S = 15
# All characters of XML 1.0 that a queue takes and that something on the way may change.
BODY = ' \t\r\n{"text": "Zoë ☃ \N{GRINNING FACE} \\u0041 &amp; <b>%20+"}\u2028\ufeff '


@pytest.fixture
def cloud(new_queues):
    return new_queues(visibility_s=60)


def queued(account):
    now = utc_now()
    return Prediction(
        account=account,
        id=new_id(),
        status=Status.QUEUED,
        attempt=1,
        input=InputFile(key="k", name="a.csv", size_bytes=1, sha256="aa", etag="e"),
        created_at=now,
        updated_at=now,
        queued_at=now,
        traceparent=TRACEPARENT,
    )


def put(cloud, body="body"):
    """Send a body that is not of the product's own making."""
    cloud.sqs.send_message(QueueUrl=cloud.queue_url, MessageBody=body)


def take(queue):
    [received] = queue.receive(wait_s=LONG_S)
    return received


def is_empty(queue):
    return queue.receive(wait_s=0) == []


def dead_letters(cloud):
    return WorkQueue(cloud.sqs, cloud.dlq_url)


def waiting(pool, queue):
    """A poll that is under way and has found nothing so far."""
    poll = pool.submit(queue.receive, wait_s=20)
    with pytest.raises(TimeoutError):
        poll.result(timeout=0.3)
    return poll


def look(cloud, url, **asked):
    """Receive one with what the product itself never asks for."""
    answer = cloud.sqs.receive_message(QueueUrl=url, WaitTimeSeconds=LONG_S, **asked)
    [found] = answer["Messages"]
    return found


def test_a_received_message_is_hidden(cloud):
    put(cloud)
    take(cloud.queue)
    assert is_empty(cloud.queue)


def test_a_message_that_nobody_deletes_comes_again(new_queues):
    cloud = new_queues(visibility_s=1)
    put(cloud)
    first = take(cloud.queue)
    again = take(cloud.queue)
    assert (again.id, again.body) == (first.id, first.body)
    assert again.receipt != first.receipt


def test_a_message_that_is_handed_back_comes_at_once(cloud):
    put(cloud)
    first = take(cloud.queue)
    cloud.queue.hand_back(first)
    assert take(cloud.queue).id == first.id


def test_a_message_that_was_extended_or_deleted_stays_away_when_its_first_time_is_over(new_queues):
    cloud = new_queues(visibility_s=1)
    put(cloud)
    cloud.queue.extend(take(cloud.queue), visibility_s=60)
    put(cloud)
    cloud.queue.delete(take(cloud.queue))
    assert cloud.queue.receive(wait_s=2) == []


def test_deleting_by_an_old_receipt_is_no_error(cloud):
    put(cloud)
    old = take(cloud.queue)
    cloud.queue.hand_back(old)
    take(cloud.queue)
    cloud.queue.delete(old)


def test_whoever_received_last_extends_and_deletes(cloud):
    put(cloud)
    cloud.queue.hand_back(take(cloud.queue))
    last = take(cloud.queue)
    cloud.queue.extend(last, visibility_s=60)
    cloud.queue.delete(last)
    assert is_empty(cloud.queue)


def test_a_long_poll_ends_when_a_message_comes(cloud, account):
    with ThreadPoolExecutor() as pool:
        poll = waiting(pool, cloud.queue)
        cloud.queue.send(queued(account))
        assert poll.result(timeout=LONG_S) is not None


def test_a_long_poll_ends_when_a_message_is_handed_back(cloud):
    put(cloud)
    received = take(cloud.queue)
    with ThreadPoolExecutor() as pool:
        poll = waiting(pool, cloud.queue)
        cloud.queue.hand_back(received)
        assert poll.result(timeout=LONG_S) is not None


def test_a_standard_queue_takes_the_account_as_the_message_group(cloud, account):
    prediction = queued(account)
    cloud.queue.send(prediction)
    found = look(cloud, cloud.queue_url, MessageSystemAttributeNames=["MessageGroupId"])
    assert found["Attributes"]["MessageGroupId"] == account
    assert message.read(found["Body"]).data.prediction_id == prediction.id


def test_messages_of_one_group_do_not_wait_for_each_other(cloud, account):
    sent = [queued(account) for _ in range(2)]
    for prediction in sent:
        cloud.queue.send(prediction)
    named = {message.read(take(cloud.queue).body).data.prediction_id for _ in sent}
    assert named == {prediction.id for prediction in sent}


def test_a_delayed_message_comes_when_its_time_is_there(cloud, account):
    cloud.queue.send(queued(account), delay_s=1)
    take(cloud.queue)


def test_a_delayed_message_is_not_there_before_its_time(cloud, account):
    cloud.queue.send(queued(account), delay_s=900)
    assert is_empty(cloud.queue)


def test_a_body_is_kept_to_the_byte_on_both_ways(cloud):
    put(cloud, BODY)
    received = take(cloud.queue)
    assert received.body.encode() == BODY.encode()
    cloud.queue.dead_letter(received, "why")
    assert take(dead_letters(cloud)).body.encode() == BODY.encode()


def test_a_dead_letter_carries_its_reason(cloud):
    put(cloud)
    cloud.queue.dead_letter(take(cloud.queue), "the body is not JSON: “{”")
    found = look(
        cloud,
        cloud.dlq_url,
        MessageAttributeNames=["reason"],
        MessageSystemAttributeNames=["ApproximateReceiveCount"],
    )
    assert found["MessageAttributes"]["reason"]["StringValue"] == "the body is not JSON: “{”"
    assert found["Attributes"]["ApproximateReceiveCount"] == "1"
    assert is_empty(cloud.queue)


def test_a_message_received_too_often_is_moved_to_the_dead_letters(new_queues):
    cloud = new_queues(max_receives=2)
    put(cloud, BODY)
    for _ in range(2):
        cloud.queue.hand_back(take(cloud.queue))
    assert cloud.queue.receive(wait_s=1) == []  # it is this that moves it
    assert take(dead_letters(cloud)).body == BODY


def test_ten_at_most_are_received_extended_and_deleted_by_one_call(new_queues):
    cloud = new_queues(visibility_s=60)
    bodies = {f"body {number}" for number in range(12)}
    for body in bodies:
        put(cloud, body)
    seen = set()
    while seen != bodies:
        received = cloud.queue.receive(wait_s=LONG_S, most=10)
        assert 0 < len(received) <= 10
        cloud.queue.extend(*received, visibility_s=60)
        cloud.queue.delete(*received)
        seen |= {one.body for one in received}
    assert is_empty(cloud.queue)


def test_what_is_handed_back_by_one_call_comes_again_at_once(new_queues):
    cloud = new_queues(visibility_s=60)
    for number in range(3):
        put(cloud, f"body {number}")
    held = {}
    while len(held) < 3:
        held |= {one.id: one for one in cloud.queue.receive(wait_s=LONG_S, most=10)}
    cloud.queue.hand_back(*held.values())
    assert take(cloud.queue).id in held


def test_a_queue_that_is_not_there_is_out_of_reach(cloud):
    cloud.queue.ping()
    with pytest.raises(ClientError):
        WorkQueue(cloud.sqs, f"{cloud.queue_url}-not-there").ping()
