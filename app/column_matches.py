"""Which of a file's columns stand for which of the model's: what is offered, and what was chosen.

A refused file's header is offered once, as a list; a choice is a place in it. The names come back
as JSON in the form: as plain fields their line ends would change on the way.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

from pydantic import Field, TypeAdapter, ValidationError

from app.answers import LONGEST_HEADER, HeaderName
from app.problems import Problem
from predictions.errors import MissingColumns
from predictions.likeness import most_alike
from predictions.schema import CustomerSchema

MOST_NAMES = 100
MOST_CHOICES = 50
"""Each lists all names. Who misses more has another kind of file, or matches the others next."""

_FIELD = "column:"
_NAMES = TypeAdapter(Annotated[list[HeaderName], Field(min_length=1, max_length=MOST_NAMES)])


@dataclass(frozen=True)
class Choice:
    """A column of the model, and which of the file's columns is chosen for it."""

    column: str
    is_needed: bool
    chosen: str | None = None
    error: str | None = None

    @property
    def field(self) -> str:
        """The name of the form's field."""
        return _FIELD + self.column


@dataclass(frozen=True)
class Matching:
    """The form: what the file has that nothing uses, and what may be chosen from it."""

    names: tuple[str, ...]
    choices: tuple[Choice, ...]

    @property
    def matches(self) -> dict[str, str]:
        """What was chosen: column of the model → column of the file."""
        return {choice.column: choice.chosen for choice in self.choices if choice.chosen}

    @property
    def is_good(self) -> bool:
        """Whether it may be remembered: something is chosen and nothing is wrong."""
        return bool(self.matches) and not any(choice.error for choice in self.choices)


def offered(
    error: MissingColumns, schema: CustomerSchema, remembered: Mapping[str, str]
) -> Matching | None:
    """Make the form for a refused file; None when its header has nothing to choose from.

    What is much like a missing column is chosen already, each name once.
    """
    names = _unused(error, schema, remembered)
    if not names:
        return None
    proposed = {column.name: column.nearest for column in error.missing[:MOST_CHOICES]}
    called = {schema.id_column, remembered.get(schema.id_column or "")}
    if schema.id_column is not None and called.isdisjoint(error.header):
        free = [name for name in names if name not in proposed.values()]
        alike = most_alike([schema.id_column], free).get(schema.id_column)
        proposed = {schema.id_column: alike, **proposed}
    choices = (
        Choice(column, column != schema.id_column, name if name in names else None)
        for column, name in proposed.items()
    )
    return Matching(names, tuple(choices))


def chosen(form: Mapping[str, str], schema: CustomerSchema) -> Matching:
    """Read the form as it came back, and say at each choice what is wrong with it.

    Only columns of the model are looked at. Raises Problem when the names are not as they were
    given out.
    """
    try:
        names = _NAMES.validate_json(form.get("names", ""))
    except ValidationError:
        raise Problem(
            "bad-request",
            "The names of the file's columns did not arrive as they were sent. Upload it again.",
        ) from None
    name_at = {str(place): name for place, name in enumerate(names)}
    chosen_for: dict[str, str] = {}
    choices = []
    for column in filter(None, (schema.id_column, *schema.needed_columns)):
        place = form.get(_FIELD + column)
        if place is None:
            continue
        name, error = name_at.get(place), None
        if name is None and place:
            error = "Choose one of the file's columns."
        elif name in chosen_for:
            error = f"“{name}” is chosen for {chosen_for[name]} already."
        elif name is not None:
            chosen_for[name] = column
        choices.append(Choice(column, column != schema.id_column, name, error))
    return Matching(tuple(names), tuple(choices))


def merged(remembered: Mapping[str, str], new: Mapping[str, str]) -> dict[str, str]:
    """Add new matches to the remembered ones; a name stands for the column it was last given to."""
    kept = {column: name for column, name in remembered.items() if name not in new.values()}
    return kept | dict(new)


def _unused(
    error: MissingColumns, schema: CustomerSchema, remembered: Mapping[str, str]
) -> tuple[str, ...]:
    known = {*schema.needed_columns, schema.id_column}
    matched = {name for column, name in remembered.items() if column not in error.header}
    unused = [
        name
        for name in error.header
        if name and len(name) <= LONGEST_HEADER and name not in known | matched
    ]
    # Of more than can be offered, those that look like a missing column come along.
    nearest = {column.nearest for column in error.missing}
    kept = set(sorted(unused, key=lambda name: name not in nearest)[:MOST_NAMES])
    return tuple(name for name in unused if name in kept)
