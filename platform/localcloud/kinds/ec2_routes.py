"""The ways out of the network: gateways, routes and endpoints."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

from localcloud.kinds.base import Found, Inputs, Kind, Tags, the_one
from localcloud.kinds.ec2 import Tagged, tagged


class InternetGateway(Tagged):
    """A VPC's door to the internet."""

    type = "aws:ec2/internetGateway:InternetGateway"
    id_key = "InternetGatewayId"
    natural_key = ("vpcId",)
    among = ("vpcId", "attachment.vpc-id")

    def all(self, filters: list[Any]) -> Iterable[Mapping[str, Any]]:
        """See Tagged."""
        answer = self.aws.ec2.describe_internet_gateways(Filters=filters)
        gateways: list[Mapping[str, Any]] = answer["InternetGateways"]
        return gateways

    def describe(self, one: Mapping[str, Any], tags: Tags) -> Found:
        """See Tagged."""
        vpcs = [attachment["VpcId"] for attachment in one.get("Attachments", ())]
        return Found(one["InternetGatewayId"], {"vpcId": next(iter(vpcs), None)}, {}, tags)

    def create(self, inputs: Inputs, tags: Tags) -> None:
        """See Kind. It belongs to no VPC yet."""
        self.aws.ec2.create_internet_gateway(TagSpecifications=tagged("internet-gateway", tags))

    def change(self, found: Found, differing: Mapping[str, Any]) -> None:
        """See Kind."""
        self._detach(found)
        self.aws.ec2.attach_internet_gateway(InternetGatewayId=found.id, VpcId=differing["vpcId"])

    def delete(self, found: Found) -> None:
        """See Kind."""
        self._detach(found)
        self.aws.ec2.delete_internet_gateway(InternetGatewayId=found.id)

    def _detach(self, found: Found) -> None:
        if vpc := found.properties["vpcId"]:
            self.aws.ec2.detach_internet_gateway(InternetGatewayId=found.id, VpcId=vpc)


class RouteTable(Tagged):
    """A table of routes, which are resources of their own."""

    type = "aws:ec2/routeTable:RouteTable"
    id_key = "RouteTableId"
    replaced_for = frozenset({"vpcId"})

    def look_for(self, name: str, inputs: Inputs) -> Found | None:
        """See Kind. By its VPC and `Name`: what leads where is said by other resources."""
        wanted = inputs.get("tags", {}).get("Name")
        if not (wanted and inputs.get("vpcId")):
            return None
        return the_one(
            found
            for found in map(self._described, self.all(_in(inputs["vpcId"])))
            if (found.properties["vpcId"], found.tags.get("Name")) == (inputs["vpcId"], wanted)
        )

    def all(self, filters: list[Any]) -> Iterable[Mapping[str, Any]]:
        """See Tagged."""
        tables: list[Mapping[str, Any]] = self.aws.ec2.describe_route_tables(Filters=filters)[
            "RouteTables"
        ]
        return tables

    def describe(self, one: Mapping[str, Any], tags: Tags) -> Found:
        """See Tagged."""
        properties = {
            "vpcId": one["VpcId"],
            "associations": {
                association["SubnetId"]: association["RouteTableAssociationId"]
                for association in one["Associations"]
                if "SubnetId" in association
            },
            "routes": {
                route["DestinationCidrBlock"]: route["GatewayId"]
                for route in one["Routes"]
                # That to inside is the table's own; those to endpoints are the endpoints'.
                if route["Origin"] == "CreateRoute"
                and "DestinationCidrBlock" in route
                and "GatewayId" in route
            },
        }
        return Found(one["RouteTableId"], properties, {}, tags)

    def create(self, inputs: Inputs, tags: Tags) -> None:
        """See Kind."""
        self.aws.ec2.create_route_table(
            VpcId=inputs["vpcId"], TagSpecifications=tagged("route-table", tags)
        )

    def delete(self, found: Found) -> None:
        """See Kind."""
        self.aws.ec2.delete_route_table(RouteTableId=found.id)

    def inputs_of(self, found: Found) -> dict[str, Any]:
        """See Kind. What leads where is said by other resources."""
        inputs = super().inputs_of(found)
        return {key: value for key, value in inputs.items() if key in ("vpcId", "tags")}


