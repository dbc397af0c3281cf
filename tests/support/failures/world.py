"""One run in which everything is the product's own code but time, the wire and the scoring.

Two workers with their consumers and sweepers, in threads that take turns (see `turns`), against
moto. Each call to AWS is a moment at which a process can be stopped, or the call go wrong.
"""

from __future__ import annotations

import io
import json
import logging
import random
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from functools import partial
from pathlib import Path
from typing import Any
from unittest import mock

import botocore.client
import structlog
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    EndpointConnectionError,
    ReadTimeoutError,
)
from moto.sqs.models import sqs_backends

from failures import steps
from failures.audit import Audit, Outcome
from failures.plan import CALL_FAULTS, DOWN, PROCESS_FAULTS, Agenda, Fault, Plan, Planned, Upload
from failures.simulated_worker import (
    AWAKE_S,
    STOP_TIMEOUT_S,
    Process,
    SimulatedExecutor,
    SimulatedWorker,
)
from failures.turns import EPOCH_S, Actor, Turns, current, here, played_time
from memory_cloud import NAME, REGION, TRACEPARENT, Cloud, memory_cloud
from model.scoring.predict import Scored
from played_jobs import SUMMARY
from predictions.errors import BadCustomerFile
from predictions.record import UNFINISHED, Failure, Status
from predictions.store import ERASE_AFTER_S, Store
from predictions.sweeper import Sweeper
from worker.batch import Batch
from worker.lease import Lease
from worker.settings import WorkerSettings

LEASE_S = 30
SWEEP_EVERY_S = 10
STUCK_AFTER_S = 60
PROGRESS_TOLD = 12  # times in a job
WORKERS = 2
SDK_GIVES_UP_S = 60.0  # four tries of fifteen seconds
HORIZON_S = 6 * 3600.0
BAD_FILE = Failure(code="bad-file", message="It is bad.", hint="Mend it.")


