"""The Pulumi CLI on one stack: previews, plans, updates and imports, read as events.

The process is ours, and not the automation library's: who loses the deploy lease must be able to
end it.
"""

from __future__ import annotations

import json
import os
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

from localcloud.program import SERVICE
from operations import toolchain
from operations.ending import Ending
from operations.errors import OperationError

Event = Mapping[str, Any]
OnEvent = Callable[[Event], None]
Key = tuple[str, str | None]
"""A URN and an id: of one URN there can be several, of which one is current."""

_MUST_NOT_ASK = {
    "PULUMI_SKIP_UPDATE_CHECK": "true",
    "PULUMI_ENABLE_STREAMING_JSON_PREVIEW": "true",
    # Else the SDK in the CLI warns of each object that was written without a checksum.
    "AWS_RESPONSE_CHECKSUM_VALIDATION": "when_required",
}


class EngineFailed(OperationError):
    """The CLI ended with an error.

    said: what it said was wrong, line by line.
    """

    def __init__(self, doing: str, said: Sequence[str]) -> None:
        super().__init__("\n".join([f"{doing} failed:", *(f"  {line}" for line in said)]))
        self.said = said


class ProviderDied(EngineFailed):
    """Something killed the provider in an update, and not the CLI.

    That takes the lost answer for a refusal, and forgets what may be there.
    being_made: what the provider was making, as a state has it.
    """

    def __init__(
        self, doing: str, said: Sequence[str], being_made: Sequence[Mapping[str, Any]]
    ) -> None:
        super().__init__(doing, said)
        self.being_made = being_made


class NoStack(OperationError):
    """There is no state of this stack; the message says what that can mean."""

    def __init__(self, stack: str, backend: str) -> None:
        super().__init__(
            f"there is no state of {stack} in {backend}. A new stack is made by "
            f"`retainwise bootstrap {stack}`. If there was one, do not make it anew, which would "
            f"create everything once more: `retainwise state {stack}` lists what can be had back, "
            "and puts it back with --restore. When nothing can, `retainwise adopt "
            f"{stack}` finds what exists"
        )


class NoProgramHost(OperationError):
    """The CLI cannot run programs; the message says where one that can is."""

    def __init__(self) -> None:
        super().__init__(
            f"this Pulumi CLI ({toolchain.pulumi()}) has nothing to run Python programs with: "
            "built by `make tools`, it serves the tests, which bring their own. To change a stack, "
            f"install Pulumi {toolchain.VERSION} from pulumi.com: it comes with all that is needed"
        )


class NoBackend(OperationError):
    """There is no bucket for the state."""

    def __init__(self, stack: str, backend: str) -> None:
        super().__init__(
            f"there is no {backend}, where the state of {stack} would be: `retainwise bootstrap "
            f"{stack}` makes it. Was it run for this account and region?"
        )


class DamagedState(OperationError):
    """The newest state cannot be read; the message says how an older one comes back."""

    def __init__(self, stack: str, backend: str, why: str) -> None:
        super().__init__(
            f"the state of {stack} in {backend} cannot be read ({why}). Nothing in AWS was "
            f"changed. `retainwise state {stack}` lists its versions; --restore puts the last "
            "whole one back"
        )


@dataclass(frozen=True)
class Step:
    """What the engine does, or would do, to one resource.

    op: the engine's word, such as `create`, `update`, `replace`, `delete`, `same`.
    id: of what the state has, as AWS's provider knows it; none where it has nothing.
    old, new: its inputs as the state has them, after a look at the cloud, and as declared.
    changed: paths of the inputs that differ.
    replaced_for: the inputs whose difference makes it a replacement.
    """

    op: str
    urn: str
    type: str
    old: Mapping[str, Any] | None
    new: Mapping[str, Any] | None
    changed: tuple[str, ...] = ()
    replaced_for: tuple[str, ...] = ()
    id: str | None = None

    @property
    def key(self) -> Key:
        """Which of those with its URN it is about."""
        return self.urn, self.id

    @property
    def name(self) -> str:
        """The resource's name in the program."""
        return self.urn.rpartition("::")[2]

    @property
    def kind(self) -> str:
        """The last part of its type: `Bucket` of `aws:s3/bucket:Bucket`."""
        return self.type.rpartition(":")[2]

    @property
    def is_aws(self) -> bool:
        """Whether it is something in AWS, and no component or provider."""
        return self.type.startswith("aws:")


