"""Which of a file's columns stand for which of the model's: what is offered, chosen and allowed.

A refused file's header is offered once, as a list; a choice is a place in it. The names come back
as JSON in the form: as plain fields their line ends would change on the way.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

from pydantic import Field, TypeAdapter, ValidationError

from app.answers import HeaderName
from app.problems import Problem
from predictions.customer_file import free_names
from predictions.errors import MissingColumns
from predictions.likeness import most_alike
from predictions.refusals import in_quotes
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
    def missing(self) -> tuple[str, ...]:
        """Which columns that a file needs have nothing chosen for them."""
        return tuple(c.column for c in self.choices if c.is_needed and not c.chosen)

    @property
    def is_good(self) -> bool:
        """Whether it may be remembered: something is chosen and nothing is wrong."""
        return bool(self.matches) and not any(choice.error for choice in self.choices)


def wrong_with(matches: Mapping[str, str], schema: CustomerSchema) -> dict[str, str]:
    """Say what is wrong with matches, by column of the model; nothing: they may be remembered."""
    known = frozenset(schema.known_columns)
    wrong: dict[str, str] = {}
    column_of: dict[str, str] = {}
    for column, name in matches.items():
        if column not in known:
            wrong[column] = f"The model has no column {in_quotes(column)}."
        elif name != column and name in known:
            wrong[column] = f"{in_quotes(name)} is a column of the model itself."
        elif name in column_of:
            wrong[column] = f"{in_quotes(name)} is chosen for `{column_of[name]}` already."
        column_of.setdefault(name, column)
    return wrong


def offered(
    error: MissingColumns, schema: CustomerSchema, remembered: Mapping[str, str]
) -> Matching | None:
    """Make the form for a refused file; None when its header has nothing to choose from.

    What is much like a missing column is chosen already, each name once. A header in which no name
    is known or like one is another kind of line, or of file: nobody matches all columns of it.
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
    choices = tuple(
        Choice(column, column != schema.id_column, name if name in names else None)
        for column, name in proposed.items()
    )
    known = {*schema.known_columns, *remembered.values()}
    is_any_alike = any(choice.chosen for choice in choices)
    return Matching(names, choices) if is_any_alike or known.intersection(error.header) else None


def offered_id(name: str, schema: CustomerSchema, remembered: Mapping[str, str]) -> Matching | None:
    """Make the form for a file without the id column; None when `name` may not stand for it."""
    used = {*schema.known_columns, *remembered.values()}
    if schema.id_column is None or not free_names([name], used):
        return None
    return Matching((name,), (Choice(schema.id_column, is_needed=False, chosen=name),))


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
    placed = {
        column: form[_FIELD + column] for column in schema.known_columns if _FIELD + column in form
    }
    matches = {column: name_at[place] for column, place in placed.items() if place in name_at}
    wrong = wrong_with(matches, schema)
    for column, place in placed.items():
        if place and place not in name_at:
            wrong[column] = "Choose one of the file's columns."
    choices = (
        Choice(column, column != schema.id_column, matches.get(column), wrong.get(column))
        for column in placed
    )
    return Matching(tuple(names), tuple(choices))


def differing(matches: Mapping[str, str]) -> dict[str, str]:
    """Leave out the columns that are called by their own name: there is nothing to remember."""
    return {column: name for column, name in matches.items() if column != name}


def merged(remembered: Mapping[str, str], new: Mapping[str, str]) -> dict[str, str]:
    """Add new matches to the remembered ones; a name stands for the column it was last given to."""
    kept = {column: name for column, name in remembered.items() if name not in new.values()}
    return kept | dict(new)


def _unused(
    error: MissingColumns, schema: CustomerSchema, remembered: Mapping[str, str]
) -> tuple[str, ...]:
    used = set(schema.known_columns)
    used |= {name for column, name in remembered.items() if column not in error.header}
    unused = free_names(error.header, used)
    # Of more than can be offered, those that look like a missing column come along.
    nearest = {column.nearest for column in error.missing}
    kept = set(sorted(unused, key=lambda name: name not in nearest)[:MOST_NAMES])
    return tuple(name for name in unused if name in kept)
