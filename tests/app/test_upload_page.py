"""The upload page: a file leads to its prediction, a refused one keeps its place."""

from __future__ import annotations

import csv
import io
import re
from pathlib import Path

import pytest

import app as web
from finished import CONTENT
from page_text import text_of

STATIC = Path(web.__file__).parent / "static"


def test_an_upload_leads_to_its_page(client, cloud):
    form = {"file": (io.BytesIO(CONTENT), "may.csv")}

    answer = client.post("/predictions", data=form)

    assert answer.status_code == 303  # so that a reload uploads nothing
    page = client.get(answer.headers["Location"])
    assert "may.csv Queued" in text_of(page).replace("○ ", "")
    assert cloud.queue.receive(wait_s=0) is not None


@pytest.mark.parametrize(
    ("content", "status", "told"),
    [(b"", 422, "The file is empty"), (b"a,b\n" + b"1,2\n" * 100_000, 413, "293 kB at most")],
)
def test_a_refused_upload_keeps_its_place(client, content, status, told):
    answer = client.post("/predictions", data={"file": (io.BytesIO(content), "may.csv")})

    assert answer.status_code == status
    assert told in text_of(answer)
    assert 'type="file"' in answer.text
    assert 'role="alert"' in answer.text


def test_the_expected_columns_are_those_of_the_sample(client):
    sample = list(csv.reader((STATIC / "sample.csv").read_text().splitlines()))
    page = client.get("/predictions/new").text

    assert re.findall(r"<td><code>(\w+)</code></td>", page) == sample[0]
    assert len(sample) == 21
    assert "/static/sample.csv" in page
