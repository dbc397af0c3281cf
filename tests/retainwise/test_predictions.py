"""What `retainwise predictions` prints, changes and ends with, against AWS in memory."""

from __future__ import annotations

import json
import re
from types import SimpleNamespace

import pytest
from click.testing import CliRunner

from emulated_stack import emulated_stack
from predictions import message
from predictions.errors import LeaseLost
from predictions.record import Failure, ResultFile, Status, Summary, new_id
from predictions.sweeper import claim_of
from retainwise.cli import main

SECRET = "what only the customer should see"
BAD = Failure(code="missing-columns", message=SECRET, hint=SECRET, column=SECRET)
SUMMARY = Summary(expected_churners=0, predicted_churners=0, bands=(), top_reasons=())
AN_ID = new_id()
COMMANDS = [
    ("list",),
    ("show", AN_ID),
    ("stuck",),
    ("requeue", AN_ID, "--yes"),
    ("fail", AN_ID, "--yes", "--reason", "why"),
]


@pytest.fixture
def stack(monkeypatch):
    """The stack `local`: only what its predictions are kept in. Nobody waits for a lease here."""
    monkeypatch.setattr("retainwise.predictions.time", SimpleNamespace(sleep=lambda _: None))
    with emulated_stack("local") as cloud:
        yield cloud


def run(*arguments):
    command, *rest = arguments
    outcome = CliRunner().invoke(main, ["predictions", command, "local", *rest])
    assert SECRET not in outcome.output
    assert not isinstance(outcome.exception, Exception), outcome.exception
    return outcome


def told(*arguments):
    outcome = run(*arguments)
    assert outcome.exit_code == 0, outcome.output
    return outcome.stdout


def answered(*arguments):
    return json.loads(told(*arguments, "--json"))


def queued(stack, account="demo"):
    return stack.submit(b"id\n1\n", account=account, name=SECRET)


def processing(stack, account="demo"):
    one = queued(stack, account)
    return stack.store.claim(account, one.id, 1, new_id())


def failed(stack, account="demo", failure=BAD):
    return stack.store.fail(claim_of(processing(stack, account)), failure)


def completed(stack):
    claim = claim_of(processing(stack))
    folder = f"results/{claim.account}/{claim.id}/1"
    result = ResultFile(
        key=f"{folder}/result.csv",
        summary_key=f"{folder}/summary.json",
        rows=1,
        rows_failed=0,
        model="m",
    )
    stack.s3.put_object(Bucket=stack.results_bucket, Key=result.key, Body=b"x")
    return stack.store.complete(claim, result, SUMMARY)


def again(stack, one):
    return stack.store.get(one.account, one.id)


def messages(stack):
    return [message.read(one.body).data for one in stack.queue.receive(wait_s=0, most=10)]


# ---- looking ----------------------------------------------------------------------------------


def ids(answer):
    return [one["id"] for one in answer["predictions"]]


def test_without_predictions_each_look_says_so(stack):
    assert told("list") == "local: no such predictions\n"
    assert answered("list") == {"stack": "local", "predictions": [], "more": False}
    assert told("stuck") == "local: nothing is stuck\n"


def test_an_accounts_list_is_newest_first_and_may_be_of_one_status(stack):
    made = [failed(stack), queued(stack), failed(stack)]
    failed(stack, "other")
    newest = sorted((one.id for one in made), reverse=True)
    assert ids(answered("list", "--account", "demo")) == newest
    of_failed = answered("list", "--account", "demo", "--status", "FAILED", "--limit", "1")
    assert ids(of_failed) == [max(made[0].id, made[2].id)]
    assert of_failed["more"]
    [shown] = of_failed["predictions"]
    assert (shown["code"], shown["attempt"], shown["account"]) == ("missing-columns", 1, "demo")


