"""Stands where Pulumi's AWS provider stands, over an emulated AWS.

What each type of resource is, it knows from `localcloud.kinds`; what makes it a provider is here:
what a change of an input means, what a refresh finds, how an import begins. The real provider's own
checks, defaults and retries it does not have.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

import grpc
from botocore.exceptions import BotoCoreError, ClientError
from google.protobuf import empty_pb2, json_format, struct_pb2
from pulumi.runtime.proto import plugin_pb2, provider_pb2, provider_pb2_grpc

from localcloud.kinds import all_kinds
from localcloud.kinds.base import (
    EMPTY_TAG,
    NAME_TAG,
    STACK_TAG,
    Clients,
    Found,
    Kind,
    Unapplicable,
)
from localcloud.kinds.not_told import NOT_TOLD
from localcloud.kinds.unsupported import UNSUPPORTED
from localcloud.program import whole

VERSION = "7.51.1"
_UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"  # what the engine says for "known later"
_SECRET = {"4dabf18193072939515e22adb298388d": "1b47061264138c4ac30d75fd1eb44270"}
_SECRET_OUTPUTS = ("clientSecret",)
# What the real provider only remembers: no call tells it.
_REMEMBERED = ("region", "forceDestroy", "forceNewDeployment", "skipDestroy")
# There can be one only, and to make it is to take it over.
_TAKEN_OVER = ("aws:ec2/defaultSecurityGroup:DefaultSecurityGroup",)
# Each creation is a new revision beside the others.
_REVISIONS = "aws:ecs/taskDefinition:TaskDefinition"

Properties = dict[str, Any]


class Refused(Exception):
    """AWS, or this provider, does not do what was asked; the engine shows the message."""


class StandIn(provider_pb2_grpc.ResourceProviderServicer):
    """The provider; it acts as the one whose clients these are.

    clients: to be set anew to act as somebody else.
    before: called before each change of the cloud, with what and the resource's name.
    """

    def __init__(self, clients: Clients) -> None:
        self.clients = clients
        self.before: Callable[[str, str], None] = lambda _what, _name: None
        self.after: Callable[[str, str], None] = lambda _what, _name: None
        self._region: str | None = None

    # The protocol's greetings.

    def Attach(self, request, context):
        return empty_pb2.Empty()

    def Handshake(self, request, context):
        return provider_pb2.ProviderHandshakeResponse()

    def GetPluginInfo(self, request, context):
        return plugin_pb2.PluginInfo(version=VERSION)

    def CheckConfig(self, request, context):
        return provider_pb2.CheckResponse(inputs=request.news)

    def DiffConfig(self, request, context):
        return provider_pb2.DiffResponse(changes=provider_pb2.DiffResponse.DIFF_NONE)

    def Configure(self, request, context):
        self._region = request.variables.get("aws:config:region") or None
        allowed = json.loads(request.variables.get("aws:config:allowedAccountIds", "[]"))
        with _told_to(context):
            account = self._aws().sts.get_caller_identity()["Account"]
            if allowed and account not in allowed:
                raise Refused(f"AWS account ID not allowed: {account}")
        return provider_pb2.ConfigureResponse(supportsPreview=True)

    def Cancel(self, request, context):
        return empty_pb2.Empty()

    # Resources.

    def Check(self, request, context):
        return provider_pb2.CheckResponse(inputs=request.news)

    def Diff(self, request, context):
        old, new = _plain(request.old_inputs), _plain(request.news)
        for ignored in request.ignoreChanges:
            if ignored in old:
                new[ignored] = old[ignored]
        with _told_to(context):
            kind = self._kind(request.urn, new)
            changed = _changed(kind, old, new)
        replaced = changed & _replaced_for(kind)
        kinds = provider_pb2.PropertyDiff
        return provider_pb2.DiffResponse(
            changes=provider_pb2.DiffResponse.DIFF_SOME
            if changed
            else provider_pb2.DiffResponse.DIFF_NONE,
            diffs=sorted(changed),
            replaces=sorted(replaced),
            # Two of one name cannot be there at once.
            deleteBeforeReplace=bool(replaced) and "name" in new and old.get("name") == new["name"],
            hasDetailedDiff=True,
            detailedDiff={
                _path(key): kinds(
                    kind=kinds.UPDATE_REPLACE if key in replaced else kinds.UPDATE, inputDiff=True
                )
                for key in changed
            },
        )

    def Create(self, request, context):
        inputs = _plain(request.properties)
        if request.preview:
            return provider_pb2.CreateResponse(properties=request.properties)
        with _told_to(context):
            self.before("create", request.name)
            resource_id, outputs = self._create(request.urn, request.name, inputs)
            self.after("create", request.name)
        return provider_pb2.CreateResponse(id=resource_id, properties=_struct(outputs))

    def Read(self, request, context):
        old = _plain(request.inputs)
        imported, _, region = request.id.partition("@")
        if not old and region:  # so the provider takes the id of what is in another region
            with _told_to(context):
                return self._imported(request.urn, imported, region)
        with _told_to(context):
            kind = self._kind(request.urn, old)
            if kind is None:  # nothing can be asked about it
                return provider_pb2.ReadResponse(
                    id=request.id if old else "",
                    properties=request.properties,
                    inputs=request.inputs,
                )
            found = kind.get(kind.import_id(request.id, old))
        if found is None:
            return provider_pb2.ReadResponse()
        inputs = _as_found(kind, found, old)
        return provider_pb2.ReadResponse(
            id=_id_of(found),
            properties=_struct({**inputs, **found.outputs}),
            inputs=_struct(inputs),
        )

    def _imported(self, urn: str, resource_id: str, region: str) -> provider_pb2.ReadResponse:
        kind = self._kind(urn, {"region": region})
        found = kind.get(resource_id) if kind else None
        if found is None:
            return provider_pb2.ReadResponse()
        inputs = {**_as_found(kind, found, {}), "region": region}
        return provider_pb2.ReadResponse(
            id=_id_of(found),
            properties=_struct({**inputs, **found.outputs}),
            inputs=_struct(inputs),
        )

    def Update(self, request, context):
        old, new = _plain(request.old_inputs), _plain(request.news)
        if request.preview:
            return provider_pb2.UpdateResponse(properties=_struct({**_plain(request.olds), **new}))
        with _told_to(context):
            self.before("update", request.name)
            outputs = self._update(request.urn, request.id, old, new)
            self.after("update", request.name)
        return provider_pb2.UpdateResponse(properties=_struct({**new, **outputs}))

    def Delete(self, request, context):
        old = _plain(request.old_inputs)
        with _told_to(context):
            self.before("delete", request.name)
            kind = self._kind(request.urn, old)
            if kind is not None and not old.get("skipDestroy"):
                resource_id = kind.import_id(request.id, old)
                found = kind.get(resource_id)
                if found is not None:
                    if old.get("forceDestroy"):
                        kind.tag(found, {EMPTY_TAG: "yes"})
                        found = kind.get(resource_id) or found
                    _delete(kind, found)
            self.after("delete", request.name)
        return empty_pb2.Empty()

    def Invoke(self, request, context):
        arguments = _plain(request.args)
        with _told_to(context):
            match request.tok:
                case "aws:index/getCallerIdentity:getCallerIdentity":
                    answer = {"accountId": self._aws().sts.get_caller_identity()["Account"]}
                case "aws:index/getRegion:getRegion":
                    answer = {"region": self._aws().region}
                case "aws:dynamodb/getTableItem:getTableItem":
                    found = self._aws().dynamodb.get_item(
                        TableName=arguments["tableName"],
                        Key=json.loads(arguments["key"]),
                        ConsistentRead=True,
                    )
                    if "Item" not in found:
                        raise Refused(f"{arguments['tableName']} has no such item")
                    answer = {"item": json.dumps(found["Item"]), "id": arguments["tableName"]}
                case _:
                    raise Refused(f"the stand-in does not know {request.tok}")
        return provider_pb2.InvokeResponse(**{"return": _struct(answer)})

    def _aws(self) -> Clients:
        return self.clients.of(self._region or self.clients.region)

    def _kind(self, urn: str, inputs: Mapping[str, Any]) -> Kind | None:
        """Describe the resource's type; None for one that the emulator does not have."""
        stack, project, types, _name = urn.removeprefix("urn:pulumi:").split("::", 3)
        type_ = types.rpartition("$")[2]
        if type_ in UNSUPPORTED:
            return None
        region = inputs.get("region")
        aws = self.clients.of(region) if region else self._aws()
        kind = all_kinds(aws, f"{project}/{stack}").get(type_)
        if kind is None:
            raise Refused(f"the stand-in does not know {type_}")
        return kind

    def _create(self, urn: str, name: str, inputs: Properties) -> tuple[str, Properties]:
        kind = self._kind(urn, inputs)
        if kind is None:
            type_ = urn.split("::")[2].rpartition("$")[2]
            return name, {**inputs, **UNSUPPORTED[type_].outputs(inputs)}
        there = None if kind.type == _REVISIONS else kind.find(name, inputs)
        if there is not None and kind.has_tags and kind.type not in _TAKEN_OVER:
            raise Refused(f"{kind.type} {there.id} already exists")
        if there is None:
            kind.create(inputs, {**inputs.get("tags", {}), **_own_tags(kind, name)})
            there = kind.find(name, inputs)
        elif kind.has_tags:
            kind.tag(there, inputs.get("tags", {}))
        if there is None:
            raise Refused(f"{kind.type} {name} is not there after it was made")
        return _id_of(there), {
            **inputs,
            **self._settled(kind, there, _wanted(kind, inputs)).outputs,
        }

    def _update(self, urn: str, resource_id: str, old: Properties, new: Properties) -> Properties:
        kind = self._kind(urn, new)
        if kind is None:
            return {}
        found = kind.get(kind.import_id(resource_id, old))
        if found is None:
            raise Refused(f"{kind.type} {resource_id} is not there")
        wanted, changed = _wanted(kind, new), _changed(kind, old, new)
        if "tags" in changed:
            kind.tag(found, new.get("tags", {}))
            if gone := old.get("tags", {}).keys() - new.get("tags", {}).keys():
                _untag(kind, found, sorted(gone))
            # What is made anew to be changed is given the tags that are there.
            found = kind.get(found.id) or found
        settled = {key: value for key, value in wanted.items() if key in changed}
        return dict(self._settled(kind, found, settled).outputs)

    def _settled(self, kind: Kind, found: Found, wanted: Mapping[str, Any]) -> Found:
        """Change what differs, and look again."""
        untold = NOT_TOLD.get(kind.type, {})
        differing = {
            key: value
            for key, value in wanted.items()
            if key not in untold and found.properties.get(key) != value
        }
        if not differing:
            return found
        kind.change(found, differing)
        return kind.get(found.id) or found