class World:
    """A run: the cloud, the processes, what goes wrong, and the audit."""

    def __init__(self, plan: Plan, cloud: Cloud, folder: Path) -> None:
        self.plan = plan
        self.cloud = cloud
        self.folder = folder
        self.turns = Turns(plan.random)
        self.audit = Audit(LEASE_S)
        self.settings = WorkerSettings(
            retainwise_env="test",
            predictions_queue_url=cloud.queue_url,
            predictions_dlq_url=cloud.dlq_url,
            predictions_table=cloud.table.name,
            uploads_bucket=cloud.uploads_bucket,
            results_bucket=cloud.results_bucket,
            model_dir=folder,
            lease_s=LEASE_S,
            sweep_every_s=SWEEP_EVERY_S,
            stuck_after_s=STUCK_AFTER_S,
        )
        self.calls = 0
        self._agenda = Agenda(plan)
        self._queues = sqs_backends["123456789012"][REGION].queues
        self._watching = False
        self._down: dict[str, tuple[float, float, Fault]] = {}
        self._cut: tuple[Process, float, float] | None = None
        self._workers: list[SimulatedWorker] = []
        self._uploading = len(plan.uploads)
        self._late = 0
        self.busy_until = 0.0
        self._web = Process("web")
        self._nature = Process("nature")

    # ---- the run ----

    def run(self) -> Outcome:
        """Play it to its end, and judge."""
        for number in range(WORKERS):
            self._workers.append(SimulatedWorker(self, f"worker-{number}"))
        self.turns.start(self._nature, "ecs", self._replace_what_ended)
        self._plan_what_needs_no_step()
        for upload in self.plan.uploads:
            self.turns.start(self._web, "web", lambda upload=upload: self._upload(upload))
        self.turns.run(until=self._has_settled, for_s=HORIZON_S)
        took_s = self.turns.now
        self._stop_all()
        self.turns.start(self._nature, "judge", self._judge)
        self.turns.run(until=lambda: not self.turns.actors, for_s=HORIZON_S)
        return Outcome(
            self.plan,
            tuple(self._agenda.struck),
            self.audit.found,
            self.calls,
            took_s,
            [str(change) for change in self.audit.history],
        )

    def later(self, seconds: float, what: Callable[[], None]) -> None:
        """Let something happen, to whoever it may."""

        def happen() -> None:
            here().sleep(seconds)
            what()

        self.turns.start(self._nature, "later", happen)

    def close(self) -> None:
        """End every thread, wherever it stands."""
        self.turns.kill(lambda _: True)
        while self.turns.actors:
            for actor in list(self.turns.actors):
                actor.go_on()
                self.turns.actors.remove(actor)

    def _upload(self, upload: Upload) -> None:
        here().sleep(upload.at_s)
        content = json.dumps({"id": upload.id, "s": upload.seconds, "bad": upload.is_bad})
        stream = io.BytesIO(content.encode())
        file = self.cloud.files.put_upload(upload.account, upload.id, stream, name="a.csv")
        made = self.cloud.store.submit(upload.account, upload.id, file, traceparent=TRACEPARENT)
        if self._agenda.strikes(Fault.OLD_FORMAT):
            body = json.dumps({"predictionId": upload.id, "user": 3})
            self.cloud.sqs.send_message(QueueUrl=self.cloud.queue_url, MessageBody=body)
        elif not self._agenda.strikes(Fault.MESSAGE_LOST):
            self.cloud.queue.send(made)
            if self._agenda.strikes(Fault.TWO_MESSAGES):
                self.cloud.queue.send(made)
        if self._agenda.strikes(Fault.DELETED):
            here().sleep(self.plan.random.uniform(0, 40))
            self.audit.person_deletes((upload.account, upload.id))
            self.cloud.store.delete(upload.account, upload.id)
        self._uploading -= 1  # not before: a run that has settled is over

    def _replace_what_ended(self) -> None:
        while True:
            here().sleep(1)
            for place, one in enumerate(self._workers):
                if one.has_ended:
                    here().sleep(self.plan.random.uniform(1, 10))
                    again = SimulatedWorker(self, f"{one.name}+")
                    again.skew_s = one.skew_s
                    self._workers[place] = again

    def _stop_all(self) -> None:
        self.turns.kill(lambda actor: actor.thread.name == "ecs")
        for one in self._workers:
            one.stands_still_until = 0
            one.stop()
        ended = self.turns.run(
            until=lambda: all(one.has_ended for one in self._workers), for_s=STOP_TIMEOUT_S - 1
        )
        if not ended:
            self.audit.found.stranded.append("a worker had not stopped in time")
        self.turns.kill(lambda _: True)

    def _plan_what_needs_no_step(self) -> None:
        chance = self.plan.random
        last_s = max(upload.at_s for upload in self.plan.uploads)

        def outage() -> tuple[float, float]:
            begin = chance.uniform(0, last_s)  # later, all may be done
            return begin, max(begin + chance.uniform(5, 120), last_s + 5)

        for fault, service in DOWN.items():
            if self._agenda.strikes(fault):
                how = chance.choice((Fault.FAILS, Fault.THROTTLES, Fault.HANGS))
                self._down[service] = (*outage(), how)
        if self._agenda.strikes(Fault.NETWORK_CUT):
            self._cut = (self._workers[0], *outage())
        if self._agenda.strikes(Fault.CLOCK_SKEW):
            for one in (self._web, *self._workers):
                one.skew_s = chance.uniform(-3600, 3600)
            self.later(chance.uniform(5, 60), self._jump)

    def _jump(self) -> None:
        for one in self._workers:
            one.skew_s += self.plan.random.choice((-600, 600))

    # ---- calls ----

    def call(self, original: Any, client: Any, operation: str, parameters: dict[str, Any]) -> Any:
        """Make an SDK call as the run wants it to go."""
        actor = current()
        if actor is None or self._watching:
            return original(client, operation, parameters)
        self.calls += 1
        chance = self.plan.random

        def execute() -> Any:
            return self._execute(
                actor, lambda given: original(client, operation, given), operation, parameters
            )

        actor.sleep(chance.uniform(0.001, 0.02))
        if not isinstance(actor.process, SimulatedWorker):
            return execute()
        service = client.meta.service_model.service_name
        planned = self._agenda.at(
            steps.step_of(operation, parameters), (*PROCESS_FAULTS, *CALL_FAULTS)
        )
        self._reach(actor, service)
        if planned is not None and planned.before:
            self._strike(planned.fault, actor)
        with self._busy() if planned else nullcontext():
            answer = self._go_wrong(planned, actor, service, execute, parameters)
        if planned is not None and not planned.before:
            self._strike(planned.fault, actor)
        actor.sleep(chance.uniform(0.001, 0.02))
        if self._is_cut(actor):
            actor.sleep(SDK_GIVES_UP_S)
            raise unanswered()
        return answer

    def _go_wrong(
        self,
        planned: Planned | None,
        actor: Actor,
        service: str,
        execute: Callable[[], Any],
        parameters: dict[str, Any],
    ) -> Any:
        match planned.fault if planned else None:
            case Fault.FAILS | Fault.THROTTLES as how:
                actor.sleep(3)  # the SDK's own tries
                raise refused(service, how)
            case Fault.HANGS:
                actor.sleep(SDK_GIVES_UP_S)
                raise unanswered()
            case Fault.DONE_LATE:
                delay_s = SDK_GIVES_UP_S + self.plan.random.uniform(-30, 120)
                name = actor.thread.name
                self.turns.start(self._nature, name, lambda: self._do_late(delay_s, execute))
                actor.sleep(SDK_GIVES_UP_S)
                raise unanswered()
            case Fault.LOSES_ANSWERS:
                execute()
                actor.sleep(SDK_GIVES_UP_S)
                raise unanswered()
            case Fault.DOES_TWICE:
                execute()
                actor.sleep(15)
                if hasattr(body := parameters.get("Body"), "seek"):
                    body.seek(0)  # as the SDK does
            case Fault.ANSWERS_LATE:
                answer = execute()
                actor.sleep(self.plan.random.uniform(1, 60))
                return answer
        return execute()

    def _do_late(self, delay_s: float, execute: Callable[[], Any]) -> None:
        with self._busy():
            here().sleep(delay_s)
            with suppress(BotoCoreError, ClientError):  # nobody hears it
                execute()

    @contextmanager
    def _busy(self) -> Iterator[None]:
        """Something is still going wrong: the run has not settled, whatever else it looks like."""
        self._late += 1
        try:
            yield
        finally:
            self._late -= 1
            self.busy_until = max(self.busy_until, self.turns.now + AWAKE_S)

    def _execute(
        self, actor: Actor, send: Callable[[Any], Any], operation: str, given: dict[str, Any]
    ) -> Any:
        """Let the cloud carry a call out, and the audit see it."""
        by = f"{actor.process.name}/{actor.thread.name}"
        if operation == "ReceiveMessage":
            end = self.turns.now + given["WaitTimeSeconds"]
            while not self._has_visible() and self.turns.now < end:
                here().sleep(1, until=self._has_visible)  # a late one waits in a thread of its own
            given = {**given, "WaitTimeSeconds": 0}
        answer = send(given)
        now = self.turns.now
        match operation:
            case "UpdateItem":
                key = (given["Key"]["account"], given["Key"]["id"])
                self.audit.record_is(key, self._read(given["Key"]), by, now)
            case "TransactWriteItems":
                self.audit.records_are(self._scan(), by, now)
            case "SendMessage" if given["QueueUrl"] == self.cloud.queue_url:
                self.audit.sent(given["MessageBody"])
            case "ReceiveMessage":
                for one in answer.get("Messages", ()):
                    self.audit.received(one["ReceiptHandle"], one["MessageId"], one["Body"])
            case "DeleteMessageBatch":
                done = {one["Id"] for one in answer.get("Successful", ())}
                for entry in given["Entries"]:
                    if entry["Id"] in done:
                        self.audit.acknowledged(entry["ReceiptHandle"], by, now)
        return answer

    def _reach(self, actor: Actor, service: str) -> None:
        """Raise where the network or the service is down at this time."""
        if self._is_cut(actor):
            actor.sleep(12)
            raise EndpointConnectionError(endpoint_url=f"https://{service}")
        begin, end, how = self._down.get(service, (0.0, 0.0, Fault.NONE))
        if begin <= self.turns.now < end:
            if how is Fault.HANGS:
                actor.sleep(SDK_GIVES_UP_S)
                raise unanswered()
            actor.sleep(3)
            raise refused(service, how)

    def _is_cut(self, actor: Actor) -> bool:
        if self._cut is None:
            return False
        process, begin, end = self._cut
        return actor.process is process and begin <= self.turns.now < end

    # ---- faults ----

    def unix_time(self, per_second: int) -> float:
        """The cloud's own time."""
        return (EPOCH_S + self.turns.now) * per_second

    def score(self, source: Path, target: Path, _model: Any, *, progress: Any, **_: Any) -> Scored:
        """Score as the uploads say: so many seconds, with progress; and go wrong as planned."""
        asked = json.loads(source.read_text())
        if asked["bad"]:
            raise BadCustomerFile(BAD_FILE)
        actor = here()
        planned = self._agenda.at(steps.SCORE, PROCESS_FAULTS)
        passed, seconds = 0.0, asked["s"]
        while passed < seconds:
            step_s = min(seconds / PROGRESS_TOLD, seconds - passed)
            actor.sleep(step_s)
            passed += step_s
            progress(int(passed), min(1.0, passed / seconds))
            if planned is not None and passed >= seconds / 2:
                self._strike(planned.fault, actor)
                planned = None
        if self._agenda.strikes(Fault.TWO_WORKERS):
            for one in self._queue._messages:
                one.visible_at = 0
        if self._agenda.strikes(Fault.OUT_OF_MEMORY):
            raise MemoryError
        if self._agenda.strikes(Fault.CHILD_KILLED) or self._agenda.strikes(Fault.GARBAGE):
            actor.process.job_process.stop()
        if self._agenda.strikes(Fault.ENDLESS):
            actor.sleep(10 * HORIZON_S)
        actor.sleep(0)
        target.write_bytes(_scored(source.read_bytes()))
        return Scored(1, 0, SUMMARY, (), (), (), ids_are_row_numbers=False)

    def _strike(self, fault: Fault, actor: Actor) -> None:
        process = actor.process
        match fault:
            case Fault.SIGTERM:
                process.stop()
            case Fault.SIGTERM_TWICE:
                process.stop_now()
            case Fault.SIGKILL:
                process.kill()
            case Fault.STALL:
                process.stall()
            case _:
                return
        actor.sleep(0)

    # ---- what is seen ----

    @property
    def _queue(self) -> Any:
        return self._queues[f"{NAME}-predictions-queue"]

    def _has_visible(self) -> bool:
        return bool(self._queue.messages)

    def _has_settled(self) -> bool:
        return (
            self._uploading == 0
            and self._late == 0
            and self.busy_until <= self.turns.now
            and all(one["status"] not in UNFINISHED for one in self.audit.records.values())
            and not self._queue._messages
        )

    def _read(self, key: dict[str, str]) -> Any:
        with self._watch():
            return self.cloud.table.get_item(Key=key, ConsistentRead=True)["Item"]

    def _scan(self) -> Any:
        with self._watch():
            return self.cloud.table.scan()["Items"]

    @contextmanager
    def _watch(self) -> Iterator[None]:
        self._watching = True
        try:
            yield
        finally:
            self._watching = False

    # ---- the end ----

    def _judge(self) -> None:
        found = self.audit.found
        for key, item in self.audit.records.items():
            if item["status"] in UNFINISHED:
                found.stranded.append(f"{key} is {item['status']} at the end")
        if left := len(self._queue._messages):
            found.stranded.append(f"{left} messages are left")
        if dead := len(self._queues[f"{NAME}-predictions-dlq"]._messages):
            found.stranded.append(f"{dead} messages are dead letters")
        if not self.plan.may_cost_an_attempt:
            for key, item in self.audit.records.items():
                if int(item["crashes"]):
                    found.illegal.append(f"{key} lost an attempt, and nothing had gone wrong")
        with self._watch():
            self._judge_files()

    def _judge_files(self) -> None:
        found, cloud = self.audit.found, self.cloud
        sweeper = Sweeper(cloud.store, cloud.queue, cloud.files, lease_s=1e9, max_attempts=1)
        for _ in range(4):
            here().sleep(ERASE_AFTER_S + 1)
            sweeper.sweep()
        wanted = {}
        for upload in self.plan.uploads:
            item = self.audit.records.get((upload.account, upload.id))
            if item is None:
                continue
            expected = Status.FAILED if upload.is_bad else Status.COMPLETED
            if item["status"] != expected and item["status"] not in UNFINISHED:
                found.lost.append(f"{upload.id} is {item['status']} {item.get('failure')}")
            if result := item.get("result"):
                wanted[json.loads(result)["key"]] = upload
        self._judge_results(wanted)
        self._judge_uploads()

    def _keys_in(self, bucket: str) -> set[str]:
        listed = self.cloud.s3.list_objects_v2(Bucket=bucket)
        return {one["Key"] for one in listed.get("Contents", ())}

    def _judge_uploads(self) -> None:
        kept = {json.loads(item["input"])["key"] for item in self.audit.records.values()}
        there = self._keys_in(self.cloud.uploads_bucket)
        if gone := kept - there:
            self.audit.found.lost.append(f"uploads that are not there: {sorted(gone)}")
        if left := there - kept:
            self.audit.found.stranded.append(f"uploads of no record: {sorted(left)}")

    def _judge_results(self, wanted: dict[str, Upload]) -> None:
        found, s3, bucket = self.audit.found, self.cloud.s3, self.cloud.results_bucket
        there = self._keys_in(bucket)
        for key, upload in wanted.items():
            both = {key, key.replace("result.csv", "summary.json")}
            if gone := both - there:
                found.lost.append(f"of a completed record are not there: {sorted(gone)}")
                continue
            content = s3.get_object(Bucket=bucket, Key=key)["Body"].read()
            if json.loads(content)["scored"]["id"] != upload.id:
                found.lost.append(f"{key} holds another's result")
            there -= both
        if there:
            found.stranded.append(f"results that no record points to: {sorted(there)}")


