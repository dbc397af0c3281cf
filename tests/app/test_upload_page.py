"""The upload page: a file leads to its prediction, a refused one keeps its place."""

from __future__ import annotations

import io
import re

import pytest

from app.rate_limit import RATE_LIMITS, RateLimits
from finished import CONTENT
from page_form import ODD, Form
from page_text import text_of


def upload(client, content, name="may.csv"):
    return client.post("/predictions", data={"file": (io.BytesIO(content), name)})


def quoted(name):
    return '"' + name.replace('"', '""') + '"'


def title_of(answer):
    return re.search("<title>(.*) · RetainWise</title>", answer.text)[1]


def test_an_upload_leads_to_its_page(client, cloud):
    answer = upload(client, CONTENT)

    assert answer.status_code == 303  # so that a reload uploads nothing
    page = client.get(answer.headers["Location"])
    assert "may.csv Queued" in text_of(page).replace("○ ", "")
    assert cloud.queue.receive(wait_s=0)


@pytest.mark.parametrize(
    ("content", "status", "told"),
    [
        (b"", 422, "The file is empty"),
        (b"tenure,b\n" + b"1,2\n" * 100_000, 413, "293 kB at most"),
        (b'tenure,b\n1,2\n"3,4\n', 422, "Row 2: a quotation mark"),
        (b"tenure,tenure\n1,2\n", 422, "called “tenure”"),
        (b"tenure,tenure\n1,2\n", 422, "Give every column its own name."),
    ],
)
def test_a_refused_upload_keeps_its_place(client, content, status, told):
    answer = upload(client, content)

    assert answer.status_code == status
    assert told in text_of(answer).replace(" ,", ",")
    assert 'type="file"' in answer.text
    assert 'role="alert"' in answer.text
    assert 'tabindex="-1" autofocus' in answer.text
    assert title_of(answer).endswith(" – Upload")
    assert "Try again" not in answer.text.partition("<template")[0]


def test_too_many_uploads_may_be_tried_again(app, client):
    app.extensions[RATE_LIMITS] = RateLimits(requests_per_minute=1, uploads_per_minute=1)
    upload(client, CONTENT)

    answer = upload(client, CONTENT)

    assert answer.status_code == 429
    assert int(answer.headers["Retry-After"]) > 0
    assert "Try again" in answer.text.partition("<template")[0]


def test_missing_columns_are_listed_and_the_nearest_that_is_there_is_chosen(client):
    answer = upload(client, b"customerID,x,Tenure\nC1,1,3\n")

    assert answer.status_code == 422
    assert "A column that is needed is not in the file: tenure ." in text_of(answer)
    assert '<option value="1" selected>Tenure</option>' in answer.text


def test_missing_columns_that_nothing_could_stand_for_offer_no_match(client):
    answer = upload(client, b"customerID,\nC1,3\n")

    assert "A column is missing: tenure." in text_of(answer)
    assert 'id="matching"' not in answer.text


def test_a_matched_column_is_remembered_and_read(client, cloud):
    content = f"{quoted(ODD)},Tenure\nC1,3\n".encode()
    refused = upload(client, content)
    assert ODD not in refused.text
    form = Form(refused.text, "matching")
    assert form.fields["column:tenure"] == "1"
    form.fields["column:customerID"] = "0"

    saved = client.post(form.action, data=form.fields)

    assert saved.status_code == 303
    page = client.get(saved.headers["Location"])
    assert "Saved. Choose the file again." in page.text
    assert "“Tenure” is now read as tenure" in text_of(page)
    assert "Columns matched: 2" in page.text
    matches = {"customerID": ODD, "tenure": "Tenure"}
    assert cloud.store.column_matches("demo") == matches
    prediction_id = upload(client, content).headers["Location"].rpartition("/")[2]
    assert cloud.store.get("demo", prediction_id).input.facts.matches == matches


def test_what_cannot_be_matched_is_told_on_the_form(client, cloud):
    form = Form(upload(client, b"Tenure,b\n3,x\n").text, "matching")
    form.fields |= {"column:customerID": "1", "column:tenure": "1"}

    twice = client.post(form.action, data=form.fields)
    none = {"column:customerID": "", "column:tenure": ""}
    nothing = client.post(form.action, data=form.fields | none)
    other = client.post(form.action, data={"names": "[]"})

    assert (twice.status_code, nothing.status_code, other.status_code) == (422, 422, 400)
    assert "“b” is chosen for customerID already." in text_of(twice)
    assert Form(twice.text, "matching").fields == form.fields
    assert "for at least one that is missing" in text_of(nothing)
    assert 'role="alert"' in other.text
    assert cloud.store.column_matches("demo") == {}


