"""`retainwise predictions`: the records of a stack, by ids, statuses and counts only.

Neither a file's name nor what is wrong with its content is printed: both are the customer's.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from operations.commands import (
    folder_option,
    json_option,
    lasting,
    say_table,
    stack_argument,
    yes_option,
)
from retainwise.stack_data import (
    StackData,
    act_on_each,
    ask,
    counted,
    moment,
    progress_bar,
    stack_data,
)

if TYPE_CHECKING:
    from predictions.record import Prediction

LONGEST_REASON = 500
_STATUSES = ("QUEUED", "PROCESSING", "COMPLETED", "FAILED")
_LOOK_EVERY_S = 1
_SHOWN = {
    "account",
    "id",
    "status",
    "attempt",
    "crashes",
    "delays",
    "resends",
    "owner",
    "beat",
    "rows_done",
    "created_at",
    "queued_at",
    "started_at",
    "finished_at",
    "updated_at",
}
_ids_argument = click.argument("ids", metavar="ID...", nargs=-1, required=True)


@click.group()
def predictions() -> None:
    """The records of a stack: look at them, find what is stuck, queue again, end.

    They print ids, statuses and counts; no name and no content of a file.
    """


@predictions.command("list")
@stack_argument
@click.option("--account", metavar="ACCOUNT", help="Of this account; needed for finished ones.")
@click.option("--status", type=click.Choice(_STATUSES), help="With this status.")
@click.option(
    "--limit", type=click.IntRange(min=1), default=20, show_default=True, help="At most so many."
)
@json_option
@folder_option
def list_(
    stack: str,
    account: str | None,
    status: str | None,
    limit: int,
    as_json: bool,
    folder: Path | None,
) -> None:
    """List predictions, newest first: an account's, or the unfinished ones of all accounts."""
    from predictions.record import UNFINISHED, Status

    wanted = Status(status) if status else None
    if account is None and wanted not in (None, *UNFINISHED):
        raise click.UsageError(f"{wanted} ones are found by account only: say --account")
    with stack_data(stack, folder) as data:
        if account is not None:
            page = data.store.page(account, status=wanted, limit=limit)
            found, is_more = list(page.predictions), page.next_cursor is not None
        else:
            of = [wanted] if wanted else sorted(UNFINISHED)
            each = [one for kind in of for one in data.store.newest_unfinished(kind, limit + 1)]
            newest = sorted(each, key=lambda one: one.id, reverse=True)
            found, is_more = newest[:limit], len(newest) > limit
    if as_json:
        shown = [_as_json(one) for one in found]
        click.echo(json.dumps({"stack": stack, "predictions": shown, "more": is_more}, indent=1))
        return
    if found:
        _say_list(found)
    else:
        click.echo(f"{stack}: no such predictions")
    if is_more:
        click.echo(f"there are more than {limit}: raise --limit", err=True)


@predictions.command()
@stack_argument
@click.argument("prediction_id", metavar="ID")
@json_option
@folder_option
def show(stack: str, prediction_id: str, as_json: bool, folder: Path | None) -> None:
    """Show one prediction: its record, its attempts, its files, and what to do next."""
    from predictions.errors import NotFound, UnreadableRecord

    with stack_data(stack, folder) as data:
        try:
            found = data.store.find(prediction_id)
        except NotFound:
            raise click.UsageError(f"{prediction_id} is no prediction of {stack}") from None
        except UnreadableRecord as exc:
            raise click.ClickException(f"its record cannot be read: {exc}") from None
        files = _files(data, found)
    now = datetime.now(UTC)
    next_step = _next_step(stack, found, now)
    if as_json:
        content = {"stack": stack, "prediction": _as_json(found), "files": files, "next": next_step}
        click.echo(json.dumps(content, indent=1))
        return
    times = ("created", "queued", "started", "finished", "updated")
    facts = found.input.facts
    say_table(
        [
            ("prediction", found.id),
            ("account", found.account),
            ("status", found.status + (f": {found.failure.code}" if found.failure else "")),
            ("attempt", _attempts(found)),
            *(
                (name, f"{moment(when)}, {lasting(when, now)} ago")
                for name in times
                if (when := getattr(found, f"{name}_at"))
            ),
            ("message", _message(found, now)),
            *([("held by", f"{found.owner}, beat {found.beat}")] if found.owner else ()),
            ("rows", f"{found.rows_done:,} of {f'{facts.rows:,}' if facts else 'unknown'}"),
            *(
                (one["kind"], f"{one['key']}, {'is there' if one['there'] else 'is gone'}")
                for one in files
            ),
            ("next", next_step),
        ]
    )


