"""Rules over what AWS tells about itself, and who is told then."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

from localcloud.kinds.base import Found, Inputs, Kind, Tags, pairs_from, tags_from, the_one

# What the id of something on the default bus may begin with.
_BUS = "default/"


class EventRule(Kind):
    """A rule on the default bus, by its name."""

    type = "aws:cloudwatch/eventRule:EventRule"
    documents = frozenset({"eventPattern"})
    defaults: ClassVar = {"description": None, "state": "ENABLED"}
    replaced_for = frozenset({"eventBusName", "name"})

    def find(self, name: str, inputs: Inputs) -> Found | None:
        """See Kind."""
        return self.get(inputs["name"])

    def get(self, resource_id: str) -> Found | None:
        """See Kind. The id is the rule's name, after the bus's where that is not the default."""
        try:
            one = self.aws.events.describe_rule(Name=resource_id.removeprefix(_BUS))
        except self.aws.events.exceptions.ResourceNotFoundException:
            return None
        return self._found(one)

    def create(self, inputs: Inputs, tags: Tags) -> None:
        """See Kind."""
        self.aws.events.put_rule(**_rule(self.wanted(inputs)), Tags=pairs_from(tags))

    def change(self, found: Found, differing: Mapping[str, Any]) -> None:
        """See Kind. AWS takes all of it together."""
        self.aws.events.put_rule(**_rule({**found.properties, **differing}))

    def tag(self, found: Found, tags: Tags) -> None:
        """See Kind."""
        self.aws.events.tag_resource(ResourceARN=found.outputs["arn"], Tags=pairs_from(tags))

    def owned(self) -> Iterable[Found]:
        """See Kind."""
        for page in self.aws.events.get_paginator("list_rules").paginate():
            for one in page["Rules"]:
                tags = self._tags(one["Arn"])
                if self.is_ours(tags):
                    yield Found(one["Name"], {}, {}, tags)

    def delete(self, found: Found) -> None:
        """See Kind. Its targets went before it."""
        self.aws.events.delete_rule(Name=found.id)

    def _found(self, one: Mapping[str, Any]) -> Found:
        name, arn = one["Name"], one["Arn"]
        properties = {
            "name": name,
            "description": one.get("Description") or None,
            "eventPattern": json.loads(one.get("EventPattern") or "null"),
            "scheduleExpression": one.get("ScheduleExpression") or None,
            "state": one.get("State", "ENABLED"),
        }
        return Found(name, properties, {"arn": arn}, self._tags(arn))

    def _tags(self, arn: str) -> Tags:
        return tags_from(self.aws.events.list_tags_for_resource(ResourceARN=arn)["Tags"])


class EventTarget(Kind):
    """Who is told by a rule, and in which words."""

    type = "aws:cloudwatch/eventTarget:EventTarget"
    has_tags = False
    defaults: ClassVar = {"inputTransformer": None}
    replaced_for = frozenset({"eventBusName", "rule", "targetId"})

    def find(self, name: str, inputs: Inputs) -> Found | None:
        """See Kind."""
        targets = (
            one for one in self._of(inputs["rule"]) if one.properties["arn"] == inputs["arn"]
        )
        return next(targets, None)

    def get(self, resource_id: str) -> Found | None:
        """See Kind. The id is the rule's and the target's."""
        wanted = resource_id.removeprefix(_BUS)
        try:
            targets = list(self._of(wanted.partition("/")[0]))
        except self.aws.events.exceptions.ResourceNotFoundException:
            return None
        return next((one for one in targets if one.id == wanted), None)

    def look_for(self, name: str, inputs: Inputs) -> Found | None:
        """See Kind. An address may be a target twice."""
        try:
            targets = list(self._of(inputs["rule"]))
        except self.aws.events.exceptions.ResourceNotFoundException:
            return None
        return the_one(one for one in targets if one.properties["arn"] == inputs["arn"])

    def create(self, inputs: Inputs, tags: Tags) -> None:
        """See Kind."""
        # A rule has one target for each address; the last part of it is an id that says which.
        self._put(inputs["arn"].rpartition(":")[2], inputs)

    def change(self, found: Found, differing: Mapping[str, Any]) -> None:
        """See Kind. AWS takes all of it together."""
        self._put(found.id.rpartition("/")[2], {**found.properties, **differing})

    def owned(self) -> Iterable[Found]:
        """Every target of a rule of the stack."""
        for rule in EventRule(self.aws, self.stack).owned():
            yield from self._of(rule.id)

    def delete(self, found: Found) -> None:
        """See Kind."""
        target = found.id.rpartition("/")[2]
        self.aws.events.remove_targets(Rule=found.properties["rule"], Ids=[target])

    def _put(self, target: str, values: Mapping[str, Any]) -> None:
        given = {"Id": target, "Arn": values["arn"]}
        if words := values.get("inputTransformer"):
            given["InputTransformer"] = {
                "InputPathsMap": words["inputPaths"],
                "InputTemplate": words["inputTemplate"],
            }
        self.aws.events.put_targets(Rule=values["rule"], Targets=[given])

    def _of(self, rule: str) -> Iterable[Found]:
        for one in self.aws.events.list_targets_by_rule(Rule=rule)["Targets"]:
            words = one.get("InputTransformer")
            properties = {
                "rule": rule,
                "arn": one["Arn"],
                "inputTransformer": words
                and {
                    "inputPaths": words.get("InputPathsMap", {}),
                    "inputTemplate": words.get("InputTemplate"),
                },
            }
            yield Found(f"{rule}/{one['Id']}", properties)


def _rule(values: Mapping[str, Any]) -> dict[str, Any]:
    pattern = values.get("eventPattern")
    given = {
        "Name": values["name"],
        "Description": values["description"],
        "EventPattern": json.dumps(pattern) if pattern else None,
        "ScheduleExpression": values.get("scheduleExpression"),
        "State": values["state"],
    }
    return {key: value for key, value in given.items() if value is not None}
