"""The pages: what each status shows, and that each form leads where one expects."""

from __future__ import annotations

import re
from datetime import timedelta

from app import pages
from finished import CONTENT, RESULT, brought_to
from page_text import text_of
from predictions.record import Status

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

    assert "done.csv 2 1 45.0 %" in text_of(page)
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
    assert 'rel="next"' not in second
    assert "No prediction is failed now." in client.get("/predictions?status=FAILED").text


def test_a_question_the_list_does_not_know_is_a_page_too(client):
    answer = client.get("/predictions?status=DONE")

    assert answer.status_code == 400
    assert "QUEUED, PROCESSING, COMPLETED, FAILED" in text_of(answer)


def test_the_answer_comes_first(client, cloud, tmp_path):
    prediction = brought_to(Status.COMPLETED, cloud, tmp_path)

    page = client.get(f"/predictions/{prediction.id}")

    told = text_of(page)
    order = ["1 of 2 customers", "45.0 %", "1.2 M", "low 1 50.0 %", "tenure is low", "<C1>", "SHA"]
    places = [told.find(words.replace("<C1>", "&lt;C1&gt;")) for words in order]
    assert -1 not in places
    assert places == sorted(places)
    assert f'href="/predictions/{prediction.id}/result.csv"' in page.text
    assert client.get(f"/predictions/{prediction.id}/result.csv").text == RESULT
    assert REFRESH not in page.text


def test_the_wait_is_counted_from_the_queueing_not_from_a_resend(client, cloud, monkeypatch):
    queued = cloud.submit(CONTENT)
    later = queued.queued_at + timedelta(minutes=4)
    monkeypatch.setattr("predictions.store.utc_now", lambda: later)
    assert cloud.store.take_resend(queued)
    assert cloud.store.get("demo", queued.id).updated_at == later
    monkeypatch.setattr(pages, "utc_now", lambda: queued.queued_at + timedelta(minutes=5))

    assert "5 min 0 s so far" in text_of(client.get(f"/predictions/{queued.id}"))


def test_progress_is_shown_and_followed(client, cloud, tmp_path):
    prediction = brought_to(Status.PROCESSING, cloud, tmp_path)

    page = client.get(f"/predictions/{prediction.id}")

    assert "1 rows scored" in text_of(page)
    assert "50.0 % of the file" in text_of(page)
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

    titles = [re.search("<title>(.*) · RetainWise</title>", client.get(p).text)[1] for p in paths]

    assert len(set(titles)) == len(paths)