class RouteTableAssociation(Kind):
    """Which table a subnet goes by, by the subnet: it has one."""

    type = "aws:ec2/routeTableAssociation:RouteTableAssociation"
    has_tags = False
    replaced_for = frozenset({"subnetId"})

    def find(self, name: str, inputs: Inputs) -> Found | None:
        """See Kind."""
        return self._of(inputs["subnetId"])

    def get(self, resource_id: str) -> Found | None:
        """See Kind. The id is the subnet's and the table's."""
        found = self._of(resource_id.partition("/")[0])
        return found if found and found.id == resource_id else None

    def _of(self, subnet: str) -> Found | None:
        filters = [{"Name": "association.subnet-id", "Values": [subnet]}]
        for table in self.aws.ec2.describe_route_tables(Filters=filters)["RouteTables"]:
            for one in table["Associations"]:
                if one.get("SubnetId") == subnet:
                    return _association(
                        one["RouteTableAssociationId"], table["RouteTableId"], subnet
                    )
        return None

    def create(self, inputs: Inputs, tags: Tags) -> None:
        """See Kind."""
        self.aws.ec2.associate_route_table(
            RouteTableId=inputs["routeTableId"], SubnetId=inputs["subnetId"]
        )

    def change(self, found: Found, differing: Mapping[str, Any]) -> None:
        """See Kind."""
        self.aws.ec2.replace_route_table_association(
            AssociationId=found.outputs["associationId"], RouteTableId=differing["routeTableId"]
        )

    def owned(self) -> Iterable[Found]:
        """Give the associations of each table of the stack."""
        for table in RouteTable(self.aws, self.stack).owned():
            for subnet, association in table.properties["associations"].items():
                yield _association(association, table.id, subnet)

    def delete(self, found: Found) -> None:
        """See Kind."""
        self.aws.ec2.disassociate_route_table(AssociationId=found.outputs["associationId"])


class Route(Kind):
    """A route of a table, by where it leads to."""

    type = "aws:ec2/route:Route"
    has_tags = False
    replaced_for = frozenset({"destinationCidrBlock", "routeTableId"})

    def find(self, name: str, inputs: Inputs) -> Found | None:
        """See Kind."""
        return self.get(f"{inputs['routeTableId']}_{inputs['destinationCidrBlock']}")

    def get(self, resource_id: str) -> Found | None:
        """See Kind. The id is the table's and where the route leads to."""
        table, _, destination = resource_id.partition("_")
        there = RouteTable(self.aws, self.stack).get(table)
        if there is None or destination not in there.properties["routes"]:
            return None
        return _route(table, destination, there.properties["routes"][destination])

    def create(self, inputs: Inputs, tags: Tags) -> None:
        """See Kind."""
        self.aws.ec2.create_route(
            RouteTableId=inputs["routeTableId"],
            DestinationCidrBlock=inputs["destinationCidrBlock"],
            GatewayId=inputs["gatewayId"],
        )

    def change(self, found: Found, differing: Mapping[str, Any]) -> None:
        """See Kind."""
        self.aws.ec2.replace_route(
            RouteTableId=found.properties["routeTableId"],
            DestinationCidrBlock=found.properties["destinationCidrBlock"],
            GatewayId=differing["gatewayId"],
        )

    def owned(self) -> Iterable[Found]:
        """Give the routes of each table of the stack."""
        for table in RouteTable(self.aws, self.stack).owned():
            for destination, gateway in table.properties["routes"].items():
                yield _route(table.id, destination, gateway)

    def delete(self, found: Found) -> None:
        """See Kind."""
        self.aws.ec2.delete_route(
            RouteTableId=found.properties["routeTableId"],
            DestinationCidrBlock=found.properties["destinationCidrBlock"],
        )


