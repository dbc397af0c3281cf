"""Puts the real output of the commands into docs/infrastructure.md: `make transcripts`.

A line `<!-- output: COMMAND -->` in the document is followed by a block of what the command said,
in one run of production from an empty account on, against the emulated AWS. Times and ids differ
from run to run, so it is run again when a command says something else, and not for each change.
"""

from __future__ import annotations

import io
import json
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr
from pathlib import Path

import pytest
from click.testing import CliRunner

from emulator import running_emulator
from engine.hand_made import build, terraform_state
from engine.readiness import readiness
from engine.workspace import Workspace, workspace
from localcloud.apply import apply
from localcloud.program import BOOTSTRAP, CHECKOUT, stack_config
from operations.keeping import keep
from operations.lease import DeployLease
from retainwise.cli import main as retainwise

DOCUMENT = CHECKOUT / "docs" / "infrastructure.md"
_FIRST, _LAST = 14, 4
_MARK = re.compile(
    r"^(?P<indent> *)<!-- output: (?P<command>.+?) -->\n(?:\n? *```text\n.*?^ *```\n)?", re.M | re.S
)
_NEW, _BAD = ("sha256:" + letter * 64 for letter in "ab")


class Scene:
    """A project in which commands are typed, and what each of them said."""

    def __init__(self, project: Workspace) -> None:
        self.project = project
        self.said: dict[str, str] = {}

    def type(
        self, command: str, *hidden: str, called: str | None = None, progress: bool = True
    ) -> None:
        """Run `retainwise …`; `hidden` are options that only a test needs.

        progress: whether the lines are shown that say what is done already.
        """
        _, *arguments = command.split()
        more = [*hidden, "--project", str(self.project.folder)]
        result = CliRunner().invoke(retainwise, [*arguments, *more])
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        text = result.output if progress else result.stdout
        text = text.replace(str(self.project.folder), ".")
        end = f"exit {result.exit_code}\n" if result.exit_code else ""
        self.said[called or command] = f"$ {command}\n{text}{end}"

    def pulumi(self, command: str) -> None:
        """Run `pulumi …` as a person does."""
        _, *arguments = command.split()
        done = self.project.pulumi("prod", *arguments)
        lines = [line for line in done.stdout.splitlines() if line.strip()]
        text = "\n".join(lines)
        self.said[command] = f"$ {command}\n{text}\nexit {done.returncode}\n"


def production(scene: Scene) -> None:
    """Walk production from an empty account to drift."""
    project = scene.project
    project.write_stack("prod")
    aws = project.emulator.clients
    scene.type("retainwise bootstrap prod", "--yes", progress=False)
    with readiness() as ready:
        hidden = ("--yes", "--wait", "5", "--url", ready.url)
        scene.type("retainwise deploy prod", *hidden)
        scene.pulumi("pulumi up --yes --skip-preview")
        project.change("prod", "services", web={"image_digest": _NEW})
        project.change("prod", "predictions", lease_s=45)
        scene.type("retainwise deploy prod", *hidden)
        account = project.account("prod")
        lease = DeployLease(account.session.client("dynamodb"), account.lease_table, "prod")
        with keep(lease, "ana@laptop", "deploy 1a2b3c4", on_lost=print):
            scene.type("retainwise lease prod")
        project.change("prod", "services", web={"image_digest": _BAD})
        ready.answers = lambda: 503 if _BAD in json.dumps(running(project)) else 200
        scene.type(
            "retainwise deploy prod",
            *(*hidden, "--wait", "2"),
            called="retainwise deploy prod, of a release that is not ready",
        )
        scene.type("retainwise rollback prod", *hidden)
        scene.type("retainwise releases prod")
        project.change("prod", "services", web={"image_digest": "sha256:" + "0" * 64})
        queue = aws.sqs.get_queue_url(QueueName="prod-retainwise-predictions-queue")["QueueUrl"]
        aws.sqs.set_queue_attributes(QueueUrl=queue, Attributes={"VisibilityTimeout": "7"})
        aws.iam.attach_role_policy(
            RoleName="prod-retainwise-web-task",
            PolicyArn="arn:aws:iam::aws:policy/AdministratorAccess",
        )
        aws.sqs.create_queue(QueueName="prod-retainwise-left-over")
        scene.type("retainwise drift prod")
        scene.type("retainwise state prod")


def running(project: Workspace) -> object:
    """Describe what the web service runs."""
    ecs = project.emulator.client("ecs")
    [found] = ecs.describe_services(cluster="prod-retainwise", services=["prod-retainwise-web"])[
        "services"
    ]
    definition = ecs.describe_task_definition(taskDefinition=found["taskDefinition"])
    return definition["taskDefinition"]["containerDefinitions"]


def adoption(scene: Scene) -> None:
    """Adopt an account that was made by hand."""
    project = scene.project
    made = build(project.emulator.endpoint)
    clients = project.emulator.clients
    apply(clients, "live", stack_config("local", BOOTSTRAP), BOOTSTRAP)
    project.new_stack("live", like="local")
    state = project.folder / "terraform.tfstate"
    state.write_text(json.dumps(terraform_state(made)))
    options = ("--yes", "--terraform", str(state))
    scene.type("retainwise adopt live", *options, progress=False)


@contextmanager
def scene() -> Iterator[Scene]:
    """Lay out an empty account and a project for the block."""
    with (
        tempfile.TemporaryDirectory(prefix="retainwise-") as folder,
        running_emulator(Path(folder) / "cloud") as emulator,
        workspace(Path(folder) / "engine", emulator) as project,
        redirect_stderr(io.StringIO()),
        pytest.MonkeyPatch.context() as patch,
    ):
        # As in CI: what ran on some machine would name that.
        patch.setenv("GITHUB_ACTOR", "ana")
        patch.setenv("GITHUB_RUN_ID", "4711")
        yield Scene(project)


def put_into(document: str, said: dict[str, str]) -> str:
    """Return the document with the outputs; raise KeyError for one that nobody ran."""

    def block(mark: re.Match[str]) -> str:
        indent, command = mark["indent"], mark["command"]
        lines = [f"{indent}{line}".rstrip() for line in shortened(said[command])]
        return "\n".join(
            [f"{indent}<!-- output: {command} -->", f"{indent}```text", *lines, f"{indent}```", ""]
        )

    return _MARK.sub(block, document)


def shortened(text: str) -> list[str]:
    """Keep the first and the last lines of what is long."""
    lines = text.rstrip().splitlines()
    left_out = len(lines) - _FIRST - _LAST
    if left_out <= 1:
        return lines
    return [*lines[:_FIRST], f"… {left_out} more lines …", *lines[-_LAST:]]


def main() -> None:
    """Run both scenes and write the document."""
    said: dict[str, str] = {}
    for play in (production, adoption):
        with scene() as one:
            play(one)
            said |= one.said
    DOCUMENT.write_text(put_into(DOCUMENT.read_text("utf-8"), said), "utf-8")


if __name__ == "__main__":
    main()
