"""Deploys of the ten resources that are killed, started together, or stalled and woken.

Each trial lets one thing go wrong and returns what it saw; it raises AssertionError for what may
not be. The program's version in the account before and after is the account's own business: a trial
brings the next.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import count, pairwise
from pathlib import Path
from typing import Any, Literal

import psutil

from emulator import running_emulator
from engine.healing.ten import EMPTY, MAY_GO, NAME, STACK, changes, declared, in_account, program
from engine.watched import JOURNAL, STOP, Stop, entries
from engine.workspace import Workspace, workspace
from operations.lease import DeployLease, table_name

# AWS's clock tells whole seconds, and so does the policy of a session: each may take one of what a
# session lasts, and the engine has to have the next one before that, on a busy machine too.
LENGTH_S = 12.0
"""Of the lease in the trials, seconds; a deploy of a team has 60."""
_DEPLOY = Path(__file__).with_name("deploy.py")
_LONGEST_S = 120.0

Without = Literal["lease", "fence", "healing"]
Victim = Literal["it", "all", "provider"]
"""What is killed of a deploy: it alone, all that it has started as well, or its provider alone."""
_ITSELF: tuple[Victim, ...] = ("it", "all")


@dataclass
class Deploy:
    """A deploy that was started."""

    process: subprocess.Popen[bytes]
    output: Path
    stop: Stop | None

    def wait_for_stop(self) -> bool:
        """Wait until it has stopped where it was to; no when it ended before."""
        until = time.monotonic() + _LONGEST_S
        while self.process.poll() is None and time.monotonic() < until:
            if self.stop is not None and Path(self.stop.file).exists():
                return True
            time.sleep(0.01)
        return False

    def stall(self) -> None:
        """Stop the deploy and all that it started, where they are."""
        for one in self._all():
            with suppress(psutil.NoSuchProcess):
                one.suspend()

    def wake(self) -> None:
        """Let them go on; what acts in AWS a moment before what could keep it from that."""
        deploy, *started = self._all()
        for one in reversed(started):
            with suppress(psutil.NoSuchProcess):
                one.resume()
        time.sleep(0.5)
        deploy.resume()

    def let_go_on(self) -> None:
        """Let what stopped on purpose go on, if it is alive."""
        if self.stop is not None:
            Path(self.stop.file).unlink(missing_ok=True)

    def kill(self, victim: Victim) -> None:
        """Kill some of its processes, and see it end."""
        processes = {"it": self._all()[:1], "all": self._all(), "provider": self._providers()}
        assert processes[victim]
        for one in processes[victim]:
            with suppress(psutil.NoSuchProcess):
                one.kill()
        if victim == "provider":
            self.let_go_on()  # to where it finds out
        self.process.wait(_LONGEST_S)

    def _providers(self) -> list[psutil.Process]:
        """Return what acts in AWS for it."""
        found = []
        for one in self._all():
            with suppress(psutil.Error):  # some come and go
                if any("pulumi-resource-aws" in part for part in one.cmdline()):
                    found.append(one)
        return found

    def said(self) -> str:
        """Wait for its end, and return what it printed."""
        self.process.wait(_LONGEST_S)
        return self.output.read_text("utf-8")

    def _all(self) -> list[psutil.Process]:
        try:
            deploy = psutil.Process(self.process.pid)
            return [deploy, *deploy.children(recursive=True)]
        except psutil.NoSuchProcess:
            return []


@dataclass
class Field:
    """An emulated account, a project for it, and the version of the program that is in it."""

    project: Workspace
    folder: Path
    version: int = EMPTY
    _versions: Iterator[int] = field(default_factory=lambda: count(1))
    _numbers: Iterator[int] = field(default_factory=lambda: count(1))

    @property
    def journal(self) -> Path:
        """Where the providers of all deploys write what they change."""
        return self.folder / "journal"

    def start(
        self,
        version: int,
        *,
        stop: Stop | None = None,
        without: Without | None = None,
        length_s: float = LENGTH_S,
        environment: Mapping[str, str] | None = None,
    ) -> Deploy:
        """Start a deploy of a version, from a checkout of its own.

        environment: what it has beside, or instead of, this process's.
        """
        checkout = self._checkout(version)
        allowed = [part for name in MAY_GO for part in ("--allow-replace", name)]
        arguments = ("deploy", STACK, "--yes", *allowed, "--project", str(checkout))
        output = self.folder / f"output-{next(self._numbers)}"
        with output.open("wb") as log:
            process = subprocess.Popen(
                self._command(without, length_s, *arguments),
                env={
                    **_with_path(),
                    JOURNAL: str(self.journal),
                    **({STOP: stop.as_json()} if stop else {}),
                    **(environment or {}),
                },
                stdin=subprocess.DEVNULL,
                stdout=log,  # what outlives it holds no pipe
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        return Deploy(process, output, stop)

    def stop_at(self, where: Literal["before", "signed", "after"], number: int) -> Stop:
        """Say where a deploy is to stop."""
        return Stop(where, number, str(self.folder / f"stopped-{next(self._numbers)}"))

    def another(self, chance: random.Random) -> int:
        """Choose what to bring next: mostly a version that changes all, at times the empty one."""
        is_empty = self.version != EMPTY and chance.random() < 1 / 4
        return EMPTY if is_empty else self.next_version()

    def next_version(self) -> int:
        """Return a version that was not there yet."""
        return next(self._versions)

    def in_account(self) -> int:
        """Tell by the account which version is in it."""
        alarms = self.project.emulator.client("cloudwatch").describe_alarms()["MetricAlarms"]
        return int(alarms[0]["Threshold"]) if alarms else EMPTY

    def _command(self, without: Without | None, length_s: float, *arguments: str) -> list[str]:
        options = json.dumps({"length_s": length_s, "without": without})
        return [sys.executable, str(_DEPLOY), options, *arguments]

    def _checkout(self, version: int) -> Path:
        """Lay out the project with this version of the program, beside the others."""
        checkout = self.folder / f"version-{version}"
        if not checkout.exists():
            source = self.project.folder
            (checkout / "platform").mkdir(parents=True)
            (checkout / "platform" / "__main__.py").write_text(program(version), "utf-8")
            for file in source.glob("Pulumi*.yaml"):
                shutil.copy(file, checkout)
            (checkout / "bootstrap").symlink_to(source / "bootstrap")
        return checkout

    def deploy(self, version: int) -> str:
        """Bring a version as a team does; return what was said."""
        deploy = self.start(version)
        said = deploy.said()
        assert deploy.process.returncode == 0, said
        self.version = version
        return said

    def check(self, version: int) -> None:
        """See that the account is as the program says, and the state as the account."""
        there, asked_for = in_account(self.project.emulator), declared(version)
        assert there == asked_for, f"in the account: {there}\nasked for: {asked_for}"
        account = self.project.account(STACK)
        s3 = self.project.emulator.client("s3")
        names = {"Bucket": account.state_bucket, "Prefix": ".pulumi/locks/"}
        assert s3.list_objects_v2(**names).get("Contents", []) == []
        assert self._state().get("pending_operations") is None
        known = [one["urn"] for one in self._state().get("resources", ())]
        assert len(known) == len({*known}), "something is in the state twice"
        drift = subprocess.run(
            self._command(
                None, LENGTH_S, "drift", STACK, "--project", str(self._checkout(version))
            ),
            env=_with_path(),
            capture_output=True,
            text=True,
            check=False,
        )
        assert drift.returncode == 0, drift.stdout + drift.stderr
        assert drift.stdout.startswith("no drift; ")

    def snapshot(self) -> Mapping[str, Any]:
        """Describe all that a deploy could change: the account and every object of the state."""
        emulator = self.project.emulator
        sqs, s3 = emulator.client("sqs"), emulator.client("s3")
        bucket = self.project.account(STACK).state_bucket
        objects = s3.list_object_versions(Bucket=bucket)
        return {
            "account": in_account(emulator),
            "queues": {
                url: sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
                for url in sqs.list_queues().get("QueueUrls", [])
            },
            "alarms": [
                (one["AlarmName"], one["Threshold"])
                for one in emulator.client("cloudwatch").describe_alarms()["MetricAlarms"]
            ],
            "state": sorted(
                (one["Key"], one["VersionId"])
                for several in ("Versions", "DeleteMarkers")
                for one in objects.get(several, ())
            ),
        }

    def holder(self) -> str | None:
        """Return the token of the last taking of the lease."""
        dynamodb = self.project.emulator.client("dynamodb")
        last = DeployLease(dynamodb, table_name(NAME), STACK).last()
        return None if last is None else last.token

    def pending(self) -> list[Mapping[str, Any]]:
        """Return what the state notes as begun."""
        return list(self._state().get("pending_operations") or ())

    def _state(self) -> Mapping[str, Any]:
        account = self.project.account(STACK)
        key = f".pulumi/stacks/retainwise/{STACK}.json"
        body = self.project.emulator.client("s3").get_object(Bucket=account.state_bucket, Key=key)
        latest: Mapping[str, Any] = json.loads(body["Body"].read())["checkpoint"]["latest"] or {}
        return latest


def _with_path() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}


@contextmanager
def a_field() -> Iterator[Field]:
    """Lay out an account with nothing in it, for the block."""
    with (
        tempfile.TemporaryDirectory(prefix="retainwise-") as folder,
        running_emulator(Path(folder) / "cloud") as emulator,
        workspace(Path(folder) / "engine", emulator) as project,
    ):
        project.new_stack(STACK, alone=True)
        with project.spawned():
            yield Field(project, Path(folder))


def killed(there: Field, chance: random.Random, **how: Any) -> Mapping[str, Any]:
    """Kill a deploy at some moment; the next one has to go on without help.

    Mostly with the same, at times back to what was there before. Return what was seen: when it was
    killed, what the state noted then, and how long it took until the next deploy was done.
    how: `where` it is killed, and its `victim`; else what `Field.start` takes.
    """
    before, version = there.version, there.another(chance)
    where = how.pop("where", None) or chance.choice(["any time", "any time", "after", "before"])
    victim: Victim = how.pop("victim", None) or chance.choice(_ITSELF)
    deploy, has_ended = _stopped(there, version, where, chance, **how)
    if has_ended:  # before its moment came
        assert deploy.process.returncode == 0, deploy.said()
        there.version = version
        return killed(there, chance, where=where, victim=victim, **how)
    deploy.kill(victim)
    killed_at = time.monotonic()
    deploy.let_go_on()  # what outlived it
    noted = [one["type"] for one in there.pending()]
    is_back = chance.random() < 1 / 4
    following = before if is_back else version
    next_one = there.start(following, **how)
    said = next_one.said()
    took_s = time.monotonic() - killed_at
    assert next_one.process.returncode == 0, said
    there.version = following
    there.check(following)
    return {
        "to": "nothing" if version == EMPTY else "ten resources",
        "then": "back to what was before" if is_back else "the same again",
        "killed": victim,
        "where": where,
        "noted_as_begun": noted,
        "to_next_done_s": round(took_s, 1),
        "said": said.splitlines(),
    }


def bereft(there: Field, chance: random.Random, **how: Any) -> Mapping[str, Any]:
    """Kill only the provider of a deploy, in a change; see `killed`."""
    how.setdefault("where", chance.choice(["before", "after"]))
    return killed(there, chance, victim="provider", **how)


def raced(there: Field, chance: random.Random, **how: Any) -> Mapping[str, Any]:
    """Start two deploys at once; they may never both be at work.

    Half of them are held back: who comes to its first change waits until the other has come to
    one, too, or has ended.
    """
    before = len(entries(there.journal))
    is_held = how.pop("is_held", None) or chance.random() < 1 / 2
    versions = [there.another(chance), there.next_version()]
    deploys = []
    for version in versions:
        stop = there.stop_at("before", 1) if is_held else None
        deploys.append(there.start(version, stop=stop, **how))
        time.sleep(chance.uniform(0, 0.5))
    for one in deploys:
        one.wait_for_stop()
    for one in deploys:
        one.let_go_on()
    said = [one.said() for one in deploys]
    codes = [one.process.returncode for one in deploys]
    at_work = _spans(entries(there.journal)[before:])
    for one, other in pairwise(at_work):
        assert one[1] <= other[0], f"both were at work: {one} and {other}\n{said}"
    # The one that waits sees the other renew, which ends it with 3, or come to its end.
    assert sorted(codes) in ([0, 0], [0, 3]), said
    there.version = there.in_account()
    assert there.version in [one for one, code in zip(versions, codes, strict=True) if code == 0]
    there.check(there.version)
    return {"codes": codes, "held_back": is_held, "at_work": len(at_work)}


def stalled(there: Field, chance: random.Random, **how: Any) -> Mapping[str, Any]:
    """Stall a deploy past its lease, let the next one come and end, and wake it.

    It may then change nothing any more, in the account or in the state.
    """
    version = how.pop("version", None) or there.another(chance)
    where = how.pop("where", None) or chance.choice(["any time", "before", "signed", "after"])
    deploy, has_ended = _stopped(there, version, where, chance, **how)
    if not has_ended:
        deploy.stall()
    deploy.let_go_on()  # as soon as it wakes
    other = there.next_version()
    said_by_other = there.deploy(other)
    before = there.snapshot()
    if not has_ended:
        deploy.wake()
    said = deploy.said()
    assert there.snapshot() == before, f"{said}\n{said_by_other}"
    assert has_ended or deploy.process.returncode == 1, said
    there.check(other)
    return {
        "where": "at its end" if has_ended else where,
        "said": said.splitlines(),
        "said_by_next": said_by_other.splitlines(),
    }


def _stopped(
    there: Field, version: int, where: str, chance: random.Random, **how: Any
) -> tuple[Deploy, bool]:
    """Start a deploy and wait for the moment; tell whether it had ended by then."""
    if where == "any time":
        before = there.holder()
        deploy = there.start(version, **how)
        while there.holder() == before and deploy.process.poll() is None:
            time.sleep(0.05)
        time.sleep(chance.uniform(0.0, 7.0))
    else:
        stop = there.stop_at(where, chance.randint(1, changes(there.version, version)))
        deploy = there.start(version, stop=stop, **how)
        deploy.wait_for_stop()
    return deploy, deploy.process.poll() is not None


def _spans(journal: list[Mapping[str, Any]]) -> list[tuple[float, float]]:
    """Return from when to when each lease's deploy was at work, in order."""
    by_token: dict[str, list[float]] = {}
    for one in journal:
        if not one["token"]:
            continue  # it only looks
        by_token.setdefault(one["token"], []).append(one["time"])
    return sorted((min(times), max(times)) for times in by_token.values())
