"""A model of SQS's fair queues, and what one account's flood does in it to another's single job.

No emulator is fair, so this is AWS's documentation as a program, not AWS:
docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-fair-queues-detailed.html

- A tenant is a message group; a message without one is a tenant of its own.
- A tenant is noisy when more than a tenth of all messages in flight and at least 30 are its own, or
  when more than a tenth of the time for which messages were in flight lately was its own. AWS calls
  these thresholds approximate, and does not say how long “lately” is: here RECENT_S.
- While a quiet tenant's message waits, none of a noisy one is given out. Among noisy tenants, the
  one with the fewest in flight comes first. Otherwise it is the oldest message.
- A tenant that has no backlog, or has sent nothing for QUIET_AFTER_S, is quiet.

Left out: messages in another order, the time of a call, visibility that ends. The messages are what
`WorkQueue.send` sends, and who receives them is the worker's own `Batch`. The sweeper sends what
waits again, as it does; that keeps its tenant noisy, but the copies are left out: a worker deletes
one at once.
"""

from __future__ import annotations

import heapq
from collections import Counter, deque
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future
from dataclasses import dataclass
from functools import cache
from itertools import count
from pathlib import Path
from typing import Any, TypeVar
from unittest import mock

from memory_cloud import memory_cloud
from plain import a_prediction
from predictions.record import new_id
from predictions.store import LONGEST_RESEND_S
from predictions.work_queue import Received
from worker.batch import Batch
from written import with_written

T = TypeVar("T")

RECENT_S = 300
QUIET_AFTER_S = 300
FLOOD = 1000
RELIABILITY = Path(__file__).parents[2] / "docs" / "reliability.md"

_LEAST_NOISY = 30
_SHARE = 0.1
_LEASE_S = 30
_POLL_S = 1.0
_LOOK_S = 1.0  # how often a consumer keeps its batch while a job runs
_WORKERS = (2, 20)  # the least and the most of production
_JOBS_S = (3, 60)
_LATER_S = (70, 610, 1230)  # the last: QUIET_AFTER_S after the sweeper's resend at 900 s
_RESEND_AFTER_S = 60


@dataclass(frozen=True)
class Sent:
    """A message as it lies in the queue."""

    body: str
    group: str | None


