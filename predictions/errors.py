"""The errors of the domain.

PredictionError
├── NotFound               no such prediction in this account
├── WrongStatus            the step is not allowed from the status that was found
├── LeaseLost              somebody else, or nobody, holds the claim now
├── AlreadySubmitted       another request used the same Idempotency-Key first
├── UnreadableRecord       an item of the table that is not a prediction as we know it
├── InputMissing           the uploaded object is gone
├── InputChanged           the uploaded object is not the one that was recorded
├── BadExport              the first version's rows cannot be read; each fault with its line
└── BadCustomerFile        the file cannot be scored at all
    └── MissingColumns     columns that the model needs are not in its header
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from predictions.record import Claim, Failure, Prediction, Remembered


class PredictionError(Exception):
    """Anything the domain refuses."""


class NotFound(PredictionError):
    """No such prediction in this account."""


class WrongStatus(PredictionError):
    """The step is not allowed from the status that was found."""

    def __init__(self, prediction: Prediction, wanted: str) -> None:
        super().__init__(f"{prediction.id} is {prediction.status}, not {wanted}")
        self.found = prediction.status
        self.attempt = prediction.attempt


class LeaseLost(PredictionError):
    """The claim no longer holds: another owner, another attempt, finished or deleted."""

    def __init__(self, claim: Claim, found: str, *, deleted: bool = False) -> None:
        super().__init__(
            f"{claim.id} attempt {claim.attempt} is no longer held by {claim.owner}: found {found}"
        )
        self.deleted = deleted


class AlreadySubmitted(PredictionError):
    """Another request used the same Idempotency-Key first."""

    def __init__(self, remembered: Remembered) -> None:
        super().__init__(f"the key already stands for {remembered.prediction_id}")
        self.remembered = remembered


class UnreadableRecord(PredictionError):
    """An item of the table that is not a prediction as we know it; the message names its key."""


class InputMissing(PredictionError):
    """The uploaded object is gone."""


class InputChanged(PredictionError):
    """The uploaded object is not the one that was recorded."""


class BadExport(PredictionError):
    """The first version's rows cannot be read; `faults` says where, a sentence each."""

    def __init__(self, faults: tuple[str, ...]) -> None:
        super().__init__("\n".join(faults))
        self.faults = faults


class BadCustomerFile(PredictionError):
    """The whole file cannot be scored; `failure` says why, in words for its owner."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.message)
        self.failure = failure


@dataclass(frozen=True)
class MissingColumn:
    """A column that the model needs, and the header of the file that looks most like it."""

    name: str
    nearest: str | None


class MissingColumns(BadCustomerFile):
    """Columns that the model needs are not in the header.

    header: the names that are there instead; none where the first line is no header.
    """

    def __init__(
        self, failure: Failure, missing: tuple[MissingColumn, ...], header: tuple[str, ...]
    ) -> None:
        super().__init__(failure)
        self.missing = missing
        self.header = header
