"""Log groups. Locally they stay empty: the processes write to files."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from localcloud.kinds.base import STACK_TAG, Found, Inputs, Kind, Tags


class LogGroup(Kind):
    """A log group, by its name."""

    type = "aws:cloudwatch/logGroup:LogGroup"

    def find(self, name: str, inputs: Inputs) -> Found | None:
        """See Kind."""
        answer = self.aws.logs.describe_log_groups(logGroupNamePrefix=inputs["name"])
        groups = (one for one in answer["logGroups"] if one["logGroupName"] == inputs["name"])
        return next((self._found(one) for one in groups), None)

    def create(self, inputs: Inputs, tags: Tags) -> None:
        """See Kind."""
        self.aws.logs.create_log_group(logGroupName=inputs["name"], tags=tags)

    def change(self, found: Found, differing: Mapping[str, Any]) -> None:
        """See Kind."""
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
        for one in self.aws.logs.describe_log_groups()["logGroups"]:
            found = self._found(one)
            if found.tags.get(STACK_TAG) == self.stack:
                yield found

    def delete(self, found: Found) -> None:
        """See Kind."""
        self.aws.logs.delete_log_group(logGroupName=found.id)

    def _found(self, one: Mapping[str, Any]) -> Found:
        # The provider's ARN is without the `:*` that stands for the streams.
        arn = one["arn"].removesuffix(":*")
        name = one["logGroupName"]
        properties = {"name": name, "retentionInDays": one.get("retentionInDays")}
        tags = self.aws.logs.list_tags_for_resource(resourceArn=arn)["tags"]
        return Found(name, properties, {"arn": arn}, tags)