class Clock:
    """The time of the model, in seconds."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


@dataclass(frozen=True, order=True)
class _Waiting:
    number: int  # older ones are lower
    tenant: str
    body: str


class AtOnce(Executor):
    """Does what it is given before anything else happens: the model has one thread."""

    def submit(self, what: Callable[..., T], /, *given: Any, **named: Any) -> Future[T]:
        done: Future[T] = Future()
        done.set_result(what(*given, **named))
        return done


class FairQueue:
    """What a `Batch` asks of a `WorkQueue`; `is_fair` False gives the oldest message always."""

    def __init__(self, clock: Clock, *, is_fair: bool = True) -> None:
        self._clock = clock
        self._is_fair = is_fair
        self._numbers = count()
        self._waiting: dict[str, list[_Waiting]] = {}  # heaps, by tenant
        self._in_flight: dict[str, tuple[_Waiting, float]] = {}
        self._sent_at: dict[str, float] = {}
        self._spans: deque[tuple[float, float, str]] = deque()  # from, to, whose

    def send(self, sent: Sent) -> None:
        number = next(self._numbers)
        tenant = f"group {sent.group}" if sent.group else f"message {number}"
        self._put(_Waiting(number, tenant, sent.body))
        self._sent_at[tenant] = self._clock()

    def send_copies(self) -> None:
        """Let all that have a backlog have sent it again."""
        self._sent_at |= dict.fromkeys(self._waiting, self._clock())

    def receive(self, *, wait_s: int, most: int = 1) -> list[Received]:
        given = []
        while len(given) < most and self._waiting:
            tenant = self._next_tenant()
            one = heapq.heappop(self._waiting[tenant])
            if not self._waiting[tenant]:
                del self._waiting[tenant]
            self._in_flight[str(one.number)] = (one, self._clock())
            given.append(Received(str(one.number), one.body, str(one.number)))
        return given

    def extend(self, *received: Received, visibility_s: int) -> None:
        """Hide them for longer: here nothing becomes visible by itself."""

    def hand_back(self, *received: Received) -> None:
        for one in received:
            self._put(self._leave_flight(one))

    def delete(self, *received: Received) -> None:
        for one in received:
            self._leave_flight(one)

    def _put(self, one: _Waiting) -> None:
        heap = self._waiting.setdefault(one.tenant, [])
        heapq.heappush(heap, one)

    def _leave_flight(self, received: Received) -> _Waiting:
        one, since = self._in_flight.pop(received.id)
        self._spans.append((since, self._clock(), one.tenant))
        return one

    def _next_tenant(self) -> str:
        noisy = self._noisy() if self._is_fair else {}

        def turn(tenant: str) -> tuple[bool, int, int]:
            return (tenant in noisy, noisy.get(tenant, 0), self._waiting[tenant][0].number)

        return min(self._waiting, key=turn)

    def _noisy(self) -> dict[str, int]:
        """Return the noisy tenants and how many messages of each are in flight."""
        now = self._clock()
        while self._spans and self._spans[0][1] <= now - RECENT_S:
            self._spans.popleft()
        spans = [
            *self._spans,
            *((since, now, one.tenant) for one, since in self._in_flight.values()),
        ]
        took_s: Counter[str] = Counter()
        for since, to, tenant in spans:
            took_s[tenant] += to - max(since, now - RECENT_S)
        flying = Counter(one.tenant for one, _ in self._in_flight.values())
        return {
            tenant: flying[tenant]
            for tenant in self._waiting
            if now - self._sent_at[tenant] < QUIET_AFTER_S
            and (
                (flying[tenant] >= _LEAST_NOISY and flying[tenant] > _SHARE * flying.total())
                or took_s[tenant] > _SHARE * took_s.total()
            )
        }


def waits_s(
    flood: Sent,
    single: Sent,
    *,
    workers: int,
    job_s: float,
    after_s: float,
    is_fair: bool,
    jobs: int = FLOOD,
) -> float:
    """How long the single job waits that is sent `after_s` after the flood of so many.

    job_s: what each job takes. Workers come one by one within the first job's time, as they do.
    """
    clock = Clock()
    queue = FairQueue(clock, is_fair=is_fair)
    for _ in range(jobs):
        queue.send(flood)
    begun: dict[str, float] = {}
    # (when, who, what goes on then): the sender of the single job first.
    events: list[tuple[float, int, Iterator[float]]] = [
        (after_s, -1, _sending(queue, single)),
        (_RESEND_AFTER_S, -2, _sweeping(queue)),
    ]
    for number in range(workers):
        at_work = _working(queue, clock, job_s, begun)
        events.append((number * job_s / workers, number, at_work))
    heapq.heapify(events)
    while single.body not in begun:
        clock.now, who, going_on = heapq.heappop(events)
        if (pause_s := next(going_on, None)) is not None:
            heapq.heappush(events, (clock.now + pause_s, who, going_on))
    return begun[single.body] - after_s


def _sending(queue: FairQueue, single: Sent) -> Iterator[float]:
    queue.send(single)
    yield from ()


def _sweeping(queue: FairQueue) -> Iterator[float]:
    """Send again at doubling times, as `Store.take_resend` has it."""
    for resends in count(1):
        queue.send_copies()
        yield min(_RESEND_AFTER_S * 2**resends, LONGEST_RESEND_S)


def _working(
    queue: FairQueue, clock: Clock, job_s: float, begun: dict[str, float]
) -> Iterator[float]:
    """Do what a consumer does with its batch; yield each pause."""
    with mock.patch("worker.batch.ThreadPoolExecutor", return_value=AtOnce()):
        batch = Batch(queue, lease_s=_LEASE_S, clock=clock)  # type: ignore[arg-type]
    while True:
        received = batch.next(wait_s=0)
        if received is None:
            yield _POLL_S
            continue
        begun[received.body] = clock()
        left_s = job_s
        while left_s > 0:
            yield min(left_s, _LOOK_S)
            left_s -= _LOOK_S
            batch.keep()
        batch.done(received)


@cache
def sent_by_the_product() -> tuple[Sent, Sent]:
    """Return what lies in the queue when one account has sent a job, and then another one."""
    with memory_cloud() as cloud:
        for account in ("flood", "single"):
            cloud.queue.send(a_prediction(account=account, id=new_id()))
        found = cloud.sqs.receive_message(
            QueueUrl=cloud.queue_url,
            MaxNumberOfMessages=2,
            MessageSystemAttributeNames=["MessageGroupId"],
        )["Messages"]
    flood, single = (Sent(m["Body"], m.get("Attributes", {}).get("MessageGroupId")) for m in found)
    return flood, single


def table() -> str:
    """What the single job waits, as Markdown."""
    flood, single = sent_by_the_product()
    lines = [
        f"| workers | a job takes | sent after the {FLOOD:,} | waits, fair | waits, oldest first |",
        "| --: | --: | --: | --: | --: |",
    ]
    for workers in _WORKERS:
        for job_s in _JOBS_S:
            for after_s in _LATER_S:
                if FLOOD * job_s / workers <= after_s:
                    continue  # the flood is over
                case = {"workers": workers, "job_s": job_s, "after_s": after_s}
                fair = waits_s(flood, single, **case, is_fair=True)
                unfair = waits_s(flood, single, **case, is_fair=False)
                lines.append(
                    f"| {workers} | {job_s} s | {after_s:,} s | {fair:,.0f} s | {unfair:,.0f} s |"
                )
    return "\n".join(lines)


def with_table(text: str) -> str:
    """Return the document with the table in its place."""
    return with_written(text, "make fairness", table())


if __name__ == "__main__":
    RELIABILITY.write_text(with_table(RELIABILITY.read_text()))
