"""What the services say while predictions go through every step of their lives.

The web app, the worker and the sweeper are the real ones, on a cloud in memory. Of one prediction
the job is real too; of the others it is played.
"""

from __future__ import annotations

import io
import json
import math
import re
import subprocess
import sys
import time
from collections import Counter
from contextlib import contextmanager, suppress
from pathlib import Path

import botocore.session
import pytest
import structlog
from botocore.exceptions import ClientError
from structlog.contextvars import clear_contextvars, merge_contextvars

from app import create_app
from app.services import Services
from app.settings import WebSettings
from customer_files import table, text
from infra.metrics import CARRIED
from job_here import JobInThisProcess
from memory_cloud import memory_cloud
from model.artifact import SHIPPED
from operations.graph import Graph
from played_jobs import RESULT, SUMMARY
from predictions import store as store_module
from predictions import sweeper, trace
from predictions.record import Failure, Status
from predictions.schema import CustomerSchema, read_schema
from predictions.store import ERASE_AFTER_S, Store
from predictions.sweeper import Sweeper, claim_of
from predictions.telemetry import DIMENSION, LINES, NAMESPACE, carry_metrics
from questions.observability import asked_for
from signed_in import SETTINGS, program
from worker.consumer import Consumer
from worker.job import Broke, Finished, Later, Refused
from worker.job_process import Died
from worker.lease import Lease
from worker.liveness import Liveness
from worker.protection import TaskProtection
from worker.settings import WorkerSettings
from worker.shutdown import Shutdown

ROOT = Path(__file__).parents[2]
DOCUMENT = ROOT / "docs" / "telemetry.md"
TRACE_ID = "4bf92f3577b34da6a3ce929d0e0e4736"
CALLERS = f"00-{TRACE_ID}-00f067aa0ba902b7-01"
LEASE_S = 30

FILE_NAME = "Grünwald Quartalszahlen.csv"
PERSON = "ada@acme.example"
CELL = "K-9f8a7-Zimmermann"
CUSTOMERS = [row | {"customerID": CELL} for row in table()]
BAD = Failure(code="bad", message=f"{CELL} is bad.", hint="Mend it.", column=CELL)

STEPS = {
    "submit": {"prediction_submitted"},
    "claim": {"job_started"},
    "complete": {"job_completed"},
    "fail": {"job_failed", "prediction_failed"},
    "hand_back": {"job_handed_back"},
    "put_off": {"prediction_put_off"},
    "put_back": {"prediction_put_back"},
    "requeue": {"prediction_requeued"},
    "take_resend": {"prediction_resent"},
    "delete": {"prediction_deleted"},
}
"""What is logged of each step that a service makes."""
SAID_BY_COMMANDS = {"call_off", "give_up", "take_over"}
"""Steps that only an operator's command makes: what it prints says so."""
NO_CHANGE = {"renew"}
"""It leaves the record in its status; how often is said where the claim ends."""


class PlayedJob:
    """Says one thing; what it is to do before that is a callable."""

    def __init__(self, event):
        self.event = event

    def ensure_ready(self):
        pass

    def run(self, prediction):
        pass

    def next_event(self, timeout_s):
        return self.event() if callable(self.event) else self.event

    def stop(self):
        pass


