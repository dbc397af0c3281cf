"""What is noted of a network's packets; nothing flows in the emulator, so it stays empty."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

from localcloud.kinds.base import Found, Inputs, Tags
from localcloud.kinds.ec2 import Tagged, tagged

# What is tagged. AWS says `vpc-flow-log`, by which the emulator would leave it without tags.
_TYPE = "flow-log"


class FlowLog(Tagged):
    """The flow log of a VPC."""

    type = "aws:ec2/flowLog:FlowLog"
    id_key = "FlowLogId"
    natural_key = ("vpcId", "logDestination")
    among = ("vpcId", "resource-id")
    defaults: ClassVar = {"logDestinationType": "cloud-watch-logs"}
    replaced_for = frozenset({"logDestination", "logDestinationType", "trafficType", "vpcId"})

    def all(self, filters: list[Any]) -> Iterable[Mapping[str, Any]]:
        """See Tagged."""
        logs: list[Mapping[str, Any]] = self.aws.ec2.describe_flow_logs(Filter=filters)["FlowLogs"]
        return logs

    def describe(self, one: Mapping[str, Any], tags: Tags) -> Found:
        """See Tagged."""
        properties = {
            "vpcId": one["ResourceId"],
            "trafficType": one["TrafficType"],
            "logDestinationType": one["LogDestinationType"],
            "logDestination": one["LogDestination"],
        }
        return Found(one["FlowLogId"], properties, {}, tags)

    def create(self, inputs: Inputs, tags: Tags) -> None:
        """See Kind."""
        self.aws.ec2.create_flow_logs(
            ResourceIds=[inputs["vpcId"]],
            ResourceType="VPC",
            TrafficType=inputs["trafficType"],
            LogDestinationType=inputs["logDestinationType"],
            LogDestination=inputs["logDestination"],
            TagSpecifications=tagged(_TYPE, tags),
        )

    def change(self, found: Found, differing: Mapping[str, Any]) -> None:
        """See Kind. AWS changes none of it, and it holds nothing: a new one does."""
        self.delete(found)
        self.create({**found.properties, **differing}, found.tags)

    def delete(self, found: Found) -> None:
        """See Kind."""
        self.aws.ec2.delete_flow_logs(FlowLogIds=[found.id])
