"""Where the demo account is allowed; and behind the load balancer, who is let in as whom."""

from __future__ import annotations

import io
import time
from pathlib import Path
from unittest import mock

import pytest
from structlog.testing import capture_logs

from app import create_app, live
from app.account import DEMO_ACCOUNT
from app.services import Services
from app.settings import WebSettings
from finished import CONTENT, SCHEMA, brought_to
from predictions.record import Status
from predictions.settings import SettingsError
from signed_in import headers_for, person, program, said_of, token

NO_SERVICES = mock.Mock(spec=Services, schema=SCHEMA, store=mock.MagicMock())


def start(bind_host, provider="demo"):
    settings = WebSettings(
        retainwise_env="test",
        predictions_queue_url="q",
        predictions_table="t",
        uploads_bucket="u",
        results_bucket="r",
        model_dir=Path("m"),
        identity_provider=provider,
    )
    return create_app(settings, NO_SERVICES, bind_host=bind_host)


# ---- demo ----


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.9.1", "::1", "[::1]", "localhost"])
def test_the_demo_account_is_allowed_on_the_loopback(host):
    assert start(host).name == "app"


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "0.0.0.0"])
def test_there_is_no_provider_by_default(host):
    with pytest.raises(SettingsError, match=r"^IDENTITY_PROVIDER: not set; demo.*127\.0\.0\.0/8"):
        start(host, provider=None)


@pytest.mark.parametrize(
    "host", ["", "0.0.0.0", "::", "10.0.0.7", "example.com", "127.0.0.1.nip.io"]
)
def test_it_is_refused_where_others_could_come(host):
    with pytest.raises(SettingsError, match=r"^IDENTITY_PROVIDER: .*127\.0\.0\.0/8, ::1"):
        start(host)


@pytest.mark.parametrize("host", ["localhost", "localhost:8000", "127.0.0.1:1", "[::1]", "[::1]:8"])
def test_it_answers_to_loopback_names(host):
    page = start("127.0.0.1").test_client().get("/predictions/new", headers={"Host": host})

    assert page.status_code == 200


@pytest.mark.parametrize(
    "host", ["evil.example", "localhost.evil.example:8000", "10.0.0.7", "[::2]", "[::", "a b", "@"]
)
@pytest.mark.parametrize("path", ["/predictions", "/api/predictions", "/static/style.css", "/no"])
def test_it_answers_to_no_other_name(host, path):
    answer = start("127.0.0.1").test_client().get(path, headers={"Host": host})

    assert answer.status_code == 400
    assert "customerID" not in answer.text


def test_the_pages_say_whose_they_are():
    page = start("127.0.0.1").test_client().get("/predictions/new").text

    assert "Local mode" in page
    assert f">{DEMO_ACCOUNT}<" in page.replace("</span>", "<").replace("Account: <", ">")


# ---- behind the load balancer ----

OPEN = {"static", "health.healthz", "health.readyz", "api.document", "access.sign_out"}
BY_IP = {"Host": "10.0.1.23:8000"}  # as the load balancer asks for the health of a target
FORGED = {"X-Amzn-Oidc-Data": said_of("victim"), "X-Amzn-Oidc-Identity": "victim"}
BAD_TOKEN = f"Bearer {token(secret='another-secret-that-is-only-for-tests')}"
BAD_AUTHORIZATIONS = [
    BAD_TOKEN,
    *("", " ", "rw_", token(), "Basic YTpi", f"Basic {token()}", "Bearer", "Bearer ", "Bearer x"),
    *("Bearer rw_", "Bearer rw_a.b.c", "Bearer =", f"Bearer {token()},{token()}"),
    *(f"Bearer {token()}, Bearer {token()}", f"Bearer token={token()}", f"Digest {token()}"),
    f"Bearer {said_of('acme')}",
    f"Bearer rw_{'a' * 100_000}",
]


@pytest.fixture
def call(behind):
    """Call any address; whatever is said in a header is never in a line of the log."""

    def run(path, headers=(), method="GET", **more):
        with capture_logs() as lines:
            answer = behind.test_client().open(
                path, method=method, headers=dict(headers), buffered=True, **more
            )
        for name, value in dict(headers).items():
            secret = value.removeprefix("Bearer ")
            if name in {"Authorization", "X-Amzn-Oidc-Data"} and len(secret) > 10:
                assert secret not in str(lines)
                assert secret not in answer.text
        return answer

    return run


