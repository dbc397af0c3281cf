"""What exists in an account for one stack: by its names, and by the tags of what has no name.

Listing and describing calls only, which the preview role may make.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from localcloud.program import (
    BOOTSTRAP,
    Declared,
    Program,
    run_program,
    stack_config,
    stack_file,
)
from operations.account import StackAccount


@dataclass(frozen=True, order=True)
class Existing:
    """Something in AWS, by the type and the id that Pulumi's provider gives it."""

    type: str
    id: str

    @property
    def key(self) -> tuple[str, str]:
        """What tells it from others: of ARNs and URLs, which come and go in ids, the end."""
        return _SAME_AS.get(self.type, self.type), _last(self.id)

    def __str__(self) -> str:
        return f"{self.type.rpartition(':')[2]} {self.id}"


def existing(account: StackAccount) -> list[Existing]:
    """List what carries the stack's names or tags. Raises the SDK's errors."""
    return sorted(
        Existing(type_, resource_id)
        for type_, list_them in _LISTINGS.items()
        for resource_id in list_them(account)
    )


def of_bootstrap(account: StackAccount, folder: Path = BOOTSTRAP.stacks) -> set[tuple[str, str]]:
    """Return the keys of what the bootstrap has made for the stack; its state is out of reach.

    folder: where the stack's file for the bootstrap is. Without one, nothing is the bootstrap's.
    """
    program = Program(BOOTSTRAP.project, folder, BOOTSTRAP.main)
    if not stack_file(account.stack, folder).exists():
        return set()
    names = _Names(account)
    config = stack_config(account.stack, program)
    run_program(names, account.stack, config, program, is_preview=True)
    return names.found


class _Names:
    """Stands where the AWS provider stands, and remembers what things are called."""

    def __init__(self, account: StackAccount) -> None:
        self._account = account
        self.found: set[tuple[str, str]] = set()

    def resource(self, declared: Declared) -> tuple[str, Mapping[str, Any]]:
        for key in ("name", "bucket"):
            if isinstance(name := declared.inputs.get(key), str):
                self.found.add((declared.type, name))
        some = f"arn:aws:none:::{declared.name}"
        return declared.name, {"arn": some, "keyId": declared.name, "repositoryUrl": some}

    def invoke(self, function: str, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
        del function, arguments
        return {"accountId": self._account.account_id, "region": self._account.region}


def _named(
    service: str, call: str, answer: str, name: Callable[[Any], str] = str, **arguments: str
) -> Callable[[StackAccount], Iterator[str]]:
    """List by a paginated call; `{name}` in an argument is what the stack's names begin with.

    name: picks the id out of what is listed. What does not begin as the stack's names do is left
        out, whatever the call was asked.
    """

    def listing(account: StackAccount) -> Iterator[str]:
        start = account.name
        given = {key: value.format(name=start) for key, value in arguments.items()}
        for page in _client(account, service).get_paginator(call).paginate(**given):
            for one in page.get(answer, ()):
                resource_id = name(one)
                if _last(resource_id).startswith(f"{start}-") or _last(resource_id) == start:
                    yield resource_id

    return listing


def _tagged(call: str, answer: str, key: str) -> Callable[[StackAccount], Iterator[str]]:
    """List what EC2 has with the stack's tags: it has no names."""

    def listing(account: StackAccount) -> Iterator[str]:
        tags = {"project": "retainwise", "environment": account.stack}
        filters = [{"Name": f"tag:{tag}", "Values": [value]} for tag, value in tags.items()]
        for page in _client(account, "ec2").get_paginator(call).paginate(Filters=filters):
            for one in page[answer]:
                there = {tag["Key"]: tag["Value"] for tag in one.get("Tags", ())}
                if tags.items() <= there.items() and one.get("State") != "deleted":
                    yield one[key]

    return listing


def _services(account: StackAccount) -> Iterator[str]:
    ecs = _client(account, "ecs")
    for cluster in _CLUSTERS(account):
        for page in ecs.get_paginator("list_services").paginate(cluster=cluster):
            yield from page["serviceArns"]


def _client(account: StackAccount, service: str) -> Any:  # noqa: ANN401 - of whichever service
    make: Any = account.session.client
    return make(service)


def _key(name: str) -> Callable[[Any], str]:
    def pick(one: Mapping[str, Any]) -> str:
        value: str = one[name]
        return value

    return pick


def _last(resource_id: str) -> str:
    """Return the name that an ARN or a URL ends with."""
    return resource_id.rpartition("/")[2].rpartition(":")[2]


_SAME_AS = {
    "aws:ec2/defaultSecurityGroup:DefaultSecurityGroup": "aws:ec2/securityGroup:SecurityGroup"
}
"""Types that Pulumi has beside the one that AWS knows."""
_CLUSTERS = _named("ecs", "list_clusters", "clusterArns")
_LISTINGS: Mapping[str, Callable[[StackAccount], Iterable[str]]] = {
    "aws:cloudwatch/eventRule:EventRule": _named(
        "events", "list_rules", "Rules", _key("Name"), NamePrefix="{name}"
    ),
    "aws:cloudwatch/logGroup:LogGroup": _named(
        "logs",
        "describe_log_groups",
        "logGroups",
        _key("logGroupName"),
        logGroupNamePrefix="{name}",
    ),
    "aws:cloudwatch/metricAlarm:MetricAlarm": _named(
        "cloudwatch", "describe_alarms", "MetricAlarms", _key("AlarmName"), AlarmNamePrefix="{name}"
    ),
    "aws:dynamodb/table:Table": _named("dynamodb", "list_tables", "TableNames"),
    "aws:ec2/internetGateway:InternetGateway": _tagged(
        "describe_internet_gateways", "InternetGateways", "InternetGatewayId"
    ),
    "aws:ec2/routeTable:RouteTable": _tagged(
        "describe_route_tables", "RouteTables", "RouteTableId"
    ),
    "aws:ec2/securityGroup:SecurityGroup": _tagged(
        "describe_security_groups", "SecurityGroups", "GroupId"
    ),
    "aws:ec2/subnet:Subnet": _tagged("describe_subnets", "Subnets", "SubnetId"),
    "aws:ec2/vpc:Vpc": _tagged("describe_vpcs", "Vpcs", "VpcId"),
    "aws:ec2/vpcEndpoint:VpcEndpoint": _tagged(
        "describe_vpc_endpoints", "VpcEndpoints", "VpcEndpointId"
    ),
    "aws:ecr/repository:Repository": _named(
        "ecr", "describe_repositories", "repositories", _key("repositoryName")
    ),
    "aws:ecs/cluster:Cluster": _CLUSTERS,
    "aws:ecs/service:Service": _services,
    "aws:iam/role:Role": _named("iam", "list_roles", "Roles", _key("RoleName")),
    "aws:s3/bucket:Bucket": _named("s3", "list_buckets", "Buckets", _key("Name")),
    "aws:sns/topic:Topic": _named("sns", "list_topics", "Topics", _key("TopicArn")),
    "aws:sqs/queue:Queue": _named("sqs", "list_queues", "QueueUrls", QueueNamePrefix="{name}"),
}
"""How each type is listed. What belongs to one of these, such as its policy, goes with it."""
