"""Stacks of CloudFormation: what AWS makes up by itself, without telling us what."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

from botocore.exceptions import ClientError

from localcloud.kinds.base import Found, Inputs, Kind, Tags, is_missing, pairs_from, tags_from


class Stack(Kind):
    """A stack, by its name."""

    type = "aws:cloudformation/stack:Stack"
    documents = frozenset({"templateBody"})
    defaults: ClassVar = {"parameters": {}}
    replaced_for = frozenset({"name"})

    def find(self, name: str, inputs: Inputs) -> Found | None:
        """See Kind."""
        return self.get(inputs["name"])

    def get(self, resource_id: str) -> Found | None:
        """See Kind."""
        try:
            [one] = self.aws.cloudformation.describe_stacks(StackName=resource_id)["Stacks"]
        except ClientError as exc:
            if is_missing(exc, "ValidationError"):  # so AWS says that there is none
                return None
            raise
        return self._found(one)

    def create(self, inputs: Inputs, tags: Tags) -> None:
        """See Kind."""
        cloudformation, name = self.aws.cloudformation, inputs["name"]
        cloudformation.create_stack(
            StackName=name,
            TemplateBody=inputs["templateBody"],
            Parameters=_parameters(inputs.get("parameters", {})),
            Tags=pairs_from(tags),
        )
        self._wait("stack_create_complete", name)

    def change(self, found: Found, differing: Mapping[str, Any]) -> None:
        """See Kind."""
        self._update({**found.properties, **differing}, found.tags)

    def tag(self, found: Found, tags: Tags) -> None:
        """See Kind."""
        self._update(found.properties, {**found.tags, **tags})

    def owned(self) -> Iterable[Found]:
        """See Kind."""
        for one in self.aws.cloudformation.describe_stacks()["Stacks"]:
            if self.is_ours(tags_from(one["Tags"])):
                yield self._found(one)

    def delete(self, found: Found) -> None:
        """See Kind."""
        name = found.properties["name"]
        self.aws.cloudformation.delete_stack(StackName=name)
        self._wait("stack_delete_complete", name)

    def _update(self, properties: Mapping[str, Any], tags: Tags) -> None:
        self.aws.cloudformation.update_stack(
            StackName=properties["name"],
            TemplateBody=json.dumps(properties["templateBody"]),
            Parameters=_parameters(properties["parameters"]),
            Tags=pairs_from(tags),
        )
        self._wait("stack_update_complete", properties["name"])

    def _wait(self, until: str, name: str) -> None:
        self.aws.cloudformation.get_waiter(until).wait(StackName=name, WaiterConfig={"Delay": 1})

    def _found(self, one: Mapping[str, Any]) -> Found:
        name = one["StackName"]
        template = self.aws.cloudformation.get_template(StackName=name)["TemplateBody"]
        parameters = tags_from(one.get("Parameters", ()), "ParameterKey", "ParameterValue")
        properties = {"name": name, "templateBody": template, "parameters": parameters}
        outputs = tags_from(one.get("Outputs", ()), "OutputKey", "OutputValue")
        return Found(name, properties, {"outputs": outputs}, tags_from(one.get("Tags", ())))


def _parameters(values: Mapping[str, str]) -> list[Any]:
    return pairs_from(values, "ParameterKey", "ParameterValue")
