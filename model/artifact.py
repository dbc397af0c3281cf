"""A trained model on disk: a folder that holds data only, nothing that runs when it is opened.

`booster.ubj`   the trees, in XGBoost's own format
`schema.json`   what goes in, what comes out, how good it is and what it was made from
`MODEL_CARD.md` the same for people (made by `card`), with pictures beside it

The version of a model is a hash over the schema, which holds the hash of the booster: two folders
with the same version score alike.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, Field

from predictions.schema import (
    SCHEMA_FILE,
    BadArtifact,
    Column,
    CustomerSchema,
    read_bytes,
    read_schema,
)
from predictions.unfinished import unfinished_in

if TYPE_CHECKING:
    from model.scoring.kernel import Tables
    from model.scoring.tables import Bins

SHIPPED = Path(__file__).parent / "artifacts" / "telco"
"""The model that comes with the program."""

BOOSTER_FILE = "booster.ubj"
CARD_FILE = "MODEL_CARD.md"


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


def feature_types(columns: Sequence[Column]) -> list[str]:
    """Return XGBoost's letter for each column: q(uantitative) or c(ategorical)."""
    return ["c" if column.kind == "categorical" else "q" for column in columns]


class RiskBand(_Frozen):
    """One step of the risk scale."""

    name: str
    from_probability: float = Field(ge=0, le=1, description="Lowest probability that is in it.")


class Calibration(_Frozen):
    """A straight line from the booster's log-odds to those that came true (Platt, 1999)."""

    slope: float = Field(ge=0, description="What the booster's log-odds are multiplied by.")
    intercept: float = Field(description="What is added then, log-odds.")


class Metrics(_Frozen):
    """How good predictions are on rows that took no part in fitting what predicted them."""

    rows: int
    accuracy: float = Field(description="Share of right answers at the threshold.")
    auc: float = Field(description="Area under the ROC curve.")
    log_loss: float = Field(description="Mean negative log likelihood, natural logarithm.")
    brier: float = Field(description="Mean squared error of the probability.")
    ece: float = Field(
        description="Expected calibration error: ten equally wide bins, weighted by rows."
    )
    top_decile_precision: float = Field(
        description="Share that left among the tenth with the highest probabilities."
    )


class Training(_Frozen):
    """What the model was made from, enough to make it again."""

    data_sha256: str
    rows: int = Field(description="Rows trained on, after duplicates and unlabelled rows are gone.")
    positive_rows: int
    duplicate_rows: int
    unlabelled_rows: int
    dropped_columns: dict[str, str] = Field(description="Column and why it is not a feature.")
    warnings: tuple[str, ...] = Field(description="What to know of columns that are features.")
    seed: int
    folds: int
    standard_errors: dict[str, float] = Field(
        description="Of the metrics: how far other customers of the same kind would move them."
    )
    parameters: dict[str, str | int | float]
    rounds: int = Field(description="Trees.")
    libraries: dict[str, str]


class Schema(CustomerSchema):
    """All that is known of a model apart from its trees."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    positive: str = Field(description="The label's word for a customer who left.")
    negative: str
    threshold: float = Field(description="Lowest probability that is predicted as positive.")
    bands: tuple[RiskBand, ...] = Field(description="Lowest risk first.")
    booster_sha256: str
    calibration: Calibration
    metrics: Metrics = Field(description="Cross-validated on the training data.")
    training: Training

    def with_version(self, name: str) -> Schema:
        """Return the same schema under the version that belongs to its content."""
        content = json.dumps(self.model_dump(mode="json", exclude={"version"}), sort_keys=True)
        digest = hashlib.sha256(content.encode()).hexdigest()
        return self.model_copy(update={"version": f"{name}-{digest[:12]}"})


@dataclass(frozen=True, eq=False)
class Model:
    """A model that is ready to score."""

    schema: Schema
    bins: Bins
    tables: Tables
    """The booster and its calibration, as what scores by them."""

    @property
    def version(self) -> str:
        """What a record and a summary call this model."""
        return self.schema.version


def check_can_save(folder: Path) -> None:
    """Find out whether `save` can write there, and leave no trace.

    Raises OSError, which names the folder.
    """
    there = folder.resolve()
    while not there.exists():
        there = there.parent
    try:
        with unfinished_in(there):
            pass
    except OSError as exc:
        raise type(exc)(exc.errno, exc.strerror, str(folder)) from exc


def save(
    folder: Path, schema: Schema, booster: bytes, card: str, pictures: Mapping[str, str]
) -> None:
    """Write an artifact; the folder is made if need be. pictures: SVG by the name of its file.

    A new folder is there as a whole or not at all. In one that was there already each file is: a
    model of which only a part is new is refused by `load`, and other files stay.
    """
    folder = folder.resolve()
    is_new = not folder.exists()
    beside = folder.parent if is_new else folder
    beside.mkdir(parents=True, exist_ok=True)
    with unfinished_in(beside) as temporary:
        unfinished = temporary / "model"  # one's own folder: the other is for the owner only
        unfinished.mkdir()
        (unfinished / BOOSTER_FILE).write_bytes(booster)
        content = schema.model_dump_json(indent=1) + "\n"
        for name, text in {SCHEMA_FILE: content, CARD_FILE: card, **pictures}.items():
            (unfinished / name).write_text(text, encoding="utf-8")
        if is_new:
            unfinished.rename(folder)
        else:
            for path in unfinished.iterdir():
                path.replace(folder / path.name)


def load(folder: Path) -> Model:
    """Read an artifact, check it against itself and make it ready to score.

    Raises BadArtifact, which names the file and what is wrong with it.
    """
    schema = _read_schema(folder)
    path = folder / BOOSTER_FILE
    raw = read_bytes(path)
    found = hashlib.sha256(raw).hexdigest()
    if found != schema.booster_sha256:
        raise BadArtifact(
            f"{path}: sha256 is {found}, but {SCHEMA_FILE} says {schema.booster_sha256}"
        )

    from model.scoring.tables import bins_of, tabulate  # Numba: only for those who score
    from model.scoring.trees import read_booster

    try:
        ensemble = read_booster(raw)
        bins = bins_of(ensemble, schema.columns)
        line = schema.calibration
        return Model(schema, bins, tabulate(ensemble, bins, line.slope, line.intercept))
    except ValueError as exc:
        raise BadArtifact(f"{path}: {exc}") from exc


def _read_schema(folder: Path) -> Schema:
    schema = read_schema(folder, Schema)
    expected = schema.with_version(schema.version.rpartition("-")[0]).version
    if schema.version != expected:
        raise BadArtifact(
            f"{folder / SCHEMA_FILE}: its content belongs to {expected}, but says {schema.version}"
        )
    return schema
