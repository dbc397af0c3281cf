"""What travels through SQS: a CloudEvents 1.0 envelope that names a prediction, nothing more.

A message in an older or unknown format is never dropped: whatever its fields are called, the
prediction is recognised by the form of its id, in a value or inside an S3 key.

Raising the data version: add the new shape, keep reading the old one for as long as the queue's
retention, and let `read` fall back to the ids for anything else.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal
from uuid import uuid4

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from predictions.record import AccountId, Prediction, PredictionId, utc_now

_AN_ID = re.compile(r"(?<![0-9A-Za-z])[0-7][0-9A-HJKMNP-TV-Z]{25}(?![0-9A-Za-z])")
_DEEPEST = 8
_MOST_IDS = 10


class RequestData(BaseModel):
    """The ids of what is to be done. No customer data travels through the queue."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: Literal[1] = 1
    account: AccountId
    prediction_id: PredictionId
    # Far above any real one, and a number that DynamoDB can compare.
    attempt: int = Field(ge=1, le=1_000_000)


class Request(BaseModel):
    """A CloudEvents 1.0 event in structured JSON: please process this attempt."""

    model_config = ConfigDict(frozen=True)

    specversion: Literal["1.0"] = "1.0"
    type: Literal["retainwise.prediction.requested"] = "retainwise.prediction.requested"
    source: str = "/retainwise/predictions"
    id: str = Field(default_factory=lambda: str(uuid4()))
    time: AwareDatetime = Field(default_factory=utc_now)
    subject: str
    datacontenttype: Literal["application/json"] = "application/json"
    traceparent: str
    data: RequestData

    @classmethod
    def to_process(cls, prediction: Prediction) -> Request:
        """Ask for the attempt that a QUEUED record is at."""
        return cls(
            subject=prediction.id,
            traceparent=prediction.traceparent,
            data=RequestData(
                account=prediction.account,
                prediction_id=prediction.id,
                attempt=prediction.attempt,
            ),
        )


@dataclass(frozen=True)
class OtherFormat:
    """A message that is not today's, but names predictions."""

    prediction_ids: tuple[str, ...]


@dataclass(frozen=True)
class Unreadable:
    """A message that names nothing, and why."""

    reason: str


def read(body: str) -> Request | OtherFormat | Unreadable:
    """Understand a message's body. Never raises."""
    try:
        return Request.model_validate_json(body)
    except ValidationError:
        pass
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        return Unreadable("the body is not JSON")
    ids = dict.fromkeys(match for text in _texts(document) for match in _AN_ID.findall(text))
    if not ids:
        return Unreadable("the body names no prediction")
    return OtherFormat(tuple(ids)[:_MOST_IDS])


def _texts(value: object, depth: int = 0) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif depth < _DEEPEST:
        children: Iterator[object] = iter(())
        if isinstance(value, dict):
            children = iter(value.values())
        elif isinstance(value, list):
            children = iter(value)
        for child in children:
            yield from _texts(child, depth + 1)