def test_the_unfinished_of_all_accounts_are_listed_newest_first(stack):
    made = [queued(stack), processing(stack, "other"), queued(stack, "third"), failed(stack)][:3]
    newest = sorted((one.id for one in made), reverse=True)
    assert ids(answered("list")) == newest
    assert ids(answered("list", "--limit", "2")) == newest[:2]
    assert ids(answered("list", "--status", "PROCESSING")) == [made[1].id]
    header, *rows = told("list").splitlines()
    assert header.split("  ")[0] == "PREDICTION"
    assert [row.split()[:3] for row in rows] == [
        [one.id, one.account, one.status]
        for one in sorted(made, key=lambda one: one.id, reverse=True)
    ]


def test_finished_ones_of_all_accounts_would_be_a_scan_and_are_refused(stack):
    outcome = run("list", "--status", "FAILED")
    assert outcome.exit_code == 2
    assert "say --account" in outcome.stderr


def test_a_queued_one_is_shown_with_its_message_and_its_upload(stack):
    one = queued(stack)
    said = told("show", one.id)
    assert re.search(r"^status +QUEUED$", said, re.MULTILINE)
    assert re.search(r"^message +sent again 0 times, next in \d+", said, re.MULTILINE)
    assert f"{one.input.key}, is there" in said
    assert re.search(r"^next +none: a worker takes it", said, re.MULTILINE)


def test_an_overdue_one_is_told_to_be(stack):
    one = queued(stack)
    overdue(stack, one)
    said = told("show", one.id)
    assert re.search(r"^message +sent again 0 times, overdue for \d+ h", said, re.MULTILINE)
    assert "if not, no worker sweeps" in said


def test_a_completed_one_is_shown_with_which_of_its_files_are_there(stack):
    one = completed(stack)
    kept = [(file["kind"], file["there"]) for file in answered("show", one.id)["files"]]
    assert kept == [("upload", True), ("result", True), ("summary", False)]


def test_a_failed_one_says_what_became_of_its_attempts_and_what_to_do(stack):
    one = processing(stack)
    for _ in range(2):
        back = stack.store.put_back(claim_of(one))
        one = stack.store.claim("demo", one.id, back.attempt, new_id())
    stack.store.fail(claim_of(one), BAD)
    stack.s3.delete_object(
        Bucket=stack.uploads_bucket, Key=one.input.key, VersionId=one.input.version_id
    )
    said = told("show", one.id)
    assert re.search(r"^attempt +3; since .* queued it: 2 lost, put off 0 times$", said, re.M)
    assert re.search(r"^status +FAILED: missing-columns$", said, re.MULTILINE)
    assert f"{one.input.key}, is gone" in said
    assert re.search(r"^next +its owner mends the file", said, re.MULTILINE)


@pytest.mark.parametrize(
    ("code", "step"),
    [
        ("attempts-used-up", "requeue"),
        ("input-changed", "its owner uploads the file again"),
        ("model-mismatch", "uploads a file for this model; or back"),
    ],
)
def test_what_to_do_depends_on_why_it_failed(stack, code, step):
    one = failed(stack, failure=BAD.model_copy(update={"code": code}))
    assert step in answered("show", one.id)["next"]


def test_what_is_not_there_is_what_was_given_wrong(stack):
    outcome = run("show", AN_ID)
    assert outcome.exit_code == 2
    assert f"{AN_ID} is no prediction of local" in outcome.stderr


def test_a_record_that_cannot_be_read_is_named_with_its_fields_alone(stack):
    one = queued(stack)
    broken(stack, one)
    outcome = run("show", one.id)
    assert outcome.exit_code == 1
    assert f"demo/{one.id}: attempt" in outcome.stderr


def broken(stack, one):
    stack.table.update_item(
        Key={"account": one.account, "id": one.id},
        UpdateExpression="SET attempt = :secret",
        ExpressionAttributeValues={":secret": SECRET},
    )


def overdue(stack, one):
    stack.table.update_item(
        Key={"account": one.account, "id": one.id},
        UpdateExpression="SET due_at = :long_ago",
        ExpressionAttributeValues={":long_ago": 1_000_000},
    )


# ---- what is stuck ----------------------------------------------------------------------------


