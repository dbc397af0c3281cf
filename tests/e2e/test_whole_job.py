"""The main job on real input: upload, queue, worker, result."""

from __future__ import annotations

import csv
import json
import re

import pytest

from joined import Joined
from product import TELCO, wait_for

pytestmark = pytest.mark.timeout(300)


def telco_ids():
    with TELCO.open(newline="") as file:
        return [row["customerID"] for row in csv.DictReader(file)]


@pytest.fixture
def joined(product):
    return Joined(product)


def assert_result_is_whole(product, prediction_id):
    rows = product.result(prediction_id)
    assert [row["customerID"] for row in rows] == telco_ids()
    assert all(0 <= float(row["churn_probability"]) <= 1 for row in rows)
    assert all(row["reason_1"] and row["reason_2"] and row["reason_3"] for row in rows)
    assert not any(row["error"] for row in rows)


def test_upload_through_the_api(product):
    done = product.wait_until(product.upload(TELCO, name="telco.csv"), "COMPLETED")
    assert done["rows"] == 7043
    assert done["rows_failed"] == 0
    assert done["attempt"] == 1
    assert 1700 < done["summary"]["expected_churners"] < 2050
    assert_result_is_whole(product, done["id"])


def test_upload_through_the_page(product):
    with TELCO.open("rb") as file:
        page = product.http.post(
            f"{product.url}/predictions",
            files={"file": ("telco.csv", file, "text/csv")},
            headers={"Origin": product.url},
        )
    assert page.status_code == 200, page.text
    prediction_id = page.url.rsplit("/", 1)[-1]
    product.wait_until(prediction_id, "COMPLETED")
    detail = product.http.get(page.url).text
    assert "7,043" in detail
    [link] = set(re.findall(r'href="([^"]*result\.csv)"', detail))
    assert product.http.get(f"{product.url}{link}").text.count("\r\n") == 7044
    assert prediction_id in product.http.get(f"{product.url}/predictions").text
    assert_result_is_whole(product, prediction_id)


def test_a_prediction_that_fails_says_why_and_has_no_result(product, joined):
    prediction = joined.submit_without_its_file("lost.csv")
    failed = wait_for(
        lambda: (shown := product.show(prediction.id))["status"] == "FAILED" and shown,
        timeout_s=30,
        what="FAILED",
    )
    assert failed["error"]["code"] == "input-missing"
    assert failed["error"]["hint"]
    result = product.http.get(f"{product.url}/api/predictions/{prediction.id}/result.csv")
    assert result.status_code == 409


@pytest.mark.parametrize("spelling", ["prediction_id", "predictionId", "id"])
def test_an_older_message_finishes(product, joined, spelling):
    prediction = joined.queued_without_a_message()
    joined.send(json.dumps({spelling: prediction.id, "s3_key": prediction.input.key}))
    product.wait_until(prediction.id, "COMPLETED")
    assert_result_is_whole(product, prediction.id)


@pytest.mark.parametrize("body", [None, "{}", "not json", '{"user": 7, "s3_key": "old/key.csv"}'])
def test_a_record_that_no_message_names_is_found_by_the_sweeper(product, joined, body):
    prediction = joined.queued_without_a_message()
    if body is not None:
        joined.send(body)
    product.wait_until(prediction.id, "COMPLETED")
    assert_result_is_whole(product, prediction.id)


def test_a_deleted_prediction_is_gone_at_once(product):
    prediction_id = product.upload(TELCO)
    product.wait_until(prediction_id, "COMPLETED")
    address = f"{product.url}/api/predictions/{prediction_id}"
    assert product.http.delete(address).status_code == 204
    for path in ("", "/result.csv"):
        assert product.http.get(address + path).status_code == 404
    assert product.http.post(f"{address}/retry").status_code == 404


def test_only_the_job_process_has_what_scores_and_none_has_xgboost(product):
    def libraries(process):
        return {mapped.path.rsplit("/", 1)[-1] for mapped in process.memory_maps()}

    job, *others = product.job_process(), product.worker(), *product.running("web")
    assert "libllvmlite.so" in libraries(job)
    for process in others:
        assert "libllvmlite.so" not in libraries(process)
    for process in (job, *others):
        assert "libxgboost.so" not in libraries(process)
