"""A runbook's own commands on predictions and dead letters, run against a stack in memory.

Each block that holds such a command is run in the state that the runbook tells of, made anew for
it, and what it prints is compared with what the runbook says. Times, ages and ids that differ from
run to run are made alike first; what a person is asked, they answer with yes.
Run as a program, it writes what the commands print into the runbooks.
"""

from __future__ import annotations

import re
import shlex
import textwrap
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from string import Template
from types import SimpleNamespace
from unittest import mock

import click
from click.testing import CliRunner

from emulated_stack import emulated_stack
from made_cloud import TRACEPARENT, Cloud
from predictions.message import Request
from predictions.record import Failure, FileFacts, InputFile, Prediction
from predictions.refusals import model_mismatch
from predictions.sweeper import Ended, claim_of
from retainwise.cli import main

RUNBOOKS = Path(__file__).parents[2] / "runbooks"
OF_THE_WORKER = (
    "dead-letters",
    "failed-jobs",
    "no-progress",
    "queue-age",
    "stuck-records",
    "worker-silent",
)
STACK = "prod"
WAITING = "01M864PSY1XY8RDE4PHFWF680Z"
RUNNING = "01M864PSY1XY8RDE4PHFWF681A"
ENDED = "01M864PSY1XY8RDE4PHFWF682B"
OWNER = "01M864Q0C3M7A1T5XKQ0V9D2ER"
LETTER = "b0c9f4ab-5b0e-4f6c-9d2e-6d1a1f0b7e55"
ORPHAN = "3ed74569-ba6a-49e4-a063-de7f98c7d3e3"