def test_what_was_sent_again_or_is_overdue_or_has_no_beat_is_stuck(stack):
    resent, late, held, _fine = queued(stack), queued(stack), processing(stack), queued(stack)
    stack.store.take_resend(resent)
    overdue(stack, late)
    found = {one["id"]: one["why"] for one in answered("stuck")["stuck"]}
    assert found.keys() == {resent.id, late.id, held.id}
    assert found[resent.id].startswith("sent again 1 times, next in ")
    assert "overdue for" in found[late.id]
    assert found[held.id] == "no beat for 30 s"
    header, *rows = told("stuck").splitlines()
    assert header.endswith("WHY")
    assert [row.split()[0] for row in rows] == sorted(found)


@pytest.mark.parametrize("moves", ["beats", "is claimed anew", "ends"])
def test_what_moves_while_it_is_watched_is_not_stuck(stack, monkeypatch, moves):
    one = processing(stack)
    slept = []

    def sleep(seconds):
        slept.append(seconds)
        if len(slept) > 1:
            return
        if moves == "beats":
            stack.store.renew(claim_of(one), rows_done=1, fraction_done=0.1)
        elif moves == "ends":
            stack.store.fail(claim_of(one), BAD)
        else:
            stack.store.hand_back(claim_of(one))
            stack.store.claim("demo", one.id, 1, new_id())

    monkeypatch.setattr("retainwise.predictions.time", SimpleNamespace(sleep=sleep))
    assert answered("stuck")["stuck"] == []
    assert sum(slept) == 30, "the stack's lease"


# ---- changing ---------------------------------------------------------------------------------


def test_failed_ones_are_queued_again_and_their_messages_sent(stack):
    some = [failed(stack), failed(stack, "other")]
    said = told("requeue", "--yes", *(one.id for one in some))
    assert said == "local: 2 predictions queued again\n"
    assert {again(stack, one).status for one in some} == {Status.QUEUED}
    assert sorted((one.account, one.attempt) for one in messages(stack)) == [
        ("demo", 2),
        ("other", 2),
    ]


def test_what_is_not_failed_is_left_and_told_and_the_rest_is_queued(stack):
    one, waiting = failed(stack), queued(stack)
    outcome = run("requeue", "--yes", "--json", one.id, waiting.id, AN_ID)
    assert outcome.exit_code == 1
    assert json.loads(outcome.stdout) == {
        "stack": "local",
        "done": [one.id],
        "left": {waiting.id: "is QUEUED", AN_ID: "does not exist"},
    }
    assert f"left as they were: {waiting.id} is QUEUED, {AN_ID} does not exist" in outcome.stderr
    assert [one.id for one in (again(stack, one), again(stack, waiting)) if one.attempt == 2] == [
        one.id
    ]


def test_an_end_is_told_to_the_owner_and_takes_the_claim_from_its_worker(stack):
    waiting, running = queued(stack), processing(stack)
    claim = claim_of(running)
    told("fail", "--yes", waiting.id, running.id, "--reason", " the disk is\nfull. ")
    for one in (waiting, running):
        ended = again(stack, one)
        assert (ended.status, ended.failure.code) == (Status.FAILED, "called-off")
        assert ended.failure.message.endswith("ended it: the disk is full.")
    with pytest.raises(LeaseLost):
        stack.store.renew(claim, rows_done=1, fraction_done=0.5)
    assert again(stack, running).status is Status.FAILED


def test_what_a_job_stored_is_removed_later_also_if_it_began_while_a_person_was_asked(
    stack, monkeypatch
):
    running, waiting = processing(stack), queued(stack)

    def asked(*_):
        stack.store.claim(waiting.account, waiting.id, 1, new_id())
        return True

    monkeypatch.setattr("retainwise.stack_data.confirmed", asked)
    told("fail", running.id, waiting.id, "--reason", "why")
    stack.store._clock = lambda: 1e10
    due = {one.prediction_id for one in stack.store.erasures_due()}
    assert due == {running.id, waiting.id}