@dataclass(frozen=True)
class Engine:
    """One stack of one program.

    folder: where `Pulumi.yaml` and the stack's file are.
    environment: what the CLI is given beside this process's own; none: it is not given that.
    ending: with which another thread can end whatever it runs.
    """

    stack: str
    backend: str
    folder: Path = SERVICE.stacks
    environment: Mapping[str, str | None] = field(default_factory=dict)
    ending: Ending = field(default_factory=Ending)

    def preview(
        self,
        *,
        refresh: bool = True,
        plan: Path | None = None,
        import_file: Path | None = None,
        config_file: Path | None = None,
        on_event: OnEvent = lambda _event: None,
    ) -> list[Step]:
        """Say what an update would do; nothing is written, and no lock is taken.

        refresh: look at the cloud first, and not only at the state.
        plan: where to write what `up` then may do, and nothing else.
        import_file: where to write what would be created, in the form that `import_` takes.
        """
        options = ["--save-plan", str(plan)] if plan else []
        options += ["--import-file", str(import_file)] if import_file else []
        options += ["--refresh"] if refresh else []
        return self._run("preview", options, config_file, on_event)

    def up(
        self,
        *,
        plan: Path,
        config_file: Path | None = None,
        on_event: OnEvent = lambda _event: None,
    ) -> list[Step]:
        """Do exactly what a plan of a preview with refresh says."""
        options = ["--yes", "--skip-preview", "--refresh", "--plan", str(plan)]
        return self._run("up", options, config_file, on_event)

    def import_(self, file: Path, on_event: OnEvent = lambda _event: None) -> None:
        """Take resources into the state that exist already."""
        self._run("import", ["--file", str(file), *_IMPORT], None, on_event)

    def state(self) -> list[Mapping[str, Any]]:
        """Return the resources of the newest state, as Pulumi keeps them."""
        deployment = self.exported()["deployment"] or {}  # none: it was never updated
        resources: list[Mapping[str, Any]] = deployment.get("resources") or []
        return resources

    def exported(self) -> dict[str, Any]:
        """Return the newest state as Pulumi exports it; what is secret stays encrypted."""
        exported: dict[str, Any] = json.loads(self.call("stack", "export"))
        return exported

    def write_state(self, exported: Mapping[str, Any]) -> None:
        """Make this the newest state, in the form of `exported`. Raises EngineFailed."""
        with NamedTemporaryFile("w", suffix=".json", encoding="utf-8") as file:
            json.dump(exported, file)
            file.flush()
            self.call("stack", "import", "--file", file.name)

    def call(self, *arguments: str) -> str:
        """Run another command of the CLI; return what it prints. Raises EngineFailed, NoStack."""
        with self._running(*arguments) as (process, said):
            printed = process.stdout.read() if process.stdout else ""
            code = process.wait()
        if code != 0:
            raise self._failed(" ".join(arguments[:2]), said)
        return printed

    def _run(
        self, command: str, options: Sequence[str], config_file: Path | None, on_event: OnEvent
    ) -> list[Step]:
        config = ["--config-file", str(config_file)] if config_file else []
        steps: list[Step] = []
        errors: list[str] = []
        being_made: dict[str, Mapping[str, Any]] = {}
        with self._running(command, "--json", *options, *config) as (process, said):
            for event in _events(process.stdout):
                on_event(event)
                steps += _steps(event)
                errors += _errors(event)
                _follow(event, being_made)
            code = process.wait()
        if code != 0:
            if command == "up" and any(sign in line for sign in _DEAD for line in errors + said):
                self.ending.has_killed = True
                raise ProviderDied(f"{self.stack}: pulumi up", errors, [*being_made.values()])
            raise self._failed(command, errors or said)
        return steps

    @contextmanager
    def _running(self, *arguments: str) -> Iterator[tuple[subprocess.Popen[str], list[str]]]:
        """Run the CLI for the block; give the process and what it will have said of errors."""
        if self.ending.was_asked_for:
            raise EngineFailed(f"{self.stack}: pulumi {arguments[0]}", ["it was not started"])
        command: list[str] = [str(toolchain.pulumi()), *arguments, *_QUIET]

        def start() -> subprocess.Popen[str]:
            return subprocess.Popen(
                command,
                cwd=self.folder,
                env=self._environment(),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                # Ctrl-C reaches us alone, and we tell it: told twice, it leaves things half done.
                process_group=0,
            )

        is_write = arguments[:2] == ("stack", "import")
        with (
            self.ending.running(start, is_write=is_write) as process,
            _read(process.stderr) as said,
        ):
            yield process, said

    def _failed(self, doing: str, said: Sequence[str]) -> Exception:
        lines = [line.removeprefix("error: ").strip() for line in said if line.strip()]
        if any(line.startswith(_NO_STACK) or _NO_STATE_YET in line for line in lines):
            return NoStack(self.stack, self.backend)
        if any(_NO_HOST in line for line in lines):
            return NoProgramHost()
        if any(code in line for code in _NO_BUCKET for line in lines):
            return NoBackend(self.stack, self.backend)
        for line in lines:
            if line.startswith(_DAMAGED):
                return DamagedState(self.stack, self.backend, line.removeprefix(_DAMAGED))
        # Whatever ends an update early leaves the rest of its plan undone, which is not the reason.
        lines = [line for line in lines if not line.endswith(_UNDONE)] or lines
        return EngineFailed(f"{self.stack}: pulumi {doing}", lines[-20:] or ["it did not say why"])

    def _environment(self) -> dict[str, str]:
        given: dict[str, str | None] = {
            **os.environ,
            **_MUST_NOT_ASK,
            "PULUMI_BACKEND_URL": self.backend,
            "PULUMI_STACK": self.stack,
            **self.environment,
        }
        return {name: value for name, value in given.items() if value is not None}


