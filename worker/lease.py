"""The one place that owns the lease: our claim on a record, and the message's visibility with it.

The record is the fence. Its beat shows every sweeper that the claim is alive, and a write that is
refused because the record moved on ends the attempt at once. The message is kept invisible beside
it only so that nobody receives it in vain.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import structlog
from botocore.exceptions import BotoCoreError, ClientError

from predictions.errors import LeaseLost
from predictions.record import Claim
from predictions.store import Store
from predictions.work_queue import Received, WorkQueue

SHOW_PROGRESS_EVERY_S = 0.5

log = structlog.get_logger()


class Lease:
    """A claim, renewed at a third of its length for as long as `keep` is called.

    `lease_s` must be the length that the sweepers use; `clock` is monotonic, in seconds.
    """

    def __init__(
        self,
        store: Store,
        queue: WorkQueue,
        claim: Claim,
        received: Received,
        *,
        lease_s: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.claim = claim
        self._store = store
        self._queue = queue
        self._received = received
        self._lease_s = lease_s
        self._clock = clock
        self._renewed_at = self._tried_at = self._since = clock()
        self._extended_at = clock()
        self._shown = 0.0
        self.renewals = 0
        """How often it was renewed so far."""

    def keep(self, rows_done: int, fraction_done: float) -> None:
        """Renew when due; show progress twice a second when there is some.

        Raises LeaseLost when the record is no longer ours, or could not be renewed for the whole
        length of the lease: by then a sweeper may have given it to somebody else.
        """
        now = self._clock()
        since_try = now - self._tried_at
        moved = fraction_done > self._shown and since_try >= SHOW_PROGRESS_EVERY_S
        if not moved and since_try < self._lease_s / 3:
            return
        self._tried_at = now
        try:
            self._store.renew(self.claim, rows_done=rows_done, fraction_done=fraction_done)
            # From before the call: when the answer is late, the lease was renewed earlier.
            self._renewed_at = now
            self._shown = fraction_done
            self.renewals += 1
        except (BotoCoreError, ClientError) as exc:
            log.warning("renewal_failed", prediction=self.claim.id, error=type(exc).__name__)
            if not self.may_hold:
                raise LeaseLost(self.claim, "no answer for the whole length of the lease") from exc
        if now - self._extended_at >= self._lease_s / 3:
            self._extend(now)

    @property
    def held_s(self) -> float:
        """How long it has been held so far, seconds, to the millisecond; never 0."""
        return max(0.001, round(self._clock() - self._since, 3))

    @property
    def may_hold(self) -> bool:
        """Whether no sweeper can have seen the lease stand still for its whole length."""
        return self._clock() - self._renewed_at < self._lease_s

    def _extend(self, now: float) -> None:
        try:
            self._queue.extend(self._received, visibility_s=int(self._lease_s))
            self._extended_at = now
        except (BotoCoreError, ClientError) as exc:
            # Whoever receives the message now finds the record PROCESSING and leaves it alone.
            log.warning("visibility_lost", prediction=self.claim.id, error=type(exc).__name__)
