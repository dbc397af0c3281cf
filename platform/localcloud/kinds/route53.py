"""Records in a zone that is there already: it is a setting, and never ours.

Records have no tags. One is the stack's when it leads to what is the stack's: to a load balancer,
or to the proof that a certificate waits for.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from localcloud.kinds.acm import Certificate
from localcloud.kinds.base import Found, Inputs, Kind, Tags
from localcloud.kinds.lb import LoadBalancer


class Record(Kind):
    """A record, by its zone, name and type."""

    type = "aws:route53/record:Record"
    has_tags = False
    replaced_for = frozenset({"name", "type", "zoneId"})

    def find(self, name: str, inputs: Inputs) -> Found | None:
        """See Kind."""
        return self.get(_id(inputs["zoneId"], inputs["name"], inputs["type"]))

    def get(self, resource_id: str) -> Found | None:
        """See Kind. The id is the zone's, the record's name and its type."""
        zone, _, rest = resource_id.partition("_")
        name, _, kind = rest.rpartition("_")  # there may be more of them in the name
        try:
            answer = self.aws.route53.list_resource_record_sets(
                HostedZoneId=zone, StartRecordName=name, StartRecordType=kind, MaxItems="1"
            )
        except self.aws.route53.exceptions.NoSuchHostedZone:
            return None
        for one in answer["ResourceRecordSets"]:
            if (one["Name"], one["Type"]) == (_absolute(name), kind):
                return _found(zone, one)
        return None

    def wanted(self, inputs: Inputs) -> Mapping[str, Any]:
        """See Kind."""
        values = {**super().wanted(inputs), "name": _absolute(inputs["name"])}
        values.pop("allowOverwrite", None)  # how to create it, not how it is
        if "aliases" in values:
            [alias] = values["aliases"]
            values["aliases"] = [{**alias, "name": _absolute(alias["name"])}]
        return values

    def inputs_of(self, found: Found) -> dict[str, Any]:
        """See Kind. Without the dots at the ends."""
        inputs = super().inputs_of(found)
        inputs["name"] = inputs["name"].rstrip(".")
        if "aliases" in inputs:
            [alias] = inputs["aliases"]
            inputs["aliases"] = [{**alias, "name": alias["name"].rstrip(".")}]
        return inputs

    def create(self, inputs: Inputs, tags: Tags) -> None:
        """See Kind."""
        self._put("UPSERT", self.wanted(inputs))

    def change(self, found: Found, differing: Mapping[str, Any]) -> None:
        """See Kind. AWS takes all of it together."""
        self._put("UPSERT", {**found.properties, **differing})

    def owned(self) -> Iterable[Found]:
        """See Kind."""
        targets = {*self._targets()}
        if not targets:
            return
        for zone in self.aws.route53.get_paginator("list_hosted_zones").paginate():
            for one in zone["HostedZones"]:
                yield from self._leading_to(targets, one["Id"].rpartition("/")[2])

    def delete(self, found: Found) -> None:
        """See Kind."""
        self._put("DELETE", found.properties)

    def _targets(self) -> Iterable[str]:
        for load_balancer in LoadBalancer(self.aws, self.stack).owned():
            answer = self.aws.elbv2.describe_load_balancers(LoadBalancerArns=[load_balancer.id])
            yield from (_absolute(one["DNSName"]) for one in answer["LoadBalancers"])
        for certificate in Certificate(self.aws, self.stack).owned():
            for proof in certificate.outputs["domainValidationOptions"]:
                yield proof["resourceRecordValue"]

    def _leading_to(self, targets: set[str], zone: str) -> Iterable[Found]:
        paginator = self.aws.route53.get_paginator("list_resource_record_sets")
        for page in paginator.paginate(HostedZoneId=zone):
            for one in page["ResourceRecordSets"]:
                found = _found(zone, one)
                aliases = {alias["name"] for alias in found.properties.get("aliases", ())}
                if targets & {*aliases, *found.properties.get("records", ())}:
                    yield found

    def _put(self, action: str, values: Mapping[str, Any]) -> None:
        record: dict[str, Any] = {"Name": values["name"], "Type": values["type"]}
        if "aliases" in values:
            [alias] = values["aliases"]
            record["AliasTarget"] = {
                "DNSName": alias["name"],
                "HostedZoneId": alias["zoneId"],
                "EvaluateTargetHealth": alias["evaluateTargetHealth"],
            }
        else:
            record["TTL"] = values["ttl"]
            record["ResourceRecords"] = [{"Value": value} for value in values["records"]]
        self.aws.route53.change_resource_record_sets(
            HostedZoneId=values["zoneId"],
            ChangeBatch={"Changes": [{"Action": action, "ResourceRecordSet": record}]},
        )


def _found(zone: str, one: Mapping[str, Any]) -> Found:
    name, kind = one["Name"], one["Type"]
    properties: dict[str, Any] = {"zoneId": zone, "name": name, "type": kind}
    if alias := one.get("AliasTarget"):
        properties["aliases"] = [
            {
                "name": _absolute(alias["DNSName"]),
                "zoneId": alias["HostedZoneId"],
                "evaluateTargetHealth": alias["EvaluateTargetHealth"],
            }
        ]
    else:
        properties["ttl"] = one["TTL"]
        properties["records"] = [record["Value"] for record in one["ResourceRecords"]]
    return Found(_id(zone, name, kind), properties, {"fqdn": name.rstrip(".")})


def _id(zone: str, name: str, kind: str) -> str:
    return f"{zone}_{name.rstrip('.')}_{kind}"


def _absolute(name: str) -> str:
    """With the dot at its end, as AWS keeps names."""
    return f"{name.rstrip('.')}."
