"""What the API answers and takes, as models: for the code and for the OpenAPI document."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC
from typing import Annotated, Literal

from flask import url_for
from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints

from predictions import trace
from predictions.customer_file import LONGEST_COLUMN_NAME
from predictions.files import SummaryFile
from predictions.record import (
    Failure,
    InputFile,
    Page,
    Prediction,
    PredictionId,
    RowError,
    RowErrorCount,
    Status,
    Summary,
)
from predictions.schema import CustomerSchema

Moment = Annotated[AwareDatetime, AfterValidator(lambda moment: moment.astimezone(UTC))]
"""A time, which is sent in UTC: it ends in Z."""
HeaderName = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=LONGEST_COLUMN_NAME)
]


class FileAnswer(BaseModel):
    """The uploaded file."""

    name: str = Field(description="As it was called when it was uploaded.")
    size_bytes: int
    rows: int | None = Field(description="Customers in it; null while that is not known.")
    columns: int | None = Field(description="Columns in it; null while that is not known.")
    encoding: str | None = Field(description="UTF-8, UTF-16 or Windows-1252; null: not known.")
    delimiter: str | None = Field(description="Between two cells; null: not known.")
    matches: dict[str, str] | None = Field(
        description="Column of the model → the file's name for it, where they differ."
    )
    nearest: dict[str, str] | None = Field(
        description="Optional column that is not there → the file's name most like it."
    )

    @classmethod
    def of(cls, file: InputFile) -> FileAnswer:
        """Say what is known of an upload."""
        facts = file.facts
        return cls(
            name=file.name,
            size_bytes=file.size_bytes,
            rows=facts.rows if facts else None,
            columns=facts.columns if facts else None,
            encoding=facts.encoding if facts else None,
            delimiter=facts.delimiter if facts else None,
            matches=facts.matches if facts else None,
            nearest=facts.nearest if facts else None,
        )


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
    submitted_by: str | None = Field(description="Who uploaded it; null where that is not known.")
    status: Status
    attempt: int = Field(ge=1)
    rows: int | None = Field(description="Rows in the result; null until COMPLETED.")
    rows_failed: int | None = Field(description="Rows kept without a score; null until COMPLETED.")
    progress: ProgressAnswer
    error: Failure | None = Field(description="Why it FAILED.")
    summary: Summary | None = Field(
        description=("What the result says as a whole; null until COMPLETED, or where unknown.")
    )
    model: str | None = Field(description="The version of the model that scored it.")
    trace_id: str | None = Field(
        description="The trace of its upload, the caller's where it sent a `traceparent`."
    )
    created_at: Moment
    started_at: Moment | None
    finished_at: Moment | None
    links: LinksAnswer

    @classmethod
    def of(cls, prediction: Prediction) -> PredictionAnswer:
        """Say what the account's owner may see of a record."""
        result = prediction.result
        can_retry = prediction.status is Status.FAILED
        return cls(
            id=prediction.id,
            file=FileAnswer.of(prediction.input),
            submitted_by=prediction.submitted_by,
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
            trace_id=trace.trace_id(prediction.traceparent),
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


class RowErrorsAnswer(BaseModel):
    """The rows that were kept without a score, and why."""

    rows_failed: int
    counts: tuple[RowErrorCount, ...] = Field(description="All of them by kind and column.")
    errors: tuple[RowError, ...] = Field(description="The first hundred, each on its own.")

    @classmethod
    def of(cls, file: SummaryFile) -> RowErrorsAnswer:
        """Say what a summary.json tells of rows without a score."""
        counts = file.summary.row_errors if file.summary else ()
        return cls(rows_failed=file.rows_failed, counts=counts, errors=file.row_errors)


class ColumnAnswer(BaseModel):
    """One column that a customer file may have."""

    name: str
    kind: Literal["id", "numeric", "categorical", "boolean", "date"]
    categories: tuple[str, ...] = Field(
        description="The values that the model knows, in any capitals; another one counts as "
        "empty, and is told in the summary's `new_values`. Of a boolean column the words for no "
        "and for yes; any usual ones are understood. Else empty."
    )
    needed: bool = Field(description="Without it a file is refused.")


class ColumnsAnswer(BaseModel):
    """What the model asks of a customer file, and what the account calls its columns."""

    model: str = Field(description="The version of the model.")
    id_column: str | None = Field(description="Names the customers; rows are numbered without it.")
    columns: list[ColumnAnswer]
    matches: dict[str, str] = Field(
        description="Column of the model → the account's name for it, where they differ."
    )

    @classmethod
    def of(cls, schema: CustomerSchema, matches: Mapping[str, str]) -> ColumnsAnswer:
        """Say which columns a model has and what they are called here."""
        columns = [
            ColumnAnswer(name=name, kind="id", categories=(), needed=False)
            for name in schema.optional_columns
        ]
        for column in map(schema.needed, schema.needed_columns):
            columns.append(
                ColumnAnswer(
                    name=column.name, kind=column.kind, categories=column.categories, needed=True
                )
            )
        return cls(
            model=schema.version,
            id_column=schema.id_column,
            columns=columns,
            matches=dict(matches),
        )


class MatchesRequest(BaseModel):
    """What the account calls the model's columns from now on."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    matches: dict[str, HeaderName] = Field(
        description="Column of the model → name in the header; replaces all that was there."
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
