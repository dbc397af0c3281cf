"""What runs: one Fargate service for each command of the product.

A third service is one more `Service(...)` in `__main__.py` and one more block in the stack's
`retainwise:services`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_aws as aws

from infra.edge import Target
from infra.endpoints import Endpoints
from infra.identity import Account, ServiceRoles, Statement, allow
from infra.keys import DataKey
from infra.network import Network, let
from infra.scaling import Scaling, scale
from infra.settings import STOP_TIMEOUT_S, OperationsSettings, ServiceSettings

_STARTS_WITHIN_S = 60
_SPOOL = "spool"
_USER = "10001:10001"
"""Nobody in particular: the images make this user, and it owns nothing but the spool."""


class Cluster(pulumi.ComponentResource):
    """Where the services run: Fargate, on spare capacity where a service allows it."""

    def __init__(self, name: str, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("retainwise:infra:Cluster", name, None, opts)
        self.name = name
        cluster = aws.ecs.Cluster(
            name,
            name=name,
            # How many tasks run is told nowhere else, and alarms and scaling ask for it.
            settings=[aws.ecs.ClusterSettingArgs(name="containerInsights", value="enabled")],
            opts=pulumi.ResourceOptions(parent=self, delete_before_replace=True),
        )
        self.arn = cluster.arn
        self.capacity = aws.ecs.ClusterCapacityProviders(
            name,
            cluster_name=cluster.name,
            capacity_providers=["FARGATE", "FARGATE_SPOT"],
            opts=pulumi.ResourceOptions(parent=cluster),
        )
        self.register_outputs({"arn": self.arn})


@dataclass(frozen=True)
class Place:
    """What all services of a stack stand on."""

    name: str
    """The stack's: it starts every name."""
    account: Account
    network: Network
    endpoints: Endpoints
    cluster: Cluster
    key: DataKey
    boundary: str
    """ARN of the policy that no role can go beyond."""
    operations: OperationsSettings


