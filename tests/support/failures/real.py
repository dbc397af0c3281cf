"""Runs with real worker processes and real signals, on the embedded cloud, through wires.

The same plans as in `world`, in hurried time: the lease is two seconds. Everything is real but the
length of the jobs, and what goes wrong.
"""

from __future__ import annotations

import csv
import io
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from random import Random

from emulator import acting_in, of_this_machine, running_emulator
from failures import hurried_worker, steps
from failures.audit import Audit, Found, Outcome
from failures.plan import CALL_FAULTS, CHILD_FAULTS, DOWN, PROCESS_FAULTS, Agenda, Fault, Plan, plan
from failures.wire import Answer, Call, Lost, Send, Wire
from made_cloud import TRACEPARENT, Cloud, make_cloud
from model.artifact import SHIPPED
from predictions.message import Request
from predictions.record import UNFINISHED, Status
from predictions.store import Store
from product import TELCO

LEASE_S = 2
RESEND_AFTER_S = 4
STOP_BUDGET_S = 9
LATE_S = 5  # by so much a busy machine may make a stop longer
WORKERS = 2
ROWS = 20
SECONDS = {0.1: 0.0, 2: 0.3, 15: 1.5, 70: 4.0}
"""How long a job of the plan takes here."""
AWAKE_S = 1.0  # in which a worker that was held up does what it was about to do
RUN_TIMEOUT_S = 180.0
SKEW_S = 60.0  # a clock that is late by so much sends what was lost again as much later
_NAMES = {
    Fault.OUT_OF_MEMORY: "memory",
    Fault.CHILD_KILLED: "killed",
    Fault.ENDLESS: "endless",
    Fault.GARBAGE: "garbage",
}
_WATCHED = ("UpdateItem", "SendMessage", "DeleteMessageBatch")


