"""`retainwise submit` against the real application, on a port of the loopback."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import tracemalloc
from collections import deque

import pytest
from click.testing import CliRunner
from structlog.testing import capture_logs
from werkzeug.exceptions import NotFound
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.wrappers import Response
from werkzeug.wsgi import get_input_stream

import finished
from app import client as api_client
from app.client import Client, Refused
from app.commands import submit
from finished import CONTENT, FAILURE, RESULT, worked_on
from predictions.record import ColumnCount, Status
from product import free_port
from served import serving
from signed_in import token

WAIT_S = 30
MAIN = """
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)  # whoever started the tests may ignore it
from retainwise.cli import main
main()
"""


class Front:
    """What stands before the application; each of `steps` has its way with one request to come.

    A step gets the request's WSGI environment and the application, and gives a response, or None
    to let the application answer.
    """

    def __init__(self, app):
        self.app = app
        self.steps = deque()
        self.seen = []

    def __call__(self, environ, start_response):
        self.seen.append(environ)
        step = self.steps.popleft() if self.steps else lambda *_: None
        return (step(environ, self.app) or self.app)(environ, start_response)

    def keys(self):
        """The Idempotency-Key of each submission."""
        posts = [one for one in self.seen if one["REQUEST_METHOD"] == "POST"]
        return [one["HTTP_IDEMPOTENCY_KEY"] for one in posts]


@pytest.fixture
def front(app):
    with capture_logs():  # or the service's log would be among what the command prints
        yield Front(app)


@pytest.fixture
def url(front):
    with serving(front) as url:
        yield url


@pytest.fixture
def source(tmp_path):
    source = tmp_path / "may.csv"
    source.write_bytes(CONTENT)
    return source


@pytest.fixture
def works(cloud, tmp_path_factory):
    """Make a step in which a worker brings the prediction that is asked for to a status."""
    scratch = tmp_path_factory.mktemp("worker")

    def to(status):
        def step(environ, _app):
            prediction_id = environ["PATH_INFO"].rpartition("/")[2]
            worked_on(cloud.store.get("demo", prediction_id), status, cloud, scratch)

        return step

    return to


def call(*arguments, **environment):
    ended = CliRunner().invoke(submit, [str(one) for one in arguments], env=environment)
    assert ended.exception is None or isinstance(ended.exception, SystemExit), ended.exception
    return ended


def start(*arguments, **options):
    """Start the command as a process of its own."""
    command = [sys.executable, "-c", MAIN, "submit", *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, **options)


def names_in(folder):
    return {path.name for path in folder.iterdir()}


def predictions(cloud):
    return cloud.store.page("demo").predictions


def pass_on(_environ, _app):
    """A step that changes nothing."""


def answers(body, status=200, **headers):
    """A step that answers in the application's place."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda *_: Response(body, status, named)


def loses_the_answer(environ, app):
    """A step: the application does its work, and nobody hears of it."""
    Response.from_app(app, environ, buffered=True)
    environ["werkzeug.socket"].shutdown(socket.SHUT_RDWR)
    return Response()


def breaks_off(_environ, _app):
    """A step: the half of a result."""
    half = Response(RESULT[:20], content_type="text/csv")
    half.content_length = len(RESULT)
    half.automatically_set_content_length = False
    return half


# ---- what it does ----


@pytest.mark.parametrize("name", ["may.csv", "größe & 50 %; \N{SNOWMAN}.csv"])
def test_a_file_becomes_a_prediction_under_its_own_name(url, cloud, tmp_path, name):
    (tmp_path / name).write_bytes(CONTENT)

    ended = call(tmp_path / name, "--url", url)

    [prediction] = predictions(cloud)
    assert prediction.input.name == name
    stored = cloud.s3.get_object(Bucket=cloud.uploads_bucket, Key=prediction.input.key)
    assert stored["Body"].read() == CONTENT
    assert ended.exit_code == 0
    assert ended.stdout == f"prediction {prediction.id}\n{url}/predictions/{prediction.id}\n"
    assert ended.stderr == ""


def test_waiting_for_it_tells_what_the_result_says(front, url, source, works):
    front.steps += [pass_on, pass_on, works(Status.COMPLETED)]

    ended = call(source, "--url", url, "--wait")

    assert ended.exit_code == 0
    assert ended.stdout.splitlines()[2:] == [
        "2 customers scored by m1",
        "without a score: 0",
        "expected to leave, by the sum of probabilities: 1",
        "predicted to leave, one by one: 1",
        "revenue at risk: 1,234,567.00",
    ]


