"""What becomes of dead letters, whatever happens to their records and wherever a command ends."""

import json
import threading
import time
from itertools import count

import pytest
from botocore.exceptions import ClientError

from predictions import dead_letters
from predictions.dead_letters import NO_REASON, NOT_TAKEN, DeadLetters, Fate
from predictions.errors import NotFound
from predictions.message import Request
from predictions.record import Failure, Status, new_id
from predictions.sweeper import claim_of

BAD = Failure(code="bad", message="It is bad.", hint="Mend it.")


def opened(cloud):
    return DeadLetters(cloud.sqs, cloud.queue_url, cloud.dlq_url, cloud.store)


def bury(cloud, body, reason=None):
    """Put a message into the dead-letter queue, as the worker does or, without a reason, as SQS."""
    given = {"reason": {"DataType": "String", "StringValue": reason}} if reason else {}
    sent = cloud.sqs.send_message(QueueUrl=cloud.dlq_url, MessageBody=body, MessageAttributes=given)
    return sent["MessageId"]


def asking_for(prediction):
    return Request.to_process(prediction).model_dump_json()


def queued(cloud, account="demo"):
    """Return a QUEUED record whose only message is a dead letter."""
    prediction = cloud.submit(b"id\n1\n", account=account)
    bury(cloud, asking_for(prediction))
    return prediction


def claim(cloud, prediction):
    claimed = cloud.store.claim(prediction.account, prediction.id, prediction.attempt, new_id())
    return claim_of(claimed)


def now(cloud, prediction):
    return cloud.store.get(prediction.account, prediction.id)


def settle(cloud, *, drop=False):
    with opened(cloud) as dead:
        dead.receive()
        return [dead.settle(one, drop_orphan=drop) for one in dead.letters]


def waiting(cloud, url=None):
    """How many messages of the dead-letter queue are visible, and how many in flight."""
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    found = cloud.sqs.get_queue_attributes(QueueUrl=url or cloud.dlq_url, AttributeNames=names)
    return tuple(int(found["Attributes"][name]) for name in names)


def sent(cloud):
    """Take what is in the predictions queue, in its order: bodies and groups."""
    found = []
    while answer := cloud.sqs.receive_message(
        QueueUrl=cloud.queue_url, MessageSystemAttributeNames=["MessageGroupId"]
    ).get("Messages"):
        found += [(one["Body"], one["Attributes"]["MessageGroupId"]) for one in answer]
    return found


def emptied(cloud):
    for url in (cloud.dlq_url, cloud.queue_url):
        while found := cloud.sqs.receive_message(QueueUrl=url).get("Messages"):
            for one in found:
                cloud.sqs.delete_message(QueueUrl=url, ReceiptHandle=one["ReceiptHandle"])


# ---- what a letter is -------------------------------------------------------------------------


def finished(cloud):
    prediction = queued(cloud)
    cloud.store.fail(claim(cloud, prediction), BAD)


def processing(cloud):
    claim(cloud, queued(cloud))


def processing_another_attempt(cloud):
    prediction = queued(cloud)
    claim(cloud, cloud.store.put_back(claim(cloud, prediction)))


def retried(cloud):
    prediction = queued(cloud)
    cloud.store.fail(claim(cloud, prediction), BAD)
    cloud.store.requeue(prediction.account, prediction.id)


def sent_again(cloud):
    cloud.store.take_resend(queued(cloud))


def handed_back(cloud):
    cloud.store.hand_back(claim(cloud, queued(cloud)))


def deleted(cloud):
    prediction = queued(cloud)
    cloud.store.delete(prediction.account, prediction.id)


def unreadable(cloud):
    prediction = queued(cloud)
    cloud.table.update_item(
        Key={"account": prediction.account, "id": prediction.id},
        UpdateExpression="SET attempt = :nonsense",
        ExpressionAttributeValues={":nonsense": "secret of a customer"},
    )


def no_json(cloud):
    bury(cloud, "secret of a customer", "the body is not JSON")


def of_nobody(cloud):
    bury(cloud, json.dumps({"prediction_id": new_id()}), "no prediction that the body names exists")


