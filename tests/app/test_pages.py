"""The pages: what each status shows, and that each form leads where one expects."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path

import pytest

import app as web
from app import filters
from finished import AT_RISK, CONTENT, FAILURE, RESULT, SCHEMA, SUMMARY, brought_to
from page_form import ODD, Form
from page_text import text_of
from predictions.files import SummaryFile
from predictions.record import (
    ColumnCount,
    FileFacts,
    NewValue,
    Page,
    ResultFile,
    RowError,
    RowErrorCount,
    Status,
)
from predictions.store import Store
from predictions.sweeper import Ended, claim_of

REFRESH = 'http-equiv="refresh"'


def test_home_is_the_list(client):
    assert client.get("/").headers["Location"] == "/predictions"


def test_an_empty_list_offers_the_upload(client):
    page = client.get("/predictions")

    assert "No predictions yet" in page.text
    assert 'href="/predictions/new"' in page.text
    assert REFRESH not in page.text


def test_the_list_shows_each_with_its_answer(client, cloud, tmp_path):
    brought_to(Status.COMPLETED, cloud, tmp_path, name="done.csv")
    brought_to(Status.FAILED, cloud, tmp_path, name="<script>alert(1)</script>.csv")
    brought_to(Status.QUEUED, cloud, tmp_path, account="other", name="theirs.csv")

    page = client.get("/predictions")

    assert "done.csv 2 1 50.0 %" in text_of(page)
    assert "&lt;script&gt;" in page.text
    assert "theirs.csv" not in page.text
    assert REFRESH not in page.text


def test_the_list_follows_while_something_is_unfinished(client, cloud, tmp_path):
    brought_to(Status.QUEUED, cloud, tmp_path)

    assert REFRESH in client.get("/predictions").text


def test_filter_and_page_are_in_the_address(client, cloud):
    for _ in range(26):
        cloud.submit(CONTENT)

    page = client.get("/predictions?status=QUEUED").text
    older = re.search(r'href="([^"]+)" rel="next"', page)[1].replace("&amp;", "&")
    second = client.get(older).text

    assert older.startswith("/predictions?status=QUEUED&cursor=")
    assert (page.count("customers.csv"), second.count("customers.csv")) == (25, 1)
    assert "Newest" in second
    assert client.get("/predictions?limit=5").text.count("customers.csv") == 25
    assert 'rel="next"' not in second
    assert "No failed predictions" in client.get("/predictions?status=FAILED").text


def test_a_question_the_list_does_not_know_is_a_page_too(client):
    answer = client.get("/predictions?status=DONE")

    assert answer.status_code == 400
    assert "QUEUED, PROCESSING, COMPLETED, FAILED" in text_of(answer)


def test_the_answer_comes_first(client, cloud, tmp_path):
    prediction = brought_to(Status.COMPLETED, cloud, tmp_path)

    page = client.get(f"/predictions/{prediction.id}")

    told = text_of(page)
    order = [
        "1 of 2 customers",
        "50.0 %",
        "1 customer predicted to leave",
        "churn_prediction",
        "1.2 M",
        "low 1 50.0 %",
        "tenure is low",
        "<C1>",
        "SHA",
    ]
    places = [told.find(words) for words in order]
    assert -1 not in places
    assert places == sorted(places)
    assert "<C1>" not in page.text
    assert f'href="/predictions/{prediction.id}/result.csv"' in page.text
    assert client.get(f"/predictions/{prediction.id}/result.csv").text == RESULT
    assert REFRESH not in page.text


def test_the_wait_is_counted_from_the_queueing_not_from_a_resend(client, cloud, monkeypatch):
    queued = cloud.submit(CONTENT)
    later = queued.queued_at + timedelta(minutes=4)
    monkeypatch.setattr("predictions.store.utc_now", lambda: later)
    assert cloud.store.take_resend(queued)
    assert cloud.store.get("demo", queued.id).updated_at == later
    monkeypatch.setattr(filters, "utc_now", lambda: queued.queued_at + timedelta(minutes=5))

    assert "5 min 0 s so far" in text_of(client.get(f"/predictions/{queued.id}"))


def test_progress_is_shown_and_followed(client, cloud, tmp_path):
    prediction = brought_to(Status.PROCESSING, cloud, tmp_path)

    page = client.get(f"/predictions/{prediction.id}")

    assert "1 rows scored" in text_of(page)
    assert "50 % of the file" in text_of(page)
    assert REFRESH in page.text


def test_a_failure_says_what_where_and_what_to_do(client, cloud, tmp_path):
    prediction = brought_to(Status.FAILED, cloud, tmp_path)

    page = client.get(f"/predictions/{prediction.id}")

    assert "has no column <code>tenure</code>." in page.text
    assert "row 3, column tenure" in text_of(page)
    assert "Add it and upload the file again." in page.text


def test_retry_leads_back_to_the_page(client, cloud, tmp_path):
    prediction = brought_to(Status.FAILED, cloud, tmp_path)
    path = f"/predictions/{prediction.id}"

    answer = client.post(f"{path}/retry")
    again = client.post(f"{path}/retry")  # from a second tab

    assert (answer.status_code, answer.headers["Location"]) == (303, path)
    assert "attempt 2" in client.get(path).text
    assert again.status_code == 409
    assert "this one is QUEUED" in text_of(again)


def test_deleting_asks_first_and_names_what_is_lost(client, cloud, tmp_path):
    prediction = brought_to(Status.COMPLETED, cloud, tmp_path)
    path = f"/predictions/{prediction.id}"

    question = text_of(client.get(f"{path}/delete"))
    assert "may.csv" in question
    assert "2 rows" in question
    assert client.get(path).status_code == 200

    answer = client.post(f"{path}/delete")
    assert (answer.status_code, answer.headers["Location"]) == (303, "/predictions")
    gone = client.get(path)
    assert gone.status_code == 404
    assert gone.mimetype == "text/html"


def test_every_title_names_its_page(client, cloud, tmp_path):
    prediction = brought_to(Status.QUEUED, cloud, tmp_path)
    one = f"/predictions/{prediction.id}"
    paths = ["/predictions", "/predictions/new", one, f"{one}/delete", "/nothing"]
    older = f"cursor={prediction.id}"
    paths += [
        f"/predictions?{query}" for query in ("status=FAILED", older, f"status=FAILED&{older}")
    ]

    titles = [re.search("<title>(.*) · RetainWise</title>", client.get(p).text)[1] for p in paths]

    assert len(set(titles)) == len(paths)
    assert titles[-3:] == ["Failed predictions", "Older predictions", "Older failed predictions"]


TEXT_IN_TENURE = RowErrorCount(kind="not-a-number", column="tenure", rows=1234, first_row=48)
SHORT_ROWS = RowErrorCount(kind="cell-count", column=None, rows=1, first_row=60)
LISTED = (
    RowError(row=48, column="tenure", kind="not-a-number", text="<b>n/a", message="tenure: …"),
    RowError(row=60, column=None, kind="cell-count", text=None, message="the row has 3 cells"),
)
FACTS = FileFacts(
    rows=2,
    columns=20,
    encoding="Windows-1252",
    delimiter=";",
    matches={"MonthlyCharges": "<Monthly fee>"},
)


def completed_with_errors(cloud, rows=2000, **at_risk):
    """A prediction 1,235 of whose rows have no score."""
    summary = SUMMARY.model_copy(update={"row_errors": (TEXT_IN_TENURE, SHORT_ROWS)})
    return completed(cloud, summary, rows, 1235, row_errors=LISTED, **at_risk)


def completed(cloud, summary, rows=2, rows_failed=0, **more):
    """A prediction with this summary."""
    queued = cloud.submit(CONTENT)
    claim = claim_of(cloud.store.claim("demo", queued.id, 1, "worker-1"))
    summary_file = SummaryFile(
        prediction=queued.id,
        model="m1",
        rows=rows,
        rows_failed=rows_failed,
        summary=summary,
        **{"customers_at_risk": (AT_RISK,)} | more,
    )
    key = f"results/demo/{queued.id}/1/summary.json"
    cloud.s3.put_object(
        Bucket=cloud.results_bucket, Key=key, Body=summary_file.model_dump_json().encode()
    )
    result = ResultFile(key="k", summary_key=key, rows=rows, rows_failed=rows_failed, model="m1")
    return cloud.store.complete(claim, result, summary)


def test_rows_without_a_score_are_told_by_kind_and_listed(client, cloud):
    page = client.get(f"/predictions/{completed_with_errors(cloud).id}")

    told = text_of(page)
    assert "1,235 rows have no score" in told
    assert "Column tenure holds no number in 1,234 rows (first: row 48, “<b>n/a”)." in told
    assert "1 row (row 60): not as many cells as the header." in told
    assert "48 tenure <b>n/a 60 – the row has 3 cells" in told
    assert "<b>n/a" not in page.text
    assert "The first 2 of 1,235 rows" in told


def test_where_no_row_could_be_scored_that_comes_first_and_no_empty_figures(client, cloud):
    unscored = completed_with_errors(cloud, rows=1235, customers_at_risk=())

    page = client.get(f"/predictions/{unscored.id}")
    told, listed = text_of(page), text_of(client.get("/predictions"))

    order = [
        "No row could be scored",
        "Column tenure holds no number",
        "Download result",
        "48 tenure",
    ]
    places = [told.find(words, told.find(order[0])) for words in order]
    assert -1 not in places
    assert places == sorted(places)
    assert "<C1>" not in page.text
    assert 'role="alert"' in page.text
    assert told.count("Column tenure holds no number") == 1
    assert "expected to leave" not in page.text
    assert "stacked-bar" not in page.text
    assert "customers.csv 0 of 1,235 scored –" in listed


def test_values_that_the_model_does_not_know_are_a_warning_before_the_answer(client, cloud):
    new = (
        ColumnCount(column="Contract", rows=7043, first_row=1),
        ColumnCount(column="<b>", rows=1, first_row=5),
    )
    first = NewValue(row=1, column="Contract", text="<i>Weekly")
    summary = SUMMARY.model_copy(update={"new_values": new})

    page = client.get(f"/predictions/{completed(cloud, summary, new_values=(first,)).id}")

    told = text_of(page)
    order = [
        "Some values are new to the model",
        "Column Contract has values that the model does not know in 7,043 rows "
        "(first: row 1, “<i>Weekly”).",
        "Column <b> has values that the model does not know in 1 row (row 5).",
        "may be far off",
        "of 2 customers",
    ]
    places = [told.find(words) for words in order]
    assert -1 not in places
    assert places == sorted(places)
    assert "<i>Weekly" not in page.text


def test_missing_and_unusual_values_are_told_without_alarm(client, cloud):
    summary = SUMMARY.model_copy(
        update={
            "missing_values": (ColumnCount(column="<i>", rows=11, first_row=489),),
            "out_of_range": (ColumnCount(column="tenure", rows=1, first_row=5),),
        }
    )

    page = client.get(f"/predictions/{completed(cloud, summary).id}")

    told = text_of(page)
    order = [
        "of 2 customers",
        "Some values are missing or unusual",
        "Column tenure is below or above all that the model has seen in 1 row (row 5).",
        "Column <i> is empty in 11 rows (first: row 489).",
        "scored all the same",
    ]
    places = [told.find(words) for words in order]
    assert -1 not in places
    assert places == sorted(places)
    assert 'role="alert"' not in page.text


TURNING = "\N{RIGHT-TO-LEFT OVERRIDE}C1"


@pytest.mark.parametrize(
    ("id_", "shown"),
    [
        (TURNING, f"<bdi>{TURNING}</bdi>"),
        ("", "–"),
        ("x" * 3000, f'<bdi title="{"x" * 3000}">{"x" * 60}…</bdi>'),
    ],
)
def test_an_id_can_be_anything(client, cloud, id_, shown):
    at_risk = AT_RISK.model_copy(update={"id": id_})

    page = client.get(
        f"/predictions/{completed_with_errors(cloud, customers_at_risk=(at_risk,)).id}"
    )

    assert re.search(f'<th scope="row"( class="id")?>{re.escape(shown)}</th>', page.text)


@pytest.mark.parametrize(("length", "is_usual"), [(10, True), (36, True), (37, False)])
def test_an_id_of_a_usual_length_stays_on_one_line(client, cloud, length, is_usual):
    at_risk = AT_RISK.model_copy(update={"id": "-" * length})

    page = client.get(
        f"/predictions/{completed_with_errors(cloud, customers_at_risk=(at_risk,)).id}"
    )

    assert ('class="id"' in page.text) == is_usual


@pytest.mark.parametrize(("numbered", "heading"), [(True, "Row"), (False, "Customer")])
def test_rows_are_not_called_customers(client, cloud, numbered, heading):
    prediction = completed_with_errors(cloud, ids_are_row_numbers=numbered)

    page = client.get(f"/predictions/{prediction.id}").text

    assert f'<th scope="col">{heading}</th>' in page


NEAREST = FACTS.model_copy(update={"nearest": {"customerID": ODD}})


def numbered(client, cloud, monkeypatch, facts):
    """The page of a prediction whose file has no id column."""
    done = completed(cloud, SUMMARY, ids_are_row_numbers=True)
    known = done.input.model_copy(update={"facts": facts})
    monkeypatch.setattr(Store, "get", lambda *_: done.model_copy(update={"input": known}))
    return client.get(f"/predictions/{done.id}")


def test_what_may_be_the_id_can_be_matched_from_the_page(client, cloud, monkeypatch):
    page = numbered(client, cloud, monkeypatch, NEAREST)
    form = Form(page.text, "matching")
    saved = client.post(form.action, data=form.fields)

    assert "has no column customerID , so rows are numbered. Is it “" in text_of(page)
    assert ODD not in page.text
    assert cloud.store.column_matches("demo") == {"customerID": ODD}
    assert "is now read as customerID" in text_of(client.get(saved.headers["Location"]))
    again = numbered(client, cloud, monkeypatch, NEAREST)
    assert "is read as it: upload the file again" in text_of(again)
    assert "<form" not in again.text.partition("Rows are numbered")[2]


@pytest.mark.parametrize("name", [None, "tenure", "x" * 201, "taken"])
def test_a_name_that_cannot_be_the_id_is_not_offered(client, cloud, monkeypatch, name):
    cloud.store.remember_column_matches("demo", {"tenure": "taken"})
    nearest = {"customerID": name} if name else {}

    page = numbered(client, cloud, monkeypatch, FACTS.model_copy(update={"nearest": nearest}))

    assert "no column customerID , so rows are numbered. Add it" in text_of(page)
    assert "Is it" not in text_of(page)


def test_rows_that_have_ids_are_not_said_to_be_numbered(client, cloud):
    page = client.get(f"/predictions/{completed(cloud, SUMMARY).id}")

    assert "Rows are numbered" not in page.text


def test_the_facts_say_how_the_file_was_read(client, cloud, monkeypatch):
    queued = cloud.submit(CONTENT)
    known = queued.model_copy(
        update={
            "input": queued.input.model_copy(update={"facts": FACTS}),
            "submitted_by": "ana@example.com",
        }
    )
    monkeypatch.setattr(Store, "get", lambda *_: known)
    monkeypatch.setattr(Store, "page", lambda *_, **__: Page(predictions=(known,)))

    page = client.get(f"/predictions/{queued.id}")
    told = text_of(page)
    listed = text_of(client.get("/predictions"))

    assert "Windows-1252, semicolon between the columns" in told
    assert "MonthlyCharges read from “<Monthly fee>”" in told
    assert "<Monthly fee>" not in page.text
    assert "Uploaded by ana@example.com" in told
    assert "2 rows to score." in told
    assert "customers.csv 2 –" in listed
    assert "ana@example.com" in listed


@pytest.mark.parametrize(
    ("failure", "first", "second"),
    [
        (FAILURE, "Upload another file", "Retry"),
        (Ended.DIED.used_up(5), "Retry", "Upload another file"),
    ],
)
def test_what_helps_comes_first(client, cloud, failure, first, second):
    queued = cloud.submit(CONTENT)
    cloud.store.fail(claim_of(cloud.store.claim("demo", queued.id, 1, "worker-1")), failure)

    page = client.get(f"/predictions/{queued.id}").text

    assert re.search(rf'class="button"[^>]*>{first}<', page)
    assert re.search(rf'class="button secondary"[^>]*>{second}<', page)


@pytest.mark.parametrize("page", ["/predictions", "/predictions/{id}"])
def test_a_browser_without_scripts_reloads_what_is_unfinished(client, cloud, page):
    page = client.get(page.format(id=cloud.submit(CONTENT).id)).text

    assert re.search(f'<noscript><meta {REFRESH} content="3"></noscript>', page)


@pytest.fixture
def opened(client, cloud):
    """Open a page, which must be there. The account has matched as many columns as there are."""
    matches = {name: f"Our own name of {name}" for name in SCHEMA.known_columns}
    cloud.store.remember_column_matches("demo", matches)

    def open_page(path):
        answer = client.get(path)
        assert answer.status_code == (404 if path == "/nothing" else 200), path
        return answer

    return open_page


def test_no_page_has_a_script_or_a_style_in_it(opened, cloud, tmp_path):
    pages = ["/predictions", "/predictions/new", "/columns", "/nothing"]
    pages += [f"/predictions/{brought_to(status, cloud, tmp_path).id}" for status in Status]

    for page in pages:
        text = opened(page).text
        assert re.findall(r"<script(?![^>]* src=)|<style| style=| on\w+=", text) == [], page


HEAVIEST_BYTES = 100_000


def test_a_page_and_all_it_needs_is_light(opened, cloud, tmp_path):
    failed = completed_with_errors(cloud)
    for _ in range(25):
        one = brought_to(Status.COMPLETED, cloud, tmp_path, name="customers-of-may-2026.csv")
    queued = cloud.submit(CONTENT)
    pages = ["/predictions", "/predictions/new", "/columns", "/nothing"]
    pages += [f"/predictions/{prediction.id}" for prediction in (one, failed, queued)]

    for page in pages:
        answer = opened(page)
        linked = set(re.findall(r'(?:src|href)="/(static/[^"?]+\.(?:js|css|svg))', answer.text))
        assert len(linked) >= 3, page
        files = [Path(web.__file__).parent / path for path in linked]
        weight = len(answer.data) + sum(file.stat().st_size for file in files)
        assert weight <= HEAVIEST_BYTES, page


def test_rows_without_a_score_are_told_in_the_list(client, cloud):
    completed_with_errors(cloud)

    assert "customers.csv 765 of 2,000 scored 1 0.1 %" in text_of(client.get("/predictions"))


@pytest.mark.parametrize(
    ("expected", "predicted", "rows", "told"),
    [
        (1.78, 1, 5, ("2 of 5 customers", "to leave, 40.0 %", "1 customer predicted to leave")),
        (0.4, 0, 2, ("0 of 2 customers", "to leave, 0.0 %", "0 customers predicted")),
        (
            1877.3,
            1467,
            7043,
            ("1,877 of 7,043 customers", "to leave, 26.7 %", "1,467 customers predicted"),
        ),
    ],
)
def test_the_share_is_that_of_the_numbers_that_are_shown(
    client, cloud, expected, predicted, rows, told
):
    update = {"expected_churners": expected, "predicted_churners": predicted}
    prediction = completed(cloud, SUMMARY.model_copy(update=update), rows)

    page = text_of(client.get(f"/predictions/{prediction.id}"))

    assert "the sum of all probabilities" in page
    for words in told:
        assert words in page
