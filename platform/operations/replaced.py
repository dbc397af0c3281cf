"""What was replaced and is there still, since a deploy ended before it was deleted.

The engine keeps it in the state, marked, beside what came in its place, and deletes it at the end
of an update. What that update would bring back, though, it would make a second time, which AWS
refuses or takes for the first, and then delete. So what comes back takes its place again before.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from operations.changes import Change, changes_of, compare
from operations.engine import Engine, OnEvent, Step
from operations.progress import Say

_OF_THE_PLACE = ("dependencies", "propertyDependencies", "parent")
"""What the order of a state depends on: all that these name comes before."""


def changes_ahead(
    engine: Engine, say: Say, *, plan: Path, on_event: OnEvent, config_file: Path | None = None
) -> list[Change]:
    """Return what an update would change, once all that it would bring back is in its place.

    plan, on_event, config_file: as of `Engine.preview`. Raises EngineFailed, NoStack and the like.
    """
    done: set[str] = set()
    while True:
        steps = engine.preview(plan=plan, config_file=config_file, on_event=on_event)
        back = [step for step in _brought_back(engine, steps) if step.urn not in done]
        if not back:
            return changes_of(steps)
        for step in back:
            say(f"{step.kind} {step.name}, which was replaced and is there still, is taken back")
        done |= {step.urn for step in back}


def _brought_back(engine: Engine, steps: Sequence[Step]) -> list[Step]:
    """Let what the steps would make a second time be current in the state; return those steps."""
    wanted = [step for step in steps if step.op in ("create", "replace") and step.is_aws]
    if not wanted:
        return []
    exported = engine.exported()
    deployment = exported["deployment"] or {}
    resources: list[Mapping[str, Any]] = [*(deployment.get("resources") or ())]
    back = [step for step in wanted if _take_back(resources, step)]
    if back:
        engine.write_state({**exported, "deployment": {**deployment, "resources": resources}})
    return back


def _take_back(resources: list[Mapping[str, Any]], step: Step) -> bool:
    """Make current what fits a step among what was replaced; tell whether something does."""
    places = [place for place, one in enumerate(resources) if one["urn"] == step.urn]
    current = [place for place in places if not resources[place].get("delete")]
    # The newest first: the engine adds what it has replaced at the end.
    for place in reversed(places):
        earlier = resources[place]
        if not earlier.get("delete") or not _is_what_comes(earlier, step):
            continue
        back = {key: value for key, value in earlier.items() if key != "delete"}
        if current:
            later = resources[current[0]]
            resources[place] = {**_placed(later, earlier), "delete": True}
            resources[current[0]] = _placed(back, later)
        else:
            resources[place] = back
        return True
    return False


def _is_what_comes(earlier: Mapping[str, Any], step: Step) -> bool:
    """Whether it would need no replacement: with none current, the next preview tells."""
    inputs, new = earlier.get("inputs") or {}, step.new or {}
    return not any(
        True for key in step.replaced_for for _ in compare(key, inputs.get(key), new.get(key))
    )


def _placed(one: Mapping[str, Any], there: Mapping[str, Any]) -> dict[str, Any]:
    """Put a resource where another is."""
    others = {key: value for key, value in one.items() if key not in _OF_THE_PLACE}
    return others | {key: there[key] for key in _OF_THE_PLACE if key in there}