def older_format(cloud):
    bury(cloud, json.dumps({"s3_key": cloud.submit(b"id\n1\n").input.key}))


def older_format_sent_again(cloud):
    prediction = cloud.submit(b"id\n1\n")
    bury(cloud, json.dumps({"id": prediction.id}))
    cloud.store.take_resend(prediction)


def older_format_handed_back(cloud):
    prediction = cloud.submit(b"id\n1\n")
    bury(cloud, json.dumps({"id": prediction.id}))
    cloud.store.hand_back(claim(cloud, prediction))


def without_a_zone(cloud):
    event = json.loads(asking_for(cloud.submit(b"id\n1\n")))
    bury(cloud, json.dumps(event | {"time": "2026-01-01T00:00:00"}))


def two_of_which_one_runs(cloud):
    first, second = cloud.submit(b"id\n1\n"), cloud.submit(b"id\n1\n")
    bury(cloud, json.dumps([first.id, second.id]))
    claim(cloud, second)


def two_of_which_one_is_gone(cloud):
    bury(cloud, json.dumps([new_id(), cloud.submit(b"id\n1\n").id]))


EACH = pytest.mark.parametrize(
    ("arrange", "kind", "fate", "status"),
    [
        (queued, "QUEUED", Fate.FAIL, Status.FAILED),
        (older_format, "QUEUED", Fate.FAIL, Status.FAILED),
        (without_a_zone, "QUEUED", Fate.FAIL, Status.FAILED),
        (two_of_which_one_is_gone, "orphan, QUEUED", Fate.FAIL, Status.FAILED),
        (finished, "FAILED", Fate.DELETE, Status.FAILED),
        (retried, "QUEUED", Fate.DELETE, Status.QUEUED),
        (processing_another_attempt, "PROCESSING", Fate.DELETE, Status.PROCESSING),
        (sent_again, "QUEUED", Fate.DELETE, Status.QUEUED),
        (handed_back, "QUEUED", Fate.DELETE, Status.QUEUED),
        (older_format_sent_again, "QUEUED", Fate.DELETE, Status.QUEUED),
        (older_format_handed_back, "QUEUED", Fate.DELETE, Status.QUEUED),
        (processing, "PROCESSING", Fate.LEAVE, Status.PROCESSING),
        (two_of_which_one_runs, "QUEUED, PROCESSING", Fate.LEAVE, None),
        (unreadable, "unreadable record", Fate.LEAVE, None),
        (deleted, "orphan", Fate.ORPHAN, None),
        (no_json, "orphan", Fate.ORPHAN, None),
        (of_nobody, "orphan", Fate.ORPHAN, None),
    ],
)


@EACH
def test_a_letter_is_what_its_records_make_of_it(cloud, arrange, kind, fate, status):
    arrange(cloud)
    before = cloud.table.scan()["Items"]
    with opened(cloud) as dead:
        dead.receive()
        [letter] = dead.letters
        assert (letter.kind, letter.fate) == (kind, fate)
        assert "secret" not in repr(letter)
    assert waiting(cloud) == (1, 0), "a look changes nothing"
    assert cloud.table.scan()["Items"] == before


@EACH
def test_what_is_settled_ends_as_its_fate_says(cloud, arrange, kind, fate, status):
    arrange(cloud)
    assert [one.fate for one in settle(cloud)] == [fate]
    assert waiting(cloud) == ((0, 0) if fate in (Fate.FAIL, Fate.DELETE) else (1, 0))
    if status:
        [record] = cloud.store.page("demo").predictions
        assert record.status is status
        assert record.failure in (None, NOT_TAKEN if fate is Fate.FAIL else BAD)


def test_orphans_are_deleted_only_where_that_is_wanted(cloud):
    no_json(cloud), of_nobody(cloud), processing(cloud), unreadable(cloud)
    settle(cloud)
    assert waiting(cloud) == (4, 0)
    settle(cloud, drop=True)
    assert waiting(cloud) == (2, 0)
    assert {one.kind for one in settle(cloud)} == {"PROCESSING", "unreadable record"}


