"""Makes the local cloud what the program declares: what `pulumi up` is to AWS.

It keeps no state of its own. A resource is found by its name, or by its tags where AWS gives it
none; what differs is changed. What carries this stack's tag and is no longer declared is deleted,
unless it was protected. What does not carry the tag is never touched.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from localcloud.kinds import all_kinds, s3
from localcloud.kinds.base import (
    EMPTY_TAG,
    NAME_TAG,
    PROTECT_TAG,
    STACK_TAG,
    Clients,
    Found,
    Kind,
    Unapplicable,
)
from localcloud.kinds.not_told import NOT_TOLD
from localcloud.kinds.unsupported import UNSUPPORTED
from localcloud.program import SERVICE, Declared, FunctionFailed, Program, run_program

_LISTINGS = 8  # at a time: the emulator answers one, the SDK reads the others


@dataclass(frozen=True)
class Task:
    """What a task definition says about its one container."""

    service: str
    command: tuple[str, ...]
    environment: Mapping[str, str]
    role_arn: str
    stop_timeout_s: int


@dataclass
class Applied:
    """What the program declares to be run, and what had to be done.

    skipped: what the emulator cannot create.
    """

    tasks: list[Task] = field(default_factory=list)
    changes: list[str] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)


def apply(
    clients: Clients,
    stack: str,
    config: Mapping[str, Any] | None = None,
    program: Program = SERVICE,
) -> Applied:
    """Apply a program as `stack` to the cloud that the clients speak to.

    `config` replaces the stack's own file. Raises pulumi.RunError for a wrong setting, Unapplicable
    for what cannot be changed, and the SDK's errors.
    """
    provider = _LocalProvider(clients, f"{program.project}/{stack}")
    run_program(provider, stack, config, program)
    provider.delete_the_rest()
    return provider.applied


class _LocalProvider:
    """Stands where the AWS provider stands in a real run; called from several threads.

    stack: with its project, for one account holds those of several.
    """

    def __init__(self, clients: Clients, stack: str) -> None:
        self._clients = clients
        self._stack = stack
        self._kinds = {clients.region: all_kinds(clients, stack)}
        self._declared: set[tuple[str, str, str]] = set()
        self.applied = Applied()

    def resource(self, declared: Declared) -> tuple[str, Mapping[str, Any]]:
        """See Provider."""
        if (unsupported := UNSUPPORTED.get(declared.type)) is not None:
            self.applied.skipped.append(f"{declared.type} {declared.name}")
            return declared.name, unsupported.outputs(declared.inputs)
        region = declared.inputs.get("region", self._clients.region)
        kind = self._in(region).get(declared.type)
        if kind is None:
            raise Unapplicable(f"the local cloud does not know {declared.type} ({declared.name})")
        if "region" in declared.inputs and not kind.takes_region:
            raise Unapplicable(f"the local cloud has no {declared.type} outside its own region")
        found = self._converge(kind, declared)
        self._declared.add((region, kind.type, found.id))
        if declared.type == "aws:ecs/taskDefinition:TaskDefinition":
            self.applied.tasks.append(_task(declared.inputs))
        return found.outputs.get("id", found.id), found.outputs

    def invoke(self, function: str, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
        """See Provider."""
        match function:
            case "aws:index/getCallerIdentity:getCallerIdentity":
                return {"accountId": self._clients.sts.get_caller_identity()["Account"]}
            case "aws:index/getRegion:getRegion":
                return {"region": self._clients.region}
            case "aws:dynamodb/getTableItem:getTableItem":
                return {"item": self._item(arguments["tableName"], arguments["key"])}
        raise Unapplicable(f"the local cloud does not know {function}")

    def _item(self, table: str, key: str) -> str:
        answer = self._clients.dynamodb.get_item(
            TableName=table, Key=json.loads(key), ConsistentRead=True
        )
        if "Item" not in answer:
            raise FunctionFailed(f"the table {table} has no item {key}")
        return json.dumps(answer["Item"])

    def _in(self, region: str) -> Mapping[str, Kind]:
        """Describe resources of one region."""
        # Two threads may both make them; either will do.
        if region not in self._kinds:
            self._kinds[region] = all_kinds(self._clients.of(region), self._stack)
        return self._kinds[region]

    def _converge(self, kind: Kind, declared: Declared) -> Found:
        tags = {
            **declared.inputs.get("tags", {}),
            STACK_TAG: self._stack,
            NAME_TAG: declared.name,
            PROTECT_TAG: "yes" if declared.protect else "no",
        }
        if declared.inputs.get("forceDestroy"):
            tags[EMPTY_TAG] = "yes"
        wanted = dict(kind.wanted(declared.inputs))
        for untold in NOT_TOLD.get(kind.type, ()):
            wanted.pop(untold, None)
        found = kind.find(declared.name, declared.inputs)
        if found is None:
            kind.create(declared.inputs, tags)
            self._note("created", declared)
            found = _must(kind.find(declared.name, declared.inputs), declared)
        else:
            for ignored in declared.ignore_changes:
                wanted.pop(ignored, None)
            if kind.has_tags and not tags.items() <= found.tags.items():
                kind.tag(found, tags)
                self._note("tagged", declared)
        differing = _differing(wanted, found)
        if differing:
            try:
                kind.change(found, differing)
            except KeyError as exc:
                if exc.args[0] not in differing:
                    raise
                file = type(kind).__module__.replace(".", "/")
                raise Unapplicable(
                    f"the local cloud does not know {exc.args[0]} of {declared.type} "
                    f"({declared.name}): describe it in platform/{file}.py"
                ) from exc
            self._note(f"changed ({', '.join(sorted(differing))})", declared)
            found = _must(kind.find(declared.name, declared.inputs), declared)
            if untaken := _differing(wanted, found):
                raise Unapplicable(
                    f"the emulator did not take {', '.join(sorted(untaken))} of {declared.type} "
                    f"{declared.name}: {untaken} and not "
                    f"{ {key: found.properties.get(key) for key in untaken} }"
                )
        return found

    def delete_the_rest(self) -> None:
        """Delete what carries the stack's tag and was not declared this time."""
        home = self._clients.region
        elsewhere = {*self._kinds, *s3.regions(self._clients, self._stack)} - {home}
        kinds = [
            (region, self._in(region)[type_])
            for type_, kind in self._kinds[home].items()
            for region in (home, *(sorted(elsewhere) if kind.takes_region else ()))
        ]
        # Most have nothing to delete, and the rest is looked at anew: one may go with another.
        with ThreadPoolExecutor(_LISTINGS) as pool:
            undeclared = list(pool.map(lambda one: self._undeclared(*one), kinds))
        for (region, kind), found in zip(kinds, undeclared, strict=True):
            if found:
                self._delete_undeclared(region, kind)

    def _undeclared(self, region: str, kind: Kind) -> list[Found]:
        return [
            found for found in kind.owned() if (region, kind.type, found.id) not in self._declared
        ]

    def _delete_undeclared(self, region: str, kind: Kind) -> None:
        for found in self._undeclared(region, kind):
            if found.tags.get(PROTECT_TAG) == "yes":
                self.applied.kept.append(found.id)
                continue
            kind.delete(found)
            self.applied.changes.append(f"deleted {found.id}")

    def _note(self, what: str, declared: Declared) -> None:
        self.applied.changes.append(f"{what} {declared.type} {declared.name}")


def _differing(wanted: Mapping[str, Any], found: Found) -> dict[str, Any]:
    return {key: value for key, value in wanted.items() if found.properties.get(key) != value}


def _must(found: Found | None, declared: Declared) -> Found:
    if found is None:
        raise Unapplicable(f"{declared.type} {declared.name} is not there after it was made")
    return found


def _task(inputs: Mapping[str, Any]) -> Task:
    [container] = json.loads(inputs["containerDefinitions"])
    return Task(
        service=container["name"],
        command=tuple(container["command"]),
        environment={one["name"]: one["value"] for one in container["environment"]},
        role_arn=inputs["taskRoleArn"],
        stop_timeout_s=container["stopTimeout"],
    )
