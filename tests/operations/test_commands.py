"""What the commands on a stack print, and how they end."""

from __future__ import annotations

import json
import time

import pytest
from click.testing import CliRunner

from localcloud.cloud import ACCOUNT_ID
from operations.lease import DeployLease
from operations.releases import Releases
from retainwise.cli import main

TABLE = "local-retainwise-deploy-lease"
BUCKET = f"local-retainwise-state-{ACCOUNT_ID}"


pytestmark = pytest.mark.usefixtures("sdk_of_the_emulator")


@pytest.fixture
def lease(bootstrapped):
    dynamodb = bootstrapped.client("dynamodb")
    yield DeployLease(dynamodb, TABLE, "local")
    dynamodb.delete_item(TableName=TABLE, Key={"stack": {"S": "local"}})


@pytest.fixture
def records(bootstrapped):
    s3 = bootstrapped.client("s3")
    yield Releases(s3, BUCKET, "local")
    for page in s3.get_paginator("list_objects_v2").paginate(
        Bucket=BUCKET, Prefix="releases/retainwise/local/"
    ):
        for one in page.get("Contents", []):
            s3.delete_object(Bucket=BUCKET, Key=one["Key"])


def run(*arguments):
    return CliRunner().invoke(main, arguments)


def told(*arguments):
    outcome = run(*arguments)
    assert outcome.exit_code == 0, outcome.output
    return outcome.stdout


def test_a_lease_that_nobody_had_is_free(lease):
    said = "local: the deploy lease is free, and nobody has had it yet\n"
    assert told("lease", "local") == said
    assert json.loads(told("lease", "local", "--json")) == {
        "stack": "local",
        "held": False,
        "last": None,
    }


def test_who_holds_the_lease_is_told_and_not_by_what(bootstrapped, lease):
    earlier = DeployLease(
        bootstrapped.client("dynamodb"), TABLE, "local", 230, clock=lambda: time.time() - 200
    )
    held = earlier.take("alice@host", "deploy 1a2b3c4")
    lease.renew(held)
    said = told("lease", "local")
    assert said.startswith("local: alice@host holds the deploy lease to deploy 1a2b3c4, since ")
    assert "(3 min " in said
    assert "renewed 0 s ago" in said or "renewed 1 s ago" in said
    as_json = told("lease", "local", "--json")
    answer = json.loads(as_json)
    assert answer["held"] is True
    assert answer["last"]["owner"] == "alice@host"
    assert answer["last"]["since"] < answer["last"]["renewed"] < answer["last"]["expires"]
    assert answer["last"]["released"] is None
    assert held.token not in said + as_json


def test_who_had_the_lease_last_is_told(lease):
    held = lease.take("alice@host", "deploy 1a2b3c4")
    lease.release(held)
    said = told("lease", "local")
    assert "is free; alice@host had it last, to deploy 1a2b3c4, from " in said
    assert "ended by itself" not in said
    answer = json.loads(told("lease", "local", "--json"))
    assert answer["held"] is False
    assert answer["last"]["released"] >= answer["last"]["since"]


def test_a_lease_that_ended_by_itself_says_so(bootstrapped):
    lease = DeployLease(
        bootstrapped.client("dynamodb"), TABLE, "local", clock=lambda: time.time() - 100
    )
    lease.take("alice@host", "deploy 1a2b3c4")
    assert "is free; alice@host had it last" in (said := told("lease", "local"))
    assert "until it ended by itself at" in said


def breaking(typed):
    return CliRunner().invoke(main, ["lease", "local", "--break"], input=typed)


def test_a_lease_is_broken_by_who_names_its_holder(lease):
    lease.take("alice@host", "deploy 1a2b3c4")
    outcome = breaking("alice@host\n")
    assert outcome.exit_code == 0, outcome.output
    assert "alice@host holds the deploy lease of local to deploy 1a2b3c4" in outcome.stderr
    assert "that is ended within 10 s" in outcome.stderr
    assert "free at its end, 60 s after it was last renewed" in outcome.stderr
    assert "local: alice@host held the deploy lease" in outcome.stdout
    assert lease.last().broken_by is not None


@pytest.mark.parametrize(("typed", "code"), [("bob@host\n", 2), ("", 1)], ids=["other", "nobody"])
def test_who_names_another_or_nobody_breaks_no_lease(lease, typed, code):
    lease.take("alice@host", "deploy 1a2b3c4")
    assert breaking(typed).exit_code == code
    assert lease.last().broken_by is None


def test_a_lease_that_nobody_holds_cannot_be_broken(lease):
    lease.release(lease.take("alice@host", "deploy 1a2b3c4"))
    outcome = breaking("alice@host\n")
    assert outcome.exit_code == 2
    assert "nobody holds the deploy lease, so there is nothing to break" in outcome.stderr


