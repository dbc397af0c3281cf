"""What was under way when an engine was killed: looked for in AWS, and noted in the state.

The engine notes each operation before it begins and after it has ended. What is noted as begun
only may have happened or not. A look at the cloud decides of what was being created; what was being
changed or deleted is in the state anyway, and the refresh of the next update sees what became of
it.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

from localcloud.kinds import all_kinds
from localcloud.kinds.base import Ambiguous, Clients, Found
from localcloud.kinds.unsupported import UNSUPPORTED
from localcloud.program import Program
from operations.account import StackAccount
from operations.engine import Engine
from operations.errors import OperationError

_WORDS = {
    "creating": "made",
    "updating": "changed",
    "deleting": "deleted",
    "reading": "read",
    "importing": "taken over",
}


class CannotSettle(OperationError):
    """Something was being created, and several could be it; nothing was changed."""


@dataclass(frozen=True)
class Settled:
    """An operation of a killed engine, and what became of it.

    what: such as `creating`, in the engine's word.
    id: by which the resource that was found was imported; none where there was none to find.
    is_looked_for: whether AWS could be asked for it.
    """

    what: str
    type: str
    name: str
    id: str | None
    is_looked_for: bool = True

    def __str__(self) -> str:
        resource = f"{self.type.rpartition(':')[2]} {self.name}"
        was = (
            f"{resource} was being {_WORDS.get(self.what, self.what)} when the last run was killed"
        )
        if self.what != "creating":
            return was
        if not self.is_looked_for:
            return f"{was}; that cannot be looked for, and is made anew"
        return f"{was}; it is there: taken over" if self.id else f"{was}; it is not there"


def settle(account: StackAccount, engine: Engine, program: Program) -> list[Settled]:
    """Decide of everything that the state notes as begun, and write that; return it.

    Killed in the middle of that, it can be done again.
    Raises CannotSettle, EngineFailed, NoStack and the SDK's errors.
    """
    exported = engine.exported()
    deployment = exported["deployment"] or {}
    pending = deployment.get("pending_operations") or ()
    if not pending:
        return []
    look = Look(Clients(account.session), f"{program.project}/{account.stack}")
    known: list[Mapping[str, Any]] = deployment.get("resources") or []
    settled: list[Settled] = []
    made: list[tuple[Mapping[str, Any], str]] = []
    for one in pending:
        resource, what = one["resource"], one["type"]
        found = look.found_id(resource, known) if what == "creating" else None
        if found is not None:
            made.append((resource, found))
        name = resource["urn"].rpartition("::")[2]
        settled.append(
            Settled(what, resource["type"], name, found, resource["type"] not in UNSUPPORTED)
        )
    if made:
        _import(engine, exported, made)
    exported = engine.exported()
    engine.write_state(
        {**exported, "deployment": {**exported["deployment"], "pending_operations": []}}
    )
    return settled


def _import(
    engine: Engine, exported: Mapping[str, Any], made: Sequence[tuple[Mapping[str, Any], str]]
) -> None:
    """Take what was made into the state: by the CLI, whose provider knows its own ids.

    What it was made to replace is marked as replaced first, as the engine would have.
    """
    deployment = exported["deployment"]
    resources: Sequence[Mapping[str, Any]] = deployment.get("resources") or []
    urns = {resource["urn"] for resource, _ in made}
    others = [*_beside(urns, resources)]
    if others != [*resources]:
        engine.write_state({**exported, "deployment": {**deployment, "resources": others}})
    versions = {one["urn"]: (one.get("inputs") or {}).get("version") for one in resources}
    names: dict[str, str] = {}  # of parents, for the file
    entries = []
    for number, (resource, found) in enumerate(made):
        entry = {
            "type": resource["type"],
            "name": f"made-{number}",
            "logicalName": resource["urn"].rpartition("::")[2],
            "id": found,
            "version": versions.get(resource.get("provider", "").rpartition("::")[0]),
        }
        parent = resource.get("parent", "")
        if parent and "::pulumi:pulumi:Stack::" not in parent:
            entry["parent"] = names.setdefault(parent, f"parent-{len(names)}")
        entries.append({key: value for key, value in entry.items() if value is not None})
    document = {"nameTable": {name: urn for urn, name in names.items()}, "resources": entries}
    with NamedTemporaryFile("w", suffix=".json", encoding="utf-8") as file:
        json.dump(document, file)
        file.flush()
        engine.import_(Path(file.name))


class Look:
    """Looks in AWS for what a state does not know yet.

    stack: project and name of it, such as `retainwise/prod`.
    """

    def __init__(self, clients: Clients, stack: str) -> None:
        self._clients = clients
        self._stack = stack

    def found_id(
        self, resource: Mapping[str, Any], known: Iterable[Mapping[str, Any]]
    ) -> str | None:
        """Return by which id what was being created is imported; none when it is not there.

        resource, known: as a state has them. What is known already is not what was being created.
        """
        type_, inputs = resource["type"], _declared(resource.get("inputs") or {})
        if not resource.get("custom") or type_ in UNSUPPORTED:
            return None  # nothing in AWS, or nothing that can be asked for
        region = inputs.get("region")
        clients = self._clients.of(region or self._clients.region)
        kind = all_kinds(clients, self._stack).get(type_)
        if kind is None:
            return None
        others = [
            one
            for one in known
            if one["type"] == type_ and (one.get("inputs") or {}).get("region") == region
        ]
        try:
            found = kind.look_for(resource["urn"].rpartition("::")[2], inputs)
        except Ambiguous as exc:
            # Made to replace another, it looks like that one.
            new = [one for one in exc.fitting if not _is_among(one, others)]
            if len(new) > 1:
                raise CannotSettle(
                    f"{type_.rpartition(':')[2]} {resource['urn'].rpartition('::')[2]} was being "
                    f"made when a deploy was killed, and several could be it: {exc}. Nothing was "
                    "changed. Delete what is not the service's, and deploy again"
                ) from exc
            found = new[0] if new else None
        # A setting is always found; whether it was ever made, its id tells.
        if found is None or _is_among(found, others) or kind.get(found.id) is None:
            return None
        # What has no name is made with its tags, and without them it is somebody else's.
        if type_.startswith("aws:ec2/") and not _has_tags(found, inputs):
            return None
        return found.imported_by(region)


def _is_among(found: Found, known: Iterable[Mapping[str, Any]]) -> bool:
    """Whether a state knows what was found: by its id, or by the ARN where its id is another."""
    ids = {found.id, str(found.outputs.get("id", found.id)), found.outputs.get("arn")}
    return any(
        {one.get("id"), (one.get("outputs") or {}).get("arn")} & (ids - {None}) for one in known
    )


def _has_tags(found: Found, inputs: Mapping[str, Any]) -> bool:
    return all(found.tags.get(key) == value for key, value in (inputs.get("tags") or {}).items())


def _declared(inputs: Any) -> Any:  # noqa: ANN401 - any JSON
    """Leave out of inputs what the engine and the provider note in them for themselves."""
    match inputs:
        case dict():
            return {
                key: _declared(value) for key, value in inputs.items() if not key.startswith("__")
            }
        case list():
            return [_declared(one) for one in inputs]
    return inputs


def _beside(
    urns: Collection[str], resources: Iterable[Mapping[str, Any]]
) -> Iterator[Mapping[str, Any]]:
    """Yield what is in the state, with what the new ones were made to replace as replaced."""
    for one in resources:
        if one["urn"] not in urns or one.get("delete"):
            yield one
        elif not one.get("pendingReplacement"):  # that one was deleted first
            yield {**one, "delete": True}
