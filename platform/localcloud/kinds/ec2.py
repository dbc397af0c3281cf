"""The network and its security groups; its ways out are in `ec2_routes`.

AWS gives these resources no names, so they are found by their tags.
"""

from __future__ import annotations

import re
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
    the_one,
)

# Whom a rule is about: the program's name, and where AWS's form of it has that.
_PEERS = {
    "cidrIpv4": ("IpRanges", "CidrIp"),
    "cidrIpv6": ("Ipv6Ranges", "CidrIpv6"),
    "prefixListId": ("PrefixListIds", "PrefixListId"),
    "referencedSecurityGroupId": ("UserIdGroupPairs", "GroupId"),
}
# What a new security group does until it is told otherwise: a property that is no input.
_LETS_EVERYTHING_OUT = "lets everything out"


class Tagged(Kind):
    """What all of EC2's resources have in common."""

    id_key: ClassVar[str]
    """How AWS calls the id of one."""
    natural_key: ClassVar[tuple[str, ...]]
    """The properties that no two of them share."""
    among: ClassVar[tuple[str, str]] = ("vpcId", "vpc-id")
    """The property of the natural key that AWS filters by, and its name there."""

    def find(self, name: str, inputs: Inputs) -> Found | None:
        """See Kind."""
        return next(iter(self._with({STACK_TAG: self.stack, NAME_TAG: name})), None)

    def get(self, resource_id: str) -> Found | None:
        """See Kind."""
        # By a filter, which finds nothing where an id that is gone is an error.
        by_id = {"Name": _kebab(self.id_key), "Values": [resource_id]}
        found = (one for one in self.all([by_id]) if one[self.id_key] == resource_id)
        return next(map(self._described, found), None)

    def look_for(self, name: str, inputs: Inputs) -> Found | None:
        """See Kind."""
        wanted = self.wanted(inputs)
        key, filter_name = self.among
        if wanted.get(key) is None:
            return None
        there = map(self._described, self.all([{"Name": filter_name, "Values": [wanted[key]]}]))
        return the_one(
            one
            for one in there
            if all(one.properties.get(key) == wanted.get(key) for key in self.natural_key)
        )

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

    def _described(self, one: Mapping[str, Any]) -> Found:
        return self.describe(one, tags_from(one.get("Tags", ())))

    def all(self, filters: list[Any]) -> Iterable[Mapping[str, Any]]:
        """List the resources of this type that pass AWS's filters; the emulator knows not all."""
        raise NotImplementedError(self.type)

    def describe(self, one: Mapping[str, Any], tags: Tags) -> Found:
        """Turn AWS's description into ours."""
        raise NotImplementedError(self.type)


