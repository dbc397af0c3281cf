"""What a request works with: the records, the files, the queue and the model's columns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from botocore.exceptions import NoRegionError
from flask import current_app

from predictions import aws
from predictions.files import Files
from predictions.schema import BadArtifact, CustomerSchema, read_schema
from predictions.settings import SettingsError
from predictions.store import Store
from predictions.work_queue import WorkQueue

if TYPE_CHECKING:
    from app.settings import WebSettings

SERVICES = "retainwise.services"


@dataclass(frozen=True)
class Services:
    """Safe to share between threads."""

    store: Store
    files: Files
    queue: WorkQueue
    schema: CustomerSchema

    @classmethod
    def from_settings(cls, settings: WebSettings) -> Services:
        """Make the clients and read the model's columns; AWS is not called yet.

        Raises SettingsError when no region is set or when MODEL_DIR holds no model.
        """
        try:
            schema = read_schema(settings.model_dir, CustomerSchema)
        except BadArtifact as exc:
            raise SettingsError(f"MODEL_DIR: {exc}") from exc
        try:
            table = aws.dynamodb_table(settings.predictions_table)
        except NoRegionError:
            raise SettingsError("AWS_REGION: no region is set") from None
        return cls(
            store=Store(table, resend_after_s=settings.resend_after_s),
            files=Files(
                aws.s3_client(),
                uploads_bucket=settings.uploads_bucket,
                results_bucket=settings.results_bucket,
            ),
            queue=WorkQueue(aws.sqs_client(), settings.predictions_queue_url),
            schema=schema,
        )


def services() -> Services:
    """Return the services of the application that handles this request."""
    return cast("Services", current_app.extensions[SERVICES])
