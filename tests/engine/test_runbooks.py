"""The runbooks of what can go wrong with deploys and the state: each is followed in a situation
that really is one, block by block as it stands in the file, and what is seen is what it says.

The account is emulated, `prod` has a few resources and a short lease; the CLI, the state and the
processes are real.
"""

from __future__ import annotations

import json
import re
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

import psutil
import pytest

from engine.by_the_book import RUNBOOKS, Desk, answers, differs, steps
from engine.watched import JOURNAL, STOP, Stop
from engine.workspace import STATE_ALONE, Workspace
from localcloud.cloud import ACCOUNT_ID
from operations import toolchain
from operations.state import backend_url, checkpoint_key

LENGTH_S = 12.0
BUCKET = f"prod-retainwise-state-{ACCOUNT_ID}"
KEY = checkpoint_key("prod")
QUEUE = "prod-retainwise-predictions-queue"
TOPIC = "prod-retainwise-topic"

# One after the other, so that it is known what the second change is.
PROGRAM = f"""
import pulumi
import pulumi_aws as aws

version = VERSION
last = aws.sqs.Queue("{QUEUE}", name="{QUEUE}", visibility_timeout_seconds=30 + version)
for number in range(2 * version):
    name = f"{TOPIC}-{{number}}"
    last = aws.sns.Topic(name, name=name, opts=pulumi.ResourceOptions(depends_on=[last]))
"""
# Who comes when the dead lease has ended already waits for nothing.
ONLY_IF_HELD_STILL = ("waiting for its end", "waiting to see whether")