@pytest.fixture
def every_route(behind, cloud, tmp_path):
    """Each route with each of its methods: endpoint, path, method; and some that are none."""
    prediction = brought_to(Status.FAILED, cloud, tmp_path, account="victim")
    known = {"prediction_id": prediction.id, "filename": "style.css"}
    addresses = behind.url_map.bind("localhost")
    routes = [("none", path, "GET") for path in ("/nothing", "/api/nothing", "/api/../columns")]
    for rule in behind.url_map.iter_rules():
        for method in sorted(rule.methods):
            values = {name: known[name] for name in rule.arguments}
            path = addresses.build(rule.endpoint, values, method=method)
            routes.append((rule.endpoint, path, method))
    assert len(routes) > 50
    return routes


def is_refused(answer, path):
    """Whether it says that nobody is known, in the form that goes with the path."""
    is_api = path.startswith("/api/")
    form = "application/problem+json" if is_api else "text/html"
    assert answer.status_code != 401 or (answer.mimetype, answer.headers["WWW-Authenticate"]) == (
        form,
        "Bearer",
    )
    if answer.status_code == 401 and is_api and answer.text:
        assert answer.json["code"] == "unauthenticated"
    return answer.status_code == 401


def test_people_see_their_account_and_a_way_out(call, cloud, tmp_path):
    ours = brought_to(Status.COMPLETED, cloud, tmp_path, account="acme", name="ours.csv")
    brought_to(Status.COMPLETED, cloud, tmp_path, account="victim", name="theirs.csv")

    page = call("/predictions", person("acme"))

    assert page.status_code == 200
    assert ours.input.name in page.text
    assert "theirs.csv" not in page.text
    assert 'title="acme, ada@acme.example"' in page.text
    assert "Sign out" in page.text
    assert "Local mode" not in page.text
    assert call(f"/predictions/{ours.id}", person("victim")).status_code == 404


def test_programs_see_the_account_of_their_token(call, cloud, tmp_path):
    ours = brought_to(Status.COMPLETED, cloud, tmp_path, account="acme")
    theirs = brought_to(Status.COMPLETED, cloud, tmp_path, account="victim")

    listed = call("/api/predictions", program("acme")).json

    assert [one["id"] for one in listed["predictions"]] == [ours.id]
    assert call(f"/api/predictions/{theirs.id}", program("acme")).status_code == 404
    # RFC 9110: the name of a scheme has no case.
    assert call("/api/predictions", {"Authorization": f"bEARER {token()}"}).status_code == 200


@pytest.mark.parametrize("path", ["/predictions", "/api/predictions"])
def test_an_upload_says_who_made_it(call, cloud, path):
    form = {"file": (io.BytesIO(CONTENT), "may.csv")}

    call(path, headers_for(path), "POST", data=form)

    [prediction] = cloud.store.page("acme").predictions
    by_program = "ada@acme.example (nightly upload)"
    assert prediction.submitted_by == ("ada@acme.example" if path == "/predictions" else by_program)


def test_nobody_is_let_in_but_to_what_is_for_anybody(call, every_route):
    for endpoint, path, method in every_route:
        answer = call(path, {"Sec-Fetch-Site": "same-origin"} | BY_IP, method)
        assert is_refused(answer, path) is (endpoint not in OPEN), (method, path)
        if endpoint in OPEN and method != "POST":
            assert answer.status_code == 200, (method, path)


def test_a_token_opens_the_api_and_nothing_else(call, every_route):
    for endpoint, path, method in every_route:
        headers = program("acme") | {"Sec-Fetch-Site": "same-origin"}
        is_let_in = path.startswith("/api/") or endpoint in OPEN
        assert is_refused(call(path, headers, method), path) is not is_let_in, (method, path)


def test_who_has_a_token_and_forges_the_load_balancer_s_word_is_whom_the_token_says(
    call, every_route, cloud
):
    before = cloud.store.page("victim")
    for endpoint, path, method in every_route:
        headers = program("acme") | FORGED | {"Sec-Fetch-Site": "same-origin"}
        answer = call(path, headers, method)
        if not path.startswith("/api/") and endpoint not in OPEN:
            assert is_refused(answer, path), (method, path)
        elif "prediction_id" in path or before.predictions[0].id in path:
            assert answer.status_code == 404 or method == "OPTIONS", (method, path)
        assert "may.csv" not in answer.text
    assert cloud.store.page("victim") == before
    call("/api/columns/matches", program("acme") | FORGED, "PUT", json={"matches": {"tenure": "m"}})
    assert cloud.store.column_matches("acme") == {"tenure": "m"}
    assert cloud.store.column_matches("victim") == {}


