"""Taking a file in: to S3 first, then the record, then the message.

Whatever breaks in between leaves nothing half done: the file's erasure is ordered before it is
stored, and the record that takes it over ends that order in the same write; a record without a
message is found by the sweeper, which sends it.
"""

from __future__ import annotations

import re

import structlog
from boto3.exceptions import Boto3Error
from botocore.exceptions import BotoCoreError, ClientError
from flask import Request

from app.account import current_account, current_user
from app.problems import Problem
from app.rate_limit import rate_limits
from app.request_log import current_traceparent
from app.services import services
from app.uploads import Upload
from predictions.errors import AlreadySubmitted
from predictions.file_check import FileCheck
from predictions.record import Prediction, Status, new_id
from predictions.telemetry import ids_of, step

IDEMPOTENCY_KEY = re.compile("[!-~]{1,255}")
"""One to 255 visible ASCII characters."""
UPLOAD_TIME_LIMIT_S = 24 * 3600
"""Longer than any upload takes: its file must not be erased while it still comes in."""

log = structlog.get_logger()


def submit(upload: Upload, *, idempotency_key: str | None = None) -> Prediction:
    """Store the file and queue its prediction.

    The same key with the same content gives the same prediction. Raises BadCustomerFile when the
    file cannot be scored, and Problem (idempotency-key-reused, and what reading the upload raises).
    """
    account, ours = current_account(), services()
    rate_limits().count_upload(account)
    prediction_id = new_id()
    check = FileCheck(upload.chunks, ours.schema, ours.store.column_matches(account))
    stream = check.stream()  # what its header tells against it is told before anything is written
    ours.store.order_erasure(account, prediction_id, after_s=UPLOAD_TIME_LIMIT_S)
    stored = ours.files.put_upload(account, prediction_id, stream, name=upload.name)
    stored = stored.model_copy(update={"facts": check.facts})
    try:
        prediction = ours.store.submit(
            account,
            prediction_id,
            stored,
            traceparent=current_traceparent(),
            submitted_by=current_user(),
            idempotency_key=idempotency_key,
        )
    except AlreadySubmitted as exc:
        ours.store.order_erasure(account, prediction_id, after_s=0)
        if exc.remembered.sha256 != stored.sha256:
            raise Problem(
                "idempotency-key-reused",
                "This Idempotency-Key was used in the last day for a file with other content. "
                "Use a new key for each file.",
            ) from None
        return ours.store.get(account, exc.remembered.prediction_id)
    log.info(
        "prediction_submitted",
        **step(prediction, None, Status.QUEUED),
        size_bytes=stored.size_bytes,
    )
    send(prediction)
    return prediction


def send(prediction: Prediction) -> None:
    """Ask for a QUEUED record to be processed; when that fails now, the sweeper asks later."""
    try:
        services().queue.send(prediction)
    except (BotoCoreError, Boto3Error, ClientError) as exc:
        log.warning("message_not_sent", **ids_of(prediction), error=type(exc).__name__)


def idempotency_key_of(request: Request) -> str | None:
    """Return the request's Idempotency-Key. Raises Problem when it cannot be one."""
    key = request.headers.get("Idempotency-Key")
    if key is not None and not IDEMPOTENCY_KEY.fullmatch(key):
        raise Problem(
            "bad-idempotency-key",
            "An Idempotency-Key has 1 to 255 visible ASCII characters, without spaces.",
        )
    return key
