"""Finds what got stuck and sets it going again. Safe to run in every worker at once.

- QUEUED past its resend time: its message was lost, or was in a format that nobody could read; it
  is sent again.
- PROCESSING whose lease has not moved for its whole length *as this sweeper has watched it*: its
  worker is dead; it is put back. Two machines' clocks are never compared.
- Deleted: its files are erased.
- An attempt was lost: what it may have stored is removed, once the prediction has ended otherwise.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

import structlog

from predictions.errors import LeaseLost, NotFound, UnreadableRecord
from predictions.files import Files
from predictions.record import UNFINISHED, Claim, Failure, Prediction, Status
from predictions.store import ERASE_AFTER_S, Store
from predictions.telemetry import step
from predictions.work_queue import WorkQueue

DEPENDENCY_DOWN = Failure(
    code="dependency-down",
    message="A part of the service that scoring needs could not be reached for many hours.",
    hint="Nothing is wrong with the file. Retry; if it fails again, ask the operator.",
)
MOST_DELAYS = 60
"""Put off so often, it is given up: by then some 12 hours have passed."""
STUCK_AFTER_RESENDS = 3
"""Sent again so often and not taken, a person is told of it."""
_FIRST_DELAY_S = 4
_LONGEST_PUT_OFF_S = 900  # SQS's own limit on DelaySeconds
_LONGEST_DELAY_S = 60

log = structlog.get_logger()


class Ended(Enum):
    """How an attempt was lost, and what its owner is told if it was the last one."""

    DIED = (
        "It stopped before its end each time.",
        "Retry once; if it fails again, try a smaller file or ask the operator.",
    )
    KILLED = (
        "The last time the system killed it, most likely because it needed too much memory.",
        "Split the file, or leave out the columns that are not expected. If that does not help, "
        "ask the operator.",
    )
    STUCK = (
        "The last time it was ended because it had made no progress for many minutes.",
        "Retry once; if it fails again, give the id of this prediction to the operator.",
    )

    def used_up(self, attempts: int) -> Failure:
        """Say that this was the last of so many attempts."""
        how, hint = self.value
        times = "once" if attempts == 1 else f"{attempts} times"
        message = f"Scoring was begun {times} and never finished. {how}"
        return Failure(code="attempts-used-up", message=message, hint=hint)


@dataclass(frozen=True)
class Swept:
    """What one sweep did."""

    resent: int = 0
    put_back: int = 0
    failed: int = 0
    erased: int = 0


@dataclass(frozen=True)
class _Pulse:
    """What moves while a claim is alive."""

    attempt: int
    owner: str
    beat: int


class Sweeper:
    """Sweeps again and again; between two sweeps it remembers which leases it saw, and when.

    `lease_s` is the lease's length; `goes_on` is called before each thing that a sweep sees to;
    `clock` is monotonic, in seconds, and is replaced in tests.
    """

    def __init__(
        self,
        store: Store,
        queue: WorkQueue,
        files: Files,
        *,
        lease_s: float,
        max_attempts: int,
        goes_on: Callable[[], None] = lambda: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store = store
        self._queue = queue
        self._files = files
        self._lease_s = lease_s
        self._max_attempts = max_attempts
        self._goes_on = goes_on
        self._clock = clock
        self._seen: dict[str, tuple[_Pulse, float]] = {}

    def sweep(self) -> Swept:
        """Look once at everything that is unfinished and due. SDK errors come through."""
        put_back, failed = self._sweep_processing()
        return Swept(
            resent=self._sweep_queued(),
            put_back=put_back,
            failed=failed,
            erased=self._sweep_files(),
        )

    def _sweep_queued(self) -> int:
        resent = 0
        for prediction in self._store.queued_and_due():
            self._goes_on()
            # The next resend is set first: killed before the send, the record is due again later.
            if self._store.take_resend(prediction):
                self._queue.send(prediction)
                log.info(
                    "prediction_resent",
                    **step(prediction, Status.QUEUED, Status.QUEUED),
                    resends=prediction.resends + 1,
                    stuck=int(prediction.resends >= STUCK_AFTER_RESENDS),
                )
                resent += 1
        return resent

    def _sweep_processing(self) -> tuple[int, int]:
        put_back = failed = 0
        seen: dict[str, tuple[_Pulse, float]] = {}
        for prediction in self._store.processing():
            self._goes_on()
            now = self._clock()  # of this record's reading: a sweep may take longer than a lease
            pulse = _Pulse(prediction.attempt, prediction.owner or "", prediction.beat)
            known, since = self._seen.get(prediction.id, (pulse, now))
            if known != pulse:
                since = now
            if now - since < self._lease_s:
                seen[prediction.id] = (pulse, since)
                continue
            try:
                if put_back_or_fail(
                    self._store,
                    self._queue,
                    prediction,
                    self._max_attempts,
                    beat=pulse.beat,
                    because="its lease did not move",
                ):
                    put_back += 1
                else:
                    failed += 1
            except LeaseLost:  # it moved after all, or another sweeper was first
                continue
        self._seen = seen
        return put_back, failed

    def _sweep_files(self) -> int:
        erased = 0
        for erasure in self._store.erasures_due():
            self._goes_on()
            key = (erasure.account, erasure.prediction_id)
            try:
                prediction = self._store.get(*key)
            except NotFound:
                files = self._files.erase(*key)
            except UnreadableRecord as exc:  # whether it needs them, nobody knows
                log.error("record_unreadable", record=str(exc))
                self._store.order_erasure(*key, after_s=ERASE_AFTER_S)
                continue
            else:
                if prediction.status in UNFINISHED:  # an attempt may be storing its result now
                    self._store.order_erasure(*key, after_s=ERASE_AFTER_S)
                    continue
                # A retry that begins meanwhile is a later attempt.
                files = self._files.erase_attempts(
                    *key,
                    up_to=prediction.attempt,
                    but=prediction.attempt if prediction.status is Status.COMPLETED else None,
                )
            self._store.erased(erasure)
            log.info(
                "files_erased",
                prediction=erasure.prediction_id,
                account=erasure.account,
                files=files,
            )
            erased += 1
        return erased


def put_back_or_fail(
    store: Store,
    queue: WorkQueue,
    prediction: Prediction,
    max_attempts: int,
    *,
    beat: int | None = None,
    ended: Ended = Ended.DIED,
    **said: object,
) -> bool:
    """Give a prediction whose worker or job died another attempt, or fail it after the last.

    ended: how this attempt was lost, as far as that is known. said: of it in the log, without
    customer data. True when it was put back. Raises LeaseLost.
    """
    claim = claim_of(prediction)
    # It may have stored a result that no record will point to. First: killed after this, it does
    # no harm.
    store.order_erasure(claim.account, claim.id, after_s=ERASE_AFTER_S)
    if prediction.crashes + 1 >= max_attempts:
        failure = ended.used_up(prediction.crashes + 1)
        store.fail(claim, failure, beat=beat)
        log.warning(
            "prediction_failed",
            **step(prediction, Status.PROCESSING, Status.FAILED),
            code=failure.code,
            lost=1,
            **said,
        )
        return False
    queued = store.put_back(claim, beat=beat)
    log.warning(
        "prediction_put_back",
        **step(prediction, Status.PROCESSING, Status.QUEUED),
        next_attempt=queued.attempt,
        **said,
    )
    # The first time at once; a job that dies each time is slowed down.
    queue.send(queued, delay_s=min(2**queued.crashes - 2, _LONGEST_DELAY_S))
    return True


def put_off_or_fail(store: Store, queue: WorkQueue, prediction: Prediction, **said: object) -> bool:
    """Let a claimed prediction wait for what it depends on, or fail it after many hours of that.

    said: of it in the log, without customer data. True when it was put off. The delay doubles from
    4 s to 15 minutes, less up to a half by chance, so that not all come back at once. Raises
    LeaseLost.
    """
    claim = claim_of(prediction)
    if prediction.delays >= MOST_DELAYS:
        # Half of a result may be stored, and no record will point to it.
        store.order_erasure(claim.account, claim.id, after_s=ERASE_AFTER_S)
        store.fail(claim, DEPENDENCY_DOWN)
        log.warning(
            "prediction_failed",
            **step(prediction, Status.PROCESSING, Status.FAILED),
            code=DEPENDENCY_DOWN.code,
            lost=0,
            **said,
        )
        return False
    longest_s = min(_FIRST_DELAY_S * 2 ** min(prediction.delays, 16), _LONGEST_PUT_OFF_S)
    delay_s = round(longest_s * random.uniform(0.5, 1))  # noqa: S311
    queued = store.put_off(claim, delay_s=delay_s)
    log.warning(
        "prediction_put_off",
        **step(prediction, Status.PROCESSING, Status.QUEUED),
        delays=queued.delays,
        delay_s=delay_s,
        **said,
    )
    queue.send(queued, delay_s=delay_s)
    return True


def claim_of(prediction: Prediction) -> Claim:
    """Return the claim that a PROCESSING record is held by."""
    return Claim(
        account=prediction.account,
        id=prediction.id,
        attempt=prediction.attempt,
        owner=prediction.owner or "",
    )
