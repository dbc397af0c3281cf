"""The Idempotency-Key, and what is left behind when a step in between breaks."""

from __future__ import annotations

import io
import time

import pytest
from botocore.exceptions import EndpointConnectionError

from app.submission import UPLOAD_TIME_LIMIT_S
from finished import CONTENT
from predictions.files import Files
from predictions.record import new_id
from predictions.store import Store

KEY = {"Idempotency-Key": "k-1"}


def upload(client, content=CONTENT, **headers):
    form = {"file": (io.BytesIO(content), "may.csv")}
    return client.post("/api/predictions", data=form, headers=headers)


def messages(cloud):
    attributes = cloud.sqs.get_queue_attributes(
        QueueUrl=cloud.queue_url, AttributeNames=["ApproximateNumberOfMessages"]
    )
    return int(attributes["Attributes"]["ApproximateNumberOfMessages"])


def files_of(cloud, erased=True):
    if erased:
        for erasure in cloud.store.erasures_due():
            cloud.files.erase(erasure.account, erasure.prediction_id)
    return len(cloud.s3.list_objects_v2(Bucket=cloud.uploads_bucket).get("Contents", ()))


def test_the_same_key_and_file_give_the_same_prediction(client, cloud):
    first, second = upload(client, **KEY), upload(client, **KEY)

    assert (first.status_code, second.status_code) == (202, 202)
    assert first.json == second.json
    assert first.headers["Location"] == second.headers["Location"]
    assert len(cloud.store.page("demo").predictions) == messages(cloud) == 1
    assert files_of(cloud) == 1  # the second copy is erased


def test_the_same_key_for_another_file_is_refused(client, cloud):
    upload(client, **KEY)

    answer = upload(client, CONTENT + b"C3,1\n", **KEY)

    assert (answer.status_code, answer.json["code"]) == (422, "idempotency-key-reused")
    assert len(cloud.store.page("demo").predictions) == files_of(cloud) == 1


def test_without_a_key_each_upload_is_its_own(client):
    assert upload(client).json["id"] != upload(client).json["id"]


def test_a_key_belongs_to_one_account(client, cloud):
    stored = cloud.files.put_upload("other", new_id(), io.BytesIO(b"x,y\n"), name="x")
    cloud.store.submit("other", new_id(), stored, traceparent="t", idempotency_key="k-1")

    assert upload(client, **KEY).status_code == 202


def test_the_key_of_a_deleted_prediction_is_free_again(client):
    first = upload(client, **KEY).json["id"]
    client.delete(f"/api/predictions/{first}")

    second = upload(client, **KEY)

    assert second.status_code == 202
    assert second.json["id"] != first


def test_of_two_at_once_the_slower_gets_the_fasters_prediction(client, cloud, monkeypatch):
    winner = {}
    submit = Store.submit

    def overtaken(store, *args, **kwargs):
        monkeypatch.setattr(Store, "submit", submit)
        winner.update(upload(client, **KEY).json)  # between the upload to S3 and the record
        return submit(store, *args, **kwargs)

    monkeypatch.setattr(Store, "submit", overtaken)

    assert upload(client, **KEY).json["id"] == winner["id"]
    assert files_of(cloud) == 1


def orders_of(cloud):
    """All erasure orders, whether due or not."""
    return [item["id"] for item in cloud.table.scan()["Items"] if "erasure" in item["id"]]


def test_a_file_that_gets_no_record_is_erased_later(client, cloud, monkeypatch):
    def submit(*_args, **_kwargs):
        raise EndpointConnectionError(endpoint_url="https://dynamodb.example")

    monkeypatch.setattr(Store, "submit", submit)

    assert upload(client).status_code == 503
    assert len(orders_of(cloud)) == 1
    assert files_of(cloud) == 1  # not yet: another upload as slow might still come in
    in_a_day = Store(
        cloud.table, resend_after_s=60, clock=lambda: time.time() + UPLOAD_TIME_LIMIT_S + 1
    )
    (order,) = in_a_day.erasures_due()
    cloud.files.erase(order.account, order.prediction_id)
    assert files_of(cloud) == 0


def test_the_order_is_made_before_the_first_byte_is_stored(client, cloud, monkeypatch):
    orders = []

    def put_upload(*_args, **_kwargs):
        orders.extend(orders_of(cloud))
        raise EndpointConnectionError(endpoint_url="https://s3.example")

    monkeypatch.setattr(Files, "put_upload", put_upload)

    assert upload(client).status_code == 503
    assert len(orders) == 1


def test_a_file_with_a_record_is_not_to_be_erased(client, cloud):
    assert upload(client).status_code == 202
    assert orders_of(cloud) == []


def test_the_copy_of_a_repeated_upload_is_erased_at_once(client, cloud):
    first = upload(client, **KEY).json["id"]
    upload(client, **KEY)

    (order,) = cloud.store.erasures_due()
    assert order.prediction_id != first


@pytest.mark.parametrize("key", ["", "a b", "x" * 256, "schlüssel", "a\tb"])
def test_a_key_of_another_form_is_refused(client, cloud, key):
    answer = upload(client, **{"Idempotency-Key": key})

    assert (answer.status_code, answer.json["code"]) == (400, "bad-idempotency-key")
    assert files_of(cloud) == 0


@pytest.mark.parametrize("key", ["!", "~" * 255])
def test_a_key_of_any_visible_characters_is_taken(client, key):
    assert upload(client, **{"Idempotency-Key": key}).status_code == 202
