"""What is done to a stack under its deploy lease: by whom, in which sessions, and how it ends.

However it ends, whoever comes next needs nobody's help: what was ended in order left nothing; of
anything else the lease tells the next holder, who looks (`heal`). It is not given back while a call
may be under way still.
"""

from __future__ import annotations

import getpass
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from botocore.exceptions import BotoCoreError, ClientError

from infra.deploy_lease import TOKEN_VARIABLE
from localcloud.program import Program
from operations.account import StackAccount, said_by_sdk
from operations.ending import Ending
from operations.engine import Engine, ProviderDied
from operations.errors import OperationError
from operations.fence import PATIENCE, Fence
from operations.heal import heal
from operations.keeping import Ends, keep
from operations.lease import DeployLease, Holder, LeaseLost
from operations.progress import Say
from operations.state import StateLocked, locks, note_as_begun, was_cut_off


class Cancelled(OperationError):
    """Somebody ended it; the message says what that leaves."""


class EngineKilled(OperationError):
    """The engine was killed by somebody else; the message says what follows."""


@dataclass(frozen=True)
class UnderLease:
    """What works under a lease works with these.

    account: in sessions that end with the lease.
    """

    account: StackAccount
    holder: Holder
    _lease: DeployLease
    _fence: Fence
    _ending: Ending

    def engine(self, engine: Engine) -> Engine:
        """Return the engine as it runs under the lease: it ends with it, in AWS and here."""
        environment = {
            **engine.environment,
            **self._fence.environment(),
            TOKEN_VARIABLE: self.holder.token,
        }
        return replace(engine, environment=environment, ending=self._ending)

    def heal(self, engine: Engine, program: Program, say: Say) -> None:
        """Put in order what those before, or a killed engine of this one, have left.

        engine: as `engine` returns it. Raises what `heal.heal` raises, and LeaseLost.
        """
        heal(self.account, engine, program, self.holder, say)
        if self.holder.left_since is not None:
            self._lease.note_all_settled(self.holder)

    @property
    def is_over(self) -> bool:
        """Whether it was lost, is to end, or its engine was killed: nothing more is to be begun."""
        return self._ending.was_asked_for or self._ending.has_killed


@contextmanager
def under_lease(account: StackAccount, what: str, say: Say) -> Iterator[UnderLease]:
    """Hold the stack's deploy lease for the block.

    what: completes "holds the lease to …".
    Raises LeaseTaken, MayNotDeploy, LeaseLost when the block was ended for that, and Cancelled for
    a KeyboardInterrupt in it.
    """
    ending, lost = Ending(), list[LeaseLost]()
    silence = list[Exception | None]()

    def stop(why: LeaseLost) -> None:
        lost.append(why)
        ending.now()

    def wait(holder: Holder) -> None:
        if holder.broken_by is not None:
            say(
                f"{holder.broken_by} broke the deploy lease that {holder.owner} held to "
                f"{holder.what}; waiting for its end"
            )
            return
        say(
            f"{holder.owner} holds the deploy lease to {holder.what}; waiting to see whether that "
            "is at work still"
        )

    def end_in_order(why: Exception | None) -> None:
        silence.append(why)
        ending.in_order()
        fence.use_to_the_end()

    lease = DeployLease(
        account.session.client("dynamodb", config=PATIENCE), account.lease_table, account.stack
    )
    # A renewal may write into it still.
    with TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        fence = Fence(account, Path(folder), lease.length)
        with keep(
            lease,
            owner=whoami(),
            what=what,
            on_lost=stop,
            on_held=fence.renew,
            on_silence=end_in_order,
            on_wait=wait,
        ) as taking:
            held = UnderLease(fence.account, taking.holder, lease, fence, ending)
            try:
                with _ended_as_said(held.account, what, lost, silence, ending):
                    yield held
            except StateLocked:
                raise  # before anything was begun, and the lock is nobody's who held the lease
            except BaseException:
                taking.ends = Ends.LEFT  # until it is known better, however this is interrupted
                if ending.has_killed:
                    taking.ends = Ends.BY_ITSELF
                elif not lost and not _is_something_left(held.account):
                    taking.ends = Ends.CLEAN
                raise
        if lost:
            raise _explained(account, lost[0])


@contextmanager
def _ended_as_said(
    account: StackAccount,
    what: str,
    lost: list[LeaseLost],
    silence: list[Exception | None],
    ending: Ending,
) -> Iterator[None]:
    """Let the block end with what really ended it, and not with what came of that."""
    try:
        yield
    except KeyboardInterrupt as exc:
        ending.whatever_runs()  # a second one may have come before the first was obeyed
        left = (
            "it was killed in the middle of something, which the next deploy looks at in AWS and "
            "settles; that can begin when the lease ends, within a minute"
            if ending.has_killed
            else "what it had begun was ended and is noted; the next deploy goes on from there"
        )
        raise Cancelled(f"{account.stack}: cancelled: {what}; {left}") from exc
    # RuntimeError: so the SDK says that a session has ended, after a machine has slept.
    except (OperationError, BotoCoreError, ClientError, RuntimeError) as exc:
        if lost:
            raise _explained(account, lost[0]) from exc
        if silence:
            raise LeaseLost(
                f"{account.stack}: the deploy lease could not be renewed for a while"
                f"{_because(account, silence[-1])}. So this was ended in order, as long as that "
                f"was possible: {what}. What it had begun is noted; the next deploy goes on from "
                f"there. The last that was said: {exc}"
            ) from exc
        if ending.has_killed:
            if isinstance(exc, ProviderDied) and exc.being_made:
                note_as_begun(account, exc.being_made)
            raise EngineKilled(
                f"{account.stack}: something killed Pulumi in the middle of its work: {what}. The "
                "next deploy looks at it in AWS and settles it; that can begin when the lease "
                "ends, within a minute"
            ) from exc
        raise


def _explained(account: StackAccount, lost: LeaseLost) -> LeaseLost:
    """Say of a lease that came to its end why, and what that leaves."""
    if lost.is_taken:
        return lost
    return LeaseLost(
        f"{account.stack}: the deploy lease could not be renewed before its end"
        f"{_because(account, lost.cause)}. What ran was ended; what it was in the middle of, the "
        "next deploy looks at in AWS and settles"
    )


def _because(account: StackAccount, cause: Exception | None) -> str:
    if isinstance(cause, BotoCoreError | ClientError):
        return f": {said_by_sdk(account.stack, cause)}"
    return ": no answer" if cause is None else f": {cause}"


def _is_something_left(account: StackAccount) -> bool:
    """Whether the next one has something to settle, or nobody can tell."""
    try:
        return any(True for _ in locks(account)) or was_cut_off(account)
    except (BotoCoreError, ClientError):
        return True


def whoami() -> str:
    """Name who deploys: the person on their machine, or CI with its run."""
    if run := os.environ.get("GITHUB_RUN_ID"):
        return _printable(f"{os.environ.get('GITHUB_ACTOR', 'CI')} in run {run}")
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a user that the machine has no name for
        user = str(os.getuid())
    return _printable(f"{user}@{socket.gethostname()}")


def _printable(text: str) -> str:
    return "".join(filter(str.isprintable, text))
