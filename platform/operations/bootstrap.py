"""From nothing to an account that can be deployed to.

What keeps the state cannot be kept in it before it is there: the bootstrap begins with a state on
this machine and moves it into the bucket that it made. Run again, it goes on where it was, or
changes nothing.
"""

from __future__ import annotations

import secrets
import shutil
import socket
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import yaml
from botocore.exceptions import ClientError

from localcloud.program import BOOTSTRAP, SERVICE, Program, stack_file
from operations.account import StackAccount, WrongAccount
from operations.adopt import take_over
from operations.changes import Change, check, summary
from operations.deploy import NotConfirmed
from operations.engine import Engine, NoStack, OnEvent
from operations.errors import OperationError
from operations.pending import settle
from operations.progress import Say
from operations.replaced import changes_ahead
from operations.state import (
    Lock,
    StateLocked,
    backend_url,
    checkpoint_key,
    is_running,
    locks,
    secrets_provider,
    take_away,
    unlocking,
)

_PASSPHRASE = "passphrase"  # noqa: S105 - the name of a file
_KEY_IN_FILE = ("encryptedkey", "encryptionsalt")
"""What Pulumi writes into a stack's file when it has made a state for it."""


class StateIsGone(OperationError):
    """There was a state and there is none: to begin anew would create everything once more."""


class StillRunning(OperationError):
    """An interrupted bootstrap has left a process that still creates things."""


def bootstrap(
    account: StackAccount,
    *,
    scratch: Path,
    say: Say,
    may_go_on: Callable[[list[Change]], bool],
    on_event: OnEvent = lambda _event: None,
    service: Path = SERVICE.stacks,
    program: Program = BOOTSTRAP,
) -> bool:
    """Make what the bootstrap declares, and an empty stack for the service.

    scratch: where the state is until it can be moved; what an interrupted run left is used.
    Returns whether anything was changed. Raises EngineFailed, NotAllowed, NotConfirmed,
    StateIsGone, StillRunning, WrongAccount.
    """
    return _Bootstrap(account, scratch, say, may_go_on, on_event, service, program).run()


