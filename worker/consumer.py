"""The loop: receive → resolve → claim → run → commit → delete.

The record decides, the message only asks. Whatever a message says, and however often it comes, the
claim is one conditional write on the record; a message is deleted only when its record needs it no
more. A worker may be killed between any two lines here: the message becomes visible again or the
sweeper finds the record.
"""

from __future__ import annotations

import random
import signal
import time
from collections.abc import Callable

import structlog
from botocore.exceptions import BotoCoreError, ClientError
from ulid import ULID

from predictions import message
from predictions.aws import may_pass
from predictions.errors import LeaseLost, NotFound, UnreadableRecord, WrongStatus
from predictions.record import Prediction, Status
from predictions.store import ERASE_AFTER_S, Store
from predictions.sweeper import Ended, claim_of, put_back_or_fail, put_off_or_fail
from predictions.telemetry import ids_of
from predictions.work_queue import Received, WorkQueue
from worker import job_log
from worker.batch import Batch
from worker.job import Broke, Finished, Later, Progress, Refused
from worker.job_process import Died, JobProcess, JobProcessUnusable, Stuck
from worker.lease import Lease
from worker.liveness import Liveness
from worker.protection import TaskProtection
from worker.settings import WorkerSettings
from worker.shutdown import Shutdown

_LISTEN_S = 0.25
_PAUSE_AFTER_ERROR_S = 2.0
_FIRST_PAUSE_S = 0.2

log = structlog.get_logger()


