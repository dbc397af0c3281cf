"""Where AWS differs from what is declared, and what is there that no state knows.

Nothing is changed and no lock is taken: the preview role may run it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from localcloud.program import BOOTSTRAP
from operations.account import StackAccount
from operations.changes import Change, Difference, changes_of
from operations.engine import Engine, OnEvent
from operations.inventory import Existing, existing, of_bootstrap


@dataclass(frozen=True)
class Drift:
    """What a look at a stack found.

    unmanaged: what exists for the service and is in no state.
    managed: how much of what exists is in one.
    """

    changes: Sequence[Change]
    unmanaged: Sequence[Existing] = field(default_factory=tuple)
    managed: int = 0

    @property
    def is_none(self) -> bool:
        """Whether all is as declared, and nothing else is there."""
        return not self.changes and not self.unmanaged

    @property
    def coverage(self) -> float:
        """The share of what exists that is under management, from 0 to 1."""
        everything = self.managed + len(self.unmanaged)
        return self.managed / everything if everything else 1.0

    def lines(self) -> list[str]:
        """Say it to a person."""
        lines = []
        for one in self.changes:
            match one.what:
                case "create":
                    lines.append(f"{one.resource} is declared and not there")
                case "delete":
                    lines.append(f"{one.resource} is there and no longer declared")
                case _:
                    lines.append(f"{one.resource} differs")
                    lines += [f"  {_told(difference)}" for difference in one.differences()]
        lines += [f"{one} is in no state" for one in self.unmanaged]
        everything = self.managed + len(self.unmanaged)
        lines.append(
            f"{'no drift' if self.is_none else 'drift'}; {self.managed} of {everything} resources "
            f"of the kinds it knows are managed: coverage {self.coverage:.0%}"
        )
        return lines

    def as_json(self) -> dict[str, Any]:
        """Say it to a program."""
        return {
            "drift": not self.is_none,
            "resources": [
                {
                    "resource": one.resource,
                    "urn": one.step.urn,
                    "what": one.what,
                    "properties": [
                        {"path": each.path, "declared": each.declared, "actual": each.actual}
                        for each in one.differences()
                    ],
                }
                for one in self.changes
            ],
            "unmanaged": [{"type": one.type, "id": one.id} for one in self.unmanaged],
            "managed": self.managed,
            "coverage": self.coverage,
        }


def look(
    account: StackAccount,
    engine: Engine,
    on_event: OnEvent = lambda _event: None,
    bootstrap: Path = BOOTSTRAP.stacks,
) -> Drift:
    """Compare AWS with what is declared. Raises EngineFailed, NoStack and the SDK's errors.

    bootstrap: where its stacks' files are.
    """
    changes = changes_of(engine.preview(on_event=on_event))
    managed, before = in_state(engine), of_bootstrap(account, bootstrap)
    there = [one for one in existing(account) if one.key not in before]
    unmanaged = [one for one in there if one.key not in managed]
    return Drift(changes, unmanaged, len(there) - len(unmanaged))


def in_state(engine: Engine) -> set[tuple[str, str]]:
    """Return the keys of what a stack's state has."""
    return {Existing(one["type"], one["id"]).key for one in engine.state() if one.get("id")}


def _told(difference: Difference) -> str:
    declared, actual = difference.declared, difference.actual
    return f"{difference.path}: declared {_value(declared)}, actual {_value(actual)}"


def _value(value: Any) -> str:  # noqa: ANN401 - any JSON
    return "nothing" if value is None else f"{value}"
