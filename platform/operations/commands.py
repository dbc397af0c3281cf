"""The commands on a stack: `retainwise deploy`, `rollback`, `releases`, `drift`, `lease` and so on.

What they do is imported inside them, so that `--help` does not wait for the SDK or Pulumi.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import click

if TYPE_CHECKING:
    from localcloud.program import Program
    from operations.account import StackAccount
    from operations.changes import Change
    from operations.deploy import Deployment
    from operations.engine import Engine
    from operations.lease import DeployLease, Holder
    from operations.releases import Release
    from operations.state import Version

stack_argument = click.argument("stack", metavar="STACK")
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
folder_option = click.option(
    "--project",
    "folder",
    type=click.Path(path_type=Path, file_okay=False),
    hidden=True,
    help="Where Pulumi.yaml and the stack's file are; for tests.",
)
yes_option = click.option("--yes", is_flag=True, help="Do not ask before anything is changed.")


def _address(_context: click.Context, _option: click.Parameter, url: str | None) -> str | None:
    """Take an address of the web only, before anything is changed."""
    if url is None:
        return None
    try:
        parts = urlsplit(url)
        is_address = parts.scheme in ("http", "https") and bool(parts.hostname)
        (parts.hostname or "").encode("idna")
    except ValueError:
        is_address = False
    if not is_address:
        raise click.BadParameter(f"{url} is no address such as https://retainwise.example.com")
    return url.rstrip("/")


_url_option = click.option(
    "--url",
    callback=_address,
    help="Where /readyz is asked; by default at the stack's own address.",
)
_allow_replace_option = click.option(
    "--allow-replace",
    multiple=True,
    metavar="NAME",
    help="Let this resource be replaced or deleted, with what it holds: NAME, or KIND:NAME where "
    "several share it. May be repeated.",
)
_wait_option = click.option(
    "--wait",
    "wait_s",
    type=click.IntRange(min=1),
    default=900,
    show_default=True,
    help="How long new tasks may take to run and to answer, seconds.",
)

_COMMIT_LETTERS = 7  # as git shows it
_DIGEST_LETTERS = 12  # as Docker shows it


@click.command()
@stack_argument
@click.option(
    "--break",
    "is_to_break",
    is_flag=True,
    help="End the holder's deploy in the middle of what it does; asks for the holder's name.",
)
@json_option
@folder_option
def lease(stack: str, is_to_break: bool, as_json: bool, folder: Path | None) -> None:
    """Show who changes a stack right now, or who did last."""
    from localcloud.program import CHECKOUT
    from operations.account import StackAccount, explained
    from operations.lease import DeployLease

    with explained(stack):
        account = StackAccount.of(stack, folder or CHECKOUT)
        deploy_lease = DeployLease(
            account.session.client("dynamodb"), account.lease_table, account.stack
        )
        last = deploy_lease.last()
        now = deploy_lease.now()
        if is_to_break:
            _break(deploy_lease, stack, last, now)
            last, now = deploy_lease.last(), deploy_lease.now()
    if as_json:
        is_held = last is not None and last.holds(now)
        click.echo(json.dumps({"stack": stack, "held": is_held, "last": _as_json(last)}, indent=1))
    else:
        click.echo(f"{stack}: {_in_words(last, now)}")


def _break(lease: DeployLease, stack: str, last: Holder | None, now: datetime) -> None:
    """Say what will happen, and do it for who knows whom it will happen to."""
    from operations.errors import WrongInput
    from operations.keeping import RENEWED_AT
    from operations.lease import clock_time
    from operations.under_lease import whoami

    if last is None or not last.holds(now):
        raise WrongInput(f"{stack}: nobody holds the deploy lease, so there is nothing to break")
    at_most = round(RENEWED_AT * lease.length.total_seconds())
    click.echo(
        f"{last.owner} holds the deploy lease of {stack} to {last.what}, since "
        f"{clock_time(last.since, now)} ({lasting(last.since, now)}), and renewed it "
        f"{lasting(last.renewed, now)} ago.\nIf it is broken, that is ended within {at_most} s, in "
        "the middle of what it does, and AWS refuses what it still asks. The lease is free at its "
        f"end, {round(lease.length.total_seconds())} s after it was last renewed; the next deploy "
        "waits for that and settles what was left.",
        err=True,
    )
    named = click.prompt("The holder's name, to break it", err=True).strip()
    if named != last.owner:
        raise WrongInput(f"{stack}: {named!r} does not hold it; nothing was changed")
    lease.break_(last, whoami())


def _as_json(last: Holder | None) -> dict[str, str | None] | None:
    """Give all but the token: who has that passes for the holder."""
    if last is None:
        return None
    times = {name: getattr(last, name) for name in ("since", "renewed", "expires", "released")}
    texts = {"owner": last.owner, "what": last.what, "broken_by": last.broken_by}
    return texts | {name: time and time.isoformat() for name, time in times.items()}


def _in_words(last: Holder | None, now: datetime) -> str:
    from operations.lease import clock_time

    if last is None:
        return "the deploy lease is free, and nobody has had it yet"
    since, end = clock_time(last.since, now), clock_time(last.expires, now)
    if last.holds(now) and last.broken_by is not None:
        return (
            f"{last.owner} held the deploy lease to {last.what}, since {since}, until "
            f"{last.broken_by} broke it; it is free at {end}"
        )
    if last.holds(now):
        return (
            f"{last.owner} holds the deploy lease to {last.what}, since {since} "
            f"({lasting(last.since, now)}); renewed {lasting(last.renewed, now)} ago, it ends by "
            f"itself at {end} unless it is renewed again"
        )
    if last.released is None and last.broken_by is not None:
        gone = f"until {last.broken_by} broke it"
    elif last.released is None:
        gone = f"until it ended by itself at {end}: what held it died, or could not renew it"
    else:
        gone = f"to {clock_time(last.released, now)}"
    return (
        f"the deploy lease is free; {last.owner} had it last, to {last.what}, from {since} {gone}"
    )


def lasting(start: datetime, end: datetime) -> str:
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
@folder_option
def releases(stack: str, limit: int, as_json: bool, folder: Path | None) -> None:
    """List what was deployed to a stack, newest first."""
    from itertools import islice

    from localcloud.program import CHECKOUT
    from operations.account import StackAccount, explained
    from operations.releases import Release, Releases

    with explained(stack):
        account = StackAccount.of(stack, folder or CHECKOUT)
        records = Releases(account.session.client("s3"), account.state_bucket, stack)
        listed = list(islice(records.listed(), limit))
    found = [one for one in listed if isinstance(one, Release)]
    damaged = [str(one) for one in listed if not isinstance(one, Release)]
    if as_json:
        whole = [one.model_dump(mode="json") for one in found]
        click.echo(json.dumps({"stack": stack, "releases": whole, "damaged": damaged}, indent=1))
    elif found:
        header = ("ID", "STARTED (UTC)", "WHO", "WHAT", "REVISION", "IMAGES", "RESULT", "REASON")
        say_table([header, *map(_row, found)])
    elif not damaged:
        click.echo(f"{stack}: nothing has been released yet")
    if damaged:
        raise click.ClickException("\n".join(damaged))


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


def say_table(rows: Sequence[Sequence[str]]) -> None:
    """Print rows in columns; what could move a terminal's cursor is left out."""
    shown = [["".join(filter(str.isprintable, _one_line(cell))) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*shown, strict=True)]
    for row in shown:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        click.echo("  ".join(cells).rstrip())


