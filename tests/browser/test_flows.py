"""What a person comes to do, from the first page to the last, with JavaScript and without.

Nothing here reloads a page: what a person would wait for, the page must show by itself.
"""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from product import TELCO
from scenes import csv_file, upload


@pytest.fixture
def open_page(page, product):
    """Give a function that opens an address of the product."""
    return lambda path: page.goto(product.url + path)


@pytest.fixture(scope="module")
def sample(product, tmp_path_factory):
    """Keep the sample file that the upload page offers."""
    path = tmp_path_factory.mktemp("sample") / "sample.csv"
    path.write_bytes(product.http.get(f"{product.url}/predictions/sample.csv").content)
    return path


def expect_completed(page):
    expect(page.get_by_role("link", name="Download")).to_be_visible()


def test_from_upload_to_download(page, open_page, product):
    open_page("/")
    page.get_by_role("navigation", name="Main").get_by_role("link", name="Upload").click()
    upload(page, TELCO)
    expect(page.get_by_role("heading", name="telco.csv")).to_be_visible()
    expect_completed(page)

    expect(page.get_by_text(re.compile("of 7,043 customers"))).to_be_visible()
    with page.expect_download() as started:
        page.get_by_role("link", name="Download").click()
    assert started.value.suggested_filename == "telco-churn.csv"
    prediction_id = page.url.rsplit("/", 1)[-1]
    result = product.http.get(f"{product.url}/api/predictions/{prediction_id}/result.csv")
    assert started.value.path().read_bytes() == result.content
    assert result.text.count("\r\n") == 7044


def test_a_refused_file_says_why_and_the_next_try_works(page, open_page, sample, watch):
    watch.refusals.add(422)
    open_page("/predictions/new")
    upload(page, csv_file("empty.csv", ""))
    expect(page.get_by_role("alert")).to_contain_text("The file is empty")

    upload(page, sample)
    expect(page.get_by_role("heading", name="sample.csv")).to_be_visible()
    expect_completed(page)


def test_a_failed_prediction_and_its_retry(page, open_page, joined):
    prediction = joined.submit_without_its_file("june.csv")
    open_page(f"/predictions/{prediction.id}")
    expect(page.get_by_role("alert")).to_contain_text("no longer what was uploaded")

    joined.put_file_back(prediction)
    page.get_by_role("button", name="Retry").click()
    expect_completed(page)
    expect(page.get_by_role("alert")).to_have_count(0)


def test_a_delete_asks_names_what_is_lost_and_can_be_declined(
    page, open_page, product, sample, watch
):
    prediction_id = product.upload(sample, name="july.csv")
    product.wait_until(prediction_id, "COMPLETED")
    open_page("/predictions")
    page.get_by_role("link", name="july.csv").click()
    page.get_by_role("link", name="Delete").click()
    expect(page.get_by_role("heading", name="Delete this prediction?")).to_be_visible()
    expect(page.get_by_role("main")).to_contain_text("july.csv")
    expect(page.get_by_role("main")).to_contain_text("20 rows")

    page.get_by_role("link", name="Keep it").click()
    expect(page.get_by_role("heading", name="july.csv")).to_be_visible()

    page.get_by_role("link", name="Delete").click()
    page.get_by_role("button", name="Delete prediction").click()
    expect(page.get_by_role("heading", name="Predictions")).to_be_visible()
    expect(page.get_by_role("link", name="july.csv")).to_have_count(0)
    watch.refusals.add(404)
    open_page(f"/predictions/{prediction_id}")
    expect(page.get_by_role("heading", name="There is nothing here")).to_be_visible()


def test_the_list_follows_by_itself(page, open_page, product):
    prediction_id = product.upload(TELCO, name="august.csv")
    open_page("/predictions")
    row = page.get_by_role("row").filter(has_text="august.csv").first
    expect(row).to_contain_text("Completed")
    assert product.show(prediction_id)["status"] == "COMPLETED"
    expect(row).to_contain_text("7,043")