def test_a_message_that_is_there_twice_fails_its_record_once(cloud):
    prediction = cloud.submit(b"id\n1\n")
    for _ in range(2):
        bury(cloud, asking_for(prediction))
    assert [one.fate for one in settle(cloud)] == [Fate.FAIL, Fate.DELETE]
    assert waiting(cloud) == (0, 0)


def test_a_letter_tells_its_age_its_receives_and_its_reason(cloud):
    start = time.time()
    no_json(cloud), queued(cloud)
    for _ in range(2):
        with opened(cloud) as dead:
            dead.receive()
    first, second = sorted(dead.letters, key=lambda one: one.reason, reverse=True)
    assert (first.reason, second.reason) == ("the body is not JSON", NO_REASON)
    assert [first.receive_count, second.receive_count] == [2, 2]
    assert abs(first.sent_at.timestamp() - start) < 60


# ---- races --------------------------------------------------------------------------------------


class Others:
    """All that a sweeper, a worker and a person may do to one record between our steps."""

    def __init__(self, cloud):
        self.cloud = cloud
        self.prediction = cloud.submit(b"id\n1\n")
        self.letter_id = bury(cloud, asking_for(self.prediction))
        self.live = set()  # attempts that a message in the predictions queue asks for

    def record(self):
        try:
            return now(self.cloud, self.prediction)
        except NotFound:
            return None

    def possible(self):
        match (record := self.record()) and record.status:
            case Status.QUEUED:
                return {"resend", "delete"} | ({"claim"} if record.attempt in self.live else set())
            case Status.PROCESSING:
                return {"hand_back", "put_back", "fail"}
            case Status.FAILED:
                return {"requeue"}
        return set()

    def do(self, step):
        record, store = self.record(), self.cloud.store
        match step:
            case "resend":
                assert store.take_resend(record)
                self.live.add(record.attempt)
            case "claim":
                store.claim(record.account, record.id, record.attempt, new_id())
            case "hand_back":
                store.hand_back(claim_of(record))
            case "put_back":
                self.live.add(store.put_back(claim_of(record)).attempt)
            case "fail":
                store.fail(claim_of(record), BAD)
            case "requeue":
                self.live.add(store.requeue(record.account, record.id).attempt)
            case "delete":
                store.delete(record.account, record.id)


def steps_of_others(cloud, most):
    """Every sequence of at most so many steps that is possible."""
    found, grown = [()], [()]
    for _ in range(most):
        grown = [(*steps, step) for steps in grown for step in sorted(possible_after(cloud, steps))]
        found += grown
    return found


def possible_after(cloud, steps):
    others = Others(cloud)
    for step in steps:
        others.do(step)
    return others.possible()


def test_in_every_order_nothing_is_failed_while_a_message_asks_for_it(cloud, monkeypatch):
    """The steps of others come before we look, between the look and the write, and at both times.

    Failed wrongly: the record waits for a message in the predictions queue.
    Forgotten: the letter is deleted, and no message asks for what is still QUEUED.
    """
    monkeypatch.setattr(dead_letters, "_EMPTY_POLLS", 1)
    sequences = steps_of_others(cloud, 3)
    emptied(cloud)
    failed = 0
    for steps in sequences:
        for place in range(len(steps) + 1):
            others = Others(cloud)
            for step in steps[:place]:
                others.do(step)
            with opened(cloud) as dead:
                dead.receive()
                for step in steps[place:]:
                    others.do(step)
                before = others.record()
                [settled] = map(dead.settle, dead.letters)
            record, is_kept = others.record(), waiting(cloud) != (0, 0)
            what = (steps, place, settled.fate)
            is_failed = record is not None and record.failure == NOT_TAKEN
            assert is_failed == (settled.fate is Fate.FAIL), what
            if is_failed:
                failed += 1
                assert (before.status, before.attempt) == (Status.QUEUED, 1), what
                assert not others.live, what
            else:
                assert record == before, what
            if record and record.status is Status.QUEUED and not is_kept:
                assert record.attempt in others.live, what
            assert is_kept == (settled.fate in (Fate.LEAVE, Fate.ORPHAN)), what
            emptied(cloud)
    assert failed == 1, "only where nobody else did anything"
    assert len(sequences) > 10