def test_values_that_the_model_does_not_know_are_a_warning(front, url, source, works, monkeypatch):
    new = ColumnCount(column="Contract", rows=2, first_row=1)
    update = {"new_values": (new,), "out_of_range": (new,), "missing_values": (new,)}
    summary = finished.SUMMARY.model_copy(update=update)
    monkeypatch.setattr(finished, "SUMMARY", summary)
    front.steps += [pass_on, pass_on, works(Status.COMPLETED)]

    ended = call(source, "--url", url, "--wait")

    assert ended.exit_code == 0
    told = "Column `Contract` has values that the model does not know in 2 rows (first: row 1)."
    assert ended.stderr.splitlines() == [
        "note: Column `Contract` is empty in 2 rows (first: row 1).",
        "warning: Column `Contract` is below or above all that the model has seen in 2 rows "
        "(first: row 1).",
        f"warning: {told}",
    ]


@pytest.mark.parametrize("options", [["--wait"], ["--wait", "--json"]])
def test_a_file_of_which_no_row_could_be_scored_ends_with_1(
    front, url, source, works, monkeypatch, options
):
    monkeypatch.setattr(finished, "ROWS_FAILED", 2)
    front.steps += [pass_on, pass_on, works(Status.COMPLETED)]

    ended = call(source, "--url", url, *options)

    assert ended.exit_code == 1
    assert "no row could be scored: the column error of the result says why" in ended.stderr
    assert "--json" in options or "\n0 customers scored by m1\nwithout a score: 2\n" in ended.stdout


def test_the_result_is_downloaded_as_it_is(front, url, source, works, tmp_path):
    front.steps += [pass_on, works(Status.COMPLETED)]
    target = tmp_path / "scored.csv"
    target.write_text("of last month")

    ended = call(source, "--url", url, "-o", target)

    assert ended.exit_code == 0
    assert ended.stdout.splitlines()[-1] == f"result: {target}"
    assert target.read_text() == RESULT
    assert names_in(tmp_path) == {"may.csv", "scored.csv"}


def test_as_json_it_prints_the_api_s_answer_and_where_the_result_is(
    front, url, source, works, client, tmp_path
):
    front.steps += [pass_on, works(Status.COMPLETED)]
    target = tmp_path / "scored.csv"

    ended = call(source, "--url", url, "--json", "-o", target)

    printed = json.loads(ended.stdout)
    assert printed.pop("output") == str(target)
    assert printed == client.get(f"/api/predictions/{printed['id']}").json
    assert printed["status"] == "COMPLETED"


def test_bars_are_drawn_on_a_terminal_only(front, url, source, works, tmp_path):
    front.steps += [pass_on, pass_on, works(Status.COMPLETED)]
    ours, terminal = os.openpty()
    try:
        process = start(source, "--url", url, "-o", tmp_path / "out.csv", stderr=terminal)
        process.communicate(timeout=WAIT_S)
        drawn = os.read(ours, 1 << 16).decode()
    finally:
        os.close(ours)
        os.close(terminal)

    assert process.returncode == 0
    for doing in ("uploading", "scoring", "downloading"):
        assert f"{doing}  [####################################]  100%" in drawn


def test_the_address_may_come_from_the_environment_and_have_a_path(front, source, cloud):
    with serving(DispatcherMiddleware(NotFound(), {"/retainwise": front})) as url:
        ended = call(source, RETAINWISE_URL=f"{url}/retainwise/")

    [prediction] = predictions(cloud)
    assert f"{url}/retainwise/predictions/{prediction.id}\n" in ended.stdout


def test_a_large_file_is_never_held_whole(front, url, tmp_path):
    def swallow(environ, _app):
        body = get_input_stream(environ)
        while body.read(1 << 16):
            pass
        return Response(status=500)

    front.steps += [swallow]
    large = tmp_path / "large.csv"
    with large.open("wb") as file:
        file.truncate(64 * 1024 * 1024)
    tracemalloc.start()
    try:
        call(large, "--url", url)
        peak_bytes = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert front.seen[0]["CONTENT_LENGTH"] == str(64 * 1024 * 1024)
    assert peak_bytes < 16 * 1024 * 1024


# ---- where people sign in ----


@pytest.fixture
def guarded(behind):
    """The application behind its load balancer, with what stands before it."""
    with capture_logs():
        yield Front(behind)


@pytest.fixture
def guarded_url(guarded):
    with serving(guarded) as url:
        yield url


