"""Every kind of file, through the page and through the API, on the running product."""

from __future__ import annotations

import csv
import io

import pytest

from customer_files import BAD, CASES, FINE, SOME_ROWS, Refused, table
from localcloud.home import Home
from page_text import text_of
from product import peak_rss_bytes

pytestmark = pytest.mark.timeout(300)
MIB = 1024 * 1024


def by_name(cases):
    return pytest.mark.parametrize("case", cases, ids=lambda case: case.name)


def through_the_api(product, case, content):
    return product.http.post(
        f"{product.url}/api/predictions", files={"file": (case.file_name, content, "text/csv")}
    )


def through_the_page(product, case, content):
    return product.http.post(
        f"{product.url}/predictions",
        files={"file": (case.file_name, content, "text/csv")},
        headers={"Origin": product.url},
    )


def listed(product):
    return product.http.get(f"{product.url}/api/predictions?limit=100").json()["predictions"]


@pytest.fixture(scope="module")
def expected(product):
    """What scoring the plain file gives: the good ones must all give the same."""
    answer = through_the_api(product, FINE[0], FINE[0].content()).json()
    product.wait_until(answer["id"], "COMPLETED")
    return product.result(answer["id"])


@by_name(FINE + SOME_ROWS)
def test_a_file_that_can_be_scored_is(product, case, expected):
    content = case.content()
    first = through_the_api(product, case, content)
    assert first.status_code == 202, first.text
    page = through_the_page(product, case, content)
    assert page.status_code == 200, page.text

    for prediction_id in (first.json()["id"], page.url.rsplit("/", 1)[-1]):
        done = product.wait_until(prediction_id, "COMPLETED")
        assert (done["rows"], done["rows_failed"]) == (case.answer.rows, case.answer.rows_failed)
        assert done["file"]["rows"] == case.answer.rows
        assert done["file"]["encoding"] == case.answer.encoding
        assert done["file"]["delimiter"] == case.answer.delimiter
        errors = done["summary"]["row_errors"]
        found = {(error["kind"], error["column"], error["rows"]) for error in errors}
        assert found == set(case.answer.errors)
        assert_result(product, case, prediction_id, expected)
        assert_page(product, case, prediction_id)


def assert_result(product, case, prediction_id, expected):
    result = product.result(prediction_id)
    assert len(result) == case.answer.rows, "no row is lost"
    failed = [row for row in result if row["error"]]
    assert len(failed) == case.answer.rows_failed
    assert not any(row["churn_probability"] for row in failed)
    if case.answer.like_the_first:
        for row, as_expected in zip(result, expected, strict=False):
            if not row["error"]:
                assert row["churn_probability"] == as_expected["churn_probability"]
                assert row["revenue_at_risk"] == as_expected["revenue_at_risk"]
    url = f"{product.url}/api/predictions/{prediction_id}/result.csv"
    written = product.http.get(url).content.decode()
    for delimiter in ",;\t|":  # as spreadsheets of all countries split it
        for row in csv.reader(io.StringIO(written, newline=""), delimiter=delimiter):
            assert not any(cell.startswith(("=", "+", "-", "@")) for cell in row)


def assert_page(product, case, prediction_id):
    page = product.http.get(f"{product.url}/predictions/{prediction_id}")
    assert "<script>alert" not in page.text
    assert "Traceback" not in page.text
    told = text_of(page)
    failed, scored = case.answer.rows_failed, case.answer.rows - case.answer.rows_failed
    if not scored:
        assert "No row could be scored" in told
        assert "are expected to leave" not in told
    else:
        assert f"of {scored} customers are expected to leave" in told
        assert ("no score" in told) == bool(failed)
    for _kind, column, _rows in case.answer.errors:
        assert column is None or column in told
    if case.name == "text-for-a-number":
        assert "<b>n/a</b>" in told, "shown as it is, not as markup"


@by_name(BAD)
def test_a_file_that_cannot_be_scored_is_refused_at_once(product, case):
    content = case.content()
    before = listed(product)

    problem = through_the_api(product, case, content)
    page = through_the_page(product, case, content)

    assert problem.headers["Content-Type"] == "application/problem+json"
    assert (problem.status_code, problem.json()["code"]) == (422, case.answer.code)
    assert page.status_code == 422
    told = text_of(page)
    for words in case.answer.says:
        assert words in f"{problem.json()['detail']} {problem.json().get('hint')}"
        assert words in told
    assert 'type="file"' in page.text, "the next try is one click away"
    for answer in (problem.text, page.text):
        assert "Traceback" not in answer
        assert len(answer) < 100_000
    assert listed(product) == before, "nothing of it is left"


def test_nothing_is_stuck_and_no_process_grew(product):
    assert all(prediction["status"] == "COMPLETED" for prediction in listed(product))
    for web in product.running("web"):
        assert peak_rss_bytes(web) < 200 * MIB
    assert peak_rss_bytes(product.job_process()) < 400 * MIB
    for service in ("web", "worker"):
        log = Home(product.data_dir).log(service).read_text()
        assert "Traceback" not in log
        assert not any(row["customerID"] in log for row in table()), "no customer data"


def test_there_are_forty_files_and_more():
    names = [case.name for case in CASES]
    assert len(set(names)) == len(names) >= 40
    assert sum(isinstance(case.answer, Refused) for case in CASES) >= 20
