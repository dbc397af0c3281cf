"""`retainwise dlq`: the dead-letter queue of a stack, by ids and statuses only."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
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
from retainwise.stack_data import act_on_each, ask, counted, moment, progress_bar, stack_data

if TYPE_CHECKING:
    from predictions.dead_letters import DeadLetters, Fate, Letter, Named


@click.group()
def dlq() -> None:
    """What nobody could read or finish: look at it, send it again, or settle it.

    A letter is hidden from others while a command looks at it, and for 5 minutes after one that was
    killed. At most 120,000 can be held at a time: where there are more, run the command again.
    """


@dlq.command("list")
@stack_argument
@json_option
@folder_option
def list_(stack: str, as_json: bool, folder: Path | None) -> None:
    """List the dead letters, oldest first, and what `reconcile` would do with each."""
    with _received(stack, folder) as dead:
        letters = dead.letters
    if as_json:
        _say_json(stack, dead, letters=[_as_json(one) for one in letters])
    elif letters:
        now = datetime.now(UTC)
        header = ("MESSAGE", "SENT (UTC)", "AGE", "RECEIVED", "REASON", "NAMES", "RECONCILE")
        say_table([header, *(_row(one, now) for one in letters)])
    else:
        click.echo(f"{stack}: no dead letters")


@dlq.command()
@stack_argument
@click.argument("message_id", metavar="MESSAGE_ID")
@json_option
@folder_option
def show(stack: str, message_id: str, as_json: bool, folder: Path | None) -> None:
    """Show one dead letter and the records that it names."""
    with _received(stack, folder) as dead:
        found = [one for one in dead.letters if one.id == message_id]
    if not found:
        raise click.UsageError(f"{message_id} is none of the {len(dead.letters)} dead letters")
    [letter] = found
    if as_json:
        _say_json(stack, dead, letter=_as_json(letter))
        return
    age = lasting(letter.sent_at, datetime.now(UTC))
    say_table(
        [
            ("message", letter.id),
            ("sent", f"{moment(letter.sent_at)}, {age} ago"),
            ("received", f"{letter.receive_count} times, with this one"),
            ("reason", letter.reason),
            ("reconcile", letter.fate.name.lower()),
            *(("names", f"{one.prediction_id}: {_in_words(one)}") for one in letter.named),
        ]
    )


@dlq.command()
@stack_argument
@click.option("--id", "ids", multiple=True, metavar="MESSAGE_ID", help="This one.")
@click.option(
    "--prediction", "predictions", multiple=True, metavar="ID", help="All that name this one."
)
@click.option("--reason", metavar="TEXT", help="All with this in their reason.")
@click.option("--all", "is_all", is_flag=True, help="All.")
@yes_option
@json_option
@folder_option
def redrive(
    stack: str,
    ids: Sequence[str],
    predictions: Sequence[str],
    reason: str | None,
    is_all: bool,
    yes: bool,
    as_json: bool,
    folder: Path | None,
) -> None:
    """Send dead letters to the predictions queue again, oldest first.

    All that one of the options names; --id and --prediction may be repeated. Where the cause is
    still there they come back.
    """
    if is_all == bool(ids or predictions or reason):
        raise click.UsageError("say which: --id, --prediction or --reason, or else --all")
    with _received(stack, folder) as dead:
        chosen = [
            one
            for one in dead.letters
            if is_all
            or one.id in ids
            or any(named.prediction_id in predictions for named in one.named)
            or (reason and reason in one.reason)
        ]
        named = {named.prediction_id for one in chosen for named in one.named}
        missing = sorted({*ids, *predictions} - {one.id for one in chosen} - named)
        if chosen:
            letters = counted(len(chosen), "dead letter")
            ask(f"Send {letters} of {stack} again: {_kinds(chosen)}?", yes)
        act_on_each("redriving", chosen, dead.redrive)
    if as_json:
        _say_json(stack, dead, redriven=[one.id for one in chosen], missing=missing)
    else:
        click.echo(f"{stack}: {counted(len(chosen), 'dead letter')} sent again")
    if missing:
        raise click.ClickException(f"not among the dead letters: {', '.join(missing)}")


@dlq.command()
@stack_argument
@click.option("--drop-orphans", is_flag=True, help="Delete those, too, that name no record.")
@yes_option
@json_option
@folder_option
def reconcile(
    stack: str, drop_orphans: bool, yes: bool, as_json: bool, folder: Path | None
) -> None:
    """Settle what the dead letters stand for.

    A prediction whose last message is a dead letter becomes FAILED, which its owner sees and can
    retry. The messages of finished ones are deleted. What is PROCESSING is left to the sweeper, and
    what names no record stays.
    """
    from predictions.dead_letters import Fate

    settled: list[Letter] = []
    with _received(stack, folder) as dead:
        letters = dead.letters
        counts = Counter(one.fate for one in letters)
        doing = (
            ("fail", "prediction", len(_ids(letters, Fate.FAIL))),
            ("delete", "needless letter", counts[Fate.DELETE]),
            ("delete", "orphan", counts[Fate.ORPHAN] if drop_orphans else 0),
        )
        changes = [f"{verb} {counted(count, noun)}" for verb, noun, count in doing if count]
        if changes:
            ask(f"{stack}: {', '.join(changes)}?", yes)
        act_on_each(
            "settling",
            letters,
            lambda one: settled.append(dead.settle(one, drop_orphan=drop_orphans)),
        )
    failed = _ids(settled, Fate.FAIL)
    orphans = [one.id for one in settled if one.fate is Fate.ORPHAN]
    left = [one for one in settled if one.fate is Fate.LEAVE]
    deleted = len(settled) - len(left) - (0 if drop_orphans else len(orphans))
    if as_json:
        _say_json(
            stack,
            dead,
            failed=failed,
            deleted=deleted,
            orphans=orphans,
            orphans_dropped=drop_orphans,
            left=[_as_json(one) for one in left],
        )
        return
    told, gone = counted(len(failed), "prediction"), counted(deleted, "dead letter")
    click.echo(f"{stack}: {told} failed, {gone} deleted")
    for prediction_id in failed:
        click.echo(f"  failed: {prediction_id}")
    for message_id in orphans:
        click.echo(f"  orphan{', deleted' if drop_orphans else ''}: {message_id}")
    for one in left:
        click.echo(f"  left: {one.id}, {_names(one)}")


@contextmanager
def _received(stack: str, folder: Path | None) -> Iterator[DeadLetters]:
    """Hold all dead letters of a stack for the block."""
    from predictions.dead_letters import DeadLetters

    with (
        stack_data(stack, folder) as data,
        DeadLetters(data.sqs, data.queue_url, data.dlq_url, data.store) as dead,
    ):
        with progress_bar("receiving", dead.about) as bar:
            dead.receive(bar.update)
        yield dead
    if dead.elsewhere:
        click.echo(
            f"about {dead.elsewhere:,} more are held by somebody else, by a command that was "
            "killed (for 5 minutes), or are too many for one time: run it again",
            err=True,
        )


def _say_json(stack: str, dead: DeadLetters, **content: object) -> None:
    click.echo(json.dumps({"stack": stack, **content, "elsewhere": dead.elsewhere}, indent=1))


def _as_json(letter: Letter) -> dict[str, Any]:
    return {
        "id": letter.id,
        "sent": letter.sent_at.isoformat(),
        "age_s": round((datetime.now(UTC) - letter.sent_at).total_seconds()),
        "received": letter.receive_count,
        "reason": letter.reason,
        "reconcile": letter.fate.name.lower(),
        "names": [
            {"prediction": one.prediction_id, "state": one.state}
            | (
                one.record.model_dump(mode="json", include={"account", "attempt", "resends"})
                if one.record
                else {}
            )
            for one in letter.named
        ],
    }


def _row(letter: Letter, now: datetime) -> tuple[str, ...]:
    return (
        letter.id,
        f"{letter.sent_at:%Y-%m-%d %H:%M:%S}",
        lasting(letter.sent_at, now),
        str(letter.receive_count),
        letter.reason,
        _names(letter),
        letter.fate.name.lower(),
    )


def _names(letter: Letter) -> str:
    return ", ".join(f"{one.prediction_id} {one.state}" for one in letter.named) or "nothing"


def _in_words(named: Named) -> str:
    if (record := named.record) is None:
        return named.state
    waits = f"queued {moment(record.queued_at)}, sent again {record.resends} times"
    return f"{record.status}, attempt {record.attempt} of {record.account}, {waits}"


def _kinds(letters: Iterable[Letter]) -> str:
    counts = Counter(one.kind for one in letters)
    return ", ".join(f"{count} {kind}" for kind, count in sorted(counts.items()))


def _ids(letters: Iterable[Letter], fate: Fate) -> list[str]:
    """Return the predictions of this fate, of letters whose fate it is."""
    return sorted(
        {
            named.prediction_id
            for one in letters
            for named in one.named
            if one.fate == named.fate == fate
        }
    )