def test_only_what_was_saved_is_said_to_be(client):
    page = client.get("/predictions/new?saved=tenure&saved=<b>&missing=x")

    assert page.status_code == 200
    assert "Saved" not in page.text


def test_what_is_still_missing_after_saving_is_named(client):
    form = Form(upload(client, b"Tenure,Kunde\n3,x\n").text, "matching")
    form.fields |= {"column:customerID": "1", "column:tenure": ""}

    page = client.get(client.post(form.action, data=form.fields).headers["Location"])

    told = text_of(page)
    assert "“Kunde” is now read as customerID" in told
    assert "Still missing: tenure . Choose the file again to match it" in told
    assert "success" not in page.text


def test_matched_columns_are_listed_and_removed(client, cloud):
    cloud.store.remember_column_matches("other", {"tenure": "theirs"})
    cloud.store.remember_column_matches("demo", {"tenure": ODD, "fee": "f", "gone": "g"})

    page = client.get("/columns")
    assert ODD not in page.text
    assert "&lt;script&gt;" in page.text
    assert "theirs" not in page.text
    assert title_of(page) == "Matched columns"

    removed = client.post("/columns/remove", data={"column": "tenure"})
    assert (removed.status_code, removed.headers["Location"]) == (303, "/columns")
    assert cloud.store.column_matches("demo") == {"fee": "f", "gone": "g"}

    client.post("/columns/remove", data={"column": ["fee", "gone"]})
    assert "No columns matched" in client.get("/columns").text
    assert "Columns matched" not in client.get("/predictions/new").text
    assert cloud.store.column_matches("other") == {"tenure": "theirs"}


@pytest.mark.parametrize(
    ("path", "form", "left"),
    [
        ("/columns", {"names": '["Months"]', "column:tenure": "0"}, {"tenure": "Months"}),
        ("/columns/remove", {"column": "gone"}, {}),
    ],
)
def test_what_another_tab_saves_meanwhile_is_kept(client, cloud, monkeypatch, path, form, left):
    cloud.store.remember_column_matches("demo", {"gone": "g"})
    meanwhile = iter([{"customerID": "No.", "gone": "g"}])
    get_item = cloud.store._table.get_item

    def read_and_overtaken(**asked):
        answer = get_item(**asked)
        for matches in meanwhile:
            cloud.store.remember_column_matches("demo", matches)
        return answer

    monkeypatch.setattr(cloud.store._table, "get_item", read_and_overtaken)

    assert client.post(path, data=form).status_code == 303
    kept = {"gone": "g"} if path == "/columns" else {}
    assert cloud.store.column_matches("demo") == {"customerID": "No.", **kept, **left}


def test_the_expected_columns_are_those_of_the_sample(client):
    page = client.get("/predictions/new").text
    sample = client.get(re.search(r'href="([^"]+)" download', page)[1])

    assert re.findall(r"<td><code>(\w+)</code></td>", page) == sample.text.splitlines()[0].split(
        ","
    )
    assert sample.mimetype == "text/csv"
    assert sample.headers["Content-Disposition"] == 'attachment; filename="sample.csv"'
    assert upload(client, sample.data).status_code == 303


def head(client, content):
    return client.post("/predictions/head", data=content, content_type="text/csv")


@pytest.mark.parametrize("content", [CONTENT, CONTENT[:-3], b"customerID,ten", b"", b'tenure,"b\n'])
def test_a_head_that_may_be_that_of_a_good_file_is_let_through(client, content):
    assert head(client, content).status_code == 204


@pytest.mark.parametrize(
    "content", [b"a,b\n1,2", b"\x89PNG\r\n\0", b"tenure,tenure\n", b'{"a":1}\n']
)
def test_a_large_file_is_refused_by_its_head_as_by_the_whole(client, cloud, content):
    answer = head(client, content)

    assert answer.status_code == 422
    assert text_of(answer) == text_of(upload(client, content))
    assert not cloud.store.page("demo").predictions


def test_a_matched_column_counts_for_the_head(client, cloud):
    cloud.store.remember_column_matches("demo", {"tenure": "Months"})

    assert head(client, b"Months,b\n1,2\n").status_code == 204