@pytest.mark.parametrize("reason", ["", " . ", "x" * 501])
def test_a_reason_has_to_say_something(stack, reason):
    outcome = run("fail", "--yes", queued(stack).id, "--reason", reason)
    assert outcome.exit_code == 2
    assert "--reason is empty or longer than 500 characters" in outcome.stderr


@pytest.mark.parametrize("reason", ["caf\udce9", "a\0b"], ids=["no text", "no character"])
def test_a_reason_is_something_that_can_be_shown(stack, reason):
    one = queued(stack)
    outcome = run("fail", "--yes", one.id, "--reason", reason)
    assert outcome.exit_code == 2
    assert "--reason holds what cannot be shown" in outcome.stderr
    assert again(stack, one).status is Status.QUEUED


def test_what_moved_while_a_person_was_asked_is_left(stack, monkeypatch):
    one = processing(stack)

    def asked(question, _yes):
        assert question == "End 1 prediction of local: 1 PROCESSING?"
        stack.store.put_back(claim_of(one))
        return True

    monkeypatch.setattr("retainwise.stack_data.confirmed", asked)
    outcome = run("fail", one.id, "--reason", "why")
    assert outcome.exit_code == 1
    assert f"{one.id} is QUEUED at attempt 2 by now" in outcome.stderr
    assert again(stack, one).status is Status.QUEUED


@pytest.mark.parametrize(
    ("change", "question"),
    [
        (("requeue",), "Queue 2 predictions of local again: 2 missing-columns?"),
        (("fail", "--reason", "why"), "End 2 predictions of local: 1 PROCESSING, 1 QUEUED?"),
    ],
)
def test_a_person_is_asked_and_may_say_no(stack, monkeypatch, change, question):
    of = failed if change[0] == "requeue" else None
    some = [of(stack), of(stack)] if of else [queued(stack), processing(stack)]
    questions = []
    monkeypatch.setattr("retainwise.stack_data.confirmed", lambda one, _: questions.append(one))
    outcome = run(*change, *(one.id for one in some))
    assert outcome.exit_code == 1
    assert questions == [question]
    assert [again(stack, one) for one in some] == some


@pytest.mark.parametrize("change", [("requeue",), ("fail", "--reason", "why")])
def test_without_a_terminal_yes_has_to_be_said(stack, change):
    one = failed(stack) if change[0] == "requeue" else queued(stack)
    outcome = run(*change, one.id)
    assert outcome.exit_code == 2
    assert "say --yes" in outcome.stderr
    assert again(stack, one) == one


def test_cut_off_it_says_how_far_it_came_and_the_sweeper_sends_the_rest(stack, monkeypatch):
    some = [failed(stack) for _ in range(2)]

    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("predictions.work_queue.WorkQueue.send", interrupted)
    outcome = CliRunner().invoke(
        main, ["predictions", "requeue", "local", "--yes", *(one.id for one in some)]
    )
    assert outcome.exit_code == 1
    assert "queueing ended after 0 of 2: run it again" in outcome.stderr
    first = again(stack, some[0])
    assert first.status is Status.QUEUED
    assert first.due_at is not None, "its message is sent by the sweeper"


@pytest.mark.parametrize("command", COMMANDS, ids=lambda one: one[0])
def test_a_stack_that_is_none_is_what_was_given_wrong(stack, command):
    name, *rest = command
    outcome = CliRunner().invoke(main, ["predictions", name, "prdo", *rest])
    assert outcome.exit_code == 2
    assert "there is no stack prdo" in outcome.stderr


@pytest.mark.parametrize("command", COMMANDS, ids=lambda one: one[0])
def test_a_stack_without_its_queues_is_one_line_and_a_failure(stack, command):
    name, *rest = command
    outcome = CliRunner().invoke(main, ["predictions", name, "dev", *rest])
    assert outcome.exit_code == 1
    assert outcome.stderr.startswith("Error: dev in eu-west-1: AWS refused GetQueueUrl: ")
    assert outcome.stderr.endswith("was the stack deployed to this account and region?\n")
    assert outcome.stderr.count("\n") == 1