def test_a_token_from_the_environment_goes_with_every_request(
    guarded, guarded_url, source, works, tmp_path
):
    guarded.steps += [pass_on, works(Status.COMPLETED)]
    secret = token("demo")

    ended = call(source, "--url", guarded_url, "-o", tmp_path / "out.csv", RETAINWISE_TOKEN=secret)

    assert ended.exit_code == 0, ended.output
    assert (tmp_path / "out.csv").read_text() == RESULT
    sent = [one["HTTP_AUTHORIZATION"] for one in guarded.seen]
    assert sent == [f"Bearer {secret}"] * 3
    assert secret not in ended.output


def test_a_token_may_be_an_argument_too(guarded_url, source, cloud):
    ended = call(source, "--url", guarded_url, "--token", token("acme"))

    assert ended.exit_code == 0
    [prediction] = cloud.store.page("acme").predictions
    assert prediction.id in ended.stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "The API asks for a token"),
        (["--token", token(secret="another-secret-that-is-only-for-tests")], "not one of this"),
    ],
)
def test_without_a_token_that_counts_it_ends_in_the_service_s_words(
    guarded_url, source, arguments, said
):
    ended = call(source, "--url", guarded_url, *arguments, RETAINWISE_TOKEN="")

    assert ended.exit_code == 2
    assert said in ended.stderr
    assert "rw_ey" not in ended.output


@pytest.mark.parametrize(
    "url", ["http://churn.example", "http://10.0.0.7:8000", "http://[fe80::1]"]
)
def test_a_token_crosses_no_network_in_the_clear(source, url, monkeypatch):
    monkeypatch.setattr(api_client.PoolManager, "request", lambda *_, **__: pytest.fail("sent"))

    ended = call(source, "--url", url, "--token", token())

    assert ended.exit_code == 2
    assert f"The API token is not sent to {url}" in ended.stderr
    assert token()[:20] not in ended.output


def test_a_token_follows_no_redirection(guarded, guarded_url, front, url, source):
    guarded.steps += [answers("", 302, Location=f"{url}/api/predictions")]

    ended = call(source, "--url", guarded_url, "--token", token())

    assert ended.exit_code == 1
    assert f"sends on to {url}/api/predictions" in ended.stderr
    assert "Where people sign in, programs need a token." in ended.stderr
    assert front.seen == []


@pytest.mark.parametrize("garbage", ["secret", "rw_", "rw_a b", "rw_a\nX-Evil: 1", "rw_ü", " rw_a"])
def test_what_is_no_token_is_neither_sent_nor_repeated(guarded, guarded_url, source, garbage):
    ended = call(source, "--url", guarded_url, "--token", garbage)

    assert ended.exit_code == 2
    assert "one begins with rw_" in ended.stderr
    assert garbage.removeprefix("rw_") == "" or garbage not in ended.output
    assert guarded.seen == []


# ---- what may pass is tried again ----


def test_a_service_that_is_busy_is_asked_again_when_it_says(front, url, source, cloud):
    front.steps += [answers("{}", 429, Retry_After="1"), answers("", 503, Retry_After="1")]
    began = time.monotonic()

    ended = call(source, "--url", url)

    assert ended.exit_code == 0
    assert time.monotonic() - began >= 2
    assert ended.stderr.splitlines() == [
        f"{url} answered {status}; trying again in 1 s, as it asks" for status in (429, 503)
    ]
    assert len(predictions(cloud)) == 1


def test_an_answer_that_is_lost_makes_no_second_prediction(front, url, source, cloud):
    front.steps += [loses_the_answer]

    ended = call(source, "--url", url)

    [prediction] = predictions(cloud)
    assert ended.exit_code == 0
    assert prediction.id in ended.stdout
    first, second = front.keys()
    assert first == second


def test_each_submission_is_one_of_its_own(front, url, source, cloud):
    call(source, "--url", url)
    call(source, "--url", url)

    assert len(set(front.keys())) == len(predictions(cloud)) == 2


def test_a_service_that_restarts_is_waited_for(front, source, cloud, tmp_path):
    looked = threading.Event()
    front.steps += [pass_on, lambda *_: looked.set()]
    port = free_port()
    with serving(front, port) as url:
        process = start(source, "--url", url, "--wait", stderr=subprocess.PIPE)
        assert looked.wait(WAIT_S)
    told = process.stderr.readline()
    [queued] = predictions(cloud)
    worked_on(queued, Status.COMPLETED, cloud, tmp_path)
    with serving(front, port):
        printed, _ = process.communicate(timeout=WAIT_S)

    assert told == f"{url} does not answer: Connection refused; still trying\n"
    assert process.returncode == 0
    assert "2 customers scored by m1" in printed


