"""A prediction that no table holds, for tests that need the value alone."""

from __future__ import annotations

from made_cloud import TRACEPARENT
from predictions.record import InputFile, Prediction, Status, utc_now

ID = "01JDQ6C2V8M1Q4YF3H8Z7K5W9A"
KEY = f"uploads/demo/{ID}/input.csv"


def a_prediction(**changes: object) -> Prediction:
    """Give a QUEUED prediction at its second attempt."""
    values: dict[str, object] = {
        "account": "demo",
        "id": ID,
        "status": Status.QUEUED,
        "attempt": 2,
        "input": InputFile(key=KEY, name="a.csv", size_bytes=1, sha256="0", etag="0"),
        "created_at": utc_now(),
        "updated_at": utc_now(),
        "queued_at": utc_now(),
        "traceparent": TRACEPARENT,
    }
    return Prediction.model_validate(values | changes)
