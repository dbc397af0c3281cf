"""`retainwise adopt`: an account that was built by hand, and the first version's predictions.

Resources are the platform's, predictions the domain's, and neither knows the other: here they meet.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from operations.commands import confirmed, engine_of, folder_option, stack_argument, yes_option

if TYPE_CHECKING:
    from operations.account import StackAccount
    from operations.adopt import Search
    from operations.engine import Engine
    from predictions.first_version import TakenOver


@click.command()
@stack_argument
@click.option(
    "--terraform",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="A Terraform state that knows some of the resources.",
)
@click.option(
    "--records",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="A CSV export of the first version's table, to be taken over as well.",
)
@click.option(
    "--account-of",
    multiple=True,
    metavar="OWNER=ACCOUNT",
    help="Whose account an owner in the export is, where it is called otherwise. May be repeated.",
)
@yes_option
@folder_option
def adopt(
    stack: str,
    terraform: Path | None,
    records: Path | None,
    account_of: Sequence[str],
    yes: bool,
    folder: Path | None,
) -> None:
    """Take what exists already into the state; nothing in AWS is made, changed or deleted."""
    from localcloud.program import CHECKOUT, service_in
    from operations.account import StackAccount, explained
    from operations.adopt import TerraformState, search
    from operations.under_lease import under_lease

    accounts = _accounts(account_of)
    with explained(stack):
        account = StackAccount.of(stack, folder or CHECKOUT)
        known = TerraformState.read(terraform) if terraform else TerraformState()
        rows = _rows(records)
        program = service_in(folder or CHECKOUT)
        with under_lease(account, "adopt what exists", click.echo) as held:
            engine = held.engine(engine_of(account, folder))
            engine.state()  # raises without one, before anybody is asked
            held.heal(engine, program, click.echo)
            found = search(account, known, program)  # it looks at more than a deploy may
            _bring(account, engine, found, yes)
            if rows is not None:  # as who is signed in: no deploy may touch records
                _say_taken_over(_take_over(account, found, rows, accounts))


def _bring(account: StackAccount, engine: Engine, found: Search, yes: bool) -> None:
    """Import what was found, and show what the next deploy would change of it."""
    from operations.adopt import differences, import_, put_in_by_hand
    from operations.changes import summary
    from operations.deploy import NotConfirmed
    from operations.progress import Progress

    click.echo(f"found {len(found.ids)} resources of {len(found.ids) + len(found.missing)}")
    for type_, name in found.missing:
        click.echo(f"  not there: {type_.rpartition(':')[2]} {name}; the next deploy makes it")
    if not confirmed(f"Take them into the state of {account.stack}?", yes):
        raise NotConfirmed("nothing was changed")
    progress = Progress()
    imported = import_(engine, found.ids, progress)
    click.echo(f"imported {len(imported)}; what the next deploy would change:")
    changes = differences(engine, progress)
    for line in (*summary(changes), *put_in_by_hand(changes)):
        click.echo(line)


def _accounts(given: Sequence[str]) -> dict[str, str]:
    pairs = [one.partition("=") for one in given]
    for owner, equals, account in pairs:
        if not (owner and equals and account):
            raise click.BadParameter("say OWNER=ACCOUNT", param_hint="--account-of")
    return {owner: account for owner, _, account in pairs}


def _rows(records: Path | None) -> Any:  # noqa: ANN401 - the domain is imported only for this
    """Read the export before anything is changed."""
    if records is None:
        return None
    from operations.errors import WrongInput
    from predictions.errors import BadExport
    from predictions.first_version import read_rows

    try:
        with records.open(encoding="utf-8", newline="") as lines:
            return read_rows(lines)
    except BadExport as exc:
        raise WrongInput(f"{records}: {exc}") from exc


def _take_over(
    account: StackAccount,
    found: Search,
    rows: Any,  # noqa: ANN401 - as _rows returns them
    accounts: dict[str, str],
) -> TakenOver:
    from operations.errors import OperationError
    from predictions.files import Files
    from predictions.first_version import take_over
    from predictions.store import Store
    from predictions.work_queue import WorkQueue

    def the(type_: str, what: str) -> str:
        name = f"{account.name}-{what}"
        if (one := found.ids.get((type_, name))) is None:
            raise OperationError(f"{name} is not there: deploy {account.stack} first")
        return one

    bucket, queue = "aws:s3/bucket:Bucket", "aws:sqs/queue:Queue"
    dynamodb, s3 = account.session.resource("dynamodb"), account.session.client("s3")
    return take_over(
        rows,
        Store(dynamodb.Table(the("aws:dynamodb/table:Table", "predictions")), resend_after_s=60),
        Files(
            s3,
            uploads_bucket=the(bucket, f"uploads-{account.account_id}"),
            results_bucket=the(bucket, f"results-{account.account_id}"),
        ),
        WorkQueue(
            account.session.client("sqs"),
            the(queue, "predictions-queue"),
            the(queue, "predictions-dlq"),
        ),
        accounts=accounts,
    )


def _say_taken_over(taken: TakenOver) -> None:
    told = ", ".join(f"{count} {outcome}" for outcome, count in taken.counts.items() if count)
    click.echo(f"predictions of the first version: {told or 'none'}")
    for line in taken.refused:
        click.echo(f"  not taken over: {line}", err=True)
    if taken.refused:
        raise click.ClickException(f"{len(taken.refused)} rows were not taken over")
