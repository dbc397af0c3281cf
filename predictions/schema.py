"""What a model asks of a customer file: its columns, and what each may hold.

It is the part of an artifact's `schema.json` that the web service needs, without the model: an
upload is checked against it while it comes in, and the pages say which columns are expected.
`model.artifact` adds what training and scoring need.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

FORMAT: Literal[2] = 2
"""Format of the folder. Raise it whenever a program of today would misread a folder of tomorrow."""

SCHEMA_FILE = "schema.json"


class BadArtifact(Exception):
    """The folder does not hold a model that this program can use."""


class Column(BaseModel):
    """One feature, in the position in which the booster was trained on it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    kind: Literal["numeric", "categorical", "boolean", "date"]
    categories: tuple[str, ...] = Field(
        default=(),
        description="Categorical: those learned from, sorted; a cell's code is its position here. "
        "Boolean: the training file's words for no and for yes. Else empty.",
    )
    average: float | None = Field(
        default=None,
        description="Numeric and date: mean while training, four digits; for summaries. A date "
        "is a number of days since 1970-01-01; the time of day is the fraction.",
    )
    lowest: float | None = Field(default=None, description="Like `average`, exact.")
    highest: float | None = Field(default=None, description="Like `average`, exact.")
    blank_words: tuple[str, ...] = Field(
        default=(),
        description="What the training file writes where it has no value, such as n/a, in small "
        "letters: as good as blank. Not categorical: there each is a category.",
    )
    date_format: str | None = Field(
        default=None, description="Date only: as strptime has it; a time of day may follow."
    )


class CustomerSchema(BaseModel):
    """The columns of a customer file that a model can score."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    format: Literal[2] = FORMAT
    version: str = Field(description="Name and the first 12 digits of the content's hash.")
    columns: tuple[Column, ...] = Field(min_length=1)
    id_column: str | None
    revenue_column: str | None
    label: str

    @property
    def needed_columns(self) -> tuple[str, ...]:
        """Columns without which a file cannot be scored."""
        names = dict.fromkeys(column.name for column in self.columns)
        if self.revenue_column is not None:
            names[self.revenue_column] = None
        return tuple(names)

    @property
    def optional_columns(self) -> tuple[str, ...]:
        """Columns that are used where a file has them."""
        return () if self.id_column is None else (self.id_column,)

    @property
    def known_columns(self) -> tuple[str, ...]:
        """All columns of a file that mean something here: the optional ones, then the needed."""
        return self.optional_columns + self.needed_columns

    @property
    def numbers(self) -> tuple[str, ...]:
        """Needed columns that hold numbers."""
        return tuple(name for name in self.needed_columns if self.needed(name).kind == "numeric")

    def needed(self, name: str) -> Column:
        """Say what a needed column holds. Revenue is a number; it may not be a feature."""
        for column in self.columns:
            if column.name == name:
                return column
        return Column(name=name, kind="numeric")


S = TypeVar("S", bound=CustomerSchema)


def read_schema(folder: Path, kind: type[S]) -> S:
    """Read the schema of the artifact in `folder` as `kind`.

    Raises BadArtifact, which names the file and what is wrong with it.
    """
    path = folder / SCHEMA_FILE
    try:
        content = json.loads(read_bytes(path))
        found = content["format"]
    except RecursionError as exc:
        raise BadArtifact(f"{path}: is nested too deep for a schema") from exc
    except (ValueError, KeyError, TypeError) as exc:
        raise BadArtifact(f"{path}: is not the schema of a model ({exc!r})") from exc
    if found != FORMAT:
        raise BadArtifact(f"{path}: format {found!r}, this program reads {FORMAT}")
    try:
        return kind.model_validate(content)
    except ValidationError as exc:
        first = exc.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise BadArtifact(f"{path}: {where}: {first['msg']}") from exc


def read_bytes(path: Path) -> bytes:
    """Read a file of an artifact. Raises BadArtifact."""
    try:
        return path.read_bytes()
    except OSError as exc:
        raise BadArtifact(f"{path}: {exc.strerror}") from exc
