"""What was replaced and is there still, since a deploy ended before it was deleted.

The engine keeps it in the state, marked, beside what came in its place, and deletes it at the end
of an update. What that update would bring back, though, it would make a second time, which AWS
refuses or takes for the first, and then delete. So what comes back takes its place again before.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence, Set
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from operations.changes import DELETED_FOR_ANOTHER, Change, changes_of, compare
from operations.engine import Engine, Key, OnEvent, Step
from operations.errors import OperationError
from operations.progress import Say

_OF_THE_PLACE = ("dependencies", "propertyDependencies", "parent", "deletedWith")
"""What a resource comes after in a state, beside its provider."""

Resource = Mapping[str, Any]


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
    try:
        while True:
            steps = engine.preview(plan=plan, config_file=config_file, on_event=on_event)
            was = _take_back(engine, steps, moved, say)
            if was is None:
                break
            before = before or was
        yield changes_of(steps)
    except BaseException:
        if before is not None:
            with suppress(OperationError):  # without it the state is right as well
                engine.write_state(before)
        raise


def _take_back(
    engine: Engine, steps: Sequence[Step], moved: set[Key], say: Say
) -> Mapping[str, Any] | None:
    """Let what the steps would make a second time be current, and say so.

    moved: what has changed places before; each does once, or two would take turns for ever.
    Returns the state as it was, or none where nothing is taken back.
    """
    wanted = [step for step in steps if step.op in ("create", "replace") and step.is_aws]
    there = {step.key for step in steps if step.op == DELETED_FOR_ANOTHER}
    if not wanted or not there:
        return None
    exported = engine.exported()
    deployment = exported["deployment"] or {}
    resources: list[Resource] = [*(deployment.get("resources") or ())]
    back = [step for step in wanted if _exchange(resources, step, there, moved)]
    if not back:
        return None
    # A resource comes after its provider, also where it takes the place of a newer one.
    resources.sort(key=lambda one: not one["type"].startswith("pulumi:"))
    engine.write_state({**exported, "deployment": {**deployment, "resources": resources}})
    for step in back:
        say(f"{step.kind} {step.name}, which was replaced and is there still, is taken back")
    return exported


def _exchange(resources: list[Resource], step: Step, there: Set[Key], moved: set[Key]) -> bool:
    """Make current what fits a step best; tell whether something does.

    there: what was replaced and is in AWS still.
    """
    places = [place for place, one in enumerate(resources) if one["urn"] == step.urn]
    current = next((place for place in places if not resources[place].get("delete")), None)
    if current is not None and resources[current].get("protect"):
        return False  # marked as replaced, it would be deleted all the same
    fitting = [
        (len(differing), place)
        for place in places
        if resources[place].get("delete")
        and _key(resources[place]) in there - moved
        and not (differing := _differing(resources[place], step)) & {*step.replaced_for}
    ]
    if not fitting:
        return False
    _, place = min(fitting)
    earlier = resources[place]
    moved.add(_key(earlier))
    again = {key: value for key, value in earlier.items() if key != "delete"}
    if current is None:
        resources[place] = again
        return True
    later = resources[current]
    moved.add(_key(later))
    resources[place] = {**_placed(later, earlier), "delete": True}
    resources[current] = _placed(again, later)
    return True


def _differing(earlier: Resource, step: Step) -> set[str]:
    """Name the inputs in which it is not as the step would make it."""
    inputs, new = earlier.get("inputs") or {}, step.new or {}
    return {
        name
        for name in inputs.keys() | new.keys()
        if any(compare(name, inputs.get(name), new.get(name)))
    }


def _key(resource: Resource) -> Key:
    return resource["urn"], resource.get("id")


def _placed(one: Resource, there: Resource) -> dict[str, Any]:
    """Put a resource where another is."""
    others = {key: value for key, value in one.items() if key not in _OF_THE_PLACE}
    return others | {key: there[key] for key in _OF_THE_PLACE if key in there}