class Service:
    """The parts of the service on one cloud, and what they have said and done."""

    def __init__(self, cloud, folder, environment, lines, made):
        self.cloud, self.folder, self.lines, self.made = cloud, folder, lines, made
        names = {name.lower(): value for name, value in cloud.environment().items()}
        names |= {"retainwise_env": environment, "model_dir": str(SHIPPED)}
        app = create_app(
            WebSettings.model_validate(names | SETTINGS),
            Services(cloud.store, cloud.files, cloud.queue, read_schema(SHIPPED, CustomerSchema)),
            bind_host="0.0.0.0",
        )
        self.client = app.test_client()
        self.settings = WorkerSettings.model_validate(
            names | {"predictions_dlq_url": cloud.dlq_url, "max_attempts": 2, "lease_s": LEASE_S}
        )
        self.ahead_s = 0.0
        later = Store(cloud.table, resend_after_s=60, clock=lambda: time.time() + self.ahead_s)
        self.sweeper = Sweeper(
            later,
            cloud.queue,
            cloud.files,
            lease_s=LEASE_S,
            max_attempts=2,
            clock=lambda: self.ahead_s,
        )

    def ask(self, method, path="", **what):
        headers = program() | {"traceparent": CALLERS}
        with self.client.open(
            f"/api/predictions{path}", method=method, headers=headers, **what
        ) as answer:
            assert answer.status_code < 300, answer.text
        clear_contextvars()  # as the server does before a thread's next request
        return answer.json

    def upload(self):
        form = {"file": (io.BytesIO(text(CUSTOMERS).encode()), FILE_NAME)}
        return self.ask("POST", data=form)["id"]

    def work(self, event, shutdown=None):
        """Let a worker take one message, and its job end so."""
        job = PlayedJob(event) if not isinstance(event, JobInThisProcess) else event
        consumer = Consumer(
            self.settings,
            self.cloud.store,
            self.cloud.queue,
            job,
            shutdown or Shutdown(10),
            TaskProtection(None),
            Liveness(self.folder / "alive", loop_limit_s=60, job_limit_s=60, stop_budget_s=60),
        )
        [received] = self.cloud.queue.receive(wait_s=0)
        consumer.process(received)
        consumer.batch.acknowledge()
        consumer.batch.wait_acknowledged()

    def sweep(self, after_s):
        self.ahead_s += after_s
        self.sweeper.sweep()

    def now(self, prediction_id):
        return self.cloud.store.get("acme", prediction_id)

    def said(self, event):
        return [line for line in self.lines if line["event"] == event]


@pytest.fixture(scope="module")
def prod():
    return Graph.of("prod")


@pytest.fixture(scope="module")
def environment(prod):
    """What the services of the stack are told that it is."""
    told = {one["name"]: one["value"] for one in prod.containers()["worker"]["environment"]}
    return told["RETAINWISE_ENV"]


@pytest.fixture(scope="module")
def service(environment, tmp_path_factory):
    with listening(environment) as (lines, made, patched), memory_cloud() as cloud:
        patched.setattr(sweeper, "_FIRST_DELAY_S", 0)
        patched.setattr(sweeper, "MOST_DELAYS", 1)
        service = Service(cloud, tmp_path_factory.mktemp("service"), environment, lines, made)
        service.whole = go_well(service)
        go_wrong(service)
        be_forgotten(service)
        come_to_nothing(service)
        yield service


@contextmanager
def listening(environment):
    """Give the lines as the log makes them, and the steps that were made of records."""
    made = []

    def noting(name, method):
        def call(*arguments, **named):
            answer = method(*arguments, **named)
            if answer is not False:  # another one's resend
                made.append(name)
            return answer

        return call

    processors = [merge_contextvars, carry_metrics(environment)]
    with (
        pytest.MonkeyPatch.context() as patched,
        structlog.testing.capture_logs(processors=processors) as lines,
    ):
        for name in STEPS:
            patched.setattr(Store, name, noting(name, getattr(Store, name)))
        yield lines, made, patched


def go_well(service):
    """One prediction from its upload to its result, with a real job."""
    prediction_id = service.upload()
    service.work(JobInThisProcess(service.cloud.files))
    assert service.now(prediction_id).status is Status.COMPLETED
    return prediction_id


def go_wrong(service):
    """One prediction through all that may happen to a job."""
    prediction_id = service.upload()
    service.work(Refused(BAD))
    service.ask("POST", f"/{prediction_id}/retry")
    shutdown = Shutdown(0)
    service.work(shutdown.request, shutdown)
    service.work(Later("ReadTimeoutError"))
    service.work(Died(-9))
    service.work(Broke("ClientError"))
    assert service.now(prediction_id).failure.code == "attempts-used-up"

    prediction_id = service.upload()
    service.work(Later("ReadTimeoutError"))
    service.work(Later("ReadTimeoutError"))
    assert service.now(prediction_id).failure == sweeper.DEPENDENCY_DOWN


def be_forgotten(service):
    """One prediction whose messages are lost, and then its worker."""
    prediction_id = service.upload()
    for doublings in range(5):
        service.cloud.queue.delete(*service.cloud.queue.receive(wait_s=0))
        service.sweep(after_s=61 * 2**doublings)

    def die():
        raise MemoryError

    with suppress(MemoryError):
        service.work(die)
    service.sweep(after_s=0)
    service.sweep(after_s=LEASE_S)
    assert service.now(prediction_id).attempt == 2
    service.work(Refused(BAD))


