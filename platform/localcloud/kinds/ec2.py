"""The network. AWS gives these resources no names, so they are found by their tags."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from localcloud.kinds.base import (
    NAME_TAG,
    STACK_TAG,
    Found,
    Inputs,
    Kind,
    Tags,
    pairs_from,
    tags_from,
)


class _Tagged(Kind):
    """What all of EC2's resources have in common."""

    def find(self, name: str, inputs: Inputs) -> Found | None:
        """See Kind."""
        return next(iter(self._with_tags({STACK_TAG: self.stack, NAME_TAG: name})), None)

    def tag(self, found: Found, tags: Tags) -> None:
        """See Kind."""
        self.aws.ec2.create_tags(Resources=[found.id], Tags=pairs_from(tags))

    def owned(self) -> Iterable[Found]:
        """See Kind."""
        return self._with_tags({STACK_TAG: self.stack})

    def _with_tags(self, tags: Tags) -> Iterable[Found]:
        filters = [{"Name": f"tag:{key}", "Values": [value]} for key, value in tags.items()]
        return [self.describe(one) for one in self.all(filters)]

    def all(self, filters: list[Any]) -> Iterable[Mapping[str, Any]]:
        """List the resources of this type that pass AWS's filters."""
        raise NotImplementedError(self.type)

    def describe(self, one: Mapping[str, Any]) -> Found:
        """Turn AWS's description into ours."""
        raise NotImplementedError(self.type)


class Vpc(_Tagged):
    """A VPC."""

    type = "aws:ec2/vpc:Vpc"

    def all(self, filters: list[Any]) -> Iterable[Mapping[str, Any]]:
        """See _Tagged."""
        vpcs: list[Mapping[str, Any]] = self.aws.ec2.describe_vpcs(Filters=filters)["Vpcs"]
        return vpcs

    def describe(self, one: Mapping[str, Any]) -> Found:
        """See _Tagged."""
        vpc = one["VpcId"]
        properties = {
            "cidrBlock": one["CidrBlock"],
            "enableDnsSupport": self._attribute(vpc, "EnableDnsSupport"),
            "enableDnsHostnames": self._attribute(vpc, "EnableDnsHostnames"),
        }
        return Found(vpc, properties, {}, tags_from(one["Tags"]))

    def create(self, inputs: Inputs, tags: Tags) -> None:
        """See Kind."""
        self.aws.ec2.create_vpc(
            CidrBlock=inputs["cidrBlock"], TagSpecifications=_tagged("vpc", tags)
        )

    def change(self, found: Found, differing: Mapping[str, Any]) -> None:
        """See Kind."""
        if "cidrBlock" in differing:
            raise self.fixed(found, ["cidrBlock"])
        for key, value in differing.items():  # AWS takes one at a time
            attribute = key[0].upper() + key[1:]
            self.aws.ec2.modify_vpc_attribute(VpcId=found.id, **{attribute: {"Value": value}})

    def delete(self, found: Found) -> None:
        """See Kind."""
        self.aws.ec2.delete_vpc(VpcId=found.id)

    def _attribute(self, vpc: str, name: str) -> bool:
        asked = name[0].lower() + name[1:]
        answer = self.aws.ec2.describe_vpc_attribute(VpcId=vpc, Attribute=asked)
        value: bool = answer[name]["Value"]
        return value


