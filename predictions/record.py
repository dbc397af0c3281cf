"""A prediction: one customer file, scored once, and what became of it.

Leaves to `store` how a record is kept and which steps between statuses are allowed.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints
from ulid import ULID

AccountId = Annotated[str, StringConstraints(pattern=r"^[a-z0-9-]{1,64}$")]
PredictionId = Annotated[str, StringConstraints(pattern=r"^[0-7][0-9A-HJKMNP-TV-Z]{25}$")]


class Status(StrEnum):
    """Where a prediction is in its life: QUEUED → PROCESSING → COMPLETED or FAILED."""

    QUEUED = "QUEUED"
    PROCESSING = "PROCESSING"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"


UNFINISHED = frozenset({Status.QUEUED, Status.PROCESSING})


class Frozen(BaseModel):
    """A value: equal by content, never changed in place."""

    # Errors never quote what they refuse: it may be a customer's.
    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)


class Failure(Frozen):
    """Why a prediction ended without a result, in words for the person who uploaded the file."""

    code: str = Field(description="Stable, for programs: `missing-columns`, `attempts-used-up`, …")
    message: str = Field(max_length=4000, description="What happened and where.")
    hint: str = Field(description="What to do about it.")
    row: int | None = Field(default=None, description="Line of the customer, first one = 1.")
    column: str | None = Field(default=None, description="The column's name in the header.")

    @property
    def may_pass(self) -> bool:
        """Whether the same file may well be scored at the next attempt: it was not to blame."""
        return self.code in _NOT_THE_FILES_FAULT


_NOT_THE_FILES_FAULT = frozenset({"attempts-used-up", "called-off", "dependency-down", "not-taken"})


class FileFacts(Frozen):
    """What a customer file turned out to be when it was read once from end to end."""

    rows: int = Field(description="Customers: lines with something on them, without the header.")
    columns: int
    encoding: str = Field(description="UTF-8, UTF-16 or Windows-1252.")
    delimiter: str
    matches: dict[str, str] = Field(
        default_factory=dict,
        description="Column of the model → column of the file, where the names differ.",
    )
    nearest: dict[str, str] = Field(
        default_factory=dict,
        description="Column of the model that is not needed and not there → the name most like it.",
    )
    model: str | None = Field(
        default=None,
        description="The version of the model whose columns were asked for; None: not noted yet.",
    )


class InputFile(Frozen):
    """The uploaded file, exactly: a version of an object, not only its key."""

    key: str
    name: str = Field(description="As the person called it; shown, never part of a key.")
    size_bytes: int
    sha256: str
    etag: str
    version_id: str | None = None
    facts: FileFacts | None = Field(
        default=None, description="What the check of the upload found; None before there was one."
    )


class Band(Frozen):
    """One step of the risk scale and how many customers are on it."""

    name: str
    customers: int


class Reason(Frozen):
    """One reason in words and for how many customers it is among the first three."""

    reason: str
    customers: int


class RowErrorCount(Frozen):
    """How many rows have one kind of error in one column."""

    kind: str = Field(description="Stable, for programs: `not-a-number`, `cell-count`, …")
    column: str | None = Field(
        default=None, description="As the file calls it; null: the row as a whole."
    )
    rows: int
    first_row: int = Field(description="The first of them; the first customer is 1.")


class RowError(Frozen):
    """One reason why a row has no score. Holds a customer's cell: kept in summary.json only."""

    row: int = Field(description="The first customer is 1.")
    column: str | None = Field(description="As the file calls it; null: the row as a whole.")
    kind: str
    text: str | None = Field(description="The cell, cut; null: the row as a whole.")
    message: str


class ColumnCount(Frozen):
    """How many scored rows have one kind of value in one column."""

    column: str = Field(description="As the file calls it.")
    rows: int
    first_row: int = Field(description="The first of them; the first customer is 1.")


