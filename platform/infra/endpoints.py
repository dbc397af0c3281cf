"""The only ways out of the private subnets: to AWS's services that the tasks use, inside AWS.

Each endpoint has a policy of its own: through it, this account's own resources can be reached by
this account's own roles and nothing else, so stolen credentials are of no use in here and nothing
can be carried off to somebody else's bucket.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_aws as aws

from infra.identity import Account
from infra.keys import DataKey
from infra.network import HTTPS, Network, let
from infra.queues import PredictionsQueue
from infra.storage import Storage

# What each service can be asked through its endpoint; the roles say who may.
_ACTIONS: Mapping[str, tuple[str, ...]] = {
    "s3": (
        "s3:AbortMultipartUpload",
        "s3:DeleteObject",
        "s3:DeleteObjectVersion",
        "s3:GetObject",
        "s3:GetObjectVersion",
        "s3:ListBucket",
        "s3:ListBucketVersions",
        "s3:PutObject",
    ),
    "dynamodb": (
        "dynamodb:DeleteItem",
        "dynamodb:GetItem",
        "dynamodb:PutItem",
        "dynamodb:Query",
        "dynamodb:UpdateItem",
    ),
    "sqs": (
        "sqs:ChangeMessageVisibility",
        "sqs:DeleteMessage",
        "sqs:GetQueueAttributes",
        "sqs:ReceiveMessage",
        "sqs:SendMessage",
    ),
    "kms": ("kms:Decrypt", "kms:GenerateDataKey"),
    "logs": ("logs:CreateLogStream", "logs:PutLogEvents"),
    "secretsmanager": ("secretsmanager:GetSecretValue",),
    "ecr.dkr": (
        "ecr:BatchCheckLayerAvailability",
        "ecr:BatchGetImage",
        "ecr:GetDownloadUrlForLayer",
    ),
}
# The registry is asked for its token and for images by the same calls on both of its endpoints.
_REGISTRY = ("ecr.api", "ecr.dkr")
_GATEWAYS = ("s3", "dynamodb")


@dataclass(frozen=True)
class Reachable:
    """What of the account can be reached through each endpoint, by AWS's name of the service."""

    buckets: Sequence[pulumi.Input[str]]
    tables: Sequence[pulumi.Input[str]]
    queues: Sequence[pulumi.Input[str]]
    keys: Sequence[pulumi.Input[str]]
    log_groups: Sequence[str]
    secrets: Sequence[str]
    repositories: Sequence[str]

    def of(self, service: str) -> list[pulumi.Input[str]]:
        """Return the resources of one service."""
        return list(
            {
                "s3": [*self.buckets, *(_inside(bucket, "/*") for bucket in self.buckets)],
                "dynamodb": [*self.tables, *(_inside(table, "/index/*") for table in self.tables)],
                "sqs": self.queues,
                "kms": self.keys,
                "logs": self.log_groups,
                "secretsmanager": self.secrets,
                "ecr.dkr": self.repositories,
            }[service]
        )


def reachable_in(
    name: str, account: Account, storage: Storage, queues: PredictionsQueue, key: DataKey
) -> Reachable:
    """Say what of the stack the tasks may reach; what is declared later is told by its name."""
    return Reachable(
        buckets=[storage.uploads.arn, storage.results.arn],
        tables=[storage.table.arn],
        queues=[queues.queue.arn, queues.dlq.arn],
        keys=[key.arn],
        log_groups=[account.arn("logs", f"log-group:{name}-*")],
        secrets=[account.arn("secretsmanager", f"secret:{name}-*")],
        repositories=[account.arn("ecr", f"repository/{name}-*")],
    )


class Endpoints(pulumi.ComponentResource):
    """Gateway endpoints for S3 and DynamoDB, interface endpoints for the rest."""

    def __init__(
        self,
        name: str,
        network: Network,
        account: Account,
        reachable: Reachable,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("retainwise:infra:Endpoints", name, None, opts)
        self._name = name
        inside = pulumi.ResourceOptions(parent=self)
        self.group = network.security_group(
            f"{name}-endpoints", "Endpoints of AWS services, for the tasks", parent=self
        )
        self._gateways = {
            service: aws.ec2.VpcEndpoint(
                f"{name}-{service}",
                vpc_id=network.vpc.id,
                service_name=f"com.amazonaws.{account.region}.{service}",
                vpc_endpoint_type="Gateway",
                route_table_ids=[network.private_routes.id],
                policy=_policy(service, account, reachable),
                tags={"Name": f"{name}-{service}"},
                opts=inside,
            )
            for service in _GATEWAYS
        }
        for service in ("sqs", "kms", "logs", "secretsmanager", *_REGISTRY):
            label = service.replace(".", "-")
            aws.ec2.VpcEndpoint(
                f"{name}-{label}",
                vpc_id=network.vpc.id,
                service_name=f"com.amazonaws.{account.region}.{service}",
                vpc_endpoint_type="Interface",
                subnet_ids=network.private_subnet_ids,
                security_group_ids=[self.group.id],
                private_dns_enabled=True,
                policy=_policy(service, account, reachable),
                tags={"Name": f"{name}-{label}"},
                opts=inside,
            )
        self.register_outputs({})

    def let_in(self, name: str, group: aws.ec2.SecurityGroup) -> list[pulumi.Resource]:
        """Let a service's tasks reach AWS: interfaces by their group, gateways by their list."""
        rules = let(f"{name}-to-endpoints", group, self.group, HTTPS)
        for service, gateway in self._gateways.items():
            rules.append(
                aws.vpc.SecurityGroupEgressRule(
                    f"{name}-to-{service}",
                    security_group_id=group.id,
                    prefix_list_id=gateway.prefix_list_id,
                    ip_protocol="tcp",
                    from_port=HTTPS,
                    to_port=HTTPS,
                    description=f"{name}-to-{service}",
                    opts=pulumi.ResourceOptions(parent=group),
                )
            )
        return rules


def _policy(service: str, account: Account, reachable: Reachable) -> pulumi.Output[str]:
    ours = {"StringEquals": {"aws:PrincipalAccount": account.id}}
    kind = "ecr.dkr" if service in _REGISTRY else service
    statements: list[dict[str, Any]] = [_allow(_ACTIONS[kind], reachable.of(kind), ours)]
    if service in _REGISTRY:
        statements.append(_allow(("ecr:GetAuthorizationToken",), ["*"], ours))
    if service == "s3":
        # Where the registry keeps the layers of images; ECS fetches them with a signed address.
        layers = f"arn:aws:s3:::prod-{account.region}-starport-layer-bucket/*"
        statements.append(_allow(("s3:GetObject",), [layers]))
    return pulumi.Output.json_dumps({"Version": "2012-10-17", "Statement": statements})


def _allow(
    actions: Sequence[str],
    resources: Sequence[pulumi.Input[str]],
    condition: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    statement = {
        "Effect": "Allow",
        "Principal": "*",
        "Action": [*actions],
        "Resource": [*resources],
    }
    return statement | ({"Condition": condition} if condition else {})


def _inside(arn: pulumi.Input[str], path: str) -> pulumi.Output[str]:
    return pulumi.Output.concat(arn, path)
