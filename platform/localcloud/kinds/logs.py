"""Log groups, what is counted in them, and which of AWS's services may write to them.

Locally they stay empty: processes write to files.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from localcloud.kinds.base import Found, Inputs, Kind, Tags


class LogGroup(Kind):
    """A log group, by its name."""

    type = "aws:cloudwatch/logGroup:LogGroup"
    replaced_for = frozenset({"logGroupClass", "name"})

    def find(self, name: str, inputs: Inputs) -> Found | None:
        """See Kind."""
        return self.get(inputs["name"])

    def get(self, resource_id: str) -> Found | None:
        """See Kind."""
        answer = self.aws.logs.describe_log_groups(logGroupNamePrefix=resource_id)
        groups = (one for one in answer["logGroups"] if one["logGroupName"] == resource_id)
        return next((self._found(one) for one in groups), None)

    def create(self, inputs: Inputs, tags: Tags) -> None:
        """See Kind."""
        key = {"kmsKeyId": inputs["kmsKeyId"]} if "kmsKeyId" in inputs else {}
        self.aws.logs.create_log_group(logGroupName=inputs["name"], tags=tags, **key)

    def change(self, found: Found, differing: Mapping[str, Any]) -> None:
        """See Kind. AWS would take another key; the emulator does not, so it is refused."""
        if fixed := differing.keys() - {"retentionInDays"}:
            raise self.fixed(found, fixed)
        self.aws.logs.put_retention_policy(
            logGroupName=found.id, retentionInDays=differing["retentionInDays"]
        )

    def tag(self, found: Found, tags: Tags) -> None:
        """See Kind."""
        self.aws.logs.tag_resource(resourceArn=found.outputs["arn"], tags=tags)

    def owned(self) -> Iterable[Found]:
        """See Kind."""
        for page in self.aws.logs.get_paginator("describe_log_groups").paginate():
            for one in page["logGroups"]:
                found = self._found(one)
                if self.is_ours(found.tags):
                    yield found

    def delete(self, found: Found) -> None:
        """See Kind."""
        self.aws.logs.delete_log_group(logGroupName=found.id)

    def _found(self, one: Mapping[str, Any]) -> Found:
        # The provider's ARN is without the `:*` that stands for the streams.
        arn = one["arn"].removesuffix(":*")
        properties = {
            "name": one["logGroupName"],
            "retentionInDays": one.get("retentionInDays"),
            "kmsKeyId": one.get("kmsKeyId"),
        }
        tags = self.aws.logs.list_tags_for_resource(resourceArn=arn)["tags"]
        return Found(one["logGroupName"], properties, {"arn": arn}, tags)


class LogMetricFilter(Kind):
    """What is counted in a log group, by the group's name and its own."""

    type = "aws:cloudwatch/logMetricFilter:LogMetricFilter"
    has_tags = False
    replaced_for = frozenset({"logGroupName", "name"})

    def find(self, name: str, inputs: Inputs) -> Found | None:
        """See Kind."""
        return self.get(f"{inputs['logGroupName']}:{inputs['name']}")

    def get(self, resource_id: str) -> Found | None:
        """See Kind. The id is the group's name and the filter's."""
        group, _, name = resource_id.partition(":")
        try:
            filters = list(self._of(group, filterNamePrefix=name))
        except self.aws.logs.exceptions.ResourceNotFoundException:
            return None
        return next((one for one in filters if one.id == resource_id), None)

    def wanted(self, inputs: Inputs) -> Mapping[str, Any]:
        """See Kind."""
        counted = inputs["metricTransformation"]
        value = counted.get("defaultValue")  # a number in AWS, a text in the provider
        return {
            **super().wanted(inputs),
            "metricTransformation": {
                **counted,
                "defaultValue": None if value is None else float(value),
            },
        }

    def inputs_of(self, found: Found) -> dict[str, Any]:
        """See Kind."""
        inputs = super().inputs_of(found)
        counted = {**inputs["metricTransformation"]}
        value = counted.pop("defaultValue")
        if value is not None:
            counted["defaultValue"] = f"{value:g}"
        return {**inputs, "metricTransformation": counted}

    def create(self, inputs: Inputs, tags: Tags) -> None:
        """See Kind."""
        self._put(self.wanted(inputs))

    def change(self, found: Found, differing: Mapping[str, Any]) -> None:
        """See Kind. AWS takes all of it together."""
        self._put({**found.properties, **differing})

    def owned(self) -> Iterable[Found]:
        """Every filter of a log group of the stack."""
        for group in LogGroup(self.aws, self.stack).owned():
            yield from self._of(group.id)

    def delete(self, found: Found) -> None:
        """See Kind."""
        self.aws.logs.delete_metric_filter(
            logGroupName=found.properties["logGroupName"], filterName=found.properties["name"]
        )

    def _put(self, values: Mapping[str, Any]) -> None:
        counted = values["metricTransformation"]
        value = counted["defaultValue"]
        self.aws.logs.put_metric_filter(
            logGroupName=values["logGroupName"],
            filterName=values["name"],
            filterPattern=values["pattern"],
            metricTransformations=[
                {
                    "metricName": counted["name"],
                    "metricNamespace": counted["namespace"],
                    "metricValue": counted["value"],
                    **({} if value is None else {"defaultValue": value}),
                }
            ],
        )

    def _of(self, group: str, **which: str) -> Iterable[Found]:
        paginator = self.aws.logs.get_paginator("describe_metric_filters")
        for page in paginator.paginate(logGroupName=group, **which):
            for one in page["metricFilters"]:
                [counted] = one["metricTransformations"]
                properties = {
                    "logGroupName": group,
                    "name": one["filterName"],
                    "pattern": one["filterPattern"],
                    "metricTransformation": {
                        "name": counted["metricName"],
                        "namespace": counted["metricNamespace"],
                        "value": counted["metricValue"],
                        "defaultValue": counted.get("defaultValue"),
                    },
                }
                yield Found(f"{group}:{one['filterName']}", properties)