class VpcEndpoint(Tagged):
    """A way to one of AWS's services: by a gateway's routes or by an interface in each subnet."""

    type = "aws:ec2/vpcEndpoint:VpcEndpoint"
    documents = frozenset({"policy"})
    id_key = "VpcEndpointId"
    natural_key = ("vpcId", "serviceName")
    defaults: ClassVar = {
        "policy": None,
        "privateDnsEnabled": False,
        "routeTableIds": [],
        "securityGroupIds": [],
        "subnetIds": [],
        "vpcEndpointType": "Gateway",
    }
    replaced_for = frozenset({"serviceName", "vpcEndpointType", "vpcId"})

    def all(self, filters: list[Any]) -> Iterable[Mapping[str, Any]]:
        """See Tagged."""
        answer = self.aws.ec2.describe_vpc_endpoints(Filters=filters)
        endpoints: list[Mapping[str, Any]] = answer["VpcEndpoints"]
        return [one for one in endpoints if not one["State"].lower().startswith("delet")]

    def describe(self, one: Mapping[str, Any], tags: Tags) -> Found:
        """See Tagged."""
        policy = one.get("PolicyDocument")
        properties = {
            "vpcId": one["VpcId"],
            "serviceName": one["ServiceName"],
            "vpcEndpointType": one["VpcEndpointType"],
            "policy": json.loads(policy) if policy else None,
            "privateDnsEnabled": one.get("PrivateDnsEnabled", False),
            "routeTableIds": sorted(one.get("RouteTableIds", ())),
            "subnetIds": sorted(one.get("SubnetIds", ())),
            "securityGroupIds": sorted(group["GroupId"] for group in one.get("Groups", ())),
        }
        return Found(one["VpcEndpointId"], properties, self._outputs(properties), tags)

    def wanted(self, inputs: Inputs) -> Mapping[str, Any]:
        """See Kind. Lists are in no order."""
        return {
            key: sorted(value) if isinstance(value, list) else value
            for key, value in super().wanted(inputs).items()
        }

    def create(self, inputs: Inputs, tags: Tags) -> None:
        """See Kind."""
        self.aws.ec2.create_vpc_endpoint(
            VpcId=inputs["vpcId"],
            ServiceName=inputs["serviceName"],
            VpcEndpointType=inputs["vpcEndpointType"],
            PolicyDocument=inputs["policy"],
            RouteTableIds=inputs.get("routeTableIds", []),
            SubnetIds=inputs.get("subnetIds", []),
            SecurityGroupIds=inputs.get("securityGroupIds", []),
            PrivateDnsEnabled=inputs.get("privateDnsEnabled", False),
            TagSpecifications=tagged("vpc-endpoint", tags),
        )

    def change(self, found: Found, differing: Mapping[str, Any]) -> None:
        """See Kind."""
        changes: dict[str, Any] = {}
        for key, value in differing.items():
            match key:
                case "policy":
                    changes["PolicyDocument"] = json.dumps(value)
                case "privateDnsEnabled":
                    changes["PrivateDnsEnabled"] = value
                case "routeTableIds" | "subnetIds" | "securityGroupIds":
                    what, there = key[:1].upper() + key[1:], found.properties[key]
                    changes[f"Add{what}"] = [one for one in value if one not in there]
                    changes[f"Remove{what}"] = [one for one in there if one not in value]
                case _:
                    raise self.fixed(found, [key])
        self.aws.ec2.modify_vpc_endpoint(
            VpcEndpointId=found.id, **{key: value for key, value in changes.items() if value != []}
        )

    def delete(self, found: Found) -> None:
        """See Kind."""
        self.aws.ec2.delete_vpc_endpoints(VpcEndpointIds=[found.id])

    def _outputs(self, properties: Mapping[str, Any]) -> Mapping[str, Any]:
        """A gateway's addresses are a list of AWS's own, with the service's name."""
        if properties["vpcEndpointType"] != "Gateway":
            return {}
        filters = [{"Name": "prefix-list-name", "Values": [properties["serviceName"]]}]
        lists = self.aws.ec2.describe_prefix_lists(Filters=filters)["PrefixLists"]
        name = properties["serviceName"]
        [ours] = [one["PrefixListId"] for one in lists if one["PrefixListName"] == name]
        return {"prefixListId": ours}


def _association(association: str, table: str, subnet: str) -> Found:
    properties = {"routeTableId": table, "subnetId": subnet}
    return Found(f"{subnet}/{table}", properties, {"associationId": association})


def _route(table: str, destination: str, gateway: str) -> Found:
    properties = {
        "routeTableId": table,
        "destinationCidrBlock": destination,
        "gatewayId": gateway,
    }
    return Found(f"{table}_{destination}", properties)


def _in(vpc: str) -> list[Any]:
    return [{"Name": "vpc-id", "Values": [vpc]}]
