"""A state that was spoilt or lost comes back, and what is secret in it is never in the clear."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path

import pytest

from infra.lease_item import table_name
from localcloud.cloud import ACCOUNT_ID
from operations.keeping import keep
from operations.lease import DeployLease
from operations.state import checkpoint_key

DEV = "dev-retainwise"
BUCKET = f"{DEV}-state-{ACCOUNT_ID}"
KEY = checkpoint_key("dev")

PROGRAM = """
import json

import pulumi
import pulumi_aws as aws

config = pulumi.Config("retainwise")
token = config.require_secret("token")
aws.sqs.Queue("jobs", name="dev-retainwise-jobs", tags={"token": token, "size": "SIZE"})
aws.s3.Bucket("files", bucket="dev-retainwise-files")
anyone = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": "*"}}
policy = json.dumps({"Version": "2012-10-17", "Statement": [anyone]})
aws.iam.Role("reader", name="dev-retainwise-reader", assume_role_policy=policy)
pulumi.export("token", token)
"""
SECRET = "correct-horse-battery-staple"


@pytest.fixture(scope="module", autouse=True)
def _dev(project):
    project.new_stack("dev", alone=True)
    set_secret = project.pulumi("dev", "config", "set", "--secret", "token", SECRET)
    set_secret.check_returncode()
    project.use_program(PROGRAM.replace("SIZE", "small"))


@pytest.fixture
def s3(project):
    return project.emulator.client("s3")


@pytest.fixture
def deployed(project, run):
    """Two releases are out, and the state knows of both."""
    for size in ("small", "large"):
        project.use_program(PROGRAM.replace("SIZE", size))
        run("deploy", "dev", "--yes")


def newest(s3):
    return s3.get_object(Bucket=BUCKET, Key=KEY)["VersionId"]


def written(s3, **body):
    return s3.put_object(Bucket=BUCKET, Key=KEY, **body)["VersionId"]


def listed(run):
    """What `retainwise state` lists: the remark by each version."""
    lines = run("state", "dev", "--limit", "100").output.splitlines()[1:]
    return {line.split()[0]: line for line in lines}


def is_as_aws(run):
    return "nothing to change" in run("deploy", "dev", "--yes").output


@pytest.mark.usefixtures("deployed")
def test_a_state_that_was_cut_off_is_told_and_the_last_whole_one_brought_back(s3, run):
    whole = s3.get_object(Bucket=BUCKET, Key=KEY)
    text = whole["Body"].read()
    damaged = written(s3, Body=text[: len(text) // 2])
    for command in (["deploy", "dev", "--yes"], ["drift", "dev"]):
        said = run(*command, code=1).output
        assert f"the state of dev in s3://{BUCKET}" in said
        assert "cannot be read" in said
        assert "`retainwise state dev` lists its versions" in said
    assert "newest, not a whole state" in listed(run)[damaged]
    refused = run("state", "dev", "--restore", damaged, "--yes", code=2).output
    assert f"version {damaged} is not a whole state" in refused

    said = run("state", "dev", "--restore", whole["VersionId"], "--yes").output
    assert f"version {whole['VersionId']} with 5 resources is the newest" in said
    assert is_as_aws(run)
    # It is the same once more, and nothing that was written is lost.
    assert s3.get_object(Bucket=BUCKET, Key=KEY)["Body"].read() == text
    assert {damaged, whole["VersionId"]} < listed(run).keys()


@pytest.mark.usefixtures("deployed")
def test_an_old_state_that_was_written_over_the_new_one_is_taken_back(project, s3, run):
    right = newest(s3)
    before = next(
        version
        for version, line in listed(run).items()
        if line.split()[4:] == ["1"]  # with the stack itself and nothing in it
    )
    s3.copy_object(
        Bucket=BUCKET, Key=KEY, CopySource={"Bucket": BUCKET, "Key": KEY, "VersionId": before}
    )
    preview = project.pulumi("dev", "preview", "--expect-no-changes")
    assert preview.returncode != 0
    assert "to create" in preview.stdout
    run("state", "dev", "--restore", right, "--yes")
    preview = project.pulumi("dev", "preview", "--expect-no-changes")
    assert preview.returncode == 0, preview.stdout + preview.stderr


@pytest.mark.usefixtures("deployed")
def test_a_newest_state_that_was_deleted_comes_back(s3, run):
    right = newest(s3)
    s3.delete_object(Bucket=BUCKET, Key=KEY)
    for command in (["deploy", "dev", "--yes"], ["drift", "dev"]):
        said = run(*command, code=1).output
        assert "there is no state of dev" in said
        assert "do not make it anew" in said
        assert "`retainwise state dev` lists what can be had back" in said
    deletion, *_ = listed(run).values()
    assert "newest, deleted" in deletion
    run("state", "dev", "--restore", right, "--yes")
    assert is_as_aws(run)


def test_a_version_that_there_is_not_is_refused(run):
    said = run("state", "dev", "--restore", "nonsense", "--yes", code=2).output
    assert "has no version nonsense; `retainwise state dev` lists them" in said


@pytest.mark.usefixtures("deployed")
def test_a_state_is_put_back_under_the_lease_only(project, s3, run):
    right = newest(s3)
    lease = DeployLease(project.emulator.client("dynamodb"), table_name(DEV), "dev")
    with keep(lease, "alice@laptop", "deploy 1a2b3c4", on_lost=print):
        said = run("state", "dev", "--restore", right, "--yes", code=3).output
        assert "alice@laptop holds the deploy lease" in said
        assert newest(s3) == right
    run("state", "dev", "--restore", right, "--yes")
    assert newest(s3) != right
    last = lease.last()
    assert last is not None
    assert last.what == f"restore state {right}"
    assert last.released is not None


def versions(s3):
    pages = s3.get_paginator("list_object_versions").paginate(Bucket=BUCKET)
    return [one for page in pages for one in page.get("Versions", ())]


class Seen:
    """All that was ever readable: what commands said, and the files that were there meanwhile."""

    def __init__(self) -> None:
        self.texts: dict[str, str] = {}

    def files(self, folder: Path) -> None:
        for path in folder.rglob("*"):
            if path.is_file():
                self.texts[str(path)] = path.read_text("utf-8", errors="replace")

    def with_the_secret(self) -> list[str]:
        return [where for where, text in self.texts.items() if SECRET in text]


def test_a_secret_is_never_in_the_clear(project, s3, run, tmp_path, monkeypatch):
    seen = Seen()
    # The plan and the stack's file as it is used are there while the engine works, and no longer.
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(project.provider, "after", lambda _what, _name: seen.files(tmp_path))

    def tell(*command, code=0):
        seen.texts[" ".join(command)] = run(*command, code=code).output

    def typed(*command):
        done = project.pulumi("dev", *command)
        done.check_returncode()
        seen.texts[f"pulumi {' '.join(command)}"] = done.stdout + done.stderr

    project.use_program(PROGRAM.replace("SIZE", "secret"))
    tell("deploy", "dev", "--yes")
    sqs = project.emulator.client("sqs")
    queue = sqs.get_queue_url(QueueName=f"{DEV}-jobs")["QueueUrl"]
    assert sqs.list_queue_tags(QueueUrl=queue)["Tags"]["token"] == SECRET  # it was used
    sqs.tag_queue(QueueUrl=queue, Tags={"size": "changed by hand"})
    tell("drift", "dev", code=7)
    tell("drift", "dev", "--json", code=7)
    tell("deploy", "dev", "--yes")
    sqs.tag_queue(QueueUrl=queue, Tags={"token": "another"})
    tell("drift", "dev", code=7)
    tell("deploy", "dev", "--yes")
    tell("releases", "dev", "--json")
    tell("state", "dev")
    tell("lease", "dev", "--json")
    typed("preview", "--diff", "--refresh")
    typed("preview", "--json", "--refresh")
    typed("stack", "output", "--json")
    typed("stack", "export")
    typed("config")
    seen.files(project.folder)
    seen.files(Path(os.environ["PULUMI_HOME"]))
    assert any(where.endswith("plan.json") or "deploy.json" in where for where in seen.texts)

    for one in versions(s3):
        answer = s3.get_object(Bucket=BUCKET, Key=one["Key"], VersionId=one["VersionId"])
        seen.texts[f"{one['Key']} {one['VersionId']}"] = answer["Body"].read().decode()
    kinds = {one["Key"].partition("/")[0] for one in versions(s3)}
    assert kinds == {".pulumi", "releases"}
    assert seen.with_the_secret() == []

    latest = json.loads(s3.get_object(Bucket=BUCKET, Key=KEY)["Body"].read())["checkpoint"][
        "latest"
    ]
    assert latest["secrets_providers"]["type"] == "cloud"
    state = latest["secrets_providers"]["state"]
    assert state["url"] == f"awskms:///alias/{DEV}-state?region=eu-west-1"