class Subnet(_Tagged):
    """A subnet."""

    type = "aws:ec2/subnet:Subnet"

    def all(self, filters: list[Any]) -> Iterable[Mapping[str, Any]]:
        """See _Tagged."""
        subnets: list[Mapping[str, Any]] = self.aws.ec2.describe_subnets(Filters=filters)["Subnets"]
        return subnets

    def describe(self, one: Mapping[str, Any]) -> Found:
        """See _Tagged."""
        properties = {
            "vpcId": one["VpcId"],
            "cidrBlock": one["CidrBlock"],
            "availabilityZone": one["AvailabilityZone"],
            "mapPublicIpOnLaunch": one["MapPublicIpOnLaunch"],
        }
        return Found(one["SubnetId"], properties, {}, tags_from(one["Tags"]))

    def create(self, inputs: Inputs, tags: Tags) -> None:
        """See Kind."""
        self.aws.ec2.create_subnet(
            VpcId=inputs["vpcId"],
            CidrBlock=inputs["cidrBlock"],
            AvailabilityZone=inputs["availabilityZone"],
            TagSpecifications=_tagged("subnet", tags),
        )

    def change(self, found: Found, differing: Mapping[str, Any]) -> None:
        """See Kind."""
        if fixed := differing.keys() - {"mapPublicIpOnLaunch"}:
            raise self.fixed(found, fixed)
        self.aws.ec2.modify_subnet_attribute(
            SubnetId=found.id, MapPublicIpOnLaunch={"Value": differing["mapPublicIpOnLaunch"]}
        )

    def delete(self, found: Found) -> None:
        """See Kind."""
        self.aws.ec2.delete_subnet(SubnetId=found.id)


class SecurityGroup(_Tagged):
    """A security group with its rules."""

    type = "aws:ec2/securityGroup:SecurityGroup"

    def all(self, filters: list[Any]) -> Iterable[Mapping[str, Any]]:
        """See _Tagged."""
        answer = self.aws.ec2.describe_security_groups(Filters=filters)
        groups: list[Mapping[str, Any]] = answer["SecurityGroups"]
        return groups

    def describe(self, one: Mapping[str, Any]) -> Found:
        """See _Tagged."""
        properties = {
            "name": one["GroupName"],
            "description": one["Description"],
            "vpcId": one["VpcId"],
            "ingress": [_rule(permission) for permission in one["IpPermissions"]],
            "egress": [_rule(permission) for permission in one["IpPermissionsEgress"]],
        }
        return Found(one["GroupId"], properties, {}, tags_from(one["Tags"]))

    def create(self, inputs: Inputs, tags: Tags) -> None:
        """See Kind."""
        self.aws.ec2.create_security_group(
            GroupName=inputs["name"],
            Description=inputs["description"],
            VpcId=inputs["vpcId"],
            TagSpecifications=_tagged("security-group", tags),
        )

    def change(self, found: Found, differing: Mapping[str, Any]) -> None:
        """See Kind. A new group lets everything out until its rules are set."""
        ec2 = self.aws.ec2
        directions = {
            "ingress": (ec2.revoke_security_group_ingress, ec2.authorize_security_group_ingress),
            "egress": (ec2.revoke_security_group_egress, ec2.authorize_security_group_egress),
        }
        if fixed := differing.keys() - directions.keys():
            raise self.fixed(found, fixed)
        for key, rules in differing.items():
            revoke, authorize = directions[key]
            if there := found.properties[key]:
                revoke(GroupId=found.id, IpPermissions=[_permission(rule) for rule in there])
            if rules:
                authorize(GroupId=found.id, IpPermissions=[_permission(rule) for rule in rules])

    def delete(self, found: Found) -> None:
        """See Kind."""
        self.aws.ec2.delete_security_group(GroupId=found.id)


def _tagged(what: str, tags: Tags) -> list[Any]:
    return [{"ResourceType": what, "Tags": pairs_from(tags)}]


def _rule(permission: Mapping[str, Any]) -> dict[str, Any]:
    """AWS's form of a rule in the program's."""
    ranges = permission["IpRanges"]
    rule = {
        "protocol": permission["IpProtocol"],
        "fromPort": permission.get("FromPort"),
        "toPort": permission.get("ToPort"),
        "cidrBlocks": [one["CidrIp"] for one in ranges],
        "description": next((one.get("Description") for one in ranges), None),
    }
    return {key: value for key, value in rule.items() if value is not None}


def _permission(rule: Mapping[str, Any]) -> dict[str, Any]:
    """The program's form of a rule in AWS's."""
    described = {"Description": rule["description"]} if "description" in rule else {}
    permission = {
        "IpProtocol": rule["protocol"],
        "FromPort": rule.get("fromPort"),
        "ToPort": rule.get("toPort"),
        "IpRanges": [{"CidrIp": block, **described} for block in rule["cidrBlocks"]],
    }
    return {key: value for key, value in permission.items() if value is not None}