def test_a_download_that_breaks_off_starts_again(front, url, source, works, tmp_path):
    front.steps += [pass_on, works(Status.COMPLETED), breaks_off]
    target = tmp_path / "scored.csv"

    ended = call(source, "--url", url, "-o", target)

    assert ended.exit_code == 0
    assert target.read_text() == RESULT


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_download_that_is_ended_leaves_nothing_unfinished(
    front, url, source, works, tmp_path, number
):
    released = threading.Event()

    def halfway():
        yield RESULT[:20].encode()
        assert released.wait(WAIT_S)

    def hold(*_):
        return Response(halfway(), content_type="text/csv")

    front.steps += [pass_on, works(Status.COMPLETED), hold]
    folder = tmp_path / "results"
    folder.mkdir()
    process = start(source, "--url", url, "-o", folder / "scored.csv", stderr=subprocess.PIPE)
    try:
        until = time.monotonic() + WAIT_S
        while not any(folder.iterdir()) and time.monotonic() < until:
            time.sleep(0.01)
        process.send_signal(number)
        process.communicate(timeout=WAIT_S)
    finally:
        released.set()

    assert process.returncode == 128 + number
    assert not any(folder.iterdir())


def test_a_download_that_breaks_off_again_and_again_changes_nothing(
    front, url, source, works, tmp_path, monkeypatch
):
    monkeypatch.setattr(api_client, "RETRIES", 1)
    front.steps += [pass_on, works(Status.COMPLETED), breaks_off, breaks_off]
    target = tmp_path / "scored.csv"
    target.write_text("of last month")

    ended = call(source, "--url", url, "-o", target)

    assert ended.exit_code == 1
    assert f"The prediction is still at the service: {url}/predictions/" in ended.stderr
    assert target.read_text() == "of last month"
    assert names_in(tmp_path) == {"may.csv", "scored.csv"}


# ---- what goes wrong is said ----


def test_a_file_that_is_refused_is_said_in_the_service_s_words(url, client, tmp_path):
    bad = tmp_path / "bad.csv"
    bad.write_text("one column\n1\n")
    said = client.post("/api/predictions", data=bad.read_bytes(), content_type="text/csv").json

    ended = call(bad, "--url", url)

    assert ended.exit_code == 2
    assert ended.stderr.startswith(f"retainwise submit: {said['detail']}\n")
    assert said.get("hint", "") in ended.stderr
    assert ended.stdout == ""


def test_all_that_a_refusal_says_is_printed(front, url, source):
    problem = {
        "detail": "Columns are missing.",
        "hint": "Add them.",
        "row": 1200,
        "column": "tenure",
        "missing": [
            {"column": "tenure", "nearest": "Tenure (months)"},
            {"column": "Contract", "nearest": None},
        ],
    }
    as_problem = {"Content_Type": "application/problem+json"}
    front.steps += [answers(json.dumps(problem), 422, **as_problem)]

    ended = call(source, "--url", url)

    assert ended.exit_code == 2
    assert ended.stderr.splitlines() == [
        "retainwise submit: Columns are missing.",
        "row 1,200, column tenure",
        "Add them.",
        "  missing: tenure (the file has “Tenure (months)”)",
        "  missing: Contract",
    ]


def test_missing_columns_that_the_sentence_names_are_not_listed_again(front, url, source):
    problem = {"detail": "1 column is missing: tenure.", "missing": [{"column": "tenure"}]}
    as_problem = {"Content_Type": "application/problem+json"}
    front.steps += [answers(json.dumps(problem), 422, **as_problem)]

    ended = call(source, "--url", url)

    assert ended.stderr == "retainwise submit: 1 column is missing: tenure.\n"


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_failure_of_the_service_is_not_the_file_s(front, url, source, monkeypatch, status):
    monkeypatch.setattr(api_client, "SUBMIT_RETRIES", 0)
    problem = json.dumps({"detail": "Not now."})
    front.steps += [answers(problem, status, Content_Type="application/problem+json")]

    ended = call(source, "--url", url)

    assert (ended.exit_code, ended.stderr) == (1, "retainwise submit: Not now.\n")


@pytest.mark.parametrize("as_json", [False, True])
def test_a_prediction_that_fails_is_explained(front, url, source, works, tmp_path, as_json):
    front.steps += [pass_on, works(Status.FAILED)]
    target = tmp_path / "scored.csv"

    ended = call(source, "--url", url, "-o", target, *(["--json"] if as_json else []))

    assert ended.exit_code == 1
    assert ended.stderr.splitlines() == [
        "retainwise submit: the prediction FAILED.",
        FAILURE.message,
        f"row {FAILURE.row}, column {FAILURE.column}",
        FAILURE.hint,
    ]
    assert not target.exists()
    if as_json:
        printed = json.loads(ended.stdout)
        assert printed["error"]["code"] == FAILURE.code
        assert "output" not in printed


