"""What was under way when an engine was killed: looked for in AWS, and noted in the state.

The engine notes each operation before it begins and after it has ended. What is noted as begun
only may have happened or not. A look at the cloud decides of what was being created; what was being
changed or deleted is in the state anyway, and the refresh of the next update sees what became of
it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
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
    id: of the resource that was found and is in the state now; none where there was none to find.
    """

    what: str
    type: str
    name: str
    id: str | None

    def __str__(self) -> str:
        resource = f"{self.type.rpartition(':')[2]} {self.name}"
        was = (
            f"{resource} was being {_WORDS.get(self.what, self.what)} when the last run was killed"
        )
        if self.what != "creating":
            return was
        return f"{was}; it is there: taken over" if self.id else f"{was}; it is not there"


def settle(account: StackAccount, engine: Engine, program: Program) -> list[Settled]:
    """Decide of everything that the state notes as begun, and write that; return it.

    Raises CannotSettle, EngineFailed, NoStack and the SDK's errors.
    """
    exported = engine.exported()
    deployment = exported["deployment"] or {}
    pending = deployment.get("pending_operations") or ()
    if not pending:
        return []
    look = Look(Clients(account.session), f"{program.project}/{account.stack}")
    resources: list[dict[str, Any]] = deployment.get("resources") or []
    settled = []
    for one in pending:
        resource, what = one["resource"], one["type"]
        found = look.for_(resource, resources) if what == "creating" else None
        if found is not None:
            resources = [*_beside(resource["urn"], resources), _made(resource, found)]
        name = resource["urn"].rpartition("::")[2]
        settled.append(Settled(what, resource["type"], name, found))
    engine.write_state(
        {**exported, "deployment": {**deployment, "resources": resources, "pending_operations": []}}
    )
    return settled


class Look:
    """Looks in AWS for what a state does not know yet.

    stack: project and name of it, such as `retainwise/prod`.
    """

    def __init__(self, clients: Clients, stack: str) -> None:
        self._clients = clients
        self._stack = stack

    def for_(self, resource: Mapping[str, Any], known: Iterable[Mapping[str, Any]]) -> str | None:
        """Return the id of what was being created; none when it is not there, or is known."""
        type_, inputs = resource["type"], _declared(resource.get("inputs") or {})
        if not resource.get("custom") or type_ in UNSUPPORTED:
            return None  # nothing in AWS, or nothing that can be asked for
        clients = self._clients.of(inputs.get("region", self._clients.region))
        kind = all_kinds(clients, self._stack).get(type_)
        if kind is None:
            return None
        ids = {one.get("id") for one in known if one["type"] == type_}
        try:
            found = kind.look_for(resource["urn"].rpartition("::")[2], inputs)
        except Ambiguous as exc:
            # Made to replace another, it looks like that one.
            new = [one for one in exc.fitting if _id_of(one) not in ids]
            if len(new) > 1:
                raise CannotSettle(
                    f"{type_.rpartition(':')[2]} {resource['urn'].rpartition('::')[2]} was being "
                    f"made when a deploy was killed, and several could be it: {exc}. Nothing was "
                    "changed. Delete what is not the service's, and deploy again"
                ) from exc
            found = new[0] if new else None
        # A setting is always found; whether it was ever made, its id tells.
        if found is None or _id_of(found) in ids or kind.get(found.id) is None:
            return None
        return _id_of(found)


def _id_of(found: Found) -> str:
    """Return the id by which the state knows a resource."""
    return str(found.outputs.get("id", found.id))


def _declared(inputs: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out of inputs what the engine and the provider note in them for themselves."""
    return {
        key: _declared(value) if isinstance(value, Mapping) else value
        for key, value in inputs.items()
        if not key.startswith("__")
    }


def _beside(urn: str, resources: Iterable[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    """Yield what is in the state, with the one that the new one was made to replace as replaced."""
    for one in resources:
        if one["urn"] != urn or one.get("delete"):
            yield dict(one)
        elif not one.get("pendingReplacement"):  # that one was deleted first
            yield {**one, "delete": True}


def _made(resource: Mapping[str, Any], resource_id: str) -> dict[str, Any]:
    """Give the entry that the engine would have written; what AWS says of it, a refresh adds."""
    return {**resource, "id": resource_id, "outputs": resource.get("inputs") or {}}