class LogResourcePolicy(Kind):
    """Which of AWS's services may write to log groups, by its name.

    AWS keeps it for the account and gives it no tags: it goes with the log groups that it is about.
    """

    type = "aws:cloudwatch/logResourcePolicy:LogResourcePolicy"
    has_tags = False
    documents = frozenset({"policyDocument"})
    replaced_for = frozenset({"policyName"})

    def find(self, name: str, inputs: Inputs) -> Found | None:
        """See Kind."""
        return self.get(inputs["policyName"])

    def get(self, resource_id: str) -> Found | None:
        """See Kind."""
        return next((one for one in self._all() if one.id == resource_id), None)

    def create(self, inputs: Inputs, tags: Tags) -> None:
        """See Kind."""
        self._put(inputs["policyName"], inputs["policyDocument"])

    def change(self, found: Found, differing: Mapping[str, Any]) -> None:
        """See Kind."""
        self._put(found.id, json.dumps(differing["policyDocument"]))

    def owned(self) -> Iterable[Found]:
        """Every policy that is about log groups of the stack and nothing else."""
        groups = {one.outputs["arn"] for one in LogGroup(self.aws, self.stack).owned()}
        for one in self._all():
            if _groups_of(one.properties["policyDocument"]) <= groups:
                yield one

    def delete(self, found: Found) -> None:
        """See Kind."""
        self.aws.logs.delete_resource_policy(policyName=found.id)

    def _put(self, name: str, document: str) -> None:
        self.aws.logs.put_resource_policy(policyName=name, policyDocument=document)

    def _all(self) -> Iterable[Found]:
        for page in self.aws.logs.get_paginator("describe_resource_policies").paginate():
            for one in page["resourcePolicies"]:
                name, document = one["policyName"], json.loads(one["policyDocument"])
                yield Found(name, {"policyName": name, "policyDocument": document})


def _groups_of(policy: Mapping[str, Any]) -> set[str]:
    """Return what a policy is about, without the `:*` that stands for the streams."""
    return {
        arn.removesuffix(":*")
        for statement in _several(policy["Statement"])
        for arn in _several(statement.get("Resource", "*"))
    }


def _several(value: Any) -> list[Any]:  # noqa: ANN401 - any JSON
    """Return one or several as several."""
    return value if isinstance(value, list) else [value]