# ---- killed, and run again ----------------------------------------------------------------------


class Killed(BaseException):
    """Not an error: nothing catches it."""


class Mortal:
    """Dies at a chosen call, before it is made or before its answer is there."""

    def __init__(self, cloud):
        self.calls = 0
        self.dies_at = None
        self.stays_dead = False
        for client in (cloud.sqs, cloud.table.meta.client):
            for event, parity in (("before-call", 0), ("after-call", 1)):
                client.meta.events.register(f"{event}.*", self._at(parity))

    def _at(self, parity):
        def call(**_):
            self.calls += parity == 0
            place = 2 * self.calls + parity
            if self.dies_at is not None and (
                place == self.dies_at or (self.stays_dead and place > self.dies_at)
            ):
                raise Killed

        return call

    def run(self, dies_at, act, *, stays_dead):
        """Say whether it lived: died if a call was the chosen one."""
        self.calls, self.dies_at, self.stays_dead = 0, dies_at, stays_dead
        try:
            act()
        except Killed:
            return False
        finally:
            self.dies_at = None
        return 2 * self.calls < dies_at


def redrive_all(cloud):
    with opened(cloud) as dead:
        dead.receive()
        for letter in dead.letters:
            dead.redrive(letter)


@pytest.fixture
def visible_at_once(monkeypatch):
    """What a dead process held is hidden for no time, so that no test has to wait."""
    monkeypatch.setattr(dead_letters, "VISIBILITY_S", 0)
    monkeypatch.setattr(dead_letters, "_EMPTY_POLLS", 1)


@pytest.mark.usefixtures("visible_at_once")
@pytest.mark.parametrize("stays_dead", [True, False], ids=["killed", "cut off"])
def test_killed_anywhere_and_run_again_a_reconcile_comes_to_the_same_end(cloud, stays_dead):
    mortal = Mortal(cloud)
    for dies_at in count(2):
        waits = queued(cloud), queued(cloud)
        finished(cloud), no_json(cloud), processing(cloud)
        lived = mortal.run(dies_at, lambda: settle(cloud), stays_dead=stays_dead)
        assert waiting(cloud)[1] == 0, "what was held is visible"
        unsettled = [one for one in waits if now(cloud, one).status is Status.QUEUED]
        assert waiting(cloud)[0] >= len(unsettled) + 2
        settle(cloud)
        assert [now(cloud, one).failure for one in waits] == [NOT_TAKEN, NOT_TAKEN]
        assert sorted(one.kind for one in settle(cloud)) == ["PROCESSING", "orphan"]
        emptied(cloud)
        if lived:
            break
    assert dies_at > 20


@pytest.mark.usefixtures("visible_at_once")
@pytest.mark.parametrize("stays_dead", [True, False], ids=["killed", "cut off"])
def test_killed_anywhere_a_redrive_loses_no_message(cloud, stays_dead):
    mortal = Mortal(cloud)
    for dies_at in count(2):
        bodies = {asking_for(cloud.submit(b"id\n1\n")), "no JSON"}
        for body in bodies:
            bury(cloud, body)
        lived = mortal.run(dies_at, lambda: redrive_all(cloud), stays_dead=stays_dead)
        assert waiting(cloud)[0] + waiting(cloud, cloud.queue_url)[0] >= 2
        redrive_all(cloud)
        assert waiting(cloud) == (0, 0)
        arrived = [body for body, _ in sent(cloud)]
        assert set(arrived) == bodies
        assert len(arrived) <= 3, "at most the one that it died with is there twice"
        if lived:
            break
    assert dies_at > 15


def test_a_letter_that_could_not_be_deleted_is_visible_again(cloud, monkeypatch):
    queued(cloud)
    refused = ClientError({"Error": {"Code": "AccessDenied"}}, "DeleteMessage")

    def refuse(**_):
        raise refused

    monkeypatch.setattr(cloud.sqs, "delete_message", refuse)
    with pytest.raises(ClientError):
        redrive_all(cloud)
    assert waiting(cloud) == (1, 0)
    assert len(sent(cloud)) == 1


