"""What a person comes to do, from the first page to the last, with JavaScript and without.

Nothing here reloads a page: what a person would wait for, the page must show by itself. What only a
script can do comes last.
"""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from product import TELCO
from scenes import HEADER, csv_file, telco, upload

UPLOAD_BYTES_PER_S = 500_000
"""Slow enough to see how far the Telco file (948 kB) is."""
_FILES = """files => {
  const data = new DataTransfer();
  for (const [name, text] of files) data.items.add(new File([text], name, {type: "text/csv"}));
  return data;
}"""
WITH_SCRIPTS = pytest.mark.parametrize("scripts", [True], ids=["with JavaScript"])


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


def test_columns_under_other_names_are_matched(page, open_page, scripts, watch):
    watch.refusals.add(422)
    own_name = "months" if scripts else "months as customer"  # an account's matches are kept
    file = csv_file("own-names.csv", telco(20).replace("tenure", own_name))
    open_page("/predictions/new")
    upload(page, file)
    expect(page.get_by_role("alert")).to_contain_text("tenure")

    page.get_by_label("tenure").select_option(own_name)
    save = "Save and upload again" if scripts else "Save"
    page.get_by_role("button", name=save, exact=True).click()
    if not scripts:  # without one, no page can send a file that was chosen on another
        upload(page, file)
    expect(page.get_by_role("heading", name="own-names.csv")).to_be_visible()
    expect_completed(page)


def test_by_keyboard_alone(page, open_page, sample):
    open_page("/predictions")
    press_tab_until_at(page, page.get_by_role("link", name="Upload", exact=True))
    page.keyboard.press("Enter")
    with page.expect_file_chooser() as opened:
        press_tab_until_at(page, page.get_by_label("CSV file"))
        page.keyboard.press("Enter")
    opened.value.set_files(sample)
    press_tab_until_at(page, page.get_by_role("button", name="Predict"))
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="sample.csv")).to_be_visible()
    press_tab_until_at(page, page.get_by_role("link", name="Predictions").first)


def press_tab_until_at(page, wanted, most=30):
    """Move the focus on to `wanted`; wherever it stops, one must see that."""
    expect(wanted).to_be_visible()
    for _ in range(most):
        page.keyboard.press("Tab")
        at = page.locator(":focus")
        assert at.evaluate("at => getComputedStyle(at).outlineStyle") != "none", at.inner_text()
        if wanted.evaluate("wanted => wanted === document.activeElement"):
            return
    raise AssertionError(f"not reached with {most} tabs: {wanted}")


def test_a_failed_prediction_and_its_retry(page, open_page, joined):
    prediction = joined.submit_without_its_file("june.csv")
    open_page(f"/predictions/{prediction.id}")
    expect(page.get_by_role("alert")).to_contain_text("The uploaded file is gone")

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


def test_the_list_follows_by_itself(page, open_page, product, scripts):
    product.upload(TELCO, name="august.csv")
    open_page("/predictions")
    page.evaluate("window.isTheSamePage = true")
    row = page.get_by_role("row").filter(has_text="august.csv").first
    expect(row).to_contain_text("Completed")
    expect(row).to_contain_text("7,043")
    if scripts:  # in place
        assert page.evaluate("window.isTheSamePage")


# ---- what a script adds to the upload page ----


@pytest.fixture
def upload_page(page, product):
    page.goto(f"{product.url}/predictions/new")
    return page


def drop(page, *files):
    """Drop files, each a name and a text, on the middle of the card."""
    dropped = {"dataTransfer": page.evaluate_handle(_FILES, files)}
    card = page.get_by_text("A CSV file with one customer in each row")
    for event in ("dragenter", "dragover", "drop"):
        card.dispatch_event(event, dropped)


def slow_down(page):
    page.context.new_cdp_session(page).send(
        "Network.emulateNetworkConditions",
        {
            "offline": False,
            "latency": 0,
            "downloadThroughput": -1,
            "uploadThroughput": UPLOAD_BYTES_PER_S,
        },
    )


@WITH_SCRIPTS
def test_a_dropped_file_is_sent_and_shows_how_far_it_is(upload_page):
    slow_down(upload_page)
    drop(upload_page, ("dropped.csv", TELCO.read_text()))
    expect(upload_page.get_by_label("CSV file")).to_have_value(re.compile("dropped.csv"))

    upload_page.get_by_role("button", name="Predict").click()
    expect(upload_page.get_by_role("progressbar", name="Uploaded")).to_be_visible()
    expect(upload_page.get_by_text(re.compile(r"[1-9]\d*\skB of 948\skB, \d+\s%"))).to_be_visible()
    expect(upload_page.get_by_role("heading", name="dropped.csv")).to_be_visible()


@WITH_SCRIPTS
def test_an_upload_can_be_cancelled_and_its_file_stays_chosen(upload_page):
    slow_down(upload_page)
    upload(upload_page, TELCO)
    upload_page.get_by_role("button", name="Cancel").click()

    expect(upload_page.get_by_label("CSV file")).to_have_value(re.compile("telco.csv"))
    expect(upload_page.get_by_role("button", name="Predict")).to_be_focused()


@WITH_SCRIPTS
def test_of_two_dropped_files_neither_is_taken(upload_page):
    drop(upload_page, ("a.csv", telco(1)), ("b.csv", telco(1)))
    expect(upload_page.get_by_role("alert")).to_contain_text("one file at a time")
    expect(upload_page.get_by_label("CSV file")).to_have_value("")


@WITH_SCRIPTS
def test_a_refused_file_stays_chosen_and_the_reason_has_the_focus(upload_page, watch):
    watch.refusals.add(422)
    upload(upload_page, csv_file("refused.csv", HEADER))

    reason = upload_page.get_by_role("alert")
    expect(reason).to_be_in_viewport()
    expect(upload_page.locator(":focus")).to_contain_text(reason.inner_text().splitlines()[0])
    expect(upload_page.get_by_label("CSV file")).to_have_value(re.compile("refused.csv"))
    expect(upload_page).to_have_url(re.compile("/predictions/new$"))