def _id_of(found: Found) -> str:
    """Return the id that a program knows a resource by, where it is imported by another."""
    return str(found.outputs.get("id", found.id))


@contextmanager
def _told_to(context: grpc.ServicerContext) -> Iterator[None]:
    """Tell the engine what went wrong, as providers do."""
    try:
        yield
    except (Refused, Unapplicable, ClientError, BotoCoreError, NotImplementedError) as exc:
        context.abort(grpc.StatusCode.UNKNOWN, f"{type(exc).__name__}: {exc}")


def _changed(kind: Kind | None, old: Properties, new: Properties) -> set[str]:
    """Name the inputs that mean something else than before; what is not known yet may."""
    unknown = {key for key, value in new.items() if _is_unknown(value)}
    old = {key: value for key, value in old.items() if key not in unknown}
    new = {key: value for key, value in new.items() if key not in unknown}
    was, is_ = (_wanted(kind, old), _wanted(kind, new)) if kind else (old, new)
    plain = ("tags", *_REMEMBERED)
    was |= {key: old[key] for key in plain if key in old}
    is_ |= {key: new[key] for key in plain if key in new}
    # The default region is no property, and whether it is emptied first matters at the end only.
    return unknown | {
        key for key in was.keys() | is_.keys() if was.get(key) != is_.get(key) and key != "region"
    }