class _Bootstrap:
    """One run. Each step looks at what is there, so that any of them can be the last one."""

    def __init__(
        self,
        account: StackAccount,
        scratch: Path,
        say: Say,
        may_go_on: Callable[[list[Change]], bool],
        on_event: OnEvent,
        service: Path,
        program: Program,
    ) -> None:
        self._account = account
        # With the account: with another's credentials everything in the state would seem gone.
        self._here = scratch / f"{account.stack}-{account.account_id}"
        self._say = say
        self._may_go_on = may_go_on
        self._on_event = on_event
        self._service = service
        self._program = program
        self._in_bucket = Engine(account.stack, backend_url(account), program.stacks)
        self._file = stack_file(account.stack, program.stacks)

    def run(self) -> bool:
        """Do what is still to be done."""
        _same_region(self._account, self._service)
        is_bucket = self._is_bucket()
        if is_bucket and self._resources_in_bucket():
            # First: a state that is here still is an old one.
            is_changed = self._clean_up()
            self._unlock_in_bucket()
            self._settle(self._in_bucket)
            is_changed |= self._update(self._in_bucket)
        else:
            self._begin(is_bucket)
            is_changed = True
        return self._stack_of_service() or is_changed

    def _begin(self, is_bucket: bool) -> None:
        """Create everything with the state on this machine, and move it."""
        is_first = not self._here.exists()
        if is_first and not is_bucket:
            self._refuse_if_begun_elsewhere()
        engine = self._on_this_machine()
        if is_first:  # what is there all the same is of one whose state was lost
            for type_, name in take_over(self._account, engine, self._program, self._on_event):
                self._say(f"{type_.rpartition(':')[2]} {name} is there already: taken over")
        self._settle(engine)
        self._update(engine)
        self._move(engine)
        self._clean_up()

    def _refuse_if_begun_elsewhere(self) -> None:
        there = [key for key in _KEY_IN_FILE if key in _read(self._file)]
        if there:
            account = self._account
            raise StateIsGone(
                f"{self._file.name} of {self._file.parent.name} has {there[0]}: a bootstrap of "
                f"{account.stack} was made or begun, but the account {account.account_id} has no "
                f"bucket {account.state_bucket}. Is it the right account (aws:allowedAccountIds)? "
                "Was the bootstrap interrupted on another machine? Go on there. When neither is "
                f"so, delete secretsprovider and {there[0]} from the file"
            )

    def _on_this_machine(self) -> Engine:
        """Return the engine on a state of this machine, which is made where there is none."""
        stack = self._account.stack
        state = self._here / "state"
        state.mkdir(mode=0o700, parents=True, exist_ok=True)
        # In the environment: a passphrase of the person's own would win over a file's.
        environment = {"PULUMI_CONFIG_PASSPHRASE": _passphrase(self._here)}
        # Metadata is written beside the state and not at once: killed then, it cannot be read.
        backend = f"file://{state}?metadata=skip"
        engine = Engine(stack, backend, self._program.stacks, environment)
        self._say(f"state of the bootstrap on this machine until it can be moved: {self._here}")
        self._unlock(engine, state / ".pulumi" / "locks")
        if not (state / checkpoint_key(stack, self._program.project)).exists():
            engine.call("stack", "init", stack, "--secrets-provider", "passphrase")
        return engine

    def _unlock(self, engine: Engine, folder: Path) -> None:
        """Take away the locks of processes that were killed."""
        there = list(folder.rglob("*.json"))
        for lock in there:
            written = datetime.fromtimestamp(lock.stat().st_mtime, UTC)
            self._refuse_if_at_work(Lock.of(str(lock), written, lock.read_bytes()))
        if there:
            engine.call("cancel", "--yes")

    def _unlock_in_bucket(self) -> None:
        """Take away the locks of processes that were killed on this machine."""
        for lock in locks(self._account, self._program.project):
            if lock.host != socket.gethostname():
                raise StateLocked(
                    f"the state of {self._account.stack}'s bootstrap is locked by {lock} since "
                    f"{lock.written:%Y-%m-%d %H:%M:%S} UTC: whether that is at work still can only "
                    "be seen there. Run this again there; or when that is gone, in "
                    f"{self._program.stacks.name} {unlocking(self._account)} takes the lock away"
                )
            self._refuse_if_at_work(lock)
            take_away(self._account, lock)
            self._say(f"the lock of a bootstrap that was killed is taken away: {lock}")

    def _refuse_if_at_work(self, lock: Lock) -> None:
        if lock.pid is not None and is_running(lock.pid):
            raise StillRunning(
                f"process {lock.pid} of a bootstrap that was interrupted still works on "
                f"{self._account.stack}: wait for its end, and run this again. If that process "
                f"is another program by now, delete {lock.key}"
            )

    def _settle(self, engine: Engine) -> None:
        for one in settle(self._account, engine, self._program):
            self._say(str(one))

    def _update(self, engine: Engine) -> bool:
        with TemporaryDirectory() as folder:
            plan = Path(folder) / "plan.json"
            ahead = changes_ahead(engine, self._say, plan=plan, on_event=self._on_event)
            with ahead as changes:
                for line in summary(changes):
                    self._say(line)
                check(changes, ())
                if changes and not self._may_go_on(changes):
                    raise NotConfirmed("nothing in AWS was changed")
            if not changes:
                return False
            engine.up(plan=plan, on_event=self._on_event)
        return True

    def _move(self, engine: Engine) -> None:
        """Move the state into the bucket, encrypted by the key that is there now."""
        backend, stack = self._in_bucket.backend, self._account.stack
        self._say(f"moving the state to {backend}")
        moving = Engine(stack, backend, engine.folder, engine.environment)
        if self._resources_in_bucket() is not None:
            # A move that was interrupted has made the stack and put nothing into it.
            moving.call("stack", "rm", "--yes", "--preserve-config")
        provider = secrets_provider(self._account)
        moving.call(
            "stack", "migrate", engine.backend, stack, "--secrets-provider", provider, "--yes"
        )
        if not self._resources_in_bucket():
            raise StateIsGone(f"{backend} is empty after the move; the state is in {self._here}")
        self._say("moved")

    def _clean_up(self) -> bool:
        """Delete the old state, and the files that name its key."""
        old = list(self._file.parent.glob(f"{self._file.name}.bak*"))
        for file in old:
            file.unlink()
        if self._here.exists():
            shutil.rmtree(self._here)
            return True
        return bool(old)

    def _stack_of_service(self) -> bool:
        """Make the service's stack, empty, unless it is there."""
        account = self._account
        engine = Engine(account.stack, backend_url(account), self._service)
        try:
            engine.state()
        except NoStack:
            file = stack_file(account.stack, self._service)
            if "encryptedkey" in _read(file):
                raise StateIsGone(
                    f"{file.name} has the key of a state of {account.stack}, and there is none in "
                    f"{engine.backend}: `retainwise state {account.stack}` lists what can be had "
                    "back. If this account is a new one, or nothing can be had back, delete "
                    "secretsprovider and encryptedkey from the file and run this again; what "
                    f"exists is then found by `retainwise adopt {account.stack}`"
                ) from None
            provider = secrets_provider(account)
            engine.call("stack", "init", account.stack, "--secrets-provider", provider)
            self._say(
                f"made the stack {account.stack}; commit what Pulumi wrote at the end of "
                f"{file.name} and of {self._file.parent.name}/{self._file.name}"
            )
            return True
        return False

    def _resources_in_bucket(self) -> int | None:
        """Count what the state in the bucket has; none without a state."""
        try:
            return len(self._in_bucket.state())
        except NoStack:
            return None

    def _is_bucket(self) -> bool:
        account = self._account
        try:
            account.session.client("s3").head_bucket(Bucket=account.state_bucket)
        except ClientError as exc:
            if exc.response["Error"]["Code"] in ("404", "NoSuchBucket", "NotFound"):
                return False
            raise
        return True


def _same_region(account: StackAccount, service: Path) -> None:
    """Raise WrongAccount when the service's own file says another region or account."""
    other = StackAccount.of(account.stack, service)
    if other.region != account.region:
        raise WrongAccount(
            f"the service's Pulumi.{account.stack}.yaml has aws:region {other.region}, and the "
            f"bootstrap's has {account.region}: they must be the same"
        )


def _passphrase(here: Path) -> str:
    """Return the passphrase of the state on this machine; made once."""
    file = here / _PASSPHRASE
    if not file.exists():
        unfinished = here / f"{_PASSPHRASE}.new"
        unfinished.touch(0o600)
        unfinished.write_text(secrets.token_urlsafe(32))
        unfinished.replace(file)
    return file.read_text()


def _read(file: Path) -> Mapping[str, Any]:
    document: Mapping[str, Any] = yaml.safe_load(file.read_text("utf-8"))
    return document