class Consumer:
    """One job at a time, one job process of its own."""

    def __init__(
        self,
        settings: WorkerSettings,
        store: Store,
        queue: WorkQueue,
        job_process: JobProcess,
        shutdown: Shutdown,
        protection: TaskProtection,
        liveness: Liveness,
    ) -> None:
        self._settings = settings
        self._store = store
        self._queue = queue
        self._job_process = job_process
        self._shutdown = shutdown
        self._protection = protection
        self._liveness = liveness
        self.batch = Batch(queue, lease_s=settings.lease_s)

    def run(self) -> None:
        """Receive and process until a stop is requested; AWS out of reach only pauses it."""
        try:
            while not self._shutdown.requested:
                # Now, while nobody waits: once a record is claimed, its lease runs.
                self._job_process.ensure_ready()
                self._liveness.loop()
                self._work_once()
        finally:
            # What came during the last poll, or waited for its turn: it costs no attempt.
            self.batch.end()

    def _work_once(self) -> None:
        try:
            received = self.batch.next(wait_s=self._settings.poll_wait_s)
            if received is None:
                return
            if self._shutdown.requested:
                self._queue.hand_back(received)
                return
            self.process(received)
        except (BotoCoreError, ClientError) as exc:
            # The message, if there was one, becomes visible again by itself.
            log.warning("aws_unreachable", error=str(exc))
            self._shutdown.wait(_PAUSE_AFTER_ERROR_S * random.uniform(0.5, 1.5))  # noqa: S311
        except UnreadableRecord as exc:
            # Its message comes again until the queue's own limit, and then is a dead letter.
            log.error("record_unreadable", record=str(exc))
        except JobProcessUnusable:
            raise  # no message is to blame: the worker cannot work
        except Exception as exc:  # noqa: BLE001 - one message must not end the worker
            # The kind only: the text may quote what the message or the record holds.
            log.error("message_failed", error=type(exc).__name__)
            self._shutdown.wait(_PAUSE_AFTER_ERROR_S)

    def process(self, received: Received) -> None:
        """Resolve one message to its record and do what the record needs."""
        request = message.read(received.body)
        match request:
            case message.Request():
                self._process_request(received, request)
            case message.OtherFormat(prediction_ids):
                self._translate(received, prediction_ids)
            case message.Unreadable(reason):
                log.error("message_unreadable", message=received.id, reason=reason)
                self._queue.dead_letter(received, reason)

    def _process_request(self, received: Received, request: message.Request) -> None:
        data = request.data
        # A fresh owner for each claim: not even an earlier claim of ours may commit for this one.
        owner = str(ULID())
        self._job_process.ensure_ready()  # it may have died during the poll
        try:
            claimed = self._store.claim(data.account, data.prediction_id, data.attempt, owner)
        except NotFound:
            log.info("message_of_deleted_prediction", **job_log.ids_in(request))
            self.batch.done(received)
        except WrongStatus as exc:
            log.info("message_superseded", **job_log.ids_in(request), found=exc.found)
            if exc.found is Status.PROCESSING and exc.attempt == data.attempt:
                # Another worker has it, or had it and died: then the sweeper puts it back. The
                # message stays, in case both this and that are wrong.
                self._queue.extend(received, visibility_s=self._settings.lease_s)
            else:
                self.batch.done(received)
        else:
            with job_log.attempt(claimed) as prediction, self._protection.during_a_job():
                self._process_claimed(received, prediction)

    def _translate(self, received: Received, prediction_ids: tuple[str, ...]) -> None:
        known = 0
        for prediction_id in prediction_ids:
            try:
                prediction = self._store.find(prediction_id)
            except NotFound:
                continue
            known += 1
            if prediction.status is Status.QUEUED:
                self._queue.send(prediction)
            log.info("message_translated", **ids_of(prediction), found=prediction.status)
        if known:
            self.batch.done(received)
        else:
            reason = "no prediction that the body names exists"
            log.error("message_unreadable", message=received.id, reason=reason)
            self._queue.dead_letter(received, reason)

    def _process_claimed(self, received: Received, prediction: Prediction) -> None:
        claim = claim_of(prediction)
        lease = Lease(self._store, self._queue, claim, received, lease_s=self._settings.lease_s)
        try:
            outcome = self._run_job(lease, prediction)
            match outcome:
                case Finished(result, summary):
                    self._commit(lease, lambda: self._store.complete(claim, result, summary))
                    job_log.completed(prediction, lease, outcome)
                case Refused(failure):
                    self._commit(lease, lambda: self._store.fail(claim, failure))
                    job_log.failed(prediction, lease, failure)
                case Later(error):
                    put_off_or_fail(
                        self._store, self._queue, prediction, because=error, renewals=lease.renewals
                    )
                case Broke() | Died():
                    put_back_or_fail(
                        self._store,
                        self._queue,
                        prediction,
                        self._settings.max_attempts,
                        ended=_ended(outcome),
                        because=repr(outcome),
                        renewals=lease.renewals,
                    )
                case None:
                    self._store.hand_back(claim)
                    job_log.handed_back(prediction, lease)
                    self._queue.hand_back(received)
                    return
        except LeaseLost as exc:
            # Nothing was committed. Whoever holds the record now settles it and its message.
            log.warning("lease_lost", found=str(exc), renewals=lease.renewals)
            if exc.deleted:  # the job may have stored a result behind the eraser
                self._store.order_erasure(claim.account, claim.id, after_s=ERASE_AFTER_S)
            return
        self.batch.done(received)

    def _commit(self, lease: Lease, write: Callable[[], object]) -> None:
        """Make the write that ends the claim; again while AWS does not take it and the claim holds.

        What was computed is not thrown away for a moment's fault. Raises LeaseLost, and the SDK's
        error when it does not pass in time: then the sweeper finds the record.
        """
        pause_s = _FIRST_PAUSE_S
        while True:
            try:
                write()
            except (BotoCoreError, ClientError) as exc:
                if not (may_pass(exc) and lease.may_hold) or self._shutdown.hand_back_now:
                    raise
                log.warning("commit_delayed", error=type(exc).__name__)
                time.sleep(pause_s * random.uniform(0.5, 1))  # noqa: S311
                pause_s = min(pause_s * 2, _PAUSE_AFTER_ERROR_S)
            else:
                return

    def _run_job(
        self, lease: Lease, prediction: Prediction
    ) -> Finished | Refused | Later | Broke | Died | None:
        """Run the job to its end; None when it had to be stopped for the shutdown.

        When this returns or raises, the job process is at work on nothing.
        """
        done = Progress(rows_done=0, fraction_done=0.0)
        with self._liveness.during_a_job(self._job_process):
            self._job_process.run(prediction)
            try:
                while not self._shutdown.hand_back_now:
                    event = self._job_process.next_event(_LISTEN_S)
                    if isinstance(event, Progress):
                        done = event
                    elif isinstance(event, Finished | Refused | Later | Broke | Died):
                        return event
                    if self._liveness.job_is_stuck(done):
                        self._job_process.stop()
                        return Stuck(-signal.SIGKILL)
                    lease.keep(done.rows_done, done.fraction_done)
                    self.batch.keep()
            except BaseException:
                self._job_process.stop()
                raise
            self._job_process.stop()
            return None


def _ended(outcome: Broke | Died) -> Ended:
    """Say in the owner's terms how an attempt was lost."""
    match outcome:
        case Stuck():
            return Ended.STUCK
        case Died(exitcode) if exitcode == -signal.SIGKILL:  # nobody else kills it in a job
            return Ended.KILLED
    return Ended.DIED