def _wanted(kind: Kind, inputs: Properties) -> Properties:
    try:
        return dict(kind.wanted(inputs))
    except (KeyError, TypeError, ValueError):  # not all of it is known yet
        return {key: value for key, value in inputs.items() if key not in ("tags", *_REMEMBERED)}


def _as_found(kind: Kind, found: Found, old: Properties) -> Properties:
    """Return the inputs that describe what is there: the old ones where they still do."""
    there = kind.inputs_of(found)
    if not old:
        return there
    untold = NOT_TOLD.get(kind.type, {})
    wanted = _wanted(kind, old)
    inputs = dict(old)
    for key in wanted.keys() | found.properties.keys():
        if key in untold or wanted.get(key) == found.properties.get(key):
            continue
        if key not in wanted:
            continue
        inputs.pop(key, None)
        if (value := there.get(key, found.properties.get(key))) is not None:
            inputs[key] = value
    if kind.has_tags:
        inputs.pop("tags", None)
        if tags := there.get("tags"):
            inputs["tags"] = tags
    return inputs


def _delete(kind: Kind, found: Found) -> None:
    # A setting goes with the resource that it belongs to.
    with suppress(NotImplementedError):
        kind.delete(found)


def _untag(kind: Kind, found: Found, keys: list[str]) -> None:
    arn = found.outputs.get("arn")
    if arn is None:
        raise Refused(f"the stand-in cannot take tags from {found.id}")
    kind.aws.resourcegroupstaggingapi.untag_resources(ResourceARNList=[arn], TagKeys=keys)


def _own_tags(kind: Kind, name: str) -> dict[str, str]:
    """Tell the new resource from others for the moment in which its id is asked for."""
    return {STACK_TAG: kind.stack, NAME_TAG: name}


def _replaced_for(kind: Kind | None) -> frozenset[str]:
    return frozenset() if kind is None else kind.replaced_for


def _is_unknown(value: Any) -> bool:
    match value:
        case dict():
            return any(map(_is_unknown, value.values()))
        case list():
            return any(map(_is_unknown, value))
    return value == _UNKNOWN


def _plain(struct: struct_pb2.Struct) -> Properties:
    return _open(whole(json_format.MessageToDict(struct)))


def _open(value: Any) -> Any:
    """Take secrets out of their wrapping: to AWS they are values."""
    match value:
        case dict():
            if _SECRET.items() <= value.items():
                return _open(value["value"])
            return {key: _open(one) for key, one in value.items()}
        case list():
            return [_open(one) for one in value]
    return value


def _struct(properties: Mapping[str, Any]) -> struct_pb2.Struct:
    struct = struct_pb2.Struct()
    struct.update(
        {
            key: {**_SECRET, "value": value} if key in _SECRET_OUTPUTS else value
            for key, value in properties.items()
            if value is not None
        }
    )
    return struct


def _path(key: str) -> str:
    """Write an input's name as a path of the engine's."""
    return key if key.isidentifier() else f'["{key}"]'
