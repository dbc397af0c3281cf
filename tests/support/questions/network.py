"""Who can reach whom, and what is the way out."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

from operations.graph import Graph
from questions.asking import changed, in_policy, question, setting, without

ANYWHERE = {"0.0.0.0/0", "::/0"}
DESCRIPTION = re.compile(r"[a-zA-Z0-9. _\-:/()#,@\[\]+=&;{}!$*]{1,255}")
"""What EC2 takes as a description."""


@question(in_policy("VpcEndpoint", lambda statement: statement.update(Resource="*")))
def each_endpoint_lets_only_our_own_things_be_reached(graph: Graph) -> Iterator[str]:
    for name, one in graph.all_of("VpcEndpoint").items():
        for statement in json.loads(one.inputs.get("policy", '{"Statement": [{}]}'))["Statement"]:
            resources = statement.get("Resource", "*")
            is_layers = "starport-layer-bucket" in json.dumps(resources)
            is_token = statement.get("Action") == ["ecr:GetAuthorizationToken"]
            ours = statement.get("Condition", {}).get("StringEquals", {})
            if "*" in resources and not is_token:
                yield f"{name}: everything can be reached"
            if "aws:PrincipalAccount" not in ours and not is_layers:
                yield f"{name}: for everybody"


def _private_route(graph: Graph) -> Graph:
    return changed(
        "Route", lambda one: one.update(routeTableId="RouteTable/prod-retainwise-private")
    )(graph)


@question(_private_route)
def nothing_private_reaches_the_internet(graph: Graph) -> Iterator[str]:
    private = [one for name, one in graph.all_of("Subnet").items() if "-private-" in name]
    assert private
    routes = graph.all_of("Route").values()
    for association in graph.all_of("RouteTableAssociation").values():
        if not any(graph.refers(association, subnet) for subnet in private):
            continue
        for route in routes:
            if route.inputs["routeTableId"] == association.inputs["routeTableId"]:
                yield f"{association.name} has the route {route.name}"
    for kind in ("NatGateway", "EgressOnlyInternetGateway", "VpcPeeringConnection"):
        yield from graph.all_of(kind)
    for one in private:
        if one.inputs["mapPublicIpOnLaunch"]:
            yield f"{one.name} gives out public addresses"
    for name, service in graph.all_of("Service").items():
        if service.inputs["networkConfiguration"]["assignPublicIp"]:
            yield f"{name} has a public address"


@question(
    setting(
        "Service",
        networkConfiguration={
            "assignPublicIp": False,
            "subnets": ["Subnet/prod-retainwise-public-a"],
            "securityGroups": [],
        },
    )
)
def tasks_are_in_private_subnets(graph: Graph) -> Iterator[str]:
    for name, service in graph.all_of("Service").items():
        for subnet in service.inputs["networkConfiguration"]["subnets"]:
            if "-private-" not in subnet:
                yield f"{name} is in {subnet}"


@question(
    setting("SecurityGroupIngressRule", cidrIpv4="10.0.0.0/8"),
    setting("SecurityGroupIngressRule", toPort=65535),
    setting("SecurityGroupIngressRule", ipProtocol="-1"),
    setting("SecurityGroupEgressRule", ipProtocol="-1"),
)
def who_may_connect_is_said_by_group_but_at_the_load_balancer(graph: Graph) -> Iterator[str]:
    for kind in ("SecurityGroupIngressRule", "SecurityGroupEgressRule"):
        for name, rule in graph.all_of(kind).items():
            address = rule.inputs.get("cidrIpv4") or rule.inputs.get("cidrIpv6")
            is_edge = "-load-balancer" in rule.inputs["securityGroupId"]
            if address and not (is_edge and address in ANYWHERE and rule.inputs["toPort"] == 443):
                yield f"{name}: {address}"
            if rule.inputs["fromPort"] != rule.inputs["toPort"]:
                yield f"{name}: many ports"
            if rule.inputs["ipProtocol"] != "tcp":  # of all protocols it is all ports
                yield f"{name}: {rule.inputs['ipProtocol']}"


@question(setting("SecurityGroup", description="the tasks' own"))
def ec2_takes_what_groups_and_rules_are_described_with(graph: Graph) -> Iterator[str]:
    kinds = ("SecurityGroup", "SecurityGroupIngressRule", "SecurityGroupEgressRule")
    for name, one in graph.all_of(*kinds).items():
        if not DESCRIPTION.fullmatch(one.inputs["description"]):
            yield f"{name}: {one.inputs['description']}"


@question(
    setting("SecurityGroup", ingress=[{"cidrBlocks": ["0.0.0.0/0"]}]),
    without("DefaultSecurityGroup"),
)
def groups_hold_no_rules_of_their_own(graph: Graph) -> Iterator[str]:
    for name, group in graph.all_of("SecurityGroup", "DefaultSecurityGroup").items():
        if group.inputs.get("ingress") or group.inputs.get("egress"):
            yield name
    # As AWS makes it, a VPC's own group lets its members reach each other and everything else.
    if len(graph.all_of("DefaultSecurityGroup")) != len(graph.all_of("Vpc")):
        yield "the default group is as AWS makes it"


@question(changed("VpcEndpoint", lambda inputs: inputs.pop("privateDnsEnabled"), "-sqs"))
def the_tasks_find_every_service_that_they_use_inside(graph: Graph) -> Iterator[str]:
    """Without one of these the first deploy hangs, and no test without AWS would show it."""
    endpoints = graph.all_of("VpcEndpoint")
    there = {e.inputs["serviceName"].rpartition(f".{graph.region}.")[2] for e in endpoints.values()}
    yield from {
        "s3",
        "dynamodb",
        "sqs",
        "kms",
        "logs",
        "secretsmanager",
        "ecr.api",
        "ecr.dkr",
    } - there
    private = {f"Subnet/{name}" for name in graph.all_of("Subnet") if "-private-" in name}
    lists = {
        rule.inputs.get("prefixListId") for rule in graph.all_of("SecurityGroupEgressRule").values()
    }
    for name, endpoint in endpoints.items():
        inputs = endpoint.inputs
        if inputs["vpcEndpointType"] == "Gateway":
            is_found = any("-private" in table for table in inputs.get("routeTableIds", ()))
            is_found = is_found and f"pl-{name}" in lists
        else:
            is_found = inputs.get("privateDnsEnabled") and set(inputs["subnetIds"]) == private
        if not is_found or (
            inputs["vpcEndpointType"] != "Gateway" and not inputs["securityGroupIds"]
        ):
            yield name
    for name, vpc in graph.all_of("Vpc").items():
        if not (vpc.inputs["enableDnsHostnames"] and vpc.inputs["enableDnsSupport"]):
            yield f"{name}: names"


@question(
    changed(
        "SecurityGroupIngressRule",
        lambda inputs: inputs.update(fromPort=8080, toPort=8080),
        "web-from-load-balancer",
    )
)
def each_task_is_reached_at_the_port_where_it_listens(graph: Graph) -> Iterator[str]:
    if not graph.all_of("TargetGroup"):
        return
    for service, container in graph.containers().items():
        listens = {port["containerPort"] for port in container["portMappings"]}
        reached = {
            rule.inputs["fromPort"]
            for rule in graph.all_of("SecurityGroupIngressRule").values()
            if rule.inputs["securityGroupId"].endswith(f"-{service}")
        }
        if listens != reached:
            yield f"{service}: listens at {listens}, reached at {reached}"