def play(plan: Plan, folder: Path, *broken: Any) -> Outcome:
    """Play one run in a cloud of its own; `broken` are patches that break the product."""
    random.seed(f"{plan.number}")
    with ExitStack() as stack:
        for what in (Store, Sweeper, Batch, Lease):
            clock = played_time.time if what is Store else played_time.monotonic
            defaults = what.__init__.__kwdefaults__
            stack.enter_context(mock.patch.dict(defaults, clock=clock))
        cloud = stack.enter_context(memory_cloud())
        world = World(plan, cloud, folder)
        stack.callback(world.close)
        for patch in (*_patches(world), *broken):
            stack.enter_context(patch)
        return world.run()


def _patches(world: World) -> Iterator[Any]:
    original = botocore.client.BaseClient._make_api_call
    cloud = world.cloud

    def call(client: Any, operation: str, parameters: dict[str, Any]) -> Any:
        return world.call(original, client, operation, parameters)

    yield mock.patch.object(botocore.client.BaseClient, "_make_api_call", call)
    for module in ("worker.consumer", "worker.job", "predictions.store"):
        yield mock.patch(f"{module}.time", played_time)
    yield mock.patch("worker.service.s3_client", return_value=cloud.s3)
    yield mock.patch("worker.service.sqs_client", return_value=cloud.sqs)
    yield mock.patch("worker.service.dynamodb_table", return_value=cloud.table)
    yield mock.patch("model.scoring.predict.score_file", world.score)
    yield mock.patch("worker.batch.ThreadPoolExecutor", SimulatedExecutor)
    for name, unit in (("unix_time", 1), ("unix_time_millis", 1000)):
        yield mock.patch(f"moto.sqs.models.{name}", partial(world.unix_time, unit))
    yield _silence()


@contextmanager
def _silence() -> Iterator[None]:
    before = structlog.get_config()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    try:
        yield
    finally:
        structlog.configure(**before)


def unanswered() -> ReadTimeoutError:
    """What the SDK raises after its tries."""
    return ReadTimeoutError(endpoint_url="https://cloud")


def refused(service: str, how: Fault) -> ClientError:
    """What the SDK raises when a service is unwell, or throttles."""
    code, status = ("InternalError", 500)
    if how is Fault.THROTTLES:
        code, status = {
            "s3": ("SlowDown", 503),
            "sqs": ("RequestThrottled", 403),
            "dynamodb": ("ProvisionedThroughputExceededException", 400),
        }[service]
    return ClientError(
        {"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}}, "Whatever"
    )


def _scored(upload: bytes) -> bytes:
    return json.dumps({"scored": json.loads(upload)}).encode()
