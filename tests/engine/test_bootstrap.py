"""From an empty account to the first deploy, however often the way there is interrupted."""

from __future__ import annotations

import json
import os
import shutil

import pytest
import yaml

from emulator import running_emulator
from engine.interrupted import interrupted
from engine.workspace import STATE_ALONE, workspace
from localcloud.apply import apply
from localcloud.cloud import ACCOUNT_ID
from localcloud.program import BOOTSTRAP, Program
from operations.account import StackAccount
from operations.bootstrap import StillRunning, bootstrap
from operations.deploy import NotConfirmed
from operations.engine import Engine
from operations.state import backend_url, checkpoint_key

QUEUE = """
import pulumi_aws as aws

aws.sqs.Queue("jobs", name="prod-retainwise-jobs")
"""


@pytest.fixture
def emulator(tmp_path):
    """An account with nothing in it."""
    with running_emulator(tmp_path / "cloud") as emulator:
        yield emulator


@pytest.fixture
def project(tmp_path, emulator):
    """A checkout as it is before anybody has done anything with it."""
    with workspace(tmp_path / "engine", emulator) as project:
        for stack in ("dev", "prod"):
            project.write_stack(stack)
            # As it is in the checkout, but for who there is.
            text = (BOOTSTRAP.stacks / f"Pulumi.{stack}.yaml").read_text("utf-8")
            deploy = "  retainwise-bootstrap:deploy:\n"
            assert deploy in text
            text = text.replace(deploy, f"{deploy}    people: [root]\n")
            (project.bootstrap / f"Pulumi.{stack}.yaml").write_text(text, "utf-8")
        yield project


@pytest.fixture
def begin(project):
    """Run the bootstrap of dev with hooks; returns what it said."""

    def go(**hooks):
        said = []
        programs = project.bootstrap
        bootstrap(
            StackAccount.of("dev", programs),
            scratch=project.folder / ".local" / "bootstrap",
            service=project.folder,
            program=Program(BOOTSTRAP.project, programs, programs / "program"),
            **{"say": said.append, "may_go_on": lambda _changes: True} | hooks,
        )
        return said

    return go


def checkpoint(project, stack, of=BOOTSTRAP.project):
    answer = project.emulator.client("s3").get_object(
        Bucket=f"{stack}-retainwise-state-{ACCOUNT_ID}", Key=checkpoint_key(stack, of)
    )
    return answer["VersionId"], json.loads(answer["Body"].read())["checkpoint"]["latest"]


def is_empty(project):
    """Whether nobody has made anything in the account."""
    made = [
        project.emulator.client("s3").list_buckets()["Buckets"],
        project.emulator.client("kms").list_keys()["Keys"],
        project.emulator.client("dynamodb").list_tables()["TableNames"],
        project.emulator.client("iam").list_roles()["Roles"],
    ]
    return not any(made)


def left_behind(project):
    """Find what the way there needed and the end does not."""
    return [
        path.name
        for path in [
            *project.folder.glob("**/*.bak*"),
            *project.folder.glob(".local/bootstrap/*"),
        ]
    ]


def test_from_nothing_to_the_first_deploy_and_back_when_all_of_the_state_is_lost(project, run):
    file = project.bootstrap / "Pulumi.prod.yaml"
    before = file.read_text("utf-8")
    assert is_empty(project)

    said = run("bootstrap", "prod", "--yes").output
    assert "prod is ready to be deployed to" in said
    bucket = f"prod-retainwise-state-{ACCOUNT_ID}"
    assert f"moving the state to s3://{bucket}" in said
    assert "commit what Pulumi wrote" in said
    assert left_behind(project) == []

    # The file is as people wrote it, with the key at its end and no salt of the old state.
    after = file.read_text("utf-8")
    assert after.startswith(before)
    assert yaml.safe_load(after[len(before) :]).keys() == {"secretsprovider", "encryptedkey"}
    version, latest = checkpoint(project, "prod")
    assert latest["secrets_providers"]["type"] == "cloud"
    provider = latest["secrets_providers"]["state"]["url"]
    assert provider == "awskms:///alias/prod-retainwise-state?region=eu-west-1"

    again = run("bootstrap", "prod", "--yes").output
    assert "nothing to change" in again
    assert "prod: as declared" in again
    assert checkpoint(project, "prod")[0] == version
    assert file.read_text("utf-8") == after

    project.use_program(QUEUE)
    assert "1 to create" in run("deploy", "prod", "--yes").output
    assert queues(project) == ["prod-retainwise-jobs"]

    # A state of the service that is lost is no reason to make an empty one in its place.
    s3 = project.emulator.client("s3")
    written = s3.list_object_versions(Bucket=bucket, Prefix=checkpoint_key("prod"))["Versions"]
    for one in written:
        s3.delete_object(
            Bucket=bucket,
            Key=one["Key"],
            VersionId=one["VersionId"],
            BypassGovernanceRetention=True,
        )
    said = run("bootstrap", "prod", "--yes", code=1).output
    assert "Pulumi.prod.yaml has the key of a state of prod, and there is none" in said
    assert "`retainwise state prod` lists what can be had back" in said

    # Nothing can be had back: as the message says.
    service = project.folder / "Pulumi.prod.yaml"
    document = yaml.safe_load(service.read_text("utf-8"))
    del document["secretsprovider"], document["encryptedkey"]
    service.write_text(yaml.safe_dump(document), "utf-8")
    assert "made the stack prod" in run("bootstrap", "prod", "--yes").output
    assert "found 1 resources of 1" in run("adopt", "prod", "--yes").output
    assert "nothing to change" in run("deploy", "prod", "--yes").output
    assert queues(project) == ["prod-retainwise-jobs"]