@pytest.mark.parametrize("authorization", ["", BAD_TOKEN])
def test_a_bad_token_beside_a_forged_word_is_nobody(call, every_route, cloud, authorization):
    before = cloud.store.page("victim")
    for endpoint, path, method in every_route:
        headers = FORGED | {"Authorization": authorization, "Sec-Fetch-Site": "same-origin"}
        answer = call(path, headers, method)
        assert is_refused(answer, path) is (endpoint not in OPEN), (method, path)
        assert "may.csv" not in answer.text
    assert cloud.store.page("victim") == before


def test_whatever_else_stands_there_is_no_token(call):
    for authorization in BAD_AUTHORIZATIONS:
        for path in ("/predictions", "/api/predictions"):
            answer = call(path, FORGED | {"Authorization": authorization})
            assert is_refused(answer, path), authorization[:100]


def test_at_the_api_the_load_balancer_s_word_is_not_read_at_all(call, every_route):
    # A client may have the load balancer take its Authorization away: `Connection: Authorization`.
    for headers in (FORGED, FORGED | {"Connection": "Authorization"}, person("acme")):
        for endpoint, path, method in every_route:
            if path.startswith("/api/") and endpoint not in OPEN:
                assert is_refused(call(path, headers, method), path), (method, path)


def test_an_expired_token_is_said_to_be_that(call, monkeypatch):
    old = program("acme")
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 91 * 24 * 3600)

    answer = call("/api/predictions", old)

    assert is_refused(answer, "/api/predictions")
    assert "older than 90 days" in answer.json["detail"]


def test_what_the_load_balancer_would_not_say_is_refused(call):
    for said in (
        said_of(header={"signer": "arn:aws:elasticloadbalancing:x:1:loadbalancer/app/other/1"}),
        said_of(header={"client": "other"}),
        said_of(header={"exp": 1}),
        said_of(header={"alg": "none"}),
        f"{said_of('victim')},{said_of('acme')}",
        "garbage",
        "a" * 1_000_000,
    ):
        for path in ("/predictions", "/api-tokens", "/nothing"):
            assert is_refused(call(path, {"X-Amzn-Oidc-Data": said}), path), said[:100]


def test_what_can_be_done_by_nobody_is_said_to_anybody(call):
    for path in ("/healthz", "/predictions", "/api/predictions"):
        assert call(path, method="PATCH", headers={"Sec-Fetch-Site": "none"}).status_code == 405


def test_who_has_no_account_is_told_so_and_may_sign_out(call):
    page = call("/predictions", person(None))

    assert page.status_code == 403
    assert "has no account yet" in page.text
    assert "<code>custom:account</code>" in page.text
    assert "Sign out" in page.text
    assert "API access" not in page.text
    assert "Go to your predictions" not in page.text
    assert call("/sign-out", person(None), "POST").status_code == 303


def test_the_problem_pages_of_people_who_are_in_lead_back(call):
    page = call("/nothing", person("acme"))

    assert page.status_code == 404
    assert "Go to your predictions" in page.text


def test_a_page_is_followed_longer_than_the_word_that_opened_it_holds(
    behind, cloud, tmp_path, monkeypatch
):
    prediction = brought_to(Status.PROCESSING, cloud, tmp_path, account="acme")
    path = f"/predictions/{prediction.id}"
    client = behind.test_client()
    shape = live.shape_of((prediction,))
    answer = client.get(f"{path}/events?shape={shape}", headers=person("acme"))
    stream = answer.iter_encoded()
    assert next(stream).startswith(b"retry: ")
    assert next(stream).startswith(b"event: parts")

    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 3600)
    monkeypatch.setattr(live, "HEARTBEAT_S", 0)
    monkeypatch.setattr(live, "TICK_S", 0)

    assert next(stream) == b":\n\n"
    cloud.store.delete("acme", prediction.id)
    assert b"event: end" in next(stream)
