"""What the API answers, as models: the code sends them and the OpenAPI document describes them."""

from __future__ import annotations

from typing import Literal

from flask import url_for
from pydantic import AwareDatetime, BaseModel, Field

from predictions.record import Failure, Page, Prediction, PredictionId, Status, Summary


class FileAnswer(BaseModel):
    """The uploaded file."""

    name: str = Field(description="As it was called when it was uploaded.")
    size_bytes: int


class ProgressAnswer(BaseModel):
    """How far the scoring is."""

    rows_done: int
    fraction: float = Field(ge=0, le=1)


class LinksAnswer(BaseModel):
    """Paths to go on with; null where the status does not allow the step."""

    self: str
    page: str = Field(description="The page for people.")
    result: str | None = Field(description="Once COMPLETED.")
    retry: str | None = Field(description="While FAILED.")


class PredictionAnswer(BaseModel):
    """One prediction as it is now."""

    id: PredictionId
    file: FileAnswer
    status: Status
    attempt: int = Field(ge=1)
    rows: int | None = Field(description="Rows in the result; null until COMPLETED.")
    rows_failed: int | None = Field(description="Rows kept without a score; null until COMPLETED.")
    progress: ProgressAnswer
    error: Failure | None = Field(description="Why it FAILED.")
    summary: Summary | None = Field(description="What the result says as a whole.")
    model: str | None = Field(description="The version of the model that scored it.")
    created_at: AwareDatetime
    started_at: AwareDatetime | None
    finished_at: AwareDatetime | None
    links: LinksAnswer

    @classmethod
    def of(cls, prediction: Prediction) -> PredictionAnswer:
        """Say what the account's owner may see of a record."""
        result = prediction.result
        can_retry = prediction.status is Status.FAILED
        return cls(
            id=prediction.id,
            file=FileAnswer(name=prediction.input.name, size_bytes=prediction.input.size_bytes),
            status=prediction.status,
            attempt=prediction.attempt,
            rows=result.rows if result else None,
            rows_failed=result.rows_failed if result else None,
            progress=ProgressAnswer(
                rows_done=prediction.rows_done, fraction=prediction.fraction_done
            ),
            error=prediction.failure,
            summary=prediction.summary,
            model=result.model if result else None,
            created_at=prediction.created_at,
            started_at=prediction.started_at,
            finished_at=prediction.finished_at,
            links=LinksAnswer(
                self=url_for("api.show", prediction_id=prediction.id),
                page=url_for("pages.show", prediction_id=prediction.id),
                result=url_for("api.result", prediction_id=prediction.id) if result else None,
                retry=url_for("api.retry", prediction_id=prediction.id) if can_retry else None,
            ),
        )


class PageAnswer(BaseModel):
    """Some of the account's predictions, newest first."""

    predictions: list[PredictionAnswer]
    next_cursor: PredictionId | None = Field(description="`cursor` of the next page; null: none.")

    @classmethod
    def of(cls, page: Page) -> PageAnswer:
        """Say what the account's owner may see of a page of records."""
        return cls(
            predictions=[PredictionAnswer.of(prediction) for prediction in page.predictions],
            next_cursor=page.next_cursor,
        )


class MissingColumnAnswer(BaseModel):
    """A column that the model needs and the file does not have."""

    column: str
    nearest: str | None = Field(description="The name in the file's header most like it.")


class ProblemAnswer(BaseModel):
    """What went wrong (RFC 9457)."""

    type: str
    title: str
    status: int
    detail: str = Field(description="What happened and where; what to do, unless `hint` says it.")
    code: str = Field(description="Stable, for programs.")
    request_id: str = Field(description="Names the request in the service's log.")
    hint: str | None = Field(default=None, description="Of a refused file: what to do about it.")
    row: int | None = Field(
        default=None, description="Of a refused file: where; the first customer is 1."
    )
    column: str | None = Field(default=None, description="Of a refused file: where.")
    missing: tuple[MissingColumnAnswer, ...] = Field(
        default=(), description="On `missing-columns`: all of them."
    )
    prediction_status: Status | None = Field(default=None, description="On 409.")


class HealthAnswer(BaseModel):
    """The process answers."""

    status: Literal["ok"] = "ok"


class DependencyAnswer(BaseModel):
    """One thing the service cannot work without."""

    ok: bool
    error: str | None = Field(default=None, description="The kind of the error, when not ok.")


class ReadinessAnswer(BaseModel):
    """Whether the service can do its work now."""

    status: Literal["ready", "not-ready"]
    dependencies: dict[str, DependencyAnswer]