# ---- receiving and sending ----------------------------------------------------------------------


def test_a_redrive_keeps_body_and_age_and_groups_by_account(cloud):
    letters = [
        (asking_for(cloud.submit(b"id\n1\n", account=account)), account)
        for account in ("ben", "anna", "ben")
    ]
    letters.append(("no JSON", "unknown"))
    for body, _ in letters:
        bury(cloud, body)
        time.sleep(0.002)  # the age is in milliseconds
    with opened(cloud) as dead:
        dead.receive()
        dead._received.reverse()  # SQS gives them out in any order
        for letter in dead.letters:
            dead.redrive(letter)
    assert sent(cloud) == letters


def test_what_is_not_touched_is_visible_at_the_end_and_hidden_until_then(cloud):
    for _ in range(25):
        no_json(cloud)
    with opened(cloud) as dead:
        dead.receive()
        assert len(dead.letters) == dead.about == 25
        assert waiting(cloud) == (0, 25)
        dead.redrive(dead.letters[0])
    assert waiting(cloud) == (24, 0)


def ends_with(end, cloud):
    with opened(cloud) as dead:
        dead.receive()
        raise end


@pytest.mark.parametrize("end", [KeyboardInterrupt, ValueError])
def test_however_the_block_ends_the_letters_are_visible_again(cloud, end):
    no_json(cloud)
    before = threading.active_count()
    with pytest.raises(end):
        ends_with(end, cloud)
    assert waiting(cloud) == (1, 0)
    assert threading.active_count() == before


def test_what_somebody_else_holds_is_counted(cloud):
    no_json(cloud), no_json(cloud)
    cloud.sqs.receive_message(QueueUrl=cloud.dlq_url, VisibilityTimeout=60)
    with opened(cloud) as dead:
        dead.receive()
    assert (len(dead.letters), dead.elsewhere) == (1, 1)


def test_a_poll_that_brings_nothing_is_not_the_end(cloud, monkeypatch):
    no_json(cloud), no_json(cloud)
    receive, polls = cloud.sqs.receive_message, count()

    def sampled(**asked):
        """Every third poll finds one: a short one asks some of SQS's servers only."""
        return {} if next(polls) % 3 else receive(**asked | {"MaxNumberOfMessages": 1})

    monkeypatch.setattr(cloud.sqs, "receive_message", sampled)
    with opened(cloud) as dead:
        dead.receive()
    assert len(dead.letters) == 2


@pytest.mark.usefixtures("visible_at_once")
def test_a_letter_that_comes_twice_is_one_and_the_end_is_found(cloud):
    no_json(cloud)
    with opened(cloud) as dead:
        dead.receive()
    assert len(dead.letters) == 1


def test_at_the_limit_of_sqs_what_is_held_is_all_for_now(cloud, monkeypatch):
    for _ in range(12):
        no_json(cloud)
    receive, polls = cloud.sqs.receive_message, count()

    def limited(**asked):
        if next(polls):
            raise cloud.sqs.exceptions.OverLimit({"Error": {"Code": "OverLimit"}}, "ReceiveMessage")
        return receive(**asked)

    monkeypatch.setattr(cloud.sqs, "receive_message", limited)
    with opened(cloud) as dead:
        dead.receive()
    assert (len(dead.letters), dead.elsewhere) == (10, 2)


def test_what_is_held_is_renewed_until_the_end(cloud, monkeypatch):
    monkeypatch.setattr(dead_letters, "RENEW_EVERY_S", 0.01)
    change, renewed = cloud.sqs.change_message_visibility_batch, []
    is_enough = threading.Event()

    def noted(**asked):
        renewed.append([one["VisibilityTimeout"] for one in asked["Entries"]])
        if len(renewed) == 3:
            is_enough.set()
        return change(**asked)

    monkeypatch.setattr(cloud.sqs, "change_message_visibility_batch", noted)
    no_json(cloud)
    with opened(cloud) as dead:
        dead.receive()
        assert is_enough.wait(60)
    assert renewed[:3] == [[dead_letters.VISIBILITY_S]] * 3
    assert renewed[-1] == [0]
