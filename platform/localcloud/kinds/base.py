"""What a type of resource has to say for itself, so that `apply` can make it so.

A resource is a handful of properties, under the names that the AWS provider gives them. What the
program wants and what the cloud has are compared by property; only the ones that differ are
changed, so applying twice changes nothing.
"""

from __future__ import annotations

import copy
import json
import threading
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

Inputs = Mapping[str, Any]
Tags = Mapping[str, str]

# What makes a resource ours, which of ours it is, and what may happen to it once it is not declared
# any more: nothing remembers what was declared before.
STACK_TAG = "retainwise:stack"
NAME_TAG = "retainwise:resource"
PROTECT_TAG = "retainwise:protect"
EMPTY_TAG = "retainwise:delete-with-contents"
_OURS = frozenset({STACK_TAG, NAME_TAG, PROTECT_TAG, EMPTY_TAG})

# What is meant for the AWS provider, and is no property of the resource.
_FOR_THE_PROVIDER = frozenset(
    {"tags", "region", "forceDestroy", "forceNewDeployment", "skipDestroy"}
)


# How the tags begin that AWS puts on by itself, and that nobody declares.
_AWS_TAGS = "aws:"


class Unapplicable(Exception):
    """The local cloud cannot become what the program declares; the message says why."""


class Ambiguous(Exception):
    """Several resources could be the one that was looked for; the message names them.

    fitting: each of them.
    """

    def __init__(self, fitting: Sequence[Found]) -> None:
        self.fitting = fitting
        ids = " and ".join(sorted(one.id for one in fitting))
        super().__init__(f"{ids}: each could be the one that the program means")


class Clients:
    """The AWS clients of the one who applies, in one region: `iam`, `cognito_idp` and so on.

    Made when they are first asked for, one at a time: sessions are not for several threads. They
    are not typed: the kinds pass the program's values through as they are.
    """

    def __init__(self, session: boto3.Session, endpoint: str | None = None) -> None:
        self.region: str = session.region_name
        self._session, self._endpoint = session, endpoint
        self._made: dict[str, Any] = {}
        self._regions = {self.region: self}
        self._lock = threading.RLock()

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - see above
        if name.startswith("_"):
            raise AttributeError(name)
        with self._lock:
            if name not in self._made:
                client = self._make(name.replace("_", "-"))
                # Made when they are first asked for: of two threads, one would raise another class
                # than the other catches.
                _ = client.exceptions
                self._made[name] = client
            return self._made[name]

    def of(self, region: str) -> Clients:
        """Return those of another region."""
        with self._lock:
            if region not in self._regions:
                others = copy.copy(self)  # with the same session and lock
                others.region, others._made = region, {}
                self._regions[region] = others
            return self._regions[region]

    def _make(self, service: str) -> Any:  # noqa: ANN401
        make: Any = self._session.client
        if self._endpoint is None:
            return make(service, self.region)  # AWS itself, as the session's owner set it up
        # The emulator is one process on this machine: what fails once fails again.
        config = Config(
            signature_version="s3v4" if service == "s3" else "v4",
            retries={"total_max_attempts": 1},
        )
        return make(service, self.region, endpoint_url=self._endpoint, config=config)


@dataclass(frozen=True)
class Found:
    """A resource that is there: how AWS calls it, how it is, and what the program may refer to.

    id: what the AWS provider imports it by, such as the URL of a queue or `role:name` of a policy
        inside a role.
    outputs: with an `id` where that is not what a program knows it by.
    declared: what is wanted of it, where a change takes all of it and not all of it is told.
    """

    id: str
    properties: Mapping[str, Any]
    outputs: Mapping[str, Any] = field(default_factory=dict)
    tags: Tags = field(default_factory=dict)
    declared: Mapping[str, Any] = field(default_factory=dict, compare=False)

    def imported_by(self, region: str | None) -> str:
        """Give the id that an import takes, with the region where a program names one for it."""
        return f"{self.id}@{region}" if region else self.id


