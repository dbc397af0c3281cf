"""The messages that one consumer holds: received together, worked on one after the other.

One message for each call would make the calls to SQS the whole cost of small jobs. But a message
that waits here is hidden from every other worker. So as many are received as would all be done
within one lease if each took as long as the longest of the last jobs, and the moment one turns long
the rest is handed back.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import structlog
from botocore.exceptions import BotoCoreError, ClientError

from predictions.work_queue import MOST_AT_ONCE, Received, WorkQueue

_REMEMBERED_JOBS = 20
_RENEW_AT = 1 / 3  # of the lease

log = structlog.get_logger()


class Batch:
    """What was received and waits, what is at work, and what is done and not acknowledged yet.

    lease_s: the queue's visibility timeout. clock: monotonic, in seconds.
    """

    def __init__(
        self, queue: WorkQueue, *, lease_s: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._queue = queue
        self._lease_s = lease_s
        self._clock = clock
        self._waiting: deque[Received] = deque()
        self._done: list[Received] = []
        self._acknowledger = ThreadPoolExecutor(1, thread_name_prefix="acknowledger")
        self._acknowledging: Future[None] | None = None
        self._took_s: deque[float] = deque(maxlen=_REMEMBERED_JOBS)
        self._renewed_at = self._begun_at = clock()

    def next(self, *, wait_s: int) -> Received | None:
        """Return the message to work on now; None when none came within `wait_s`.

        The SDK's errors of the poll come through.
        """
        self.keep()
        if not self._waiting:
            self.acknowledge()
            self._waiting.extend(self._queue.receive(wait_s=wait_s, most=self._as_many_as_fit()))
            self._renewed_at = self._clock()
        if not self._waiting:
            return None
        self._begun_at = self._clock()
        return self._waiting.popleft()

    def done(self, received: Received) -> None:
        """The message is needed no more: acknowledge it soon, with others.

        Killed before that, it comes again and is found to be done.
        """
        self._took_s.append(self._clock() - self._begun_at)
        self._done.append(received)
        if len(self._done) == MOST_AT_ONCE:
            self.acknowledge()

    def keep(self) -> None:
        """Keep what waits hidden; to be called now and then, while a job runs too.

        When the job has turned long, what waits is handed back instead: somebody else may be idle.
        """
        now = self._clock()
        if now - self._renewed_at < self._lease_s * _RENEW_AT:
            return
        self._renewed_at = now
        if self._is_acknowledged():  # a job does not wait for it
            self.acknowledge()
        if now - self._begun_at >= self._lease_s * _RENEW_AT:
            self.hand_back()
        else:
            self._call(self._queue.extend, self._waiting, visibility_s=int(self._lease_s))

    def hand_back(self) -> None:
        """Let other workers have what waits, at once."""
        self._call(self._queue.hand_back, self._waiting)
        self._waiting.clear()

    def acknowledge(self) -> None:
        """Delete what is done from the queue, while the next messages are received."""
        if not self._done:
            return
        self.wait_acknowledged()  # one call at a time
        done, self._done = self._done, []
        self._acknowledging = self._acknowledger.submit(self._call, self._queue.delete, done)

    def wait_acknowledged(self) -> None:
        """Wait until the queue has answered for what was acknowledged."""
        if self._acknowledging is not None:
            self._acknowledging.result()

    def end(self) -> None:
        """Hold nothing any more: others have what waits, and what is done is acknowledged."""
        self.hand_back()
        self.acknowledge()
        self._acknowledger.shutdown()

    def _is_acknowledged(self) -> bool:
        return self._acknowledging is None or self._acknowledging.done()

    def _as_many_as_fit(self) -> int:
        if not self._took_s:
            return 1  # nobody knows how long they take
        longest_s = max(*self._took_s, self._lease_s / MOST_AT_ONCE)
        return max(1, int(self._lease_s / longest_s))

    def _call(self, call: Callable[..., None], messages: Sequence[Received], **how: int) -> None:
        """Make a call that may fail: a message that stays comes again, and its record decides."""
        if not messages:
            return
        try:
            call(*messages, **how)
        except (BotoCoreError, ClientError) as exc:
            log.warning("queue_call_failed", call=call.__name__, error=type(exc).__name__)
        except Exception as exc:  # noqa: BLE001 - a mistake here must not end a sound job
            log.error("queue_call_failed", call=call.__name__, error=type(exc).__name__)
