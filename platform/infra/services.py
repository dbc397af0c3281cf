"""What runs: one Fargate service for each command of the product.

A third service is one more `Service(...)` in `__main__.py`, one settings class, and one function in
`permissions`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pulumi
import pulumi_aws as aws

from infra.identity import Account, ServiceRoles, Statement
from infra.network import Network
from infra.settings import STOP_TIMEOUT_S, ServiceSettings

_LOG_RETENTION_DAYS = 90
_SCRATCH = "tmp"


class Service(pulumi.ComponentResource):
    """A service: its roles, log group, security group, task definition and tasks.

    `command` is what the image starts; `environment` its whole environment; `may` what its code
    may do; `ports` what it listens on.
    """

    def __init__(
        self,
        name: str,
        settings: ServiceSettings,
        *,
        account: Account,
        network: Network,
        cluster: aws.ecs.Cluster,
        service: str,
        command: Sequence[str],
        environment: Mapping[str, pulumi.Input[str]],
        may: Sequence[Statement],
        ports: Sequence[int] = (),
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("retainwise:infra:Service", name, None, opts)
        inside = pulumi.ResourceOptions(parent=self)
        repository = f"retainwise-{service}"
        log_group = aws.cloudwatch.LogGroup(
            name, name=name, retention_in_days=_LOG_RETENTION_DAYS, opts=inside
        )
        roles = ServiceRoles(
            name, account, may=may, repository=repository, log_group=log_group, opts=inside
        )
        registry = f"{account.id}.dkr.ecr.{account.region}.amazonaws.com"
        self.task_definition = aws.ecs.TaskDefinition(
            name,
            family=name,
            requires_compatibilities=["FARGATE"],
            network_mode="awsvpc",
            cpu=str(settings.cpu),
            memory=str(settings.memory_mib),
            runtime_platform=aws.ecs.TaskDefinitionRuntimePlatformArgs(
                operating_system_family="LINUX", cpu_architecture="X86_64"
            ),
            task_role_arn=roles.task.arn,
            execution_role_arn=roles.execution.arn,
            volumes=[aws.ecs.TaskDefinitionVolumeArgs(name=_SCRATCH)],
            container_definitions=_container_definitions(
                name=service,
                image=f"{registry}/{repository}@{settings.image_digest}",
                command=command,
                environment=environment,
                ports=ports,
                logs={"awslogs-group": log_group.name, "awslogs-region": account.region},
            ),
            # A rollback needs the revision before this one.
            skip_destroy=True,
            opts=inside,
        )
        self.service = aws.ecs.Service(
            name,
            name=name,
            cluster=cluster.arn,
            task_definition=self.task_definition.arn,
            desired_count=settings.tasks,
            launch_type="FARGATE",
            # New tasks first, then the old ones go; a release that cannot start is taken back.
            deployment_minimum_healthy_percent=100,
            deployment_maximum_percent=200,
            deployment_circuit_breaker=aws.ecs.ServiceDeploymentCircuitBreakerArgs(
                enable=True, rollback=True
            ),
            network_configuration=aws.ecs.ServiceNetworkConfigurationArgs(
                subnets=[subnet.id for subnet in network.subnets],
                security_groups=[network.security_group(name, parent=self).id],
                assign_public_ip=False,
            ),
            opts=inside,
        )
        self.register_outputs({"task_definition": self.task_definition.arn})


def _container_definitions(
    *,
    name: str,
    image: str,
    command: Sequence[str],
    environment: Mapping[str, pulumi.Input[str]],
    ports: Sequence[int],
    logs: Mapping[str, pulumi.Input[str]],
) -> pulumi.Output[str]:
    """Write the one container's definition as canonical JSON.

    Sorted, and with the empty values that AWS adds itself: anything else is shown as a change in
    every preview.
    """
    container: dict[str, Any] = {
        "name": name,
        "image": image,
        "command": [*command],
        "cpu": 0,
        "essential": True,
        "environment": [{"name": key, "value": environment[key]} for key in sorted(environment)],
        "portMappings": [
            {"containerPort": port, "hostPort": port, "protocol": "tcp"} for port in ports
        ],
        "readonlyRootFilesystem": True,
        "mountPoints": [
            {"sourceVolume": _SCRATCH, "containerPath": "/tmp", "readOnly": False}  # noqa: S108 - a path in the task, the one that is writable
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
    return pulumi.Output.json_dumps([container], sort_keys=True, separators=(",", ":"))
