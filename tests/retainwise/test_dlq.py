"""What `retainwise dlq` prints, changes and ends with, against the emulator."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from emulator import running_emulator
from memory_cloud import TRACEPARENT
from predictions.message import Request
from predictions.record import InputFile, Status, new_id
from predictions.store import Store
from predictions.sweeper import claim_of
from retainwise.cli import main

FILE = InputFile(key="uploads/demo/x/input.csv", name="a.csv", size_bytes=1, sha256="aa", etag="e")
SECRET = "what only the customer should see"
COMMANDS = [
    ("list",),
    ("show", "a-message"),
    ("redrive", "--all", "--yes"),
    ("reconcile", "--yes"),
]


@pytest.fixture(scope="module")
def applied(tmp_path_factory):
    """A local cloud with the service of the stack `local`."""
    with running_emulator(tmp_path_factory.mktemp("applied")) as emulator:
        emulator.bootstrap()
        emulator.apply()
        yield emulator


class Stack:
    """The stack's queues and records, as a test arranges them."""

    def __init__(self, emulator):
        self.sqs = emulator.client("sqs")
        self.queue_url, self.dlq_url = (
            self.sqs.get_queue_url(QueueName=f"local-retainwise-predictions-{one}")["QueueUrl"]
            for one in ("queue", "dlq")
        )
        dynamodb = emulator.session.resource("dynamodb", endpoint_url=emulator.endpoint)
        self.store = Store(dynamodb.Table("local-retainwise-predictions"), resend_after_s=60)

    def queued(self):
        """Return a QUEUED record and the id of its only message, a dead letter."""
        record = self.store.submit("demo", new_id(), FILE, traceparent=TRACEPARENT)
        return record, self.bury(Request.to_process(record).model_dump_json())

    def bury(self, body, reason=None):
        given = {"reason": {"DataType": "String", "StringValue": reason}} if reason else {}
        return self.sqs.send_message(
            QueueUrl=self.dlq_url, MessageBody=body, MessageAttributes=given
        )["MessageId"]

    def orphan(self, reason="the body is not JSON"):
        return self.bury(SECRET, reason)

    def status(self, record):
        return self.store.get(record.account, record.id).status

    def claim(self, record):
        return claim_of(self.store.claim(record.account, record.id, record.attempt, new_id()))

    def take(self, url):
        """Receive and delete all that is visible; return the bodies."""
        bodies = []
        while found := self.sqs.receive_message(QueueUrl=url, WaitTimeSeconds=0).get("Messages"):
            for one in found:
                bodies.append(one["Body"])
                self.sqs.delete_message(QueueUrl=url, ReceiptHandle=one["ReceiptHandle"])
        return bodies


@pytest.fixture
def stack(applied, monkeypatch):
    applied.as_root(monkeypatch)
    stack = Stack(applied)
    yield stack
    stack.take(stack.queue_url)
    stack.take(stack.dlq_url)


def run(*arguments):
    command, *rest = arguments
    outcome = CliRunner().invoke(main, ["dlq", command, "local", *rest])
    assert SECRET not in outcome.output
    return outcome


def told(*arguments):
    outcome = run(*arguments)
    assert outcome.exit_code == 0, outcome.output
    return outcome.stdout


def listed():
    return json.loads(told("list", "--json"))["letters"]


def test_without_dead_letters_each_command_says_so(stack):
    assert told("list") == "local: no dead letters\n"
    assert json.loads(told("list", "--json")) == {"stack": "local", "letters": [], "elsewhere": 0}
    assert told("redrive", "--all") == "local: 0 dead letters sent again\n"
    assert told("reconcile") == "local: 0 predictions failed, 0 dead letters deleted\n"


def test_the_list_tells_what_each_letter_names_and_no_body(stack):
    (record, message_id), orphan_id = stack.queued(), stack.orphan()
    header, *rows = told("list").splitlines()
    assert header.split("  ")[0] == "MESSAGE"
    by_id = {row.split()[0]: row for row in rows}
    assert f"no reason             {record.id} QUEUED" in by_id[message_id]
    assert by_id[message_id].endswith("  fail")
    assert by_id[orphan_id].endswith("orphan")
    assert "  the body is not JSON  nothing" in by_id[orphan_id]
    letters = {one["id"]: one for one in listed()}
    assert letters.keys() == by_id.keys()
    assert letters[message_id]["names"] == [
        {
            "prediction": record.id,
            "state": "QUEUED",
            "account": "demo",
            "attempt": 1,
            "resends": 0,
        }
    ]
    assert letters[message_id]["received"] == 2, "the first look counts"
    assert 0 <= letters[message_id]["age_s"] < 120


def test_one_letter_is_shown_with_its_records(stack):
    record, message_id = stack.queued()
    stack.orphan()
    said = told("show", message_id)
    assert f"names      {record.id}: QUEUED, attempt 1 of demo, queued 20" in said
    assert "reconcile  fail\n" in said
    assert json.loads(told("show", message_id, "--json"))["letter"]["id"] == message_id


def test_a_letter_that_is_not_there_is_what_was_given_wrong(stack):
    outcome = run("show", "nothing")
    assert outcome.exit_code == 2
    assert "nothing is none of the 0 dead letters" in outcome.stderr


@pytest.mark.parametrize("given", [(), ("--all", "--reason", "JSON")])
def test_a_redrive_wants_to_be_told_of_what(stack, given):
    stack.orphan()
    outcome = run("redrive", "--yes", *given)
    assert outcome.exit_code == 2
    assert "say which: --id, --prediction or --reason, or else --all" in outcome.stderr
    assert len(listed()) == 1


