"""What each call to AWS is for: the step of the worker's loop, or of the sweeper, that makes it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

RECEIVE = "receive"
CLAIM = "claim"
FETCH = "fetch the upload"
SCORE = "score"
RENEW = "renew the lease"
HIDE = "keep the message hidden"
STORE_RESULT = "store the result"
STORE_SUMMARY = "store the summary"
COMPLETE = "complete the record"
FAIL = "fail the record"
ACKNOWLEDGE = "acknowledge"
HAND_BACK = "hand the record back"
HAND_BACK_MESSAGE = "hand the message back"
PUT_BACK = "put the record back"
PUT_OFF = "put the record off"
ORDER_ERASURE = "order an erasure"
SEND = "send a message"
LOOK = "look for what is stuck"
RESEND = "take the right to resend"
READ = "read the record"
ERASE = "erase files"
FORGET = "forget an erasure order"

Parameters = Mapping[str, Any]


def step_of(operation: str, parameters: Parameters) -> str:
    """Name the step; the operation itself where it is none of the worker's."""
    if operation == "UpdateItem":
        return _change(parameters)
    if operation == "ChangeMessageVisibilityBatch":
        gives_up = any(entry["VisibilityTimeout"] == 0 for entry in parameters["Entries"])
        return HAND_BACK_MESSAGE if gives_up else HIDE
    if operation == "PutObject":
        return STORE_SUMMARY if parameters["Key"].endswith("summary.json") else STORE_RESULT
    return {
        "ReceiveMessage": RECEIVE,
        "DeleteMessageBatch": ACKNOWLEDGE,
        "SendMessage": SEND,
        "HeadObject": FETCH,
        "GetObject": FETCH,
        "ListObjectVersions": ERASE,
        "DeleteObject": ERASE,
        "Query": LOOK,
        "GetItem": READ,
        "PutItem": ORDER_ERASURE,
        "DeleteItem": FORGET,
    }.get(operation, operation)


def _change(parameters: Parameters) -> str:
    bound = parameters["ExpressionAttributeValues"]
    status = bound[":status"]
    match status["S"] if isinstance(status, dict) else str(status):
        case "PROCESSING":
            return CLAIM if ":owner" in bound else RENEW
        case "COMPLETED":
            return COMPLETE
        case "FAILED":
            return FAIL
    if ":crashes" in bound and ":attempt" in bound:
        return PUT_BACK
    if ":delays" in bound:
        return PUT_OFF
    return HAND_BACK if ":queued_at" in bound else RESEND