@dataclass
class Stack:
    """The stack `prod`, and a person at their desk who follows a runbook.

    said: by what was at work last, once it has ended.
    walked: the steps that any test has gone, with the runbook of each.
    """

    project: Workspace
    desk: Desk
    folder: Path
    version: int = 0
    said: str = ""
    walked: set[tuple[str, str]] = field(default_factory=set)
    _numbers: Iterator[int] = field(default_factory=lambda: count(1))

    def follow(
        self,
        runbook: str,
        step: str,
        *,
        text: int = 0,
        change: Callable[[str], str] = str,
        holder: str | None = None,
        missing: Sequence[str] = (),
    ) -> str:
        """Run a block as `ben`, see that what it says came, and return that.

        text: which of what the step shows is to come.
        change: puts something else in the place of what is the example's only, in both.
        holder: whom they name where that is asked.
        missing: what lines that are shown have and need not come.
        """
        block = steps(runbook)[step]
        assert block.bash is not None
        self.walked.add((runbook, step))
        shown = change(block.texts[text]) if block.texts else ""
        typed = [holder if holder and "@" in one else one for one in answers(shown)]
        came = self.desk.type(change(block.bash), typed, LOGNAME="ben")
        wrong = differs(shown, came, [*ONLY_IF_HELD_STILL, *missing])
        assert wrong is None, f"{runbook}, {step}\n{wrong}"
        return came

    def begin(self, runbook: str) -> None:
        """Paste the first block."""
        (self.desk.commands / "variables").unlink(missing_ok=True)
        self.follow(runbook, "First")

    def declare_more(self) -> None:
        """Have the checkout declare another setting of the queue and two topics more."""
        self.version += 1
        self.project.use_program(PROGRAM.replace("VERSION", str(self.version)))

    def deploy(self) -> None:
        self.desk.type("retainwise deploy prod", ["y"])

    @contextmanager
    def at_work(self, *command: str, **more: str) -> Iterator[subprocess.Popen[bytes]]:
        """Run a command of `ana` until it has made a topic, and not noted that; there it hangs."""
        number = next(self._numbers)
        stop = Stop("after", 2, str(self.folder / f"stopped-{number}"))
        log = self.folder / f"log-{number}"
        with log.open("wb") as said:
            process = subprocess.Popen(
                command,
                cwd=self.project.folder,
                env=self.desk.environment(
                    **{JOURNAL: str(self.folder / "journal"), STOP: stop.as_json()}, **more
                ),
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        until = time.monotonic() + 60
        try:
            while not Path(stop.file).exists():
                is_coming = process.poll() is None and time.monotonic() < until
                assert is_coming, log.read_text("utf-8")
                time.sleep(0.05)
            yield process
        finally:
            Path(stop.file).unlink(missing_ok=True)
            _kill(process)
        self.said = log.read_text("utf-8")

    def check(self) -> None:
        """See that nothing is there twice, and nothing is left to be settled or in the way."""
        emulator = self.project.emulator
        topics = [one["TopicArn"] for one in emulator.client("sns").list_topics()["Topics"]]
        names = sorted(one.rpartition(":")[2] for one in topics)
        assert names == sorted(f"{TOPIC}-{number}" for number in range(2 * self.version))
        assert len(emulator.client("sqs").list_queues()["QueueUrls"]) == 1
        s3 = emulator.client("s3")
        state = json.loads(s3.get_object(Bucket=BUCKET, Key=KEY)["Body"].read())["checkpoint"]
        assert state["latest"].get("pending_operations") is None
        known = [one["urn"] for one in state["latest"]["resources"]]
        assert len(known) == len({*known}) == 2 * self.version + 3  # with the stack and a provider
        assert s3.list_objects_v2(Bucket=BUCKET, Prefix=".pulumi/locks/").get("Contents") is None


def _kill(process: subprocess.Popen[bytes]) -> None:
    """Kill it with all that it started, as when the machine is gone."""
    if process.poll() is None:
        deploy = psutil.Process(process.pid)
        for one in [deploy, *deploy.children(recursive=True)]:
            one.kill()
    process.wait()


@pytest.fixture(scope="module")
def stack(project, tmp_path_factory):
    """The stack, deployed once."""
    folder = tmp_path_factory.mktemp("desk")
    project.write_stack("prod")
    program = project.bootstrap / "program"
    program.unlink()
    program.symlink_to(STATE_ALONE.main)
    (folder / "bin").mkdir()
    stack = Stack(project, Desk(project.folder, folder / "bin", LENGTH_S), folder)
    stack.declare_more()
    stack.desk.type("retainwise bootstrap prod --yes && retainwise deploy prod --yes")
    stack.check()
    return stack


@pytest.fixture
def spawned(stack):
    """The stack, with providers that end with what started them, and more to deploy."""
    with stack.project.spawned():
        stack.declare_more()
        yield stack


# ---- deploy-stuck ------------------------------------------------------------------------------

DEPLOY = ("retainwise", "deploy", "prod", "--yes")


OF_ONE_THAT_DIED = "… holds the deploy lease to …; waiting to see whether that is at work still"


def holder_in(said):
    return re.search(r"prod: (\S+) holds the deploy lease", said)[1]


def test_a_deploy_that_hangs_is_broken(spawned):
    stack = spawned
    with stack.at_work(*DEPLOY) as process:
        stack.begin("deploy-stuck")
        holder = holder_in(stack.follow("deploy-stuck", "Diagnosis 1"))
        stack.follow("deploy-stuck", "Diagnosis 2")
        stack.follow("deploy-stuck", "Mitigation 1", holder=holder)
        assert process.wait(LENGTH_S) == 1
    assert f"{holder} has lost the deploy lease: ben@" in stack.said
    stack.follow("deploy-stuck", "Mitigation 2")
    stack.follow("deploy-stuck", "Verify")
    stack.check()


def test_a_deploy_that_was_killed_needs_nothing_but_the_next_one(spawned):
    stack = spawned
    with stack.at_work(*DEPLOY) as process:
        _kill(process)
    stack.begin("deploy-stuck")

    def of_one_that_died(text):
        """Put the line in the first one's place that the runbook gives below."""
        first, *rest = text.splitlines(keepends=True)
        if "waiting for its end" not in first:
            return text
        return "".join([f"{OF_ONE_THAT_DIED}\n", *rest])

    assert f"`{OF_ONE_THAT_DIED}`" in (RUNBOOKS / "deploy-stuck.md").read_text("utf-8")
    stack.follow("deploy-stuck", "Mitigation 2", change=of_one_that_died)
    stack.follow("deploy-stuck", "Verify")
    stack.check()


def test_a_lock_that_somebody_left_by_hand_is_taken_away(spawned):
    stack = spawned
    up = (toolchain.pulumi(), "up", "--yes", "--skip-preview", "--non-interactive")
    backend = backend_url(stack.project.account("prod"))
    with stack.at_work(*up, PULUMI_BACKEND_URL=backend, PULUMI_STACK="prod") as process:
        _kill(process)
    time.sleep(3)  # a lock as young as this could be of the next deploy itself
    stack.begin("deploy-stuck")
    refused, cancelled = steps("deploy-stuck")["Mitigation 3"].texts
    said = stack.desk.type("retainwise deploy prod", LOGNAME="ben")
    assert differs(refused, said) is None, differs(refused, said)
    assert "the deploy lease is free" in stack.desk.type("retainwise lease prod")
    pid = re.search(r"\(process (\d+)\)", said)[1]
    assert int(pid) == process.pid
    command = re.search(r"`(PULUMI_BACKEND_URL=[^`]+)`", said)[1]
    said = stack.desk.type(command)
    assert differs(cancelled, said) is None, differs(cancelled, said)
    stack.follow("deploy-stuck", "Mitigation 2", missing=["the lock of a deploy"])
    stack.follow("deploy-stuck", "Verify")
    stack.check()


# ---- state-lost and state-damaged --------------------------------------------------------------


@pytest.fixture
def s3(stack):
    return stack.project.emulator.client("s3")


def first_whole(said):
    """The newest of the listed versions without a remark, as a person picks it."""
    lines = [line.split() for line in said.splitlines()[1:]]
    return next(
        line[0]
        for line in lines
        if len(line) == len(["version", "day", "time", "bytes", "resources"])
    )


def with_version(version):
    return lambda text: re.sub(r"^VERSION=\S+", f"VERSION={version}", text, flags=re.MULTILINE)


def test_a_state_that_was_deleted_is_put_back(stack, s3):
    s3.delete_object(Bucket=BUCKET, Key=KEY)
    stack.begin("state-lost")
    stack.follow("state-lost", "Diagnosis 1")
    version = first_whole(stack.follow("state-lost", "Diagnosis 2"))
    stack.follow("state-lost", "Mitigation 1", change=with_version(version))
    stack.follow("state-lost", "Verify")
    stack.check()


def lose_all(s3, prefix=KEY):
    """Delete every version, as who may lift the lock of the bucket can."""
    listed = s3.list_object_versions(Bucket=BUCKET, Prefix=prefix)
    for one in [*listed.get("Versions", ()), *listed.get("DeleteMarkers", ())]:
        names = {"Bucket": BUCKET, "Key": one["Key"], "VersionId": one["VersionId"]}
        s3.delete_object(**names, BypassGovernanceRetention=True)


def test_a_state_whose_every_version_is_lost_is_copied_back(stack, s3):
    lose_all(s3)
    stack.begin("state-lost")
    stack.follow("state-lost", "Diagnosis 1")
    said = stack.desk.type("retainwise state prod")
    assert "there is no version of a state" in said
    listed = stack.follow("state-lost", "Mitigation 2")
    version = listed.split()[0]
    stack.follow("state-lost", "Mitigation 3", change=with_version(version))
    stack.follow("state-lost", "Verify")
    stack.check()


def test_a_stack_of_which_no_state_is_left_anywhere_is_taken_in_again(stack, s3):
    lose_all(s3)
    stack.begin("state-lost")
    # As in a stack without copies: the emulator deletes no version of a copy.
    nowhere = steps("state-lost")["Mitigation 2"].bash.replace("state-recovery", "state-nowhere")
    assert "NoSuchBucket" in stack.desk.type(nowhere)
    stack.follow("state-lost", "Mitigation 4")
    stack.follow("state-lost", "Mitigation 5")
    stack.follow("state-lost", "Verify")
    stack.check()


def in_the_test(text):
    """Where the bootstrap's files are."""
    return text.replace("platform/bootstrap", "bootstrap")


def test_a_bucket_that_is_gone_is_made_anew_and_the_state_copied_back(stack, s3):
    lose_all(s3, "")
    s3.delete_bucket(Bucket=BUCKET)
    stack.begin("state-lost")
    assert "there is no s3://" in stack.desk.type("retainwise drift prod")
    said = stack.follow("state-lost", "Mitigation 6", change=in_the_test)
    assert "is there already: taken over" in said
    version = stack.follow("state-lost", "Mitigation 2").split()[0]
    stack.follow("state-lost", "Mitigation 3", change=with_version(version))
    stack.follow("state-lost", "Verify")
    stack.check()


def cut_in_half(text):
    return text[: len(text) // 2]


def garbage(_text):
    return b"\0garbage\n"


@pytest.mark.parametrize("spoilt", [cut_in_half, garbage])
def test_a_state_that_cannot_be_read_is_put_back(stack, s3, spoilt):
    text = s3.get_object(Bucket=BUCKET, Key=KEY)["Body"].read()
    s3.put_object(Bucket=BUCKET, Key=KEY, Body=spoilt(text))
    stack.begin("state-damaged")
    stack.follow("state-damaged", "Diagnosis 1")
    version = first_whole(stack.follow("state-damaged", "Diagnosis 2"))
    stack.follow("state-damaged", "Mitigation 1", change=with_version(version))
    stack.follow("state-damaged", "Verify")
    stack.check()


def test_an_old_state_that_was_written_over_it_is_taken_back(stack, s3):
    """The one of before the first deploy had done anything."""
    whole = json.loads(s3.get_object(Bucket=BUCKET, Key=KEY)["Body"].read())
    latest = whole["checkpoint"]["latest"]
    latest["resources"] = [one for one in latest["resources"] if not one["type"].startswith("aws:")]
    s3.put_object(Bucket=BUCKET, Key=KEY, Body=json.dumps(whole))
    stack.begin("state-damaged")
    stack.follow("state-damaged", "Diagnosis 1", text=1)
    said = stack.desk.type(steps("state-damaged")["Diagnosis 2"].bash)
    newest, before, *_ = [line.split() for line in said.splitlines()[1:]]
    assert newest[5:] == ["newest"]
    assert int(newest[4]) < int(before[4])
    stack.follow("state-damaged", "Mitigation 1", change=with_version(before[0]))
    stack.follow("state-damaged", "Verify")
    stack.check()


def test_no_step_of_the_runbooks_was_left_out(stack):
    """Runs last: a block that no situation needs would be a guess."""
    written = {
        (name, step)
        for name in ("deploy-stuck", "state-damaged", "state-lost")
        for step, one in steps(name).items()
        if one.bash is not None
    }
    assert written == stack.walked