@predictions.command()
@stack_argument
@json_option
@folder_option
def stuck(stack: str, as_json: bool, folder: Path | None) -> None:
    """List what does not move: sent again and not taken, overdue, or held without a beat.

    Reads every unfinished record, and those in work once more after a lease's length: what has not
    moved by then is held by nobody alive.
    """
    with stack_data(stack, folder) as data:
        found = _stuck(data, datetime.now(UTC))
    if as_json:
        shown = [{**_as_json(one), "why": why} for one, why in found]
        click.echo(json.dumps({"stack": stack, "stuck": shown}, indent=1))
    elif found:
        _say_list([one for one, _ in found], [why for _, why in found])
    else:
        click.echo(f"{stack}: nothing is stuck")


@predictions.command()
@stack_argument
@_ids_argument
@yes_option
@json_option
@folder_option
def requeue(stack: str, ids: Sequence[str], yes: bool, as_json: bool, folder: Path | None) -> None:
    """Queue FAILED predictions again, as their owners can, and send their messages.

    Where the cause is still there they fail again.
    """

    def again(data: StackData, one: Prediction) -> None:
        # Cut off before it is sent, the sweeper sends it a minute later.
        data.queue.send(data.store.requeue(one.account, one.id))

    done = _Change(stack, "queueing", "Queue {} of {} again", {"FAILED"}, again)
    done.make(ids, yes, as_json, folder, said="queued again")


@predictions.command()
@stack_argument
@_ids_argument
@click.option(
    "--reason", required=True, metavar="TEXT", help="Why, in words for the people who wait for it."
)
@yes_option
@json_option
@folder_option
def fail(
    stack: str, ids: Sequence[str], reason: str, yes: bool, as_json: bool, folder: Path | None
) -> None:
    """End unfinished predictions as FAILED, with a reason that their owners read.

    Whoever is at work on one loses it within a third of a lease and commits nothing.
    """
    from predictions.record import Failure
    from predictions.store import ERASE_AFTER_S

    reason = " ".join(reason.split()).rstrip(".")
    if not 0 < len(reason) <= LONGEST_REASON:
        raise click.UsageError(f"--reason is empty or longer than {LONGEST_REASON} characters")
    if not reason.isprintable():
        raise click.UsageError("--reason holds what cannot be shown")
    failure = Failure(
        code="called-off",
        message=f"The people who run this service ended it: {reason}.",
        hint="Nothing is known to be wrong with the file. Retry once that is settled.",
    )

    def end(data: StackData, one: Prediction) -> None:
        # A job may have stored a result that no record will point to; also of one that waits: it
        # was handed back, or has been claimed while a person was asked.
        data.store.order_erasure(one.account, one.id, after_s=ERASE_AFTER_S)
        data.store.call_off(one, failure)

    done = _Change(stack, "ending", "End {} of {}", {"QUEUED", "PROCESSING"}, end)
    done.make(ids, yes, as_json, folder, said="ended as FAILED")


# ---- how ------------------------------------------------------------------------------------


class _Change:
    """A step that is made with several predictions, of those that are as it wants them."""

    def __init__(
        self,
        stack: str,
        doing: str,
        question: str,
        wanted: set[str],
        act: Callable[[StackData, Prediction], None],
    ) -> None:
        self._stack = stack
        self._doing = doing
        self._question = question
        self._wanted = wanted
        self._act = act
        self._done: list[str] = []
        self._left: dict[str, str] = {}

    def make(
        self, ids: Sequence[str], yes: bool, as_json: bool, folder: Path | None, *, said: str
    ) -> None:
        """Find them, ask, make it, and say what was done; fails when any was left."""
        with stack_data(self._stack, folder) as data:
            chosen = self._chosen(data, dict.fromkeys(ids))
            if chosen:
                question = self._question.format(counted(len(chosen), "prediction"), self._stack)
                ask(f"{question}: {_kinds(chosen)}?", yes)
            act_on_each(self._doing, chosen, lambda one: self._act_on(data, one))
        if as_json:
            content = {"stack": self._stack, "done": self._done, "left": self._left}
            click.echo(json.dumps(content, indent=1))
        else:
            click.echo(f"{self._stack}: {counted(len(self._done), 'prediction')} {said}")
        if self._left:
            left = ", ".join(f"{one} {why}" for one, why in self._left.items())
            raise click.ClickException(f"left as they were: {left}")

    def _chosen(self, data: StackData, ids: Iterable[str]) -> list[Prediction]:
        from predictions.errors import NotFound, UnreadableRecord

        chosen = []
        for prediction_id in ids:
            try:
                found = data.store.find(prediction_id)
            except NotFound:
                self._left[prediction_id] = "does not exist"
            except UnreadableRecord:
                self._left[prediction_id] = "has an unreadable record"
            else:
                if found.status in self._wanted:
                    chosen.append(found)
                else:
                    self._left[prediction_id] = f"is {found.status}"
        return chosen

    def _act_on(self, data: StackData, one: Prediction) -> None:
        from predictions.errors import NotFound, WrongStatus

        try:
            self._act(data, one)
        except NotFound:
            self._left[one.id] = "was deleted meanwhile"
        except WrongStatus as exc:
            self._left[one.id] = f"is {exc.found} at attempt {exc.attempt} by now"
        else:
            self._done.append(one.id)