def _one_line(text: str) -> str:
    return " ".join(text.split())


@click.command()
@stack_argument
@_allow_replace_option
@yes_option
@_url_option
@_wait_option
@folder_option
def deploy(
    stack: str,
    allow_replace: Sequence[str],
    yes: bool,
    url: str | None,
    wait_s: float,
    folder: Path | None,
) -> None:
    """Bring what this checkout declares, and see that it runs."""
    from operations.account import explained

    with explained(stack):
        release = _deployment(stack, yes, url, wait_s, folder).deploy(allow_replace)
    if release is not None:
        click.echo(f"{stack}: release {release.id} runs")


@click.command()
@stack_argument
@click.option("--to", metavar="RELEASE", help="A good release's id; by default the one before.")
@_allow_replace_option
@yes_option
@_url_option
@_wait_option
@folder_option
def rollback(
    stack: str,
    to: str | None,
    allow_replace: Sequence[str],
    yes: bool,
    url: str | None,
    wait_s: float,
    folder: Path | None,
) -> None:
    """Bring back what ran in an earlier release; data is not touched."""
    from operations.account import explained

    with explained(stack):
        release = _deployment(stack, yes, url, wait_s, folder).roll_back(to, allow_replace)
    if release is not None:
        click.echo(
            f"{stack}: release {release.id} runs, as {release.puts_back} did. Pulumi.{stack}.yaml "
            "is as it was: what it names is what the next deploy brings"
        )


def _deployment(
    stack: str, yes: bool, url: str | None, wait_s: float, folder: Path | None
) -> Deployment:
    from localcloud.program import CHECKOUT
    from operations.account import StackAccount
    from operations.deploy import Deployment, Patience
    from operations.progress import Progress

    account = StackAccount.of(stack, folder or CHECKOUT)
    _warn_if_unnamed(account, folder or CHECKOUT)
    return Deployment(
        account,
        engine_of(account, folder),
        say=click.echo,
        may_go_on=asked(stack, yes),
        on_event=Progress(),
        url=url,
        patience=Patience(wait_s, wait_s),
    )


@click.command()
@stack_argument
@json_option
@folder_option
def drift(stack: str, as_json: bool, folder: Path | None) -> None:
    """Compare AWS with what is declared; exit 7 when it differs. Changes nothing."""
    from localcloud.program import CHECKOUT
    from operations.account import StackAccount, explained
    from operations.drift import look
    from operations.errors import Exit
    from operations.progress import Progress

    with explained(stack):
        account = StackAccount.of(stack, folder or CHECKOUT)
        found = look(account, engine_of(account, folder), Progress(), bootstrap_of(folder).stacks)
    if as_json:
        click.echo(json.dumps(found.as_json(), indent=1))
    else:
        click.echo("\n".join(found.lines()))
    sys.exit(Exit.DONE if found.is_none else Exit.DRIFT)