def queues(project):
    urls = project.emulator.client("sqs").list_queues()["QueueUrls"]
    return [url.rpartition("/")[2] for url in urls]


def at_the_question(project, begin):
    """Interrupted when the state on this machine was made and nothing else."""
    with pytest.raises(NotConfirmed):
        begin(may_go_on=lambda _changes: False)


def in_the_middle_of_the_update(project, begin):
    """Interrupted with Ctrl-C: the engine ends what it is doing."""
    del begin
    stop(project, "before", "dev-retainwise-preview", "Ctrl-C")
    [state] = project.folder.glob(".local/bootstrap/*/state/.pulumi/stacks/*/dev.json")
    latest = json.loads(state.read_text("utf-8"))["checkpoint"]["latest"]
    assert "pending_operations" not in latest


def when_the_bucket_is_made_and_not_noted(project, begin):
    """Killed, with no time to note anything: what else was begun at the same time neither."""
    del begin
    stop(project, "after", f"dev-retainwise-state-{ACCOUNT_ID}", "kill")


def stop(project, when, resource, how):
    interrupted(project, ["bootstrap", "dev", "--yes"], when, resource, how)


def _at(words):
    def say(line):
        if line.startswith(words):
            raise KeyboardInterrupt

    return say


def before_the_move(project, begin):
    with pytest.raises(KeyboardInterrupt):
        begin(say=_at("moving"))


def in_the_middle_of_the_move(project, begin):
    """The move makes the stack first, and then fills it."""
    before_the_move(project, begin)
    account = StackAccount.of("dev", project.bootstrap)
    folder = project.bootstrap
    shutil.copy(folder / "Pulumi.dev.yaml", folder / "Pulumi.dev.yaml.bak.1234")
    provider = "awskms:///alias/dev-retainwise-state?region=eu-west-1"
    engine = Engine("dev", backend_url(account), folder)
    engine.call("stack", "init", "dev", "--secrets-provider", provider)


def after_the_move(project, begin):
    with pytest.raises(KeyboardInterrupt):
        begin(say=_at("moved"))


def only_the_state(project):
    """Let the bootstrap make what it cannot do without, where it does not matter what it makes."""
    program = project.bootstrap / "program"
    program.unlink()
    program.symlink_to(STATE_ALONE.main)


def come_to_the_same_end(project, run):
    assert left_behind(project) != []
    said = run("bootstrap", "dev", "--yes").output
    assert "dev is ready to be deployed to" in said
    assert left_behind(project) == []
    _, latest = checkpoint(project, "dev")
    assert "pending_operations" not in latest
    assert len(project.emulator.client("kms").list_keys()["Keys"]) == 1
    return [one["type"] for one in latest["resources"] if one["type"].startswith("aws:")]


@pytest.mark.parametrize(
    "interruption", [in_the_middle_of_the_update, when_the_bucket_is_made_and_not_noted]
)
def test_interrupted_while_it_makes_things_it_goes_on_with_them(interruption, project, begin, run):
    interruption(project, begin)
    assert len(come_to_the_same_end(project, run)) == 42


@pytest.mark.parametrize(
    "interruption",
    [at_the_question, before_the_move, in_the_middle_of_the_move, after_the_move],
)
def test_interrupted_and_run_again_it_comes_to_the_same_end(interruption, project, begin, run):
    only_the_state(project)
    interruption(project, begin)
    assert "aws:s3/bucket:Bucket" in come_to_the_same_end(project, run)


def test_the_wrong_account_is_refused_and_the_right_one_named(project, run):
    file = project.bootstrap / "Pulumi.dev.yaml"
    text = file.read_text("utf-8")
    file.write_text(f'{text}  aws:allowedAccountIds: ["111122223333"]\n', "utf-8")
    said = run("bootstrap", "dev", "--yes", code=2).output
    assert "dev is in the account 111122223333 (aws:allowedAccountIds of Pulumi.dev.yaml)" in said
    assert f"the credentials are of {ACCOUNT_ID}" in said
    assert is_empty(project)
    file.write_text(text, "utf-8")
    project.change("dev", "network", zones=["a"])
    service = project.folder / "Pulumi.dev.yaml"
    document = yaml.safe_load(service.read_text("utf-8"))
    document["config"]["aws:allowedAccountIds"] = ["444455556666"]
    service.write_text(yaml.safe_dump(document), "utf-8")
    assert "dev is in the account 444455556666" in run("bootstrap", "dev", "--yes", code=2).output
    assert is_empty(project)


