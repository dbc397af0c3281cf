"""What goes wrong in one run: chosen by the seed, each fault at each step in its turn."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from enum import StrEnum
from random import Random

from failures import steps
from predictions.record import new_id


class Fault(StrEnum):
    """What can happen, in the words of docs/reliability.md."""

    NONE = "nothing"
    SIGTERM = "SIGTERM"
    SIGTERM_TWICE = "SIGTERM, and again"
    SIGKILL = "SIGKILL"
    STALL = "SIGSTOP for longer than the lease, then SIGCONT"
    FAILS = "answers 500"
    THROTTLES = "throttles"
    HANGS = "never answers"
    DONE_LATE = "never answers, and does it later"
    ANSWERS_LATE = "answers late"
    LOSES_ANSWERS = "does it, and all its answers are lost"
    DOES_TWICE = "does it, its answer is lost, the SDK asks again"
    S3_DOWN = "S3 is down"
    SQS_DOWN = "SQS is down"
    DYNAMODB_DOWN = "DynamoDB is down"
    NETWORK_CUT = "a worker's network is cut, then healed"
    CLOCK_SKEW = "clocks differ, and jump"
    TWO_WORKERS = "a message is given to two workers"
    TWO_MESSAGES = "a prediction has two messages"
    MESSAGE_LOST = "a message is never sent"
    OLD_FORMAT = "a message comes in the first version's format"
    OUT_OF_MEMORY = "the child runs out of memory"
    CHILD_KILLED = "the child is killed as out of memory"
    ENDLESS = "the child never ends"
    GARBAGE = "the child writes garbage"
    DELETED = "its owner deletes the prediction"


PROCESS_FAULTS = (Fault.SIGTERM, Fault.SIGTERM_TWICE, Fault.SIGKILL, Fault.STALL)
CALL_FAULTS = (
    Fault.FAILS,
    Fault.THROTTLES,
    Fault.HANGS,
    Fault.DONE_LATE,
    Fault.ANSWERS_LATE,
    Fault.LOSES_ANSWERS,
    Fault.DOES_TWICE,
)
CHILD_FAULTS = (Fault.OUT_OF_MEMORY, Fault.CHILD_KILLED, Fault.ENDLESS, Fault.GARBAGE)
DOWN = {Fault.S3_DOWN: "s3", Fault.SQS_DOWN: "sqs", Fault.DYNAMODB_DOWN: "dynamodb"}
COSTS_NO_ATTEMPT = frozenset(
    {
        Fault.NONE,
        Fault.SIGTERM,
        Fault.CLOCK_SKEW,
        Fault.TWO_WORKERS,
        Fault.TWO_MESSAGES,
        Fault.MESSAGE_LOST,
        Fault.OLD_FORMAT,
        Fault.DOES_TWICE,
        Fault.DELETED,
    }
)
LOOP = (
    steps.RECEIVE,
    steps.CLAIM,
    steps.FETCH,
    steps.SCORE,
    steps.RENEW,
    steps.HIDE,
    steps.STORE_RESULT,
    steps.STORE_SUMMARY,
    steps.COMPLETE,
    steps.FAIL,
    steps.ACKNOWLEDGE,
)
ENDINGS = (
    steps.HAND_BACK,
    steps.HAND_BACK_MESSAGE,
    steps.ORDER_ERASURE,
    steps.PUT_BACK,
    steps.PUT_OFF,
    steps.LOOK,
    steps.RESEND,
    steps.SEND,
)
LEADS_TO = {
    steps.HAND_BACK: (Fault.SIGTERM_TWICE, steps.SCORE),
    steps.HAND_BACK_MESSAGE: (Fault.SIGTERM_TWICE, steps.SCORE),
    steps.ORDER_ERASURE: (Fault.CHILD_KILLED, ""),
    steps.PUT_BACK: (Fault.CHILD_KILLED, ""),
    steps.SEND: (Fault.CHILD_KILLED, ""),
    steps.PUT_OFF: (Fault.FAILS, steps.FETCH),
    steps.RESEND: (Fault.MESSAGE_LOST, ""),
}
"""What must have happened before a worker comes to such a step at all."""

NEED_A_LONG_JOB = (steps.RENEW, steps.HIDE, steps.HAND_BACK, steps.HAND_BACK_MESSAGE)


@dataclass(frozen=True)
class Planned:
    """A fault and where it strikes: at a step, the `nth` time that anybody comes to it."""

    fault: Fault
    step: str = ""
    nth: int = 1
    before: bool = True
    """Before the call is carried out; else after it, before its answer is there."""


@dataclass(frozen=True)
class Upload:
    """A prediction of the run: `seconds` is how long scoring takes."""

    account: str
    id: str
    at_s: float
    seconds: float
    is_bad: bool


@dataclass(frozen=True)
class Plan:
    """One run."""

    number: int
    main: Planned
    others: tuple[Planned, ...]
    uploads: tuple[Upload, ...]
    random: Random = field(repr=False)

    @property
    def faults(self) -> tuple[Planned, ...]:
        return (self.main, *self.others)

    @property
    def may_cost_an_attempt(self) -> bool:
        return any(one.fault not in COSTS_NO_ATTEMPT for one in self.faults)


class Agenda:
    """What of a plan has not struck yet. `struck` is what has, in that order."""

    def __init__(self, plan: Plan) -> None:
        self._left = {planned: planned.nth for planned in plan.faults}
        self.struck: list[Planned] = []

    def at(self, step: str, kinds: Collection[Fault]) -> Planned | None:
        """Count that somebody is at this step; give what strikes there now, if anything does."""
        for planned, left in self._left.items():
            if planned.step == step and planned.fault in kinds and left > 0:
                self._left[planned] -= 1
                if left == 1:
                    self.struck.append(planned)
                    return planned
        return None

    def strikes(self, fault: Fault) -> bool:
        """Whether a fault that has no step is planned: then it strikes now, once."""
        for planned, left in self._left.items():
            if planned.fault is fault and not planned.step and left > 0:
                self._left[planned] = 0
                self.struck.append(planned)
                return True
        return False


def all_mains() -> list[Planned]:
    """Every fault at every step at which it can strike."""
    have_steps = (*PROCESS_FAULTS, *CALL_FAULTS)
    calls = [step for step in (*LOOP, *ENDINGS) if step != steps.SCORE]
    return [
        *(Planned(fault) for fault in Fault if fault not in have_steps),
        *(Planned(fault, step) for fault in PROCESS_FAULTS for step in (*LOOP, *ENDINGS)),
        *(Planned(fault, step) for fault in CALL_FAULTS for step in calls),
    ]


MAINS = all_mains()


def plan(seed: int, number: int) -> Plan:
    """Choose what the run of this number is; the faults take turns, all else is by chance."""
    random = Random(f"{seed}/{number}")
    main = MAINS[number % len(MAINS)]
    others = [_by_chance(random) for _ in range(random.choice((0, 0, 0, 1, 2)))]
    if main.step in LEADS_TO:
        others.append(Planned(*LEADS_TO[main.step]))
    is_long = main.step in NEED_A_LONG_JOB
    uploads = tuple(
        Upload(
            account=random.choice(("anna", "ben")),
            id=new_id(),
            at_s=random.uniform(0, 15),
            seconds=random.choice((15, 70) if is_long else (0.1, 2, 15, 70)),
            is_bad=is_bad,
        )
        for is_bad in _are_bad(random, main.step)
    )
    good = sum(not upload.is_bad for upload in uploads)
    times = {steps.CLAIM: len(uploads), steps.RECEIVE: 3, steps.RENEW: 4}
    times |= dict.fromkeys((steps.FETCH, steps.SCORE), good)
    times |= dict.fromkeys((steps.STORE_RESULT, steps.STORE_SUMMARY, steps.COMPLETE), good)
    nth = random.randint(1, times.get(main.step, 1))
    main = Planned(main.fault, main.step, nth, random.random() < 0.5)
    return Plan(number, main, tuple(others), uploads, random)


def _are_bad(random: Random, step: str) -> list[bool]:
    """Which of the run's uploads cannot be scored: at least one that the step asks for."""
    return [step == steps.FAIL, *(random.random() < 0.1 for _ in range(random.randint(0, 3)))]


def _by_chance(random: Random) -> Planned:
    chosen = random.choice(MAINS)
    return Planned(chosen.fault, chosen.step, random.randint(1, 3), random.random() < 0.5)