def come_to_nothing(service):
    """Messages, a claim and a renewal that come to nothing."""
    prediction_id = service.upload()
    deleted = service.now(prediction_id)

    def meanwhile():
        service.ask("DELETE", f"/{prediction_id}")
        return Finished(RESULT, SUMMARY)

    service.work(meanwhile)
    service.cloud.queue.send(deleted)
    service.work(None)
    service.sweep(after_s=2 * ERASE_AFTER_S)

    service.cloud.queue.send(service.now(service.whole))
    service.work(None)
    service.cloud.sqs.send_message(QueueUrl=service.cloud.queue_url, MessageBody=CELL)
    service.work(None)
    lose_a_renewal(service)


def lose_a_renewal(service):
    class Away:
        def renew(self, claim, **progress):
            raise ClientError({"Error": {"Code": "InternalServerError"}}, "UpdateItem")

    seconds = iter([0, 0, 11, 11, 11])
    claim = claim_of(service.now(service.whole))
    lease = Lease(Away(), None, claim, None, lease_s=LEASE_S, clock=lambda: next(seconds))
    with suppress(AttributeError):  # there is no message to extend
        lease.keep(1, 0.5)


# ---- one line for each state change -----------------------------------------------------------


def test_every_step_of_the_store_has_its_line_or_its_reason_to_have_none():
    steps = set(re.findall(r"^    ([a-z_]+) {2,}\S", store_module.__doc__, re.MULTILINE))
    assert steps | {"take_resend"} == STEPS.keys() | SAID_BY_COMMANDS | NO_CHANGE


def test_each_step_is_one_line(service):
    assert set(service.made) == STEPS.keys()
    step_of = {event: name for name, events in STEPS.items() for event in events}
    changes = [line["event"] for line in service.lines if "to" in line]
    assert Counter(step_of[event] for event in changes) == Counter(service.made)
    assert set(changes) == step_of.keys()


def test_a_line_of_a_step_says_of_what_from_where_to_where_and_in_which_trace(service):
    for line in (line for line in service.lines if "to" in line):
        assert re.fullmatch("[0-9A-Z]{26}", line["prediction"]), line
        assert line["account"] == "acme"
        assert line["attempt"] >= 1
        assert trace.trace_id(line["traceparent"]) == TRACE_ID
    went = {(line["event"], line["from"], line["to"]) for line in service.lines if "to" in line}
    assert went == {
        ("prediction_submitted", None, "QUEUED"),
        ("job_started", "QUEUED", "PROCESSING"),
        ("job_completed", "PROCESSING", "COMPLETED"),
        ("job_failed", "PROCESSING", "FAILED"),
        ("prediction_failed", "PROCESSING", "FAILED"),
        ("job_handed_back", "PROCESSING", "QUEUED"),
        ("prediction_put_off", "PROCESSING", "QUEUED"),
        ("prediction_put_back", "PROCESSING", "QUEUED"),
        ("prediction_requeued", "FAILED", "QUEUED"),
        ("prediction_resent", "QUEUED", "QUEUED"),
        ("prediction_deleted", "PROCESSING", None),
    }


def test_no_line_holds_anything_of_a_customer_or_a_person(service):
    # That they would be found: each is where it belongs.
    assert service.now(service.whole).input.name == FILE_NAME
    assert PERSON in service.now(service.whole).submitted_by
    said = repr(service.lines)
    told = [one for one in (*FILE_NAME.split(), PERSON, CELL) if one in said]
    assert told == []
    cells = {cell for row in CUSTOMERS for cell in row.values() if len(cell) > 6}
    assert [cell for cell in cells if cell in said] == []


# ---- one trace from the upload to the result --------------------------------------------------


def test_a_trace_goes_from_the_upload_to_the_result(service):
    record = service.now(service.whole)
    [submitted] = [
        line for line in service.said("prediction_submitted") if line["prediction"] == record.id
    ]
    assert submitted["traceparent"] == record.traceparent != CALLERS
    [answered] = [
        line for line in service.said("request_answered") if line["request"] == submitted["request"]
    ]
    assert answered["parent_id"] == trace.span_id(CALLERS)

    [started] = [line for line in service.said("job_started") if line["prediction"] == record.id]
    assert started["parent_id"] == trace.span_id(record.traceparent)
    assert trace.span_id(started["traceparent"]) != started["parent_id"]

    for key in (record.result.key, record.result.summary_key):
        stored = service.cloud.s3.head_object(Bucket=service.cloud.results_bucket, Key=key)
        assert stored["Metadata"] == {"traceparent": started["traceparent"]}
    assert service.ask("GET", f"/{record.id}")["trace_id"] == TRACE_ID