class NewValue(Frozen):
    """The first value of a column that the model does not know; kept in summary.json only."""

    row: int = Field(description="The first customer is 1.")
    column: str = Field(description="As the file calls it.")
    text: str = Field(description="The cell, cut.")


class Summary(Frozen):
    """What a scored file says as a whole. Holds no data of a single customer."""

    expected_churners: float = Field(description="Sum of the churn probabilities.")
    predicted_churners: int = Field(description="Customers at or above the threshold.")
    revenue_at_risk: float | None = Field(
        default=None, description="Sum of probability x revenue, per month, in the file's currency."
    )
    bands: tuple[Band, ...] = Field(description="Lowest risk first.")
    top_reasons: tuple[Reason, ...] = Field(description="Most frequent first, raising reasons.")
    row_errors: tuple[RowErrorCount, ...] = Field(
        default=(), description="Why rows have no score, most frequent first."
    )
    new_values: tuple[ColumnCount, ...] = Field(
        default=(),
        description="Values that the model does not know, which count as empty; by column.",
    )
    missing_values: tuple[ColumnCount, ...] = Field(
        default=(), description="Values that are not there; by column."
    )
    out_of_range: tuple[ColumnCount, ...] = Field(
        default=(),
        description="Numbers and dates below or above all that the model has seen; by column.",
    )


class CustomerAtRisk(Frozen):
    """One of the customers most likely to leave; kept in summary.json, never in the record."""

    id: str
    churn_probability: float
    risk_band: str
    reasons: tuple[str, ...]
    revenue_at_risk: float | None = None


class ResultFile(Frozen):
    """The scored file. A COMPLETED record always has one: both are written in the same call."""

    key: str
    summary_key: str
    rows: int = Field(description="Rows in the result = rows in the input.")
    rows_failed: int = Field(description="Rows that kept their place but have an error, no score.")
    model: str = Field(description="The version of the model that scored it.")


class Prediction(Frozen):
    """One prediction as it was when it was read."""

    account: AccountId
    id: PredictionId
    status: Status
    attempt: int = Field(ge=1)
    input: InputFile
    created_at: AwareDatetime
    updated_at: AwareDatetime
    queued_at: AwareDatetime = Field(description="Since when this attempt waits or waited.")
    traceparent: str
    submitted_by: str | None = Field(default=None, description="Who uploaded it, as shown.")
    owner: str | None = Field(default=None, description="The claim that is processing it.")
    completed_by: str | None = Field(default=None, description="The claim that completed it.")
    beat: int = Field(default=0, description="Rises with each renewal of the lease.")
    resends: int = Field(default=0, description="Messages that the sweeper sent for this attempt.")
    crashes: int = Field(default=0, description="Attempts lost since a person last queued it.")
    delays: int = Field(
        default=0, description="Times put off for want of a dependency, since a person queued it."
    )
    due_at: float | None = Field(default=None, description="Unix time to look again; unfinished.")
    rows_done: int = 0
    fraction_done: float = Field(default=0.0, ge=0, le=1)
    started_at: AwareDatetime | None = None
    finished_at: AwareDatetime | None = None
    result: ResultFile | None = None
    summary: Summary | None = None
    failure: Failure | None = None


@dataclass(frozen=True)
class Claim:
    """The right to process one attempt of one prediction, until the lease is lost."""

    account: str
    id: str
    attempt: int
    owner: str


class Remembered(Frozen):
    """What an Idempotency-Key stood for when it was first used."""

    prediction_id: PredictionId
    sha256: str


class Page(Frozen):
    """Some of an account's predictions, newest first, and where the next page starts."""

    predictions: tuple[Prediction, ...]
    next_cursor: PredictionId | None = None


def new_id() -> str:
    """Make a prediction id: a ULID, so ids sort by the time they were made."""
    return str(ULID())


def utc_now() -> datetime:
    """Return the current time, aware, in UTC."""
    return datetime.now(UTC)