def test_the_wrong_region_is_refused_and_the_right_one_named(project, run, monkeypatch):
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    said = run("bootstrap", "dev", "--yes", code=2).output
    assert (
        "dev is in eu-west-1 (aws:region of Pulumi.dev.yaml), but AWS_REGION is us-east-1" in said
    )
    monkeypatch.delenv("AWS_REGION")
    file = project.bootstrap / "Pulumi.dev.yaml"
    file.write_text(file.read_text("utf-8").replace("eu-west-1", "eu-north-1"), "utf-8")
    said = run("bootstrap", "dev", "--yes", code=2).output
    assert "aws:region eu-west-1, and the bootstrap's has eu-north-1: they must be the same" in said
    assert is_empty(project)


def test_a_file_that_names_no_account_is_told(project, run):
    """By `deploy` as well: the warning names the account that it would be."""
    project.use_program("")
    advice = f'aws:allowedAccountIds: ["{ACCOUNT_ID}"]'
    assert advice not in run("deploy", "dev", "--yes", code=1).output
    file = project.folder / "Pulumi.dev.yaml"
    document = yaml.safe_load(file.read_text("utf-8"))
    del document["config"]["aws:allowedAccountIds"]
    file.write_text(yaml.safe_dump(document), "utf-8")
    assert advice in run("deploy", "dev", "--yes", code=1).output


@pytest.mark.parametrize("key", ["encryptionsalt: v1:1234", "encryptedkey: QUJD"])
def test_a_bootstrap_that_was_begun_elsewhere_is_not_begun_again(key, project, run):
    file = project.bootstrap / "Pulumi.dev.yaml"
    file.write_text(f"{file.read_text('utf-8')}{key}\n", "utf-8")
    said = run("bootstrap", "dev", "--yes", code=1).output
    assert "Is it the right account" in said
    assert "on another machine" in said
    assert is_empty(project)


def test_while_an_interrupted_run_still_works_no_second_one_begins(project, begin):
    at_the_question(project, begin)
    [here] = project.folder.glob(".local/bootstrap/*")
    lock = here / "state/.pulumi/locks/organization/retainwise-bootstrap/dev/1234.json"
    lock.parent.mkdir(parents=True, exist_ok=True)
    lock.write_text(json.dumps({"pid": os.getpid()}))
    with pytest.raises(StillRunning, match=f"process {os.getpid()} .* still works on dev"):
        begin()
    assert is_empty(project)


@pytest.mark.parametrize("where", ["before", "after"])
def test_killed_with_its_state_in_the_bucket_the_next_one_goes_on(where, project, run):
    only_the_state(project)
    run("bootstrap", "dev", "--yes")
    table = "dev-retainwise-deploy-lease"
    project.emulator.client("dynamodb").delete_table(TableName=table)
    interrupted(project, ["bootstrap", "dev", "--yes"], where, table, "kill")
    said = run("bootstrap", "dev", "--yes").output
    assert "the lock of a bootstrap that was killed is taken away" in said
    is_there = {"before": "it is not there", "after": "it is there: taken over"}[where]
    assert f"Table {table} was being made when the last run was killed; {is_there}" in said
    assert "dev: as declared" in run("bootstrap", "dev", "--yes").output


def test_a_lock_of_another_machine_is_only_told(project, run):
    only_the_state(project)
    run("bootstrap", "dev", "--yes")
    bucket = StackAccount.of("dev", project.bootstrap).state_bucket
    key = ".pulumi/locks/organization/retainwise-bootstrap/dev/1234.json"
    text = {"pid": os.getpid(), "username": "ana", "hostname": "laptop", "timestamp": "2026-03-03"}
    s3 = project.emulator.client("s3")
    s3.put_object(Bucket=bucket, Key=key, Body=json.dumps(text))
    said = run("bootstrap", "dev", "--yes", code=1).output
    assert f"is locked by ana@laptop (process {os.getpid()})" in said
    s3.head_object(Bucket=bucket, Key=key)


def test_what_is_there_and_in_no_state_is_taken_over(project, run):
    """The state is lost, or somebody made it all with a plain `pulumi up` and kept none."""
    only_the_state(project)
    apply(project.emulator.clients, "dev", program=STATE_ALONE)
    said = run("bootstrap", "dev", "--yes").output
    assert "Table dev-retainwise-deploy-lease is there already: taken over" in said
    # Whether a bucket may be emptied, AWS does not know; the role trusts others in these tests.
    assert "2 to change\n" in said
    assert len(project.emulator.client("kms").list_keys()["Keys"]) == 1
    assert "dev: as declared" in run("bootstrap", "dev", "--yes").output
