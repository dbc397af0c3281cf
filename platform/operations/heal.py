"""Puts in order what a killed deploy has left, before the next one begins.

Whoever holds the lease comes after everybody who held it before: those can change nothing any more
(`fence`). So what they have left is nobody's: Pulumi's lock, and what the state notes as begun.
"""

from __future__ import annotations

from datetime import timedelta

from localcloud.program import Program
from operations.account import StackAccount
from operations.engine import Engine
from operations.lease import Holder
from operations.pending import settle
from operations.progress import Say
from operations.state import Lock, StateLocked, locks, take_away, unlocking

# S3 tells the time of a lock in whole seconds, DynamoDB's answers that of the lease.
_SAME_TIME = timedelta(seconds=2)


def heal(account: StackAccount, engine: Engine, program: Program, holder: Holder, say: Say) -> None:
    """Take away the locks of former holders, and settle what they were doing; say what was done.

    Raises StateLocked for a lock that is of none of them, and what `settle` raises.
    """
    for lock in locks(account):
        if not _was_left(lock, holder):
            raise StateLocked(_refusal(account, lock))
        take_away(account, lock)
        say(f"the lock of a deploy that was killed is taken away: {lock}")
    for one in settle(account, engine, program):
        say(str(one))


def _was_left(lock: Lock, holder: Holder) -> bool:
    """Whether a lock is of a holder before: written on its machine, and in its time."""
    since, until = holder.left_since, holder.left_until
    if since is None or until is None or lock.host is None:
        return False
    is_in_time = since - _SAME_TIME <= lock.written <= until + _SAME_TIME
    return is_in_time and lock.host in holder.left_by


def _refusal(account: StackAccount, lock: Lock) -> str:
    return (
        f"the state of {account.stack} is locked by {lock} since "
        f"{lock.written:%Y-%m-%d %H:%M:%S} UTC, and no deploy was at work there: somebody changes "
        "it beside the deploy lease, or was killed doing so. Nothing was changed now. See that the "
        f"process is gone; then {unlocking(account)} takes the lock away"
    )
