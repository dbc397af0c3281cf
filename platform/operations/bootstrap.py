"""From nothing to an account that can be deployed to.

What keeps the state cannot be kept in it before it is there: the bootstrap begins with a state on
this machine and moves it into the bucket that it made. Run again, it goes on where it was, or
changes nothing.
"""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import yaml
from botocore.exceptions import ClientError

from localcloud.program import BOOTSTRAP, SERVICE, stack_file
from operations.account import StackAccount
from operations.changes import Change, changes_of, check, summary
from operations.engine import Engine, NoStack, OnEvent
from operations.errors import OperationError
from operations.state import backend_url, checkpoint_key, secrets_provider

Say = Callable[[str], None]

_PASSPHRASE = "passphrase"  # noqa: S105 - the name of a file


class StateIsGone(OperationError):
    """There was a state and there is none: to begin anew would create everything once more."""


def bootstrap(
    account: StackAccount,
    *,
    scratch: Path,
    say: Say,
    may_go_on: Callable[[list[Change]], bool],
    on_event: OnEvent = lambda _event: None,
    service: Path = SERVICE.stacks,
    programs: Path = BOOTSTRAP.stacks,
) -> bool:
    """Make what the bootstrap declares, and an empty stack for the service.

    scratch: where the state is until it can be moved; what an interrupted run left is used.
    Returns whether anything was changed. Raises EngineFailed, NotAllowed, StateIsGone.
    """
    here = scratch / account.stack
    engine = Engine(account.stack, backend_url(account), programs)
    if here.exists() or not _is_bucket(account):
        changed = _begin(account, here, say, may_go_on, on_event, programs)
        if not changed:
            return False
        _move(account, engine, here, say)
    else:
        changed = _update(engine, say, may_go_on, on_event)
    return _stack_of_service(account, say, service) or changed


def _begin(
    account: StackAccount,
    here: Path,
    say: Say,
    may_go_on: Callable[[list[Change]], bool],
    on_event: OnEvent,
    programs: Path,
) -> bool:
    """Create everything with the state on this machine."""
    here.mkdir(mode=0o700, parents=True, exist_ok=True)
    passphrase = here / _PASSPHRASE
    if not passphrase.exists():
        passphrase.touch(0o600)
        passphrase.write_text(secrets.token_urlsafe(32))
    engine = _on_this_machine(account.stack, here, programs)
    say(f"state of the bootstrap on this machine until it can be moved: {here}")
    if not (here / "state" / checkpoint_key(account.stack, BOOTSTRAP.project)).exists():
        engine.call("stack", "init", account.stack, "--secrets-provider", "passphrase")
    return _update(engine, say, may_go_on, on_event) or _is_bucket(account)


def _on_this_machine(stack: str, here: Path, programs: Path) -> Engine:
    state = here / "state"
    state.mkdir(exist_ok=True)
    secret = {"PULUMI_CONFIG_PASSPHRASE_FILE": str(here / _PASSPHRASE)}
    return Engine(stack, f"file://{state}", programs, secret)


def _update(
    engine: Engine, say: Say, may_go_on: Callable[[list[Change]], bool], on_event: OnEvent
) -> bool:
    with TemporaryDirectory() as folder:
        plan = Path(folder) / "plan.json"
        changes = changes_of(engine.preview(plan=plan, on_event=on_event))
        for line in summary(changes):
            say(line)
        check(changes, ())
        if not changes or not may_go_on(changes):
            return False
        engine.up(plan=plan, on_event=on_event)
    return True


def _move(account: StackAccount, engine: Engine, here: Path, say: Say) -> None:
    """Move the state into the bucket, encrypted by the key that is there now."""
    say(f"moving the state to {engine.backend}")
    moving = Engine(
        engine.stack,
        engine.backend,
        engine.folder,
        {"PULUMI_CONFIG_PASSPHRASE_FILE": str(here / _PASSPHRASE)},
    )
    try:
        there = moving.state()
    except NoStack:
        there = []
    if not there:  # else it was moved, and only the old one is left
        moving.call(
            "stack",
            "migrate",
            f"file://{here / 'state'}",
            account.stack,
            "--secrets-provider",
            secrets_provider(account),
            "--yes",
        )
    for old in engine.folder.glob(f"Pulumi.{account.stack}.yaml.bak*"):
        old.unlink()  # it names the key of the state on this machine
    if not engine.state():
        raise StateIsGone(f"{engine.backend} is empty after the move; the state is in {here} still")
    shutil.rmtree(here)


def _stack_of_service(account: StackAccount, say: Say, folder: Path) -> bool:
    """Make the service's stack, empty, unless it is there."""
    engine = Engine(account.stack, backend_url(account), folder)
    try:
        engine.state()
    except NoStack:
        document = yaml.safe_load(stack_file(account.stack, folder).read_text("utf-8"))
        if "encryptedkey" in document:
            raise StateIsGone(
                f"{stack_file(account.stack, folder)} has the key of a state of {account.stack}, "
                f"and there is none in {engine.backend}: see the runbook state-lost"
            ) from None
        engine.call("stack", "init", account.stack, "--secrets-provider", secrets_provider(account))
        say(f"made the stack {account.stack}; commit what Pulumi wrote into its files")
        return True
    return False


def _is_bucket(account: StackAccount) -> bool:
    try:
        account.session.client("s3").head_bucket(Bucket=account.state_bucket)
    except ClientError as exc:
        if exc.response["Error"]["Code"] in ("404", "NoSuchBucket", "NotFound"):
            return False
        raise
    return True
