"""The network and its security groups; its ways out are in `ec2_routes`.

AWS gives these resources no names, so they are found by their tags.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

from localcloud.kinds.base import (
    NAME_TAG,
    STACK_TAG,
    Found,
    Inputs,
    Kind,
    Tags,
    Unapplicable,
    pairs_from,
    tags_from,
)

# Whom a rule is about: the program's name, and where AWS's form of it has that.
_PEERS = {
    "cidrIpv4": ("IpRanges", "CidrIp"),
    "prefixListId": ("PrefixListIds", "PrefixListId"),
    "referencedSecurityGroupId": ("UserIdGroupPairs", "GroupId"),
}


class Tagged(Kind):
    """What all of EC2's resources have in common."""

    def find(self, name: str, inputs: Inputs) -> Found | None:
        """See Kind."""
        return next(iter(self._with({STACK_TAG: self.stack, NAME_TAG: name})), None)

    def tag(self, found: Found, tags: Tags) -> None:
        """See Kind."""
        self.aws.ec2.create_tags(Resources=[found.id], Tags=pairs_from(tags))

    def owned(self) -> Iterable[Found]:
        """See Kind."""
        return self._with({STACK_TAG: self.stack})

    def _with(self, wanted: Tags) -> Iterable[Found]:
        """Describe those with these tags; the emulator does not filter all types by tags."""
        filters = [{"Name": f"tag:{key}", "Values": [value]} for key, value in wanted.items()]
        for one in self.all(filters):
            tags = tags_from(one.get("Tags", ()))
            if wanted.items() <= tags.items():
                yield self.describe(one, tags)

    def all(self, filters: list[Any]) -> Iterable[Mapping[str, Any]]:
        """List the resources of this type that pass AWS's filters."""
        raise NotImplementedError(self.type)

    def describe(self, one: Mapping[str, Any], tags: Tags) -> Found:
        """Turn AWS's description into ours."""
        raise NotImplementedError(self.type)