@click.command()
@stack_argument
@yes_option
@folder_option
def bootstrap(stack: str, yes: bool, folder: Path | None) -> None:
    """Make what must be in an account before the first deploy; again, it changes nothing."""
    from localcloud.program import CHECKOUT
    from operations.account import StackAccount, explained
    from operations.bootstrap import bootstrap as begin
    from operations.progress import Progress

    service, program = folder or CHECKOUT, bootstrap_of(folder)
    with explained(stack):
        account = StackAccount.of(stack, program.stacks)
        _warn_if_unnamed(account, program.stacks)
        is_changed = begin(
            account,
            scratch=service / ".local" / "bootstrap",
            say=click.echo,
            may_go_on=asked(stack, yes),
            on_event=Progress(),
            service=service,
            program=program,
        )
    click.echo(f"{stack} is ready to be deployed to" if is_changed else f"{stack}: as declared")


@click.command()
@stack_argument
@click.option("--restore", metavar="VERSION", help="Write this version as the newest.")
@click.option(
    "--limit",
    type=click.IntRange(min=1),
    default=20,
    show_default=True,
    help="List at most so many.",
)
@yes_option
@folder_option
def state(stack: str, restore: str | None, limit: int, yes: bool, folder: Path | None) -> None:
    """List the versions of a stack's state, or put an older one back."""
    from itertools import islice

    from localcloud.program import CHECKOUT
    from operations.account import StackAccount, explained
    from operations.state import backend_url, version_of, versions
    from operations.state import restore as put_back
    from operations.under_lease import under_lease

    with explained(stack):
        account = StackAccount.of(stack, folder or CHECKOUT)
        if restore is None:
            header = ("VERSION", "WRITTEN (UTC)", "BYTES", "RESOURCES", "")
            listed = [_version(account, one) for one in islice(versions(account), limit)]
            if listed:
                say_table([header, *listed])
            else:
                click.echo(f"{stack}: there is no version of a state in {backend_url(account)}")
            return
        version = version_of(account, restore)
        if not confirmed(f"Write version {restore} of the state of {stack} as the newest?", yes):
            raise click.Abort
        with under_lease(account, f"restore state {version.id}", click.echo) as held:
            has = put_back(held.account, version)
    click.echo(f"{stack}: version {restore} with {has.resources} resources is the newest")
    if has.pending:
        click.echo(f"it was written while {has.pending} of them were being changed")
    click.echo(f"`retainwise drift {stack}` says where it is not as AWS is")


def _version(account: StackAccount, version: Version) -> tuple[str, ...]:
    from operations.state import NoSuchVersion, contents

    remarks = ["newest"] if version.is_newest else []
    resources = ""
    if version.is_deleted:
        remarks.append("deleted")
    else:
        try:
            has = contents(account, version)
        except NoSuchVersion:
            remarks.append("not a whole state")
        else:
            resources = str(has.resources)
            remarks += ["in the middle of an update"] if has.pending else []
    written = f"{version.written.astimezone(UTC):%Y-%m-%d %H:%M:%S}"
    return version.id, written, str(version.size_bytes), resources, ", ".join(remarks)


def _warn_if_unnamed(account: StackAccount, folder: Path) -> None:
    from operations.account import unnamed

    if (advice := unnamed(account, folder)) is not None:
        click.echo(f"warning: {advice}", err=True)


def bootstrap_of(folder: Path | None) -> Program:
    """Return the bootstrap, with its stacks' files beside those in `folder`."""
    from localcloud.program import BOOTSTRAP, Program

    if folder is None:
        return BOOTSTRAP
    programs = folder / "bootstrap"
    return Program(BOOTSTRAP.project, programs, programs / "program")


def engine_of(account: StackAccount, folder: Path | None) -> Engine:
    """Return the engine on a stack's state in its bucket."""
    from localcloud.program import CHECKOUT
    from operations.engine import Engine
    from operations.state import backend_url

    return Engine(account.stack, backend_url(account), folder or CHECKOUT)


def asked(stack: str, yes: bool) -> Callable[[list[Change]], bool]:
    """Ask a person before something is changed; without a terminal, `--yes` has to say it."""

    def ask(changes: list[Change]) -> bool:
        these = "this change" if len(changes) == 1 else f"these {len(changes)} changes"
        return confirmed(f"Make {these} to {stack}?", yes)

    return ask


def confirmed(question: str, yes: bool) -> bool:
    """Ask a person; without a terminal, `--yes` has to say it."""
    if not yes and not sys.stdin.isatty():
        raise click.UsageError("there is no terminal to ask on: say --yes")
    return yes or click.confirm(question, err=True)