def test_a_redrive_sends_what_was_chosen_and_leaves_the_rest_visible(stack):
    (by_id, first), (by_name, second), (_, kept) = (stack.queued() for _ in range(3))
    third = stack.orphan("no prediction that the body names exists")
    answer = told(
        "redrive", "--yes", "--json", "--id", first, "--prediction", by_name.id, "--reason", "names"
    )
    assert set(json.loads(answer)["redriven"]) == {first, second, third}
    assert [one["id"] for one in listed()] == [kept]
    bodies = stack.take(stack.queue_url)
    subjects = [json.loads(body)["subject"] for body in bodies if body != SECRET]
    assert (len(bodies), set(subjects)) == (3, {by_id.id, by_name.id})


def test_what_was_chosen_and_is_not_there_is_told_and_the_rest_is_sent(stack):
    _, message_id = stack.queued()
    outcome = run("redrive", "--yes", "--id", message_id, "--id", "typo")
    assert outcome.exit_code == 1
    assert "local: 1 dead letter sent again" in outcome.stdout
    assert "not among the dead letters: typo" in outcome.stderr
    assert listed() == []


def test_reconcile_fails_deletes_leaves_and_names_orphans(stack):
    failing, _ = stack.queued()
    running, running_letter = stack.queued()
    stack.claim(running)
    again, _ = stack.queued()
    stack.store.take_resend(again)
    orphan = stack.orphan()
    answer = json.loads(told("reconcile", "--yes", "--json"))
    assert answer["failed"] == [failing.id]
    assert answer["deleted"] == 2
    assert (answer["orphans"], answer["orphans_dropped"]) == ([orphan], False)
    assert [one["id"] for one in answer["left"]] == [running_letter]
    assert stack.status(failing) is Status.FAILED
    assert stack.status(running) is Status.PROCESSING
    assert stack.status(again) is Status.QUEUED
    assert told("reconcile", "--yes", "--drop-orphans") == (
        "local: 0 predictions failed, 1 dead letter deleted\n"
        f"  orphan, deleted: {orphan}\n"
        f"  left: {running_letter}, {running.id} PROCESSING\n"
    )
    assert [one["id"] for one in listed()] == [running_letter]


@pytest.mark.parametrize("change", [("redrive", "--all"), ("reconcile",)])
def test_without_a_terminal_yes_has_to_be_said(stack, change):
    record, message_id = stack.queued()
    outcome = run(*change)
    assert outcome.exit_code == 2
    assert "say --yes" in outcome.stderr
    assert [one["id"] for one in listed()] == [message_id], "visible again at once"
    assert stack.status(record) is Status.QUEUED


@pytest.mark.parametrize(
    ("change", "question"),
    [
        (("redrive", "--all"), "Send 2 dead letters of local again: 1 QUEUED, 1 orphan?"),
        (
            ("reconcile", "--drop-orphans"),
            "local: fail 1 prediction, delete 1 orphan?",
        ),
    ],
)
def test_a_person_is_asked_and_may_say_no(stack, monkeypatch, change, question):
    record, _ = stack.queued()
    stack.orphan()
    questions = []
    monkeypatch.setattr("retainwise.stack_data.confirmed", lambda asked, _: questions.append(asked))
    outcome = run(*change)
    assert outcome.exit_code == 1
    assert questions == [question]
    assert len(listed()) == 2
    assert stack.status(record) is Status.QUEUED


@pytest.mark.parametrize("command", COMMANDS, ids=lambda one: one[0])
def test_a_stack_that_is_none_is_what_was_given_wrong(stack, command):
    name, *rest = command
    outcome = CliRunner().invoke(main, ["dlq", name, "prdo", *rest])
    assert outcome.exit_code == 2
    assert "there is no stack prdo" in outcome.stderr


@pytest.mark.parametrize("command", COMMANDS, ids=lambda one: one[0])
def test_a_stack_without_its_queues_is_one_line_and_a_failure(stack, command):
    name, *rest = command
    outcome = CliRunner().invoke(main, ["dlq", name, "dev", *rest])
    assert outcome.exit_code == 1
    assert outcome.stderr.startswith("Error: dev in eu-west-1: AWS refused GetQueueUrl: ")
    assert outcome.stderr.endswith("was the stack deployed to this account and region?\n")
    assert outcome.stderr.count("\n") == 1


@pytest.mark.parametrize("change", [("redrive", "--all", "--yes"), ("reconcile", "--yes")])
def test_cut_off_it_says_how_far_it_came_and_goes_on_when_run_again(stack, monkeypatch, change):
    from predictions.dead_letters import DeadLetters

    records = [stack.queued()[0] for _ in range(2)]
    delete, calls = DeadLetters._delete, []

    def interrupted(self, letter):
        calls.append(letter)
        if len(calls) == 2:
            raise KeyboardInterrupt
        delete(self, letter)

    monkeypatch.setattr(DeadLetters, "_delete", interrupted)
    outcome = run(*change)
    assert outcome.exit_code == 1
    assert "ended after 1 of 2: run it again" in outcome.stderr
    assert len(listed()) == 1
    assert run(*change).exit_code == 0
    assert listed() == []
    if change[0] == "reconcile":
        assert {stack.status(one) for one in records} == {Status.FAILED}
    else:
        assert len(stack.take(stack.queue_url)) == 3, "one is there twice: harmless"
