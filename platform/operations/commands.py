"""The commands on a stack that only look: `retainwise lease` and `retainwise releases`.

What they do is imported inside them, so that `--help` does not wait for the SDK or Pulumi.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from operations.lease import Holder
    from operations.releases import Release

stack_argument = click.argument("stack", metavar="STACK")
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")

_COMMIT_LETTERS = 7  # as git shows it
_DIGEST_LETTERS = 12  # as Docker shows it


@click.command()
@stack_argument
@json_option
def lease(stack: str, as_json: bool) -> None:
    """Show who changes a stack right now, or who did last."""
    from operations.account import StackAccount, explained
    from operations.lease import DeployLease

    with explained(stack):
        account = StackAccount.of(stack)
        dynamodb = account.session.client("dynamodb")
        last = DeployLease(dynamodb, account.lease_table, stack).last()
    now = datetime.now(UTC)
    if as_json:
        is_held = last is not None and last.holds(now)
        click.echo(json.dumps({"stack": stack, "held": is_held, "last": _as_json(last)}, indent=1))
    else:
        click.echo(f"{stack}: {_in_words(last, now)}")


def _as_json(last: Holder | None) -> dict[str, str | None] | None:
    """Give all but the token: who has that passes for the holder."""
    if last is None:
        return None
    times = {name: getattr(last, name) for name in ("since", "renewed", "expires", "released")}
    return {"owner": last.owner, "what": last.what} | {
        name: time and time.isoformat() for name, time in times.items()
    }


def _in_words(last: Holder | None, now: datetime) -> str:
    from operations.lease import clock_time

    if last is None:
        return "the deploy lease is free, and nobody has had it yet"
    since, end = clock_time(last.since, now), clock_time(last.expires, now)
    if last.holds(now):
        return (
            f"{last.owner} holds the deploy lease to {last.what}, since {since} "
            f"({_lasting(last.since, now)}); renewed {_lasting(last.renewed, now)} ago, it ends by "
            f"itself at {end} unless it is renewed again"
        )
    if last.released is None:
        gone = f"until it ended by itself at {end}: what held it died, or could not renew it"
    else:
        gone = f"to {clock_time(last.released, now)}"
    return (
        f"the deploy lease is free; {last.owner} had it last, to {last.what}, from {since} {gone}"
    )


def _lasting(start: datetime, end: datetime) -> str:
    """Write a time span for people: `42 s`, `3 min 20 s`, `1 h 5 min`."""
    seconds = max(0, round((end - start).total_seconds()))
    minutes, s = divmod(seconds, 60)
    hours, minutes_left = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes_left} min"
    return f"{minutes} min {s} s" if minutes else f"{s} s"


@click.command()
@stack_argument
@click.option(
    "--limit", type=click.IntRange(min=1), default=20, show_default=True, help="At most so many."
)
@json_option
def releases(stack: str, limit: int, as_json: bool) -> None:
    """List what was deployed to a stack, newest first."""
    from itertools import islice

    from operations.account import StackAccount, explained
    from operations.releases import Releases

    with explained(stack):
        account = StackAccount.of(stack)
        records = Releases(account.session.client("s3"), account.state_bucket, stack)
        found = list(islice(records.newest_first(), limit))
    if as_json:
        listed = [one.model_dump(mode="json") for one in found]
        click.echo(json.dumps({"stack": stack, "releases": listed}, indent=1))
    elif found:
        header = ("ID", "STARTED (UTC)", "WHO", "WHAT", "REVISION", "IMAGES", "RESULT", "REASON")
        _say_table([header, *map(_row, found)])
    else:
        click.echo(f"{stack}: nothing has been released yet")


def _row(release: Release) -> tuple[str, ...]:
    revision = (release.revision or "unknown")[:_COMMIT_LETTERS]
    images = (
        f"{service} {digest.removeprefix('sha256:')[:_DIGEST_LETTERS]}"
        for service, digest in sorted(release.images.items())
    )
    return (
        release.id,
        f"{release.started.astimezone(UTC):%Y-%m-%d %H:%M:%S}",
        release.who,
        f"{release.what} of {release.puts_back}" if release.puts_back else release.what,
        f"{revision}, changed" if release.dirty else revision,
        ", ".join(images),
        release.result,
        release.reason or "",
    )


def _say_table(rows: Sequence[Sequence[str]]) -> None:
    """Print rows in columns; what could move a terminal's cursor is left out."""
    shown = [["".join(filter(str.isprintable, _one_line(cell))) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*shown, strict=True)]
    for row in shown:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        click.echo("  ".join(cells).rstrip())


def _one_line(text: str) -> str:
    return " ".join(text.split())