class Vpc(Tagged):
    """A VPC."""

    type = "aws:ec2/vpc:Vpc"
    id_key = "VpcId"
    defaults: ClassVar = {"enableDnsHostnames": False, "enableDnsSupport": True}
    replaced_for = frozenset({"cidrBlock"})

    def look_for(self, name: str, inputs: Inputs) -> Found | None:
        """See Kind. By its `Name`; one without any by its addresses."""
        wanted = inputs.get("tags", {}).get("Name")
        vpcs = [one for one in self.all([]) if not one["IsDefault"]]
        names = [tags_from(one.get("Tags", ())).get("Name") for one in vpcs]
        if wanted and wanted in names:
            return the_one(
                self._described(one)
                for one, name in zip(vpcs, names, strict=True)
                if name == wanted
            )
        return the_one(
            self._described(one)
            for one, name in zip(vpcs, names, strict=True)
            if not name and one["CidrBlock"] == inputs["cidrBlock"]
        )

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
    id_key = "SubnetId"
    natural_key = ("vpcId", "cidrBlock")
    defaults: ClassVar = {"mapPublicIpOnLaunch": False}
    replaced_for = frozenset({"availabilityZone", "cidrBlock", "vpcId"})

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
    id_key = "GroupId"
    natural_key = ("vpcId", "name")
    replaced_for = frozenset({"description", "name", "vpcId"})

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
            _LETS_EVERYTHING_OUT: any(
                rule["IpProtocol"] == "-1" and rule["IpRanges"] == [{"CidrIp": "0.0.0.0/0"}]
                for rule in one["IpPermissionsEgress"]
            ),
        }
        return Found(one["GroupId"], properties, {"arn": one.get("SecurityGroupArn")}, tags)

    def wanted(self, inputs: Inputs) -> Mapping[str, Any]:
        """See Kind. A new group has a rule that no program declares, and AWS's provider drops."""
        return {**super().wanted(inputs), _LETS_EVERYTHING_OUT: False}

    def inputs_of(self, found: Found) -> dict[str, Any]:
        """See Kind. Its rules are resources of their own."""
        inputs = super().inputs_of(found)
        del inputs[_LETS_EVERYTHING_OUT]
        return inputs

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
        if fixed := differing.keys() - {_LETS_EVERYTHING_OUT}:
            raise self.fixed(found, fixed)
        everything = {"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}
        self.aws.ec2.revoke_security_group_egress(GroupId=found.id, IpPermissions=[everything])

    def delete(self, found: Found) -> None:
        """See Kind."""
        self.aws.ec2.delete_security_group(GroupId=found.id)


class DefaultSecurityGroup(Kind):
    """The group that a VPC comes with: found by the VPC, and only ever emptied."""

    type = "aws:ec2/defaultSecurityGroup:DefaultSecurityGroup"
    replaced_for = frozenset({"vpcId"})

    def find(self, name: str, inputs: Inputs) -> Found:
        """See Kind."""
        [found] = self._all("vpc-id", inputs["vpcId"])
        return found

    def get(self, resource_id: str) -> Found | None:
        """See Kind."""
        groups = (one for one in self._all("group-id", resource_id) if one.id == resource_id)
        return next(groups, None)

    def look_for(self, name: str, inputs: Inputs) -> Found | None:
        """See Kind."""
        return the_one(self._all("vpc-id", inputs["vpcId"]))

    def change(self, found: Found, differing: Mapping[str, Any]) -> None:
        """See Kind."""
        if any(differing.values()):
            raise Unapplicable("a default security group can only be emptied here")
        ec2 = self.aws.ec2
        [one] = self.aws.ec2.describe_security_groups(GroupIds=[found.id])["SecurityGroups"]
        if "ingress" in differing:
            rules = one["IpPermissions"]
            ec2.revoke_security_group_ingress(GroupId=found.id, IpPermissions=rules)
        if "egress" in differing:
            rules = one["IpPermissionsEgress"]
            ec2.revoke_security_group_egress(GroupId=found.id, IpPermissions=rules)

    def tag(self, found: Found, tags: Tags) -> None:
        """See Kind."""
        self.aws.ec2.create_tags(Resources=[found.id], Tags=pairs_from(tags))

    def _all(self, filter_name: str, value: str) -> Iterable[Found]:
        filters = [
            {"Name": filter_name, "Values": [value]},
            {"Name": "group-name", "Values": ["default"]},
        ]
        for one in self.aws.ec2.describe_security_groups(Filters=filters)["SecurityGroups"]:
            properties = {
                "vpcId": one["VpcId"],
                "ingress": [_inline(rule, one["GroupId"]) for rule in one["IpPermissions"]],
                "egress": [_inline(rule, one["GroupId"]) for rule in one["IpPermissionsEgress"]],
            }
            yield Found(one["GroupId"], properties, {}, tags_from(one.get("Tags", ())))


class _Rule(Tagged):
    """A rule of a security group."""

    is_egress: ClassVar[bool]
    id_key = "SecurityGroupRuleId"
    natural_key = ("securityGroupId", "ipProtocol", "fromPort", "toPort", *_PEERS)
    among = ("securityGroupId", "group-id")
    # All ports is what has no port; and it has one peer, and no other.
    defaults: ClassVar = {
        "description": None,
        "fromPort": -1,
        "toPort": -1,
        **dict.fromkeys(_PEERS),
    }
    replaced_for = frozenset({"securityGroupId"})

    def all(self, filters: list[Any]) -> Iterable[Mapping[str, Any]]:
        """See Tagged."""
        rules = self.aws.ec2.describe_security_group_rules(Filters=filters)["SecurityGroupRules"]
        return [one for one in rules if one["IsEgress"] == self.is_egress]

    def describe(self, one: Mapping[str, Any], tags: Tags) -> Found:
        """See Tagged."""
        properties = {
            "securityGroupId": one["GroupId"],
            "ipProtocol": one["IpProtocol"],
            "fromPort": one.get("FromPort", -1),
            "toPort": one.get("ToPort", -1),
            "description": one.get("Description"),
            "cidrIpv4": one.get("CidrIpv4"),
            "cidrIpv6": one.get("CidrIpv6"),
            "prefixListId": one.get("PrefixListId"),
            "referencedSecurityGroupId": one.get("ReferencedGroupInfo", {}).get("GroupId"),
        }
        return Found(one["SecurityGroupRuleId"], properties, {}, tags)

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
        "FromPort": inputs.get("fromPort", -1),
        "ToPort": inputs.get("toPort", -1),
        **{
            among: [{name: inputs[key], "Description": inputs.get("description", "")}]
            for key, (among, name) in _PEERS.items()
            if key in inputs
        },
    }
    return {
        "GroupId": inputs["securityGroupId"],
        "IpPermissions": [permission],
        "TagSpecifications": tagged("security-group-rule", tags),
    }


def _inline(permission: Mapping[str, Any], group: str) -> dict[str, Any]:
    """Give a rule the form that it has inside the description of a group."""
    lists = {
        "cidrBlocks": [one["CidrIp"] for one in permission.get("IpRanges", ())],
        "ipv6CidrBlocks": [one["CidrIpv6"] for one in permission.get("Ipv6Ranges", ())],
        "prefixListIds": [one["PrefixListId"] for one in permission.get("PrefixListIds", ())],
        "securityGroups": [one["GroupId"] for one in permission.get("UserIdGroupPairs", ())],
    }
    rule = {
        "protocol": permission["IpProtocol"],
        "fromPort": permission.get("FromPort", 0),
        "toPort": permission.get("ToPort", 0),
        **{key: sorted(values) for key, values in lists.items() if values},
    }
    if group in rule.get("securityGroups", ()):
        rule["self"] = True
        rule["securityGroups"] = [one for one in rule["securityGroups"] if one != group]
    return {key: value for key, value in rule.items() if value != []}


def _kebab(name: str) -> str:
    return re.sub("(?<!^)[A-Z]", lambda capital: f"-{capital[0]}", name).lower()


def tagged(what: str, tags: Tags) -> list[Any]:
    """Say what a new resource is to be tagged with."""
    return [{"ResourceType": what, "Tags": pairs_from(tags)}]