class Service(pulumi.ComponentResource):
    """A service: its roles, log group, security group, task definition and tasks.

    `command` is what the image starts; `environment` its whole environment, with `secrets`, each
    the ARN of one, for what must be in no state and no task definition; `may` what its code may
    do; `behind` where its requests come from; `alarms` those that take a deploy back; `is_healthy`
    a command that fails when a task is to be replaced.
    """

    def __init__(
        self,
        service: str,
        settings: ServiceSettings,
        place: Place,
        *,
        command: Sequence[str],
        environment: Mapping[str, pulumi.Input[str]],
        may: Sequence[Statement],
        secrets: Mapping[str, pulumi.Input[str]] | None = None,
        behind: Target | None = None,
        port: int | None = None,
        scaling: Scaling | None = None,
        alarms: Sequence[pulumi.Input[str]] = (),
        is_healthy: Sequence[str] = (),
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        name = f"{place.name}-{service}"
        super().__init__("retainwise:infra:Service", name, None, opts)
        inside = pulumi.ResourceOptions(parent=self)
        account, secrets = place.account, secrets or {}
        repository = f"{place.name}-{service}"
        log_group = aws.cloudwatch.LogGroup(
            name,
            name=name,
            retention_in_days=place.operations.log_days,
            kms_key_id=place.key.arn,
            opts=pulumi.ResourceOptions(parent=self, delete_before_replace=True),
        )
        roles = ServiceRoles(
            name,
            account,
            may=may,
            starts_with=_starts_with(place, repository, log_group, secrets),
            boundary=place.boundary,
            opts=inside,
        )
        registry = f"{account.id}.dkr.ecr.{account.region}.amazonaws.com"
        self.task_definition = aws.ecs.TaskDefinition(
            name,
            family=name,
            requires_compatibilities=["FARGATE"],
            network_mode="awsvpc",
            cpu=str(settings.cpu),
            memory=str(settings.memory_mib),
            ephemeral_storage=aws.ecs.TaskDefinitionEphemeralStorageArgs(
                size_in_gib=settings.spool_gib
            ),
            runtime_platform=aws.ecs.TaskDefinitionRuntimePlatformArgs(
                operating_system_family="LINUX", cpu_architecture="X86_64"
            ),
            task_role_arn=roles.task.arn,
            execution_role_arn=roles.execution.arn,
            volumes=[aws.ecs.TaskDefinitionVolumeArgs(name=_SPOOL)],
            container_definitions=_container_definitions(
                name=service,
                image=f"{registry}/{repository}@{settings.image_digest}",
                command=command,
                environment=environment,
                secrets=secrets,
                port=port,
                is_healthy=is_healthy,
                logs={"awslogs-group": log_group.name, "awslogs-region": account.region},
            ),
            # A rollback needs the revision before this one.
            skip_destroy=True,
            opts=inside,
        )
        group = place.network.security_group(name, f"Tasks of {service}", parent=self)
        rules = place.endpoints.let_in(name, group)
        if behind is not None and port is not None:
            rules += let(f"{name}-from-load-balancer", behind.group, group, port)
        is_scaled = scaling is not None and settings.max_tasks is not None
        self.service = aws.ecs.Service(
            name,
            name=name,
            cluster=place.cluster.arn,
            task_definition=self.task_definition.arn,
            desired_count=settings.tasks,
            # Without it, a change of the capacity below replaces the service. With it, every change
            # of the service starts its tasks afresh.
            force_new_deployment=True,
            capacity_provider_strategies=[
                aws.ecs.ServiceCapacityProviderStrategyArgs(
                    capacity_provider="FARGATE_SPOT" if settings.spot else "FARGATE", weight=1
                )
            ],
            # New tasks first, then the old ones go; a release that cannot start, or that sets off
            # one of its alarms, is taken back.
            deployment_minimum_healthy_percent=100,
            deployment_maximum_percent=200,
            deployment_circuit_breaker=aws.ecs.ServiceDeploymentCircuitBreakerArgs(
                enable=True, rollback=True
            ),
            alarms=aws.ecs.ServiceAlarmsArgs(alarm_names=[*alarms], enable=True, rollback=True)
            if alarms
            else None,
            load_balancers=[
                aws.ecs.ServiceLoadBalancerArgs(
                    target_group_arn=behind.arn, container_name=service, container_port=port
                )
            ]
            if behind is not None
            else None,
            network_configuration=aws.ecs.ServiceNetworkConfigurationArgs(
                subnets=place.network.private_subnet_ids,
                security_groups=[group.id],
                assign_public_ip=False,
            ),
            # A task that still starts fails its checks: not for that may it be replaced.
            health_check_grace_period_seconds=_STARTS_WITHIN_S if behind else None,
            enable_execute_command=False,
            propagate_tags="SERVICE",
            opts=pulumi.ResourceOptions(
                parent=self,
                delete_before_replace=True,
                # What a task needs to start, and a target group a listener that sends to it.
                depends_on=[
                    place.cluster.capacity,
                    place.endpoints,
                    place.network,
                    *roles.policies,
                    *rules,
                    *(behind.listeners if behind else ()),
                ],
                # Scaling moves it; a deploy must not move it back.
                ignore_changes=["desiredCount"] if is_scaled else None,
            ),
        )
        if scaling is not None and settings.max_tasks is not None:
            scale(name, self.service, place.cluster.name, settings, scaling)
        self.register_outputs({"task_definition": self.task_definition.arn})


def _starts_with(
    place: Place,
    repository: str,
    log_group: aws.cloudwatch.LogGroup,
    secrets: Mapping[str, pulumi.Input[str]],
) -> list[Statement]:
    """Say what ECS needs before the code runs: the image, the log, the secrets."""
    needed = [
        allow("ecr:GetAuthorizationToken", on="*"),
        allow(
            "ecr:BatchCheckLayerAvailability",
            "ecr:BatchGetImage",
            "ecr:GetDownloadUrlForLayer",
            on=place.account.arn("ecr", f"repository/{repository}"),
        ),
        # The streams of the service's own group: ECS names one after each task.
        allow(
            "logs:CreateLogStream",
            "logs:PutLogEvents",
            on=pulumi.Output.concat(log_group.arn, ":log-stream:*"),
        ),
    ]
    if secrets:
        via = f"secretsmanager.{place.account.region}.amazonaws.com"
        needed += [
            allow("secretsmanager:GetSecretValue", on=[*secrets.values()]),
            allow("kms:Decrypt", on=place.key.arn, when={"StringEquals": {"kms:ViaService": via}}),
        ]
    return needed


def _container_definitions(
    *,
    name: str,
    image: str,
    command: Sequence[str],
    environment: Mapping[str, pulumi.Input[str]],
    secrets: Mapping[str, pulumi.Input[str]],
    port: int | None,
    is_healthy: Sequence[str],
    logs: Mapping[str, pulumi.Input[str]],
) -> pulumi.Output[str]:
    """Write the one container's definition as canonical JSON.

    Sorted, and with the empty values that AWS adds itself: anything else is shown as a change in
    every preview.
    """
    ports = [] if port is None else [port]
    container: dict[str, Any] = {
        "name": name,
        "image": image,
        "command": [*command],
        "cpu": 0,
        "essential": True,
        "user": _USER,
        "environment": [{"name": key, "value": environment[key]} for key in sorted(environment)],
        "portMappings": [
            {"containerPort": one, "hostPort": one, "protocol": "tcp"} for one in ports
        ],
        "readonlyRootFilesystem": True,
        "mountPoints": [
            {"sourceVolume": _SPOOL, "containerPath": "/tmp", "readOnly": False}  # noqa: S108 - a path in the task, the one that is writable
        ],
        "volumesFrom": [],
        "systemControls": [],
        # Reaps orphans and passes SIGTERM on, which a Python process as number 1 does not.
        "linuxParameters": {"initProcessEnabled": True},
        "stopTimeout": STOP_TIMEOUT_S,
        "logConfiguration": {
            "logDriver": "awslogs",
            "options": {**logs, "awslogs-stream-prefix": name},
        },
    }
    if secrets:
        container["secrets"] = [{"name": key, "valueFrom": secrets[key]} for key in sorted(secrets)]
    if is_healthy:
        container["healthCheck"] = {
            "command": ["CMD", *is_healthy],
            "interval": 10,
            "retries": 3,
            "startPeriod": 60,
            "timeout": 5,
        }
    return pulumi.Output.json_dumps([container], sort_keys=True, separators=(",", ":"))
