"""What the worker makes of a message's body, in today's format and in any other."""

import json

import pytest

from memory_cloud import TRACEPARENT
from plain import ID, KEY, a_prediction
from predictions import message
from predictions.record import new_id


def test_todays_message_is_a_cloudevent_that_carries_ids_only():
    event = json.loads(message.Request.to_process(a_prediction()).model_dump_json())
    assert event.pop("time")
    assert event.pop("id")
    assert event == {
        "specversion": "1.0",
        "type": "retainwise.prediction.requested",
        "source": "/retainwise/predictions",
        "subject": ID,
        "datacontenttype": "application/json",
        "traceparent": TRACEPARENT,
        "data": {"version": 1, "account": "demo", "prediction_id": ID, "attempt": 2},
    }


def test_todays_message_is_read_back():
    request = message.Request.to_process(a_prediction())
    assert message.read(request.model_dump_json()) == request


@pytest.mark.parametrize(
    "body",
    [
        {"prediction_id": ID, "s3_key": "x"},
        {"predictionId": ID},
        {"PredictionID": ID, "bucket": "b"},
        {"id": ID, "retries": 3},
        {"s3_key": KEY},
        {"key": f"s3://bucket/{KEY}"},
        {"detail": {"prediction": {"id": ID}}},
        {"Records": [{"s3": {"object": {"key": KEY}}}]},
        {"Message": json.dumps({"prediction_id": ID})},
        [ID],
        ID,
        {"specversion": "1.0", "type": "retainwise.prediction.requested", "data": {"id": ID}},
    ],
    ids=str,
)
def test_a_prediction_is_recognised_in_any_other_format(body):
    assert message.read(json.dumps(body)) == message.OtherFormat((ID,))


def test_tomorrows_version_is_not_mistaken_for_todays():
    event = json.loads(message.Request.to_process(a_prediction()).model_dump_json())
    event["data"]["version"] = 2
    assert message.read(json.dumps(event)) == message.OtherFormat((ID,))


def test_an_attempt_that_cannot_be_is_not_todays_format():
    event = json.loads(message.Request.to_process(a_prediction()).model_dump_json())
    event["data"]["attempt"] = 10**40
    assert message.read(json.dumps(event)) == message.OtherFormat((ID,))


def test_all_that_are_named_are_found_once():
    other = new_id()
    body = json.dumps({"ids": [ID, other], "key": KEY})
    assert message.read(body) == message.OtherFormat((ID, other))


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("", "not JSON"),
        ("not json", "not JSON"),
        ("{}", "names no prediction"),
        ('{"prediction_id": 12}', "names no prediction"),
        (json.dumps({"x": "0" * 40}), "names no prediction"),
        ("[" * 100_000, "not JSON"),
        (json.dumps({"a": [[[[[[[[[[ID]]]]]]]]]]}), "names no prediction"),
    ],
    ids=range(7),
)
def test_a_body_that_names_nothing_says_why(body, reason):
    read = message.read(body)
    assert isinstance(read, message.Unreadable)
    assert reason in read.reason