def test_each_attempt_is_a_span_of_its_own(service):
    spans = [trace.span_id(line["traceparent"]) for line in service.said("job_started")]
    assert len(spans) > len({line["prediction"] for line in service.said("job_started")})
    assert len(set(spans)) == len(spans)


@pytest.mark.parametrize(
    "given",
    [
        None,
        "",
        "anything",
        f"00-{'0' * 32}-00f067aa0ba902b7-01",
        f"00-{TRACE_ID}-{'0' * 16}-01",
        f"00-{TRACE_ID.upper()}-00f067aa0ba902b7-01",
        f"{CALLERS}\n",
        f"01-{TRACE_ID}-00f067aa0ba902b7-01",
    ],
)
def test_without_a_trace_that_is_valid_a_new_one_begins(given):
    first, second = trace.child_of(given), trace.child_of(given)
    ids = {trace.trace_id(first), trace.trace_id(second), TRACE_ID}
    assert len(ids) == 3
    assert None not in ids


@pytest.mark.parametrize(("flags", "kept"), [("00", "00"), ("01", "01"), ("ff", "01")])
def test_a_child_is_sampled_as_its_parent_is(flags, kept):
    assert trace.child_of(f"00-{TRACE_ID}-00f067aa0ba902b7-{flags}").endswith(f"-{kept}")


# ---- the metrics that are looked at are those that the lines carry ----------------------------


def blocks(line):
    return line["_aws"]["CloudWatchMetrics"] if "_aws" in line else []


def emitted(service):
    """Each metric as CloudWatch takes it out, with the service that logged it."""
    return {
        (
            "web" if "request" in line else "worker",
            block["Namespace"],
            metric["Name"],
            tuple((name, line[name]) for names in block["Dimensions"] for name in names),
            metric["Unit"],
        )
        for line in service.lines
        for block in blocks(line)
        for metric in block["Metrics"]
    }


def test_each_metric_that_is_looked_at_is_carried(service, prod):
    carried = {one[1:] for one in emitted(service)}
    units = {one.name: one.unit for of_service in CARRIED.values() for one in of_service}
    looked_at = {
        (
            metric["namespace"],
            metric["metricName"],
            tuple(metric["dimensions"].items()),
            metric.get("unit", units[metric["metricName"]]),
        )
        for _, metric in asked_for(prod)
        if metric["namespace"] == NAMESPACE
    }
    assert looked_at - carried == set()
    assert carried - looked_at == set(), "paid for, and nobody sees it"


def test_each_metric_that_is_carried_is_declared(service):
    carried = {(who, name, unit) for who, _, name, _, unit in emitted(service)}
    assert carried == {(who, one.name, one.unit) for who in CARRIED for one in CARRIED[who]}


def test_each_line_that_is_to_carry_a_metric_does(service):
    carried = {
        (line["event"], metric["Name"])
        for line in service.lines
        for block in blocks(line)
        for metric in block["Metrics"]
    }
    # The memory of a job process is that of a real one only; where none says, none is carried.
    assert carried == {(event, metric.name) for event in LINES for metric in LINES[event]}


def test_what_one_alarm_reckons_with_comes_together(service, prod):
    """A metric without a value where another one has one would leave the alarm without any."""
    alarm = prod.all_of("MetricAlarm")["prod-retainwise-failed-jobs"]
    queries = alarm.inputs["metricQueries"]
    names = {query["metric"]["metricName"] for query in queries if "metric" in query}
    assert len(names) == 3
    for line in service.lines:
        assert len(names & line.keys()) in {0, len(names)}, line["event"]


