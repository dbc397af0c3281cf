"""Keeps the deploy lease for what works under it, and tells that when it can no longer be kept."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from enum import Enum

from botocore.exceptions import BotoCoreError, ClientError

from infra.lease_item import Holder
from operations.lease import DeployLease, LeaseLost, LeaseTaken, elapsed_s

# Parts of the length.
RENEWED_AT = 1 / 6
"""The part of the length after which a holder that is well renews it."""
_RETRY_AT = 1 / 12  # after a renewal that got no answer
# Who cannot renew first has what runs under the lease end in order, as long as it still can.
_ASK_AT = 1 / 2
GIVE_UP_AT = 5 / 6
"""The part of the length after which a holder that could not renew has to have stopped."""
_LOOK_EVERY = 1 / 60


class Ends(Enum):
    """How a taking ends."""

    CLEAN = "it is given back"
    LEFT = "it is given back, and the next holder is told that something may be left"
    BY_ITSELF = "it is not given back: what was killed under it may have a call under way"


@dataclass
class Taking:
    """A lease that is held.

    holder: as it was taken.
    ends: how it is to end; may be set until it does.
    """

    holder: Holder
    ends: Ends = Ends.CLEAN


@contextmanager
def keep(
    lease: DeployLease,
    owner: str,
    what: str,
    on_lost: Callable[[LeaseLost], None],
    *,
    on_held: Callable[[Holder], None] = lambda _holder: None,
    on_silence: Callable[[Exception | None], None] = lambda _cause: None,
    on_wait: Callable[[Holder], None] = lambda _holder: None,
) -> Iterator[Taking]:
    """Hold a lease for the block, renewed by a thread.

    Of a holder that shows no sign of life it waits for the end; one that renews is alive.
    on_lost: called once, by another thread, when the lease was lost: the block has to stop.
    on_held: called when it was taken and with each renewal, which counts only if this does not
        raise an error of the SDK's.
    on_silence: called by another thread when half of the length has passed with no renewal,
        with the reason where there is one: the block should come to its end while it can.
    on_wait: called with the holder that is waited for.
    Raises LeaseTaken, DamagedLease, and what `on_held` raises at first.
    """
    asked = elapsed_s()
    try:
        holder = lease.take(owner, what)
    except LeaseTaken as taken:
        on_wait(taken.holder)
        _outlive(lease, taken.holder)
        asked = elapsed_s()
        holder = lease.take(owner, what)
    try:
        on_held(holder)
    except BaseException:
        _try_to_release(lease, holder)
        raise
    keeper = _Keeper(lease, holder, asked, _Told(on_held, on_silence, on_lost))
    taking = Taking(holder)
    try:
        yield taking
    finally:
        # Lost, it is another's, or its sessions have not ended yet.
        if keeper.stop() and taking.ends is not Ends.BY_ITSELF:
            _try_to_release(lease, holder, is_left=taking.ends is Ends.LEFT)


def _try_to_release(lease: DeployLease, holder: Holder, *, is_left: bool = False) -> None:
    """Release it. What cannot be ends by itself; what the block has to say matters more."""
    with suppress(BotoCoreError, ClientError):
        lease.release(holder, is_left=is_left)


def _outlive(lease: DeployLease, seen: Holder) -> None:
    """Wait for the end of a lease. Raises LeaseTaken when its holder turns out to be alive."""
    while True:
        time.sleep(_LOOK_EVERY * lease.length.total_seconds())
        last = lease.last()
        now = lease.now()
        if last is None or not last.holds(now):
            return
        if (last.token, last.renewed) != (seen.token, seen.renewed):
            raise LeaseTaken(lease.stack, last, now)


@dataclass(frozen=True)
class _Told:
    """Whom a keeper tells what; see `keep`."""

    held: Callable[[Holder], None]
    silence: Callable[[Exception | None], None]
    lost: Callable[[LeaseLost], None]


class _Keeper:
    """Renews a lease until it is stopped or the lease is lost.

    A call may hang for longer than the lease lasts, so the end is watched by a thread of its own.
    """

    def __init__(self, lease: DeployLease, holder: Holder, asked: float, told: _Told) -> None:
        self._lease = lease
        self._holder = holder
        self._length_s = lease.length.total_seconds()
        self._told = told
        self._renewed = asked
        self._failure: Exception | None = None
        self._is_over = threading.Event()
        self._turn = threading.Lock()
        for work in (self._renew, self._watch):
            threading.Thread(target=work, name="deploy lease", daemon=True).start()

    def stop(self) -> bool:
        """End it; return whether the lease was kept until now.

        A renewal that is still under way is refused once the lease is released.
        """
        with self._turn:
            was_kept = not self._is_over.is_set()
            self._is_over.set()
        return was_kept

    def _renew(self) -> None:
        pause = RENEWED_AT
        while not self._is_over.wait(pause * self._length_s):
            # From before the call: when the answer is late, the lease was renewed earlier.
            asked = elapsed_s()
            try:
                self._told.held(self._lease.renew(self._holder))
            except LeaseLost as exc:
                self._lose(exc)
            except Exception as exc:  # noqa: BLE001 - whatever it is, the lease is not renewed
                self._failure = exc
                pause = _RETRY_AT
            else:
                self._renewed = asked
                self._failure = None
                pause = RENEWED_AT

    def _watch(self) -> None:
        is_told = False
        while not self._is_over.wait(self._left_s(GIVE_UP_AT if is_told else _ASK_AT)):
            if self._left_s(GIVE_UP_AT) <= 0:
                end = "the deploy lease could not be renewed before its end"  # see under_lease
                self._lose(LeaseLost(end, is_taken=False, cause=self._failure))
            elif self._left_s(_ASK_AT) > 0:
                is_told = False  # it was renewed meanwhile
            elif not is_told:
                is_told = True
                self._told.silence(self._failure)

    def _left_s(self, part: float) -> float:
        return self._renewed + part * self._length_s - elapsed_s()

    def _lose(self, lost: LeaseLost) -> None:
        with self._turn:
            if self._is_over.is_set():
                return
            self._is_over.set()
            self._told.lost(lost)  # before the block can end as if nothing were
