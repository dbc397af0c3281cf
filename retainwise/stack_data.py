"""The records, files and queues of a stack, for the commands by which operators look after them."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click

from operations.commands import confirmed

if TYPE_CHECKING:
    from click._termui_impl import ProgressBar
    from mypy_boto3_sqs import SQSClient

    from predictions.files import Files
    from predictions.store import Store
    from predictions.work_queue import WorkQueue

T = TypeVar("T")

RESEND_AFTER_S = 60
"""As the services have it: after which the sweeper sends what an operator queued once more."""


@dataclass(frozen=True)
class StackData:
    """Where a stack keeps what is about predictions."""

    sqs: SQSClient
    queue_url: str
    dlq_url: str
    store: Store
    files: Files
    queue: WorkQueue

    def lease_s(self) -> int:
        """Return the length of a lease: the stack has one number for it and the queue's timeout."""
        answer = self.sqs.get_queue_attributes(
            QueueUrl=self.queue_url, AttributeNames=["VisibilityTimeout"]
        )
        return int(answer["Attributes"]["VisibilityTimeout"])


@contextmanager
def stack_data(stack: str, folder: Path | None) -> Iterator[StackData]:
    """Find what a stack keeps; what goes wrong in the block is one line and an exit code."""
    from localcloud.program import CHECKOUT
    from operations.account import StackAccount, explained
    from predictions.files import Files
    from predictions.store import Store
    from predictions.work_queue import WorkQueue

    with explained(stack):
        account = StackAccount.of(stack, folder or CHECKOUT)
        sqs = account.session.client("sqs")
        queue_url, dlq_url = (
            sqs.get_queue_url(QueueName=f"{account.name}-predictions-{one}")["QueueUrl"]
            for one in ("queue", "dlq")
        )
        table = account.session.resource("dynamodb").Table(f"{account.name}-predictions")
        uploads, results = (
            f"{account.name}-{one}-{account.account_id}" for one in ("uploads", "results")
        )
        yield StackData(
            sqs,
            queue_url,
            dlq_url,
            Store(table, resend_after_s=RESEND_AFTER_S),
            Files(account.session.client("s3"), uploads_bucket=uploads, results_bucket=results),
            WorkQueue(sqs, queue_url, dlq_url),
        )


def act_on_each(doing: str, chosen: Sequence[T], act: Callable[[T], object]) -> None:
    """Act on one after another; cut off, it says how far it came."""
    done = 0
    try:
        with progress_bar(doing, len(chosen)) as bar:
            for one in chosen:
                act(one)
                done += 1
                bar.update(1)
    except BaseException:
        click.echo(f"{doing} ended after {done} of {len(chosen)}: run it again", err=True)
        raise


def progress_bar(doing: str, length: int) -> ProgressBar[int]:
    """Show how far it is, on a terminal only."""
    is_hidden = not sys.stderr.isatty()
    return click.progressbar(length=length, label=doing, file=sys.stderr, hidden=is_hidden)


def ask(question: str, yes: bool) -> None:
    """Go on only if a person says so. Raises click.Abort."""
    if not confirmed(question, yes):
        raise click.Abort


def counted(count: int, noun: str) -> str:
    """Write how many there are: `1 prediction`, `2 predictions`."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def moment(when: datetime) -> str:
    """Write a time for people."""
    return f"{when.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