def test_a_metric_says_what_happened(service):
    def numbers(event, name):
        return [line[name] for line in service.said(event)]

    [completed] = service.said("job_completed")
    assert completed["RowsPerSecond"] == pytest.approx(6 / completed["RunTime"], rel=0.1)
    assert 0 < completed["JobMemory"] <= completed["JobMemoryPeak"]
    assert 0 < completed["WorkerMemory"] <= completed["WorkerMemoryPeak"]
    assert all(0 <= one < 60 for one in numbers("job_started", "QueueWait"))
    assert numbers("prediction_failed", "JobsLost") == [1, 0]
    assert numbers("prediction_resent", "resends") == [1, 2, 3, 4, 5]
    assert numbers("prediction_resent", "RecordsStuck") == [0, 0, 0, 1, 1]
    assert max(numbers("files_erased", "FilesErased")) > 0


# ---- the embedded metric format ---------------------------------------------------------------


def test_what_is_embedded_keeps_to_the_format(service):
    """As in AWS's specification of it."""
    model = botocore.session.get_session().get_service_model("cloudwatch")
    units = set(model.shape_for("StandardUnit").enum)
    lines = [line for line in service.lines if "_aws" in line]
    assert lines
    for line in lines:
        assert len(json.dumps(line)) < 256 * 1024
        assert set(line["_aws"]) == {"Timestamp", "CloudWatchMetrics"}
        assert abs(line["_aws"]["Timestamp"] - time.time() * 1000) < 24 * 3600 * 1000
        for block in blocks(line):
            assert set(block) == {"Namespace", "Dimensions", "Metrics"}
            assert block["Dimensions"] == [[DIMENSION]]
            assert isinstance(line[DIMENSION], str)
            names = [metric["Name"] for metric in block["Metrics"]]
            assert 1 <= len(names) == len(set(names)) <= 100
            assert {metric["Unit"] for metric in block["Metrics"]} <= units
            for name in names:
                assert type(line[name]) in {int, float}, (line["event"], name)
                assert math.isfinite(line[name])


@pytest.mark.parametrize(("environment", "carries"), [("'test'", True), ("None", False)])
def test_a_services_log_is_lines_of_json_that_carry_their_metrics(environment, carries):
    program = (
        "import structlog; from predictions import log\n"
        f"log.configure('worker', {environment})\n"
        "structlog.get_logger().info('message_unreadable', message='m-1')\n"
    )
    ran = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    [line] = map(json.loads, ran.stdout.splitlines())
    assert (line["event"], line["message"], line["service"]) == (
        "message_unreadable",
        "m-1",
        "worker",
    )
    assert (line.get("MessagesUnreadable"), line.get("Environment"), "_aws" in line) == (
        (1, "test", True) if carries else (None, None, False)
    )


def test_a_number_that_is_not_there_is_left_out():
    embed = carry_metrics("test")
    line = embed(None, "info", {"event": "job_failed", "took_s": None, "code": "bad"})
    assert [one["Name"] for one in blocks(line)[0]["Metrics"]] == [
        "JobsCompleted",
        "JobsFailed",
        "JobsLost",
    ]
    assert "RunTime" not in line
    line = embed(None, "info", {"event": "job_failed", "took_s": 0.5, "code": "bad"})
    assert (line["RunTime"], line.get("took_s"), line["code"]) == (0.5, None, "bad")


def test_a_line_without_metrics_stays_as_it_is():
    line = {"event": "worker_ready", "job_processes": 1}
    assert carry_metrics("test")(None, "info", dict(line)) == line


# ---- the document -----------------------------------------------------------------------------


def rows(title):
    section = DOCUMENT.read_text("utf-8").partition(f"## {title}\n")[2].partition("\n## ")[0]
    cells = [[cell.strip() for cell in row.split("|")[1:-1]] for row in section.splitlines()]
    return [row for row in cells if row][2:]


def test_the_document_has_each_metric_with_its_unit_and_lines():
    carrying = {
        (metric.name, metric.unit, frozenset(event for event in LINES if metric in LINES[event]))
        for metrics in LINES.values()
        for metric in metrics
    }
    assert carrying == {
        (name.strip("`"), unit, frozenset(re.findall(r"`(\w+)`", lines)))
        for name, unit, lines, _ in rows("Metrics")
    }


def test_the_document_has_each_step_with_its_lines():
    steps = {name: set(re.findall(r"`(\w+)`", line)) for name, line, *_ in rows("State changes")}
    assert steps == {f"`{name}`": events for name, events in STEPS.items()} | {
        f"`{name}`": set() for name in SAID_BY_COMMANDS | NO_CHANGE
    }