class Vpc(Tagged):
    """A VPC."""

    type = "aws:ec2/vpc:Vpc"

    def all(self, filters: list[Any]) -> Iterable[Mapping[str, Any]]:
        """See Tagged."""
        vpcs: list[Mapping[str, Any]] = self.aws.ec2.describe_vpcs(Filters=filters)["Vpcs"]
        return vpcs

    def describe(self, one: Mapping[str, Any], tags: Tags) -> Found:
        """See Tagged."""
        vpc = one["VpcId"]
        properties = {
            "cidrBlock": one["CidrBlock"],
            "enableDnsSupport": self._attribute(vpc, "EnableDnsSupport"),
            "enableDnsHostnames": self._attribute(vpc, "EnableDnsHostnames"),
        }
        return Found(vpc, properties, {}, tags)

    def create(self, inputs: Inputs, tags: Tags) -> None:
        """See Kind."""
        self.aws.ec2.create_vpc(
            CidrBlock=inputs["cidrBlock"], TagSpecifications=tagged("vpc", tags)
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


class Subnet(Tagged):
    """A subnet."""

    type = "aws:ec2/subnet:Subnet"

    def all(self, filters: list[Any]) -> Iterable[Mapping[str, Any]]:
        """See Tagged."""
        subnets: list[Mapping[str, Any]] = self.aws.ec2.describe_subnets(Filters=filters)["Subnets"]
        return subnets

    def describe(self, one: Mapping[str, Any], tags: Tags) -> Found:
        """See Tagged."""
        properties = {
            "vpcId": one["VpcId"],
            "cidrBlock": one["CidrBlock"],
            "availabilityZone": one["AvailabilityZone"],
            "mapPublicIpOnLaunch": one["MapPublicIpOnLaunch"],
        }
        return Found(one["SubnetId"], properties, {}, tags)

    def create(self, inputs: Inputs, tags: Tags) -> None:
        """See Kind."""
        self.aws.ec2.create_subnet(
            VpcId=inputs["vpcId"],
            CidrBlock=inputs["cidrBlock"],
            AvailabilityZone=inputs["availabilityZone"],
            TagSpecifications=tagged("subnet", tags),
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


class SecurityGroup(Tagged):
    """A security group; its rules are resources of their own."""

    type = "aws:ec2/securityGroup:SecurityGroup"

    def all(self, filters: list[Any]) -> Iterable[Mapping[str, Any]]:
        """See Tagged. A VPC's default group comes and goes with it."""
        groups = self.aws.ec2.describe_security_groups(Filters=filters)["SecurityGroups"]
        return [one for one in groups if one["GroupName"] != "default"]

    def describe(self, one: Mapping[str, Any], tags: Tags) -> Found:
        """See Tagged."""
        properties = {
            "name": one["GroupName"],
            "description": one["Description"],
            "vpcId": one["VpcId"],
            "lets everything out": any(
                rule["IpProtocol"] == "-1" and rule["IpRanges"] == [{"CidrIp": "0.0.0.0/0"}]
                for rule in one["IpPermissionsEgress"]
            ),
        }
        return Found(one["GroupId"], properties, {"arn": one.get("SecurityGroupArn")}, tags)

    def wanted(self, inputs: Inputs) -> Mapping[str, Any]:
        """See Kind. A new group has a rule that no program declares, and AWS's provider drops."""
        return {**super().wanted(inputs), "lets everything out": False}

    def create(self, inputs: Inputs, tags: Tags) -> None:
        """See Kind."""
        self.aws.ec2.create_security_group(
            GroupName=inputs["name"],
            Description=inputs["description"],
            VpcId=inputs["vpcId"],
            TagSpecifications=tagged("security-group", tags),
        )

    def change(self, found: Found, differing: Mapping[str, Any]) -> None:
        """See Kind."""
        if fixed := differing.keys() - {"lets everything out"}:
            raise self.fixed(found, fixed)
        everything = {"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}
        self.aws.ec2.revoke_security_group_egress(GroupId=found.id, IpPermissions=[everything])

    def delete(self, found: Found) -> None:
        """See Kind."""
        self.aws.ec2.delete_security_group(GroupId=found.id)


class DefaultSecurityGroup(Kind):
    """The group that a VPC comes with: found by the VPC, and only ever emptied."""

    type = "aws:ec2/defaultSecurityGroup:DefaultSecurityGroup"

    def find(self, name: str, inputs: Inputs) -> Found:
        """See Kind."""
        vpc = inputs["vpcId"]
        filters = [
            {"Name": "vpc-id", "Values": [vpc]},
            {"Name": "group-name", "Values": ["default"]},
        ]
        [one] = self.aws.ec2.describe_security_groups(Filters=filters)["SecurityGroups"]
        properties = {
            "vpcId": vpc,
            "ingress": one["IpPermissions"],
            "egress": one["IpPermissionsEgress"],
        }
        return Found(one["GroupId"], properties, {}, tags_from(one.get("Tags", ())))

    def change(self, found: Found, differing: Mapping[str, Any]) -> None:
        """See Kind."""
        if any(differing.values()):
            raise Unapplicable("a default security group can only be emptied here")
        ec2, rules = self.aws.ec2, found.properties
        if "ingress" in differing:
            ec2.revoke_security_group_ingress(GroupId=found.id, IpPermissions=rules["ingress"])
        if "egress" in differing:
            ec2.revoke_security_group_egress(GroupId=found.id, IpPermissions=rules["egress"])

    def tag(self, found: Found, tags: Tags) -> None:
        """See Kind."""
        self.aws.ec2.create_tags(Resources=[found.id], Tags=pairs_from(tags))


class _Rule(Tagged):
    """A rule of a security group."""

    is_egress: ClassVar[bool]

    def all(self, filters: list[Any]) -> Iterable[Mapping[str, Any]]:
        """See Tagged."""
        rules = self.aws.ec2.describe_security_group_rules(Filters=filters)["SecurityGroupRules"]
        return [one for one in rules if one["IsEgress"] == self.is_egress]

    def describe(self, one: Mapping[str, Any], tags: Tags) -> Found:
        """See Tagged."""
        properties = {
            "securityGroupId": one["GroupId"],
            "ipProtocol": one["IpProtocol"],
            "fromPort": one["FromPort"],
            "toPort": one["ToPort"],
            "description": one.get("Description"),
            "cidrIpv4": one.get("CidrIpv4"),
            "prefixListId": one.get("PrefixListId"),
            "referencedSecurityGroupId": one.get("ReferencedGroupInfo", {}).get("GroupId"),
        }
        return Found(one["SecurityGroupRuleId"], properties, {}, tags)

    def wanted(self, inputs: Inputs) -> Mapping[str, Any]:
        """See Kind. It has one peer, and no other."""
        return {**dict.fromkeys(_PEERS), **super().wanted(inputs)}

    def change(self, found: Found, differing: Mapping[str, Any]) -> None:
        """See Kind. It holds nothing, so a new one does: not all of a rule can be changed."""
        self.delete(found)
        rule = {**found.properties, **differing}
        self.create({key: value for key, value in rule.items() if value is not None}, found.tags)


class SecurityGroupIngressRule(_Rule):
    """A rule about who may come in."""

    type = "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule"
    is_egress = False

    def create(self, inputs: Inputs, tags: Tags) -> None:
        """See Kind."""
        self.aws.ec2.authorize_security_group_ingress(**_authorization(inputs, tags))

    def delete(self, found: Found) -> None:
        """See Kind."""
        self.aws.ec2.revoke_security_group_ingress(
            GroupId=found.properties["securityGroupId"], SecurityGroupRuleIds=[found.id]
        )


class SecurityGroupEgressRule(_Rule):
    """A rule about where connections may go."""

    type = "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule"
    is_egress = True

    def create(self, inputs: Inputs, tags: Tags) -> None:
        """See Kind."""
        self.aws.ec2.authorize_security_group_egress(**_authorization(inputs, tags))

    def delete(self, found: Found) -> None:
        """See Kind."""
        self.aws.ec2.revoke_security_group_egress(
            GroupId=found.properties["securityGroupId"], SecurityGroupRuleIds=[found.id]
        )


def _authorization(inputs: Inputs, tags: Tags) -> dict[str, Any]:
    permission = {
        "IpProtocol": inputs["ipProtocol"],
        "FromPort": inputs["fromPort"],
        "ToPort": inputs["toPort"],
        **{
            among: [{name: inputs[key], "Description": inputs["description"]}]
            for key, (among, name) in _PEERS.items()
            if key in inputs
        },
    }
    return {
        "GroupId": inputs["securityGroupId"],
        "IpPermissions": [permission],
        "TagSpecifications": tagged("security-group-rule", tags),
    }


def tagged(what: str, tags: Tags) -> list[Any]:
    """Say what a new resource is to be tagged with."""
    return [{"ResourceType": what, "Tags": pairs_from(tags)}]