# What it says depends on the command.
_NO_STACK = ("no stack named", "no stack selected")
# In a bucket that never had a state it begins with this, which no deploy may write.
_NO_STATE_YET = ".pulumi/meta.yaml"
_NO_BUCKET = ("NoSuchBucket", "could not list bucket: blob (code=NotFound)")
_NO_HOST = "failed to load language plugin"
_DAMAGED = "failed to load checkpoint: "
_UNDONE = "but none were seen"
_QUIET = ("--non-interactive", "--color=never")
_IMPORT = ("--generate-code=false", "--protect=false", "--yes", "--skip-preview")
_IS_STEP = "resourcePreEvent"
_OF_A_STATE = ("urn", "custom", "type", "inputs", "parent", "provider")
"""What a state has of a resource that is being made."""
_DEAD = ("exited prematurely", "error reading from server")
"""What the CLI says when its provider was killed."""


def top_input(path: str) -> str:
    """Return the input that a path of the engine's begins with."""
    if path.startswith('["'):
        return path[2 : path.index('"]')]
    return path.partition(".")[0].partition("[")[0]


def _steps(event: Event) -> Iterator[Step]:
    if _IS_STEP not in event:
        return
    told = event[_IS_STEP]["metadata"]
    old, new = told.get("old") or {}, told.get("new") or {}
    yield Step(
        op=told["op"],
        urn=told["urn"],
        type=told["type"],
        old=old.get("inputs"),
        new=new.get("inputs"),
        changed=tuple(told.get("detailedDiff") or told.get("diffs") or ()),
        replaced_for=tuple(sorted({top_input(path) for path in told.get("keys") or ()})),
        id=old.get("id") or None,
    )


def _follow(event: Event, being_made: dict[str, Mapping[str, Any]]) -> None:
    """Keep, by URN, what was begun to be made and has not come to a good end."""
    if _IS_STEP in event:
        told = event[_IS_STEP]["metadata"]
        if told["op"] in ("create", "create-replacement") and told.get("new"):
            new = told["new"]
            being_made[told["urn"]] = {key: new[key] for key in _OF_A_STATE if key in new}
    elif "resOutputsEvent" in event:
        being_made.pop(event["resOutputsEvent"]["metadata"]["urn"], None)


def _errors(event: Event) -> Iterator[str]:
    told = event.get("diagnosticEvent")
    if told and told["severity"] == "error":
        urn = told.get("urn", "")
        name = urn.rpartition("::")[2]
        message = told["message"].strip()
        # The stack itself only repeats that something failed.
        if "pulumi:pulumi:Stack" in urn or not urn:
            yield message
        else:
            yield f"{urn.split('::')[2].rpartition(':')[2]} {name}: {message}"


def _events(lines: Any) -> Iterator[Event]:  # noqa: ANN401 - a text stream
    for line in lines:
        try:
            event = json.loads(line)
        except ValueError:
            continue  # a warning before the first event
        if isinstance(event, dict):
            yield event


@contextmanager
def _read(stream: Any) -> Iterator[list[str]]:  # noqa: ANN401 - a text stream
    """Read a stream to its end in a thread: a full pipe would stop the process."""
    lines: list[str] = []
    reader = threading.Thread(target=lambda: lines.extend(stream), daemon=True)
    reader.start()
    yield lines
    reader.join()
