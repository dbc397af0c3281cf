"""What a type of resource has to say for itself, so that `apply` can make it so.

A resource is a handful of properties, under the names that the AWS provider gives them. What the
program wants and what the cloud has are compared by property; only the ones that differ are
changed, so applying twice changes nothing.
"""

from __future__ import annotations

import functools
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import boto3
from botocore.config import Config

Inputs = Mapping[str, Any]
Tags = Mapping[str, str]

# What makes a resource ours, and which of ours it is.
STACK_TAG = "retainwise:stack"
NAME_TAG = "retainwise:resource"
PROTECT_TAG = "retainwise:protect"


class Unapplicable(Exception):
    """The local cloud cannot become what the program declares; the message says why."""


class Clients:
    """The AWS clients of the one who applies, made at once: sessions are not for several threads.

    They are not typed: the kinds pass the program's values through as they are.
    """

    def __init__(self, session: boto3.Session, endpoint: str) -> None:
        # The emulator is one process on this machine: what fails once fails again.
        config = Config(signature_version="v4", retries={"total_max_attempts": 1})
        make: Any = functools.partial(session.client, endpoint_url=endpoint, config=config)
        self.dynamodb = make("dynamodb")
        self.ec2 = make("ec2")
        self.ecs = make("ecs")
        self.iam = make("iam")
        self.logs = make("logs")
        self.s3 = make("s3", config=config.merge(Config(signature_version="s3v4")))
        self.sqs = make("sqs")
        self.sts = make("sts")


@dataclass(frozen=True)
class Found:
    """A resource that is there: how AWS calls it, how it is, and what the program may refer to."""

    id: str
    properties: Mapping[str, Any]
    outputs: Mapping[str, Any] = field(default_factory=dict)
    tags: Tags = field(default_factory=dict)


class Kind(ABC):
    """One type of resource of one stack."""

    type: ClassVar[str]
    has_tags: ClassVar[bool] = True

    def __init__(self, aws: Clients, stack: str) -> None:
        self.aws = aws
        self.stack = stack

    @abstractmethod
    def find(self, name: str, inputs: Inputs) -> Found | None:
        """Return the declared resource as it is, None when it is not there.

        A setting of another resource is always there.
        """

    def wanted(self, inputs: Inputs) -> Mapping[str, Any]:
        """Give the program's inputs the form of the properties that `find` returns."""
        return {key: value for key, value in inputs.items() if key != "tags"}

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

    def fixed(self, found: Found, properties: Iterable[str]) -> Unapplicable:
        """Say that AWS would replace the resource, with all that is in it."""
        return Unapplicable(
            f"{found.id}: {', '.join(sorted(properties))} cannot be changed in place. Remove "
            "the local state to start with an empty cloud, or take the change back."
        )


def tags_from(pairs: Iterable[Mapping[str, str]], key: str = "Key", value: str = "Value") -> Tags:
    """Turn a list of AWS's tag pairs into a mapping."""
    return {pair[key]: pair[value] for pair in pairs}


def pairs_from(tags: Tags, key: str = "Key", value: str = "Value") -> list[Any]:
    """Turn a mapping into a list of AWS's tag pairs."""
    return [{key: name, value: content} for name, content in tags.items()]