def _stuck(data: StackData, now: datetime) -> list[tuple[Prediction, str]]:
    """Return what does not move and why that is thought, oldest first.

    now: it is compared with a time of another machine only to say what is overdue.
    """
    queued = [
        (one, _message(one, now))
        for one in data.store.queued()
        if one.resends or (one.due_at is not None and one.due_at <= now.timestamp())
    ]
    # Two looks are enough: a claim's owner is new each time, and its beat only rises.
    before = {(one.id, one.owner, one.beat) for one in data.store.processing()}
    lease_s = data.lease_s()
    if before:
        with progress_bar("watching the leases", lease_s) as bar:
            for _ in range(lease_s):
                time.sleep(_LOOK_EVERY_S)
                bar.update(1)
    held = [
        (one, f"no beat for {lease_s} s")
        for one in (data.store.processing() if before else ())
        if (one.id, one.owner, one.beat) in before
    ]
    return sorted([*queued, *held], key=lambda found: found[0].id)


def _files(data: StackData, found: Prediction) -> list[dict[str, Any]]:
    upload = found.input
    files = [("upload", upload.key, data.files.has_upload(upload))]
    if result := found.result:
        there = {one.key for one in data.files.find_results((result.key, result.summary_key))}
        files += [
            (kind, key, key in there)
            for kind, key in (("result", result.key), ("summary", result.summary_key))
        ]
    return [{"kind": kind, "key": key, "there": there} for kind, key, there in files]


def _attempts(found: Prediction) -> str:
    """Say what the record knows of its attempts: those before a person queued it are forgotten."""
    lost = f"{found.crashes} lost, put off {found.delays} times"
    return f"{found.attempt}; since a person last queued it: {lost}"


def _message(found: Prediction, now: datetime) -> str:
    """Say what the record knows of its message."""
    if found.due_at is None:
        return "none is due"
    if found.status == "PROCESSING":
        return "with its worker; the sweeper watches its beat"
    due = datetime.fromtimestamp(found.due_at, UTC)
    if due <= now:
        return f"sent again {found.resends} times, overdue for {lasting(due, now)}"
    return f"sent again {found.resends} times, next in {lasting(now, due)}"


def _next_step(stack: str, found: Prediction, now: datetime) -> str:
    from predictions.sweeper import STUCK_AFTER_RESENDS

    match found.status:
        case "QUEUED":
            if found.due_at is None:
                return "nothing finds it: end it with `retainwise predictions fail`"
            if found.due_at <= now.timestamp():
                return "the sweeper sends its message in seconds; if not, no worker sweeps"
            if found.resends >= STUCK_AFTER_RESENDS:
                return "find out why no worker takes it: runbooks/stuck-records.md"
            return "none: a worker takes it, or the sweeper sends its message again"
        case "PROCESSING":
            return f"none while its beat rises; see `retainwise predictions stuck {stack}`"
        case "COMPLETED":
            return "none"
    failure = found.failure
    again = f"`retainwise predictions requeue {stack} {found.id}`"
    if failure and failure.may_pass:
        return f"{again} once the cause is gone"
    match failure and failure.code:
        case "input-missing" | "input-changed":
            return "its owner uploads the file again"
        case "model-mismatch":
            return f"its owner uploads a file for this model; or back to the old one, and {again}"
    return "its owner mends the file and uploads it again"


def _as_json(one: Prediction) -> dict[str, Any]:
    facts = one.input.facts
    return one.model_dump(mode="json", include=_SHOWN) | {
        "rows": facts.rows if facts else None,
        "due": one.due_at and datetime.fromtimestamp(one.due_at, UTC).isoformat(),
        "code": one.failure and one.failure.code,
    }


def _say_list(found: Sequence[Prediction], why: Sequence[str] = ()) -> None:
    now = datetime.now(UTC)
    header = ("PREDICTION", "ACCOUNT", "STATUS", "ATTEMPT", "QUEUED (UTC)", "AGE", "ROWS")
    rows = [
        (
            one.id,
            one.account,
            one.status,
            str(one.attempt),
            f"{one.queued_at.astimezone(UTC):%Y-%m-%d %H:%M:%S}",
            lasting(one.queued_at, now),
            f"{one.rows_done:,}",
        )
        for one in found
    ]
    last = why or [one.failure.code if one.failure else "" for one in found]
    name = "WHY" if why else "CODE"
    say_table([(*header, name), *((*row, end) for row, end in zip(rows, last, strict=True))])


def _kinds(chosen: Sequence[Prediction]) -> str:
    counts = Counter(one.failure.code if one.failure else one.status for one in chosen)
    return ", ".join(f"{count} {kind}" for kind, count in sorted(counts.items()))