def test_a_stack_without_any_state_says_so(bootstrapped):
    said = told("state", "local")
    assert said.startswith("local: there is no version of a state in s3://local-retainwise-state-")


def test_a_damaged_lease_is_one_line_and_a_failure(bootstrapped, lease):
    item = {"stack": {"S": "local"}, "token": {"S": "1"}}
    bootstrapped.client("dynamodb").put_item(TableName=TABLE, Item=item)
    outcome = run("lease", "local")
    assert outcome.exit_code == 1
    assert outcome.stderr.startswith("Error: the deploy lease of local is damaged: owner must be")
    assert outcome.stderr.count("\n") == 1


@pytest.mark.parametrize("command", ["lease", "releases"])
def test_a_stack_that_is_none_is_what_was_given_wrong(command):
    outcome = run(command, "prdo")
    assert outcome.exit_code == 2
    assert "there is no stack prdo" in outcome.stderr
    assert "dev, local, prod" in outcome.stderr


@pytest.mark.parametrize("command", ["lease", "releases"])
def test_the_wrong_region_is_what_was_given_wrong(command, monkeypatch):
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    outcome = run(command, "local")
    assert outcome.exit_code == 2
    assert "local is in eu-west-1" in outcome.stderr


@pytest.mark.parametrize("command", ["lease", "releases"])
def test_a_stack_without_its_bootstrap_is_one_line_and_a_failure(command):
    outcome = run(command, "dev")  # the emulator has local's
    assert outcome.exit_code == 1
    assert outcome.stderr.startswith("Error: dev in eu-west-1: AWS refused ")
    assert "`retainwise bootstrap` makes it" in outcome.stderr
    assert outcome.stderr.count("\n") == 1


@pytest.mark.parametrize("command", ["lease", "releases"])
def test_an_aws_that_does_not_answer_is_one_line_and_a_failure(command, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    outcome = run(command, "local")
    assert outcome.exit_code == 1
    assert "local in eu-west-1: AWS could not be asked: Could not connect" in outcome.stderr
    assert outcome.stderr.count("\n") == 1


def start(records, **changes):
    given = {
        "revision": "1a2b3c4d" * 5,
        "dirty": False,
        "images": {"worker": f"sha256:{'2' * 64}", "web": f"sha256:{'1' * 64}"},
        "configuration": {"aws:region": "eu-west-1"},
        "who": "alice@host",
        "what": "deploy",
    }
    return records.start(**(given | changes))


def test_a_stack_without_releases_says_so(records):
    assert told("releases", "local") == "local: nothing has been released yet\n"
    empty = {"stack": "local", "releases": [], "damaged": []}
    assert json.loads(told("releases", "local", "--json")) == empty


def test_releases_are_a_table_newest_first(records):
    good = records.finish(start(records), "good")
    failed = records.finish(start(records, dirty=True), "failed", "web\n\x1b[2J did not start")
    back = start(records, what="rollback", revision=None, puts_back=good.id)
    header, newest, middle, oldest = told("releases", "local").splitlines()
    assert header.split() == [
        *("ID", "STARTED", "(UTC)", "WHO", "WHAT", "REVISION", "IMAGES", "RESULT", "REASON")
    ]
    assert newest.split()[0] == back.id
    assert f"rollback of {good.id}  unknown " in newest
    assert newest.endswith("  running")
    assert middle.split()[0] == failed.id
    assert "1a2b3c4, changed" in middle
    assert middle.endswith("  failed   web [2J did not start")
    assert oldest.split()[0] == good.id
    assert f"{good.started:%Y-%m-%d %H:%M:%S}  alice@host  deploy" in oldest
    assert f"web {'1' * 12}, worker {'2' * 12}  good" in oldest


def test_a_damaged_release_hides_no_other(records, bootstrapped):
    good = records.finish(start(records), "good")
    key = "releases/retainwise/local/01ZZZZZZZZZZZZZZZZZZZZZZZZ.json"
    bootstrapped.client("s3").put_object(Bucket=BUCKET, Key=key, Body=b"{")
    outcome = run("releases", "local")
    assert outcome.exit_code == 1
    assert good.id in outcome.stdout
    assert f"s3://{BUCKET}/{key} is no release record" in outcome.stderr


def test_as_many_releases_as_asked_for_are_listed(records):
    started = [start(records).id for _ in range(3)]
    [_, newest] = told("releases", "local", "--limit", "1").splitlines()
    assert newest.split()[0] == max(started)
    answer = json.loads(told("releases", "local", "--json", "--limit", "2"))
    assert [one["id"] for one in answer["releases"]] == sorted(started, reverse=True)[:2]
    assert answer["releases"][0]["configuration"] == {"aws:region": "eu-west-1"}
    assert run("releases", "local", "--limit", "0").exit_code == 2