_OURS = re.compile(r"^retainwise (predictions|dlq) ")
_BLOCK = re.compile(
    r"^(?P<indent> *)```bash\n(?P<bash>.*?)^(?P=indent)```\n"
    r"(?:\n(?P=indent)```text\n(?P<text>.*?)^(?P=indent)```\n)?",
    re.MULTILINE | re.DOTALL,
)
_ALIKE = (
    (re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d"), "<time>"),
    (re.compile(r"\b\d+ (h \d+ min|min \d+ s|s)\b"), "<age>"),
    (re.compile(r" {2,}"), "  "),
)


@dataclass(frozen=True)
class Block:
    """A block of bash, and what the runbook says that it prints; none where it says nothing."""

    bash: str
    text: str | None

    @property
    def is_ours(self) -> bool:
        return any(map(_OURS.match, self.bash.splitlines()))


class Stack:
    """A stack in the state that the runbooks tell of."""

    def __init__(self, cloud: Cloud) -> None:
        self.cloud = cloud
        self.store = cloud.store
        self.names: dict[str, str] = {}
        """What is in the runbook → what it is called in this run."""

    def submit(self, prediction_id: str) -> Prediction:
        key = f"uploads/acme/{prediction_id}/input.csv"
        put = self.cloud.s3.put_object(Bucket=self.cloud.uploads_bucket, Key=key, Body=b"x")
        facts = FileFacts(rows=7043, columns=21, encoding="UTF-8", delimiter=",", model="telco-1")
        file = InputFile(
            key=key,
            name="a.csv",
            size_bytes=1,
            sha256="aa",
            etag=put["ETag"],
            version_id=put["VersionId"],
            facts=facts,
        )
        return self.store.submit("acme", prediction_id, file, traceparent=TRACEPARENT)

    def waiting(self, resends: int = 0) -> Prediction:
        one = self.submit(WAITING)
        for _ in range(resends):
            self.store.take_resend(one)
            one = self.store.get(one.account, one.id)
        return one

    def running(self) -> Prediction:
        one = self.submit(RUNNING)
        claimed = self.store.claim("acme", one.id, 1, OWNER)
        self.store.renew(claim_of(claimed), rows_done=3000, fraction_done=0.4)
        return claimed

    def failed(self, failure: Failure, crashes: int = 0) -> Prediction:
        one = self.submit(ENDED)
        for attempt in range(1, crashes + 2):
            claim = claim_of(self.store.claim("acme", one.id, attempt, OWNER))
            if attempt <= crashes:
                self.store.put_back(claim)
        return self.store.fail(claim, failure)

    def bury(self, body: str, reason: str | None, printed: str) -> None:
        given = {"reason": {"DataType": "String", "StringValue": reason}} if reason else {}
        self.names[printed] = self.cloud.sqs.send_message(
            QueueUrl=self.cloud.dlq_url, MessageBody=body, MessageAttributes=given
        )["MessageId"]

    def receive_dead_letters(self, times: int) -> None:
        for _ in range(times):
            self.cloud.sqs.receive_message(QueueUrl=self.cloud.dlq_url, VisibilityTimeout=0)


def _letters(stack: Stack) -> None:
    body = Request.to_process(stack.waiting()).model_dump_json()
    stack.bury(body, None, LETTER)
    stack.receive_dead_letters(50)
    stack.bury("something else's", "the body is not JSON", ORPHAN)


def _given_up(stack: Stack) -> None:
    from predictions.dead_letters import NOT_TAKEN

    stack.store.give_up(stack.waiting(), NOT_TAKEN)


def _stuck(stack: Stack) -> None:
    stack.waiting(resends=3)
    stack.running()
    stack.failed(Ended.KILLED.used_up(5), crashes=4)


def _mismatched(stack: Stack) -> None:
    refused = Failure(code="missing-columns", message="A column is missing: region.", hint="…")
    stack.failed(model_mismatch("telco-1", "telco-2", refused))


def _running(stack: Stack) -> None:
    stack.running()


def _waiting(stack: Stack) -> None:
    stack.waiting()


def _nothing(_: Stack) -> None:
    pass


# In which state each runbook's blocks are run, in their order.
STATES: dict[str, list[Callable[[Stack], None]]] = {
    "dead-letters": [_letters, _letters, _letters, _letters, _given_up, _nothing],
    "failed-jobs": [_mismatched, _mismatched, _mismatched],
    "no-progress": [_running, _running],
    "queue-age": [_waiting],
    "stuck-records": [_stuck, _stuck, _stuck, _stuck],
    "worker-silent": [_nothing],
}


def blocks(text: str) -> list[Block]:
    """Return a runbook's blocks, each with the output that follows at once."""
    return [
        Block(
            textwrap.dedent(found["bash"]),
            None if found["text"] is None else textwrap.dedent(found["text"]),
        )
        for found in _BLOCK.finditer(text)
    ]


def walked(name: str) -> list[tuple[Block, str]]:
    """Run what a runbook has of ours; return each block and what it printed."""
    ours = [one for one in blocks((RUNBOOKS / f"{name}.md").read_text()) if one.is_ours]
    variables = {"STACK": STACK}
    runs = zip(ours, STATES[name], strict=True)
    return [(block, _run(block, state, variables)) for block, state in runs]


def alike(text: str) -> str:
    """Make alike what differs from run to run."""
    for pattern, word in _ALIKE:
        text = pattern.sub(word, text)
    return text


def _run(block: Block, prepare: Callable[[Stack], None], variables: dict[str, str]) -> str:
    said = ""
    with _state(prepare) as stack:
        for line in block.bash.splitlines():
            if assigned := re.fullmatch(r"(\w+)=(\S+)", line):
                variables[assigned[1]] = assigned[2]
                continue
            program, *arguments = shlex.split(Template(line).substitute(variables))
            if program != "retainwise":
                raise ValueError(f"beside a command of ours: {line}")
            given = [stack.names.get(one, one) for one in arguments]
            outcome = CliRunner().invoke(main, given, input="y\n")
            if outcome.exit_code:
                raise AssertionError(f"{line}: {outcome.output}")
            said += outcome.output
        for printed, actual in stack.names.items():
            said = said.replace(actual, printed)
    return said


@contextmanager
def _state(prepare: Callable[[Stack], None]) -> Iterator[Stack]:
    """Prepare a stack; somebody sits at a terminal, and nobody waits for a lease."""
    at_once = SimpleNamespace(sleep=lambda _: None)

    def asked(question: str, _yes: bool) -> bool:
        return click.confirm(question, err=True)

    with (
        emulated_stack(STACK) as cloud,
        mock.patch("retainwise.predictions.time", at_once),
        mock.patch("retainwise.stack_data.confirmed", asked),
    ):
        stack = Stack(cloud)
        prepare(stack)
        yield stack


def _write(name: str) -> None:
    """Put what the commands print into a runbook where it says something else."""
    path = RUNBOOKS / f"{name}.md"
    said = iter([said for _, said in walked(name)])

    def printed(found: re.Match[str]) -> str:
        [block] = blocks(found[0])
        if not block.is_ours:
            return found[0]
        new = next(said)
        if block.text is None or alike(block.text) == alike(new):
            return found[0]
        indented = textwrap.indent(new, found["indent"])
        start, end = found.span("text")
        return found[0][: start - found.start()] + indented + found[0][end - found.start() :]

    path.write_text(_BLOCK.sub(printed, path.read_text()))


if __name__ == "__main__":
    for one in OF_THE_WORKER:
        _write(one)