class Kind(ABC):
    """One type of resource of one stack in one region."""

    type: ClassVar[str]
    has_tags: ClassVar[bool] = True
    takes_region: ClassVar[bool] = False
    """Whether the program may declare it for another region than the stack's."""
    documents: ClassVar[frozenset[str]] = frozenset()
    """Inputs that are JSON, compared by what they say and not by how they are written."""
    defaults: ClassVar[Mapping[str, Any]] = {}
    """Properties as AWS has them where nothing is declared."""
    replaced_for: ClassVar[frozenset[str]] = frozenset()
    """Inputs that AWS's provider changes only by making a new resource."""

    def __init__(self, aws: Clients, stack: str) -> None:
        self.aws = aws
        self.stack = stack

    @abstractmethod
    def find(self, name: str, inputs: Inputs) -> Found | None:
        """Return the declared resource as it is, None when it is not there.

        A setting of another resource is always there.
        """

    @abstractmethod
    def get(self, resource_id: str) -> Found | None:
        """Return the resource with this id, whoever made it, None when it is not there.

        resource_id: as `Found.id` has it.
        A setting of another resource is not there when it was never set, nor when that is gone.
        """

    def import_id(self, resource_id: str, inputs: Inputs) -> str:
        """Give the id that `get` takes, of what a program declares so and knows by this id."""
        return resource_id

    def look_for(self, name: str, inputs: Inputs) -> Found | None:
        """Return what plays this part in an account that was built by hand.

        By what it is, never by a tag of ours; None when there is no such thing, or when it fits
        only in part. Raises Ambiguous when several fit.
        """
        return self.find(name, inputs)

    def wanted(self, inputs: Inputs) -> Mapping[str, Any]:
        """Give the program's inputs the form of the properties that `find` returns."""
        declared = {
            key: json.loads(value) if key in self.documents else value
            for key, value in inputs.items()
            if key not in _FOR_THE_PROVIDER
        }
        return {**self.defaults, **declared}

    def inputs_of(self, found: Found) -> dict[str, Any]:
        """Give the inputs by which the program would declare what is there.

        The reverse of `wanted`. What AWS has where nothing is declared is left out; so are the tags
        that are not the program's.
        """
        inputs = {
            key: document(value) if key in self.documents else value
            for key, value in found.properties.items()
            if value is not None and value != self.defaults.get(key)
        }
        if self.has_tags and (tags := declared_tags(found.tags)):
            inputs["tags"] = tags
        return inputs

    def create(self, inputs: Inputs, tags: Tags) -> None:
        """Create it; properties that its creation does not take are left to `change`."""
        raise NotImplementedError(self.type)

    def change(self, found: Found, differing: Mapping[str, Any]) -> None:
        """Give these properties the values that are wanted."""
        raise self.fixed(found, differing)

    def tag(self, found: Found, tags: Tags) -> None:
        """Add these tags."""
        raise NotImplementedError(self.type)

    def owned(self) -> Iterable[Found]:
        """Every resource of this type that carries the stack's tag.

        A type without tags of its own goes with the resource that it belongs to.
        """
        return ()

    def delete(self, found: Found) -> None:
        """Delete it."""
        raise NotImplementedError(self.type)

    def is_ours(self, tags: Tags) -> bool:
        """Tell whether something with these tags is the stack's."""
        return tags.get(STACK_TAG) == self.stack

    def fixed(self, found: Found, properties: Iterable[str]) -> Unapplicable:
        """Say that AWS would replace the resource, with all that is in it."""
        return Unapplicable(
            f"{found.id}: {', '.join(sorted(properties))} cannot be changed in place. Remove "
            "the local state to start with an empty cloud, or take the change back."
        )


def the_one(fitting: Iterable[Found]) -> Found | None:
    """Return the only one that fits, None when none does. Raises Ambiguous when several do."""
    match list(fitting):
        case []:
            return None
        case [one]:
            return one
        case several:
            raise Ambiguous(several)


def declared_tags(tags: Tags) -> dict[str, str]:
    """Leave out the tags that no program declares: ours, and AWS's own."""
    return {
        key: value
        for key, value in tags.items()
        if key not in _OURS and not key.startswith(_AWS_TAGS)
    }


def document(value: Any) -> str:  # noqa: ANN401 - any JSON
    """Write JSON in the one way in which a text of it can be compared."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


def tags_from(pairs: Iterable[Mapping[str, str]], key: str = "Key", value: str = "Value") -> Tags:
    """Turn a list of AWS's tag pairs into a mapping."""
    return {pair[key]: pair[value] for pair in pairs}


def pairs_from(tags: Tags, key: str = "Key", value: str = "Value") -> list[Any]:
    """Turn a mapping into a list of AWS's tag pairs."""
    return [{key: name, value: content} for name, content in tags.items()]


def is_missing(error: ClientError, *codes: str) -> bool:
    """Tell whether AWS answered that there is no such thing."""
    code: str = error.response["Error"]["Code"]
    return code in codes


def to_aws(value: Any, names: Mapping[str, str] | None = None) -> Any:  # noqa: ANN401 - any JSON
    """Turn the program's camelCase names into AWS's, at every depth.

    names: those that AWS spells otherwise than with a capital.
    """
    names = names or {}
    match value:
        case Mapping():
            return {
                names.get(key, key[:1].upper() + key[1:]): to_aws(one, names)
                for key, one in value.items()
            }
        case list():
            return [to_aws(one, names) for one in value]
    return value


def from_aws(value: Any, names: Mapping[str, str] | None = None) -> Any:  # noqa: ANN401 - any JSON
    """Turn AWS's names into the program's: the reverse of `to_aws`, with the same `names`."""
    back = {theirs: ours for ours, theirs in (names or {}).items()}
    return _from_aws(value, back)


def _from_aws(value: Any, back: Mapping[str, str]) -> Any:  # noqa: ANN401 - any JSON
    match value:
        case Mapping():
            return {
                back.get(key, key[:1].lower() + key[1:]): _from_aws(one, back)
                for key, one in value.items()
            }
        case list():
            return [_from_aws(one, back) for one in value]
    return value
