"""What was replaced and is there still, since a deploy ended before it was deleted.

The engine keeps it in the state, marked, beside what came in its place, and deletes it at the end
of an update. What that update would bring back, though, it would make a second time, which AWS
refuses or takes for the first, and then delete. So what comes back takes its place again before.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from operations.changes import DELETED_FOR_ANOTHER, Change, changes_of, compare
from operations.engine import Engine, OnEvent, Step
from operations.progress import Say

_OF_THE_PLACE = ("dependencies", "propertyDependencies", "parent", "deletedWith")
"""What a resource comes after in a state, beside its provider."""

Resource = Mapping[str, Any]
Key = tuple[str, str | None]
"""A URN and an id: of one URN there can be several, of which one is current."""


@contextmanager
def changes_ahead(
    engine: Engine, say: Say, *, plan: Path, on_event: OnEvent, config_file: Path | None = None
) -> Iterator[list[Change]]:
    """Give what an update would change, once all that it would bring back is in its place.

    That is in the state by then, and taken out of it again when the block ends with an error: the
    block is to decide whether the update is made. Nothing in AWS is changed.
    plan, on_event, config_file: as of `Engine.preview`. Raises EngineFailed, NoStack and the like.
    """
    before: Mapping[str, Any] | None = None
    moved: set[Key] = set()
    while True:
        steps = engine.preview(plan=plan, config_file=config_file, on_event=on_event)
        exchange = _Exchange(steps, moved)
        if not exchange.is_due:
            break
        exported = engine.exported()
        deployment = exported["deployment"] or {}
        resources = exchange.of(deployment.get("resources") or ())
        if not exchange.back:
            break
        before = before or exported
        engine.write_state({**exported, "deployment": {**deployment, "resources": resources}})
        for step in exchange.back:
            say(f"{step.kind} {step.name}, which was replaced and is there still, is taken back")
    try:
        yield changes_of(steps)
    except BaseException:
        if before is not None:
            engine.write_state(before)
        raise


@dataclass
class _Exchange:
    """Lets what a preview's steps would make a second time be current in a state.

    moved: what has changed places before; each does once, or two would take turns for ever.
    back: the steps that need not be taken any more, once `of` was called.
    """

    steps: Sequence[Step]
    moved: set[Key]
    back: list[Step] = field(default_factory=list)

    @property
    def is_due(self) -> bool:
        """Whether something that the steps would make may be there."""
        return bool(self._wanted and self._there)

    @property
    def _wanted(self) -> list[Step]:
        return [step for step in self.steps if step.op in ("create", "replace") and step.is_aws]

    @property
    def _there(self) -> set[Key]:
        """What was replaced and is in AWS still."""
        return {_key_of(step) for step in self.steps if step.op == DELETED_FOR_ANOTHER}

    def of(self, resources: Sequence[Resource]) -> list[Resource]:
        """Return the resources of a state in the order and with the marks that they are to have."""
        exchanged = [*resources]
        for step in self._wanted:
            places = [place for place, one in enumerate(exchanged) if one["urn"] == step.urn]
            current = next((one for one in places if not exchanged[one].get("delete")), None)
            if current is not None and exchanged[current].get("protect"):
                continue  # marked as replaced, it would be deleted all the same
            back = self._best(exchanged, places, step)
            if back is None:
                continue
            self.back.append(step)
            self._exchange(exchanged, back, current)
        # A resource comes after its provider, also where it takes the place of a newer one.
        return sorted(exchanged, key=lambda one: not one["type"].startswith("pulumi:"))

    def _best(
        self, resources: Sequence[Resource], places: Collection[int], step: Step
    ) -> int | None:
        """Find what needs no replacement to be what the step would make, and least change.

        A creation names no input that it is replaced for: the best is taken, and the next preview
        tells what becomes of it.
        """
        fitting: list[tuple[int, int]] = []
        for place in places:
            one = resources[place]
            key = (step.urn, one.get("id"))
            if not one.get("delete") or key not in self._there or key in self.moved:
                continue
            inputs, new = one.get("inputs") or {}, step.new or {}
            differing = {
                name
                for name in inputs.keys() | new.keys()
                if any(compare(name, inputs.get(name), new.get(name)))
            }
            if not differing & {*step.replaced_for}:
                fitting.append((len(differing), place))
        return min(fitting)[1] if fitting else None

    def _exchange(self, resources: list[Resource], back: int, current: int | None) -> None:
        earlier = resources[back]
        again = {key: value for key, value in earlier.items() if key != "delete"}
        if current is None:
            resources[back] = again
        else:
            later = resources[current]
            resources[back] = {**_placed(later, earlier), "delete": True}
            resources[current] = _placed(again, later)
            self.moved.add((later["urn"], later.get("id")))
        self.moved.add((earlier["urn"], earlier.get("id")))


def _key_of(step: Step) -> Key:
    return step.urn, step.id


def _placed(one: Resource, there: Resource) -> dict[str, Any]:
    """Put a resource where another is."""
    others = {key: value for key, value in one.items() if key not in _OF_THE_PLACE}
    return others | {key: there[key] for key in _OF_THE_PLACE if key in there}