def test_a_prediction_that_is_deleted_meanwhile_is_not_the_file_s_fault(front, url, source, cloud):
    def delete(*_):
        [prediction] = predictions(cloud)
        cloud.store.delete("demo", prediction.id)

    front.steps += [pass_on, delete]

    ended = call(source, "--url", url, "--wait")

    assert ended.exit_code == 1
    assert "There is no such prediction in your account." in ended.stderr


@pytest.mark.parametrize(
    ("answer", "named"),
    [
        (answers("<h1>It works!</h1>", Content_Type="text/html; charset=utf-8"), "200"),
        (answers("<h1>Not here</h1>", 404, Content_Type="text/html"), "404 and sends text/html"),
        (answers("", 301, Location="https://other.example/"), "on to https://other.example/"),
        (answers('{"id": 1}', Content_Type="application/json"), "application/json"),
        (answers("[]", Content_Type="application/json"), "application/json"),
        (answers("{", Content_Type="application/json"), "application/json"),
        (answers("{", 400, Content_Type="application/problem+json"), "problem+json"),
    ],
)
def test_what_is_not_retainwise_is_called_that(front, url, source, answer, named):
    front.steps += [answer]

    ended = call(source, "--url", url)

    assert ended.exit_code == 1
    assert f"What answers at {url} does not speak as RetainWise does" in ended.stderr
    assert named in ended.stderr


def test_an_address_where_nothing_listens_is_said(source, monkeypatch):
    monkeypatch.setattr(api_client, "SUBMIT_RETRIES", 2)
    url = f"http://127.0.0.1:{free_port()}"

    ended = call(source, "--url", url)

    assert ended.exit_code == 1
    assert ended.stderr.splitlines() == [
        f"{url} does not answer: Connection refused; still trying",
        f"retainwise submit: {url} does not answer: Connection refused. "
        "Is RetainWise running there?",
    ]


@pytest.mark.parametrize(
    "address",
    ["localhost:8000", "ftp://h", "http://", "http://h:99999", "http://u:p@h", "http://h/?a=b"],
)
def test_an_address_that_is_none_is_refused(source, address):
    ended = call(source, "--url", address)

    assert ended.exit_code == 2
    assert f"{address} is not an address such as http://127.0.0.1:8000" in ended.stderr


def test_files_that_cannot_be_used_are_refused_before_anything_is_sent(
    front, url, source, tmp_path
):
    (tmp_path / "link.csv").symlink_to(source)
    os.mkfifo(tmp_path / "pipe")
    refused = {
        "does not exist": [tmp_path / "missing.csv"],
        "is not a file": [tmp_path / "pipe"],
        "it would be overwritten": [source, "-o", tmp_path / "link.csv"],
        "no file can be written in": [source, "-o", tmp_path / "nowhere" / "out.csv"],
    }

    for words, arguments in refused.items():
        ended = call(*arguments, "--url", url)
        assert (ended.exit_code, words in ended.stderr) == (2, True), ended.stderr

    assert front.seen == []
    assert source.read_bytes() == CONTENT


def test_a_file_that_shrinks_while_it_is_sent_is_refused(url, source, cloud):
    source.write_bytes(CONTENT * 40_000)

    def shrink(_fraction):
        os.truncate(source, 0)

    with source.open("rb") as file, pytest.raises(Refused, match="became shorter"):
        Client(url, print).submit(file, "may.csv", shrink)

    assert predictions(cloud) == ()


@pytest.mark.parametrize(
    ("until", "told"),
    [
        ("uploaded", "stopped. If the whole file had arrived, its prediction is listed: {url}"),
        ("looked at", "stopped. The prediction goes on at the service: {url}/predictions/"),
    ],
)
def test_ctrl_c_says_what_is_left(front, url, source, until, told):
    reached, released = threading.Event(), threading.Event()

    def hold(*_):
        reached.set()
        assert released.wait(WAIT_S)

    front.steps += [hold] if until == "uploaded" else [pass_on, hold]
    process = start(source, "--url", url, "--wait", stderr=subprocess.PIPE)
    try:
        assert reached.wait(WAIT_S)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=WAIT_S)
    finally:
        released.set()

    assert process.returncode == 130
    assert told.format(url=url) in said
    assert "Traceback" not in said