class RealWorker:
    """A `retainwise worker`, its wire, and what replaces it when it ends."""

    def __init__(self, runs: RealRuns, name: str) -> None:
        self.name = name
        self.incarnation = 0
        self.skew_s = 0.0
        self.is_cut_until = 0.0
        self.wire = Wire(
            runs.endpoint,
            lambda call, send: runs.decide(self, call, send),
            lambda step: runs.at_step(self, step),
        )
        self._runs = runs
        self._told_at: float | None = None
        self._folder = runs.folder / name
        self._folder.mkdir()
        self.start()

    def start(self) -> None:
        """Start it anew; nobody waits until it is ready."""
        self.incarnation += 1
        self._told_at = None
        environment = self._runs.environment | {
            "AWS_ENDPOINT_URL": self.wire.endpoint,
            "TMPDIR": str(self._folder),
            hurried_worker.SKEW: str(self.skew_s),
        }
        with (self._folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-c", "from failures.hurried_worker import main; main()"],
                env=environment,
                stdin=subprocess.PIPE,  # when this ends, it knows that we are gone
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    @property
    def by(self) -> str:
        """The process of now, as the audit calls it."""
        return f"{self.name}.{self.incarnation}"

    def tell(self, number: int) -> None:
        """Send a signal to the worker alone; its child goes its own ways."""
        with suppress(ProcessLookupError):
            os.kill(self.process.pid, number)

    def stop(self) -> None:
        """SIGTERM, as ECS; a second one hurries."""
        self._told_at = self._told_at or time.monotonic()
        self.tell(signal.SIGTERM)

    def stall(self, seconds: float) -> None:
        """Let all of it stand still."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGSTOP)

        def wake(group: int = self.process.pid) -> None:
            time.sleep(seconds)
            with suppress(ProcessLookupError):
                os.killpg(group, signal.SIGCONT)

        threading.Thread(target=wake, daemon=True).start()

    def look_after(self) -> str | None:
        """Do ECS's part: replace it when it has ended, kill it when it should have.

        Says what was wrong with its end.
        """
        code = self.process.poll()
        told_at = self._told_at
        if code is None:
            if told_at is not None and time.monotonic() - told_at > STOP_BUDGET_S + LATE_S:
                self.end()
                self.start()
                return "was not gone in time"
            return None
        self.end()
        self.start()
        if code == -signal.SIGKILL or (code == 0 and told_at is not None):
            return None
        return f"ended with {code}"

    def kill(self) -> None:
        """SIGKILL for all of it."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)

    def end(self) -> None:
        """Kill what is left of it, and wait until it is gone."""
        self.kill()
        with self.process:
            pass

    def close(self) -> None:
        """End it, and its wire."""
        self.end()
        self.wire.close()


@contextmanager
def real_runs(folder: Path, mutation: str | None = None) -> Iterator[RealRuns]:
    """Give an emulated cloud and two workers for as many runs as are wanted."""
    with (
        running_emulator(folder / "cloud") as emulator,
        acting_in(of_this_machine(emulator.endpoint)),
    ):
        runs = RealRuns(make_cloud("matrix"), folder, mutation)
        try:
            yield runs
        finally:
            runs.close()


class RealRuns:
    """Runs one after another, with the same workers.

    cloud: reached without a wire. mutation: how the workers are broken on purpose, if they are.
    """

    def __init__(self, cloud: Cloud, folder: Path, mutation: str | None = None) -> None:
        self.cloud = cloud
        self.folder = folder
        self._store = Store(cloud.table, resend_after_s=RESEND_AFTER_S)
        self.endpoint = str(cloud.sqs.meta.endpoint_url)
        support = str(Path(__file__).parents[1])
        self.environment = dict(os.environ) | cloud.environment()
        self.environment |= {
            "PYTHONPATH": os.pathsep.join([support, self.environment.get("PYTHONPATH", "")]),
            "MODEL_DIR": str(SHIPPED),
            "LEASE_S": str(LEASE_S),
            "SWEEP_EVERY_S": "0.5",
            "POLL_WAIT_S": "1",
            "RESEND_AFTER_S": str(RESEND_AFTER_S),
            "STUCK_AFTER_S": "4",
            "STOP_BUDGET_S": str(STOP_BUDGET_S),
        }
        if mutation is not None:
            self.environment[hurried_worker.MUTATION] = mutation
        # A sweeper reads before we take down when the write was: they may differ by a little.
        self._audit = Audit(LEASE_S - 0.3)
        self._seen = threading.RLock()
        self._reset(Agenda(plan(0, 0)))
        self._random = Random(0)
        self._workers = [RealWorker(self, f"worker-{number}") for number in range(WORKERS)]

    def close(self) -> None:
        """End the workers."""
        for one in self._workers:
            one.close()

    def _reset(self, agenda: Agenda) -> None:
        """Begin a run in which nothing has gone wrong yet."""
        self._agenda = agenda
        # By worker and step: what goes wrong there again, and how often, as the SDK tries again.
        self._again: dict[tuple[str, str], tuple[Fault, int]] = {}
        self._down: dict[str, tuple[float, Fault]] = {}
        self._calls = 0
        self._busy_until = 0.0

    # ---- a run ----

    def run(self, plan: Plan) -> Outcome:
        """Play one to its end, and judge."""
        began = time.monotonic()
        found = self._begin(plan)
        keys = self._upload(plan)
        ended_badly: list[str] = []
        while not self._has_settled(keys):
            if time.monotonic() - began > RUN_TIMEOUT_S:
                break
            ended_badly += filter(None, (one.look_after() for one in self._workers))
            time.sleep(0.05)
        with self._seen:
            if not plan.may_cost_an_attempt:
                found.illegal += [f"a worker {how}" for how in ended_badly]
            self._judge(plan, keys, found)
            history = [str(one) for one in self._audit.history if one.key in keys]
            took_s = time.monotonic() - began
            return Outcome(plan, tuple(self._agenda.struck), found, self._calls, took_s, history)

    def _begin(self, plan: Plan) -> Found:
        with self._seen:
            found = self._audit.found = Found()
            self._reset(Agenda(plan))
            self._random = plan.random
        for fault, service in DOWN.items():
            if self._agenda.strikes(fault):
                how = plan.random.choice((Fault.FAILS, Fault.THROTTLES, Fault.HANGS))
                self._down[service] = (time.monotonic() + plan.random.uniform(1, 6), how)
        if self._agenda.strikes(Fault.NETWORK_CUT):
            self._workers[0].is_cut_until = time.monotonic() + plan.random.uniform(1, 6)
        are_skewed = self._agenda.strikes(Fault.CLOCK_SKEW)
        for one in self._workers:
            skew_s = plan.random.uniform(-SKEW_S, SKEW_S) if are_skewed else 0.0
            if skew_s != one.skew_s:
                one.skew_s = skew_s
                one.kill()
        return found

    def _upload(self, plan: Plan) -> list[tuple[str, str]]:
        keys = []
        for upload in plan.uploads:
            time.sleep(plan.random.uniform(0, 0.3))
            keys.append((upload.account, upload.id))
            content = b"nothing,of,it\n1,2,3\n" if upload.is_bad else _customers(upload.id)
            seconds = SECONDS[upload.seconds]
            what = next(
                (_NAMES[fault] for fault in CHILD_FAULTS if self._agenda.strikes(fault)), "slow"
            )
            name = f"{what}-{seconds}.csv"
            stream = io.BytesIO(content)
            file = self.cloud.files.put_upload(upload.account, upload.id, stream, name=name)
            with self._seen:
                made = self._store.submit(*keys[-1], file, traceparent=TRACEPARENT)
                self._watch(keys[-1], "web")
            if self._agenda.strikes(Fault.OLD_FORMAT):
                body = json.dumps({"predictionId": upload.id, "user": 3})
                self.cloud.sqs.send_message(QueueUrl=self.cloud.queue_url, MessageBody=body)
            elif not self._agenda.strikes(Fault.MESSAGE_LOST):
                for _ in range(2 if self._agenda.strikes(Fault.TWO_MESSAGES) else 1):
                    with self._seen:
                        self.cloud.queue.send(made)
                        self._audit.sent(Request.to_process(made).model_dump_json())
        if self._agenda.strikes(Fault.DELETED):
            time.sleep(plan.random.uniform(0, 2))
            with self._seen:
                self._audit.person_deletes(keys[0])
                self.cloud.store.delete(*keys[0])
                self._audit.records_are(self.cloud.table.scan()["Items"], "web", time.monotonic())
        return keys

    def _has_settled(self, keys: list[tuple[str, str]]) -> bool:
        if time.monotonic() < self._busy_until:
            return False
        with self._seen:
            records = [self._audit.records.get(key) for key in keys]
            if any(record and record["status"] in UNFINISHED for record in records):
                return False
        return not any(self.cloud.messages())

    def _judge(self, plan: Plan, keys: list[tuple[str, str]], found: Found) -> None:
        for upload, key in zip(plan.uploads, keys, strict=True):
            record = self._audit.records.get(key)
            if record is None:
                continue
            if record["status"] in UNFINISHED:
                found.stranded.append(f"{key} is {record['status']} at the end")
                continue
            expected = Status.FAILED if upload.is_bad else Status.COMPLETED
            if record["status"] != expected:
                found.lost.append(f"{key} is {record['status']} {record.get('failure')}")
            if record["status"] == Status.COMPLETED:
                self._judge_result(key, found)
        if any(left := self.cloud.messages()):
            found.stranded.append(f"messages are left: {left}")
        if any(dead := self.cloud.messages(self.cloud.dlq_url)):
            found.stranded.append(f"dead letters: {dead}")

    def _judge_result(self, key: tuple[str, str], found: Found) -> None:
        prediction = self.cloud.store.get(*key)
        try:
            chunks, _ = self.cloud.files.open_result(prediction)
        except self.cloud.s3.exceptions.NoSuchKey:
            found.lost.append(f"{key}: a completed record's result is not there")
            return
        rows = list(csv.DictReader(io.StringIO(b"".join(chunks).decode())))
        ids = [row["customerID"] for row in rows]
        if ids != [f"{key[1]}-{number}" for number in range(ROWS)]:
            found.lost.append(f"{key}: its result holds other customers")

    # ---- what the wires ask ----

    def at_step(self, one: RealWorker, step: str) -> None:
        """The worker's child is at a step that no call shows."""
        planned = self._agenda.at(step, PROCESS_FAULTS)
        if planned is not None:
            self._strike(planned.fault, one)
        if self._agenda.strikes(Fault.TWO_WORKERS):
            self._show_all()

    def decide(self, one: RealWorker, call: Call, send: Send) -> Answer:
        """Let a call of a worker go as the plan wants it. Raises Lost."""
        by = one.by
        step = steps.step_of(call.operation, call.parameters)
        with self._seen:
            self._calls += 1
            planned = self._agenda.at(step, (*PROCESS_FAULTS, *CALL_FAULTS))
            again, left = self._again.get((one.name, step), (None, 0))
            if left > 0 and again is not None:
                self._again[(one.name, step)] = (again, left - 1)
        if time.monotonic() < one.is_cut_until:
            raise Lost
        until, how = self._down.get(call.service, (0.0, Fault.NONE))
        if time.monotonic() < until:
            return self._go_wrong(how, call, lambda: _refusal(call.service, how))
        fault = planned.fault if planned is not None else again if left > 0 else None
        if planned is not None and planned.fault in CALL_FAULTS:
            with self._seen:
                tries = 0 if planned.fault is Fault.DOES_TWICE else self._random.choice((0, 1, 3))
                self._again[(one.name, step)] = (planned.fault, tries)
        if planned is not None and planned.before and planned.fault in PROCESS_FAULTS:
            self._strike(planned.fault, one)
        try:
            answer = self._go_wrong(fault, call, lambda: self._execute(by, call, send))
        finally:
            if fault is not None:
                self._busy_until = max(self._busy_until, time.monotonic() + AWAKE_S)
        if planned is not None and not planned.before and planned.fault in PROCESS_FAULTS:
            self._strike(planned.fault, one)
        return answer

    def _go_wrong(self, fault: Fault | None, call: Call, execute: Callable[[], Answer]) -> Answer:
        match fault:
            case Fault.FAILS | Fault.THROTTLES:
                return _refusal(call.service, fault)
            case Fault.HANGS:
                time.sleep(3 * hurried_worker.SDK_WAITS_S)
                raise Lost
            case Fault.DONE_LATE:
                time.sleep(self._random.uniform(1.5, 4) * hurried_worker.SDK_WAITS_S)
                execute()
                raise Lost
            case Fault.LOSES_ANSWERS | Fault.DOES_TWICE:
                execute()
                raise Lost
            case Fault.ANSWERS_LATE:
                answer = execute()
                time.sleep(self._random.uniform(0.5, 3))
                return answer
        return execute()

    def _execute(self, by: str, call: Call, send: Send) -> Answer:
        if call.operation == "ReceiveMessage":  # which waits: nobody else must
            answer = send()
            with self._seen:
                for one in json.loads(answer.body).get("Messages", ()):
                    self._audit.received(one["ReceiptHandle"], one["MessageId"], one["Body"])
            return answer
        if call.operation not in _WATCHED:
            return send()
        with self._seen:
            answer = send()
            if answer.status == 200:
                self._see(by, call, answer)
            return answer

    def _see(self, by: str, call: Call, answer: Answer) -> None:
        audit, given = self._audit, call.parameters
        match call.operation:
            case "UpdateItem":
                key = given["Key"]
                self._watch((key["account"]["S"], key["id"]["S"]), by)
            case "SendMessage" if given["QueueUrl"] == self.cloud.queue_url:
                audit.sent(given["MessageBody"])
            case "DeleteMessageBatch":
                said = json.loads(answer.body)
                done = {one["Id"] for one in said.get("Successful", ())}
                for entry in given["Entries"]:
                    if entry["Id"] in done:
                        audit.acknowledged(entry["ReceiptHandle"], by, time.monotonic())

    def _watch(self, key: tuple[str, str], by: str) -> None:
        asked = {"account": key[0], "id": key[1]}
        item = self.cloud.table.get_item(Key=asked, ConsistentRead=True).get("Item")
        if item is not None:
            self._audit.record_is(key, item, by, time.monotonic())

    # ---- faults ----

    def _strike(self, fault: Fault, one: RealWorker) -> None:
        match fault:
            case Fault.SIGTERM:
                one.stop()
            case Fault.SIGTERM_TWICE:
                one.stop()
                threading.Timer(0.3, one.stop).start()
            case Fault.SIGKILL:
                one.tell(signal.SIGKILL)
            case Fault.STALL:
                seconds = LEASE_S * self._random.uniform(1.5, 3)
                self._busy_until = time.monotonic() + seconds + AWAKE_S
                one.stall(seconds)

    def _show_all(self) -> None:
        """Give every message that is in flight to somebody else as well."""
        with self._seen:
            receipts = self._audit.receipts()
        for receipt in receipts:
            with suppress(self.cloud.sqs.exceptions.ClientError):
                self.cloud.sqs.change_message_visibility(
                    QueueUrl=self.cloud.queue_url, ReceiptHandle=receipt, VisibilityTimeout=0
                )


def _customers(prefix: str) -> bytes:
    """Give a small file of real customers, with ids of this prediction's own."""
    with TELCO.open(newline="") as file:
        reader = csv.DictReader(file)
        rows = [next(reader) for _ in range(ROWS)]
    written = io.StringIO()
    writer = csv.DictWriter(written, rows[0].keys())
    writer.writeheader()
    writer.writerows(row | {"customerID": f"{prefix}-{n}"} for n, row in enumerate(rows))
    return written.getvalue().encode()


def _refusal(service: str, fault: Fault) -> Answer:
    """What a service answers that is unwell, or throttles."""
    if service == "s3":
        status, code = (503, "SlowDown") if fault is Fault.THROTTLES else (500, "InternalError")
        body = f"<Error><Code>{code}</Code><Message>played</Message></Error>".encode()
        return Answer(status, [("Content-Type", "application/xml")], body)
    status, code = 500, "InternalServerError"
    if fault is Fault.THROTTLES:
        status = 400
        code = "RequestThrottled" if service == "sqs" else "ProvisionedThroughputExceededException"
    said = json.dumps({"__type": code, "message": "played"}).encode()
    return Answer(status, [("Content-Type", "application/x-amz-json-1.0")], said)
