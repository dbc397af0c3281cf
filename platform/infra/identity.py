"""Who a service is: the role its code acts under and the role that starts it.

Exact actions on exact resources. `permissions` says what each service's code may do.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_aws as aws


@dataclass(frozen=True)
class Account:
    """Where the stack lives."""

    id: str
    region: str

    def arn(self, service: str, resource: str) -> str:
        """Name a resource of this account and region."""
        return f"arn:aws:{service}:{self.region}:{self.id}:{resource}"


@dataclass(frozen=True)
class Statement:
    """What is allowed on what."""

    actions: tuple[str, ...]
    resources: tuple[pulumi.Input[str], ...]

    def as_json(self) -> dict[str, Any]:
        """Give it in the form of IAM's policy language."""
        return {"Effect": "Allow", "Action": [*self.actions], "Resource": [*self.resources]}


def allow(*actions: str, on: pulumi.Input[str] | Sequence[pulumi.Input[str]]) -> Statement:
    """Allow these actions on one resource or several."""
    resources = tuple(on) if isinstance(on, list | tuple) else (on,)
    return Statement(actions, resources)


class ServiceRoles(pulumi.ComponentResource):
    """A service's task role (what its code may do) and execution role (what starts it)."""

    def __init__(
        self,
        name: str,
        account: Account,
        *,
        may: Sequence[Statement],
        repository: str,
        log_group: aws.cloudwatch.LogGroup,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("retainwise:infra:ServiceRoles", name, None, opts)
        self.task = self._role(f"{name}-task", account, may)
        self.execution = self._role(
            f"{name}-execution",
            account,
            [
                # The one action here that AWS does not let us narrow to a resource.
                allow("ecr:GetAuthorizationToken", on="*"),
                allow(
                    "ecr:BatchCheckLayerAvailability",
                    "ecr:BatchGetImage",
                    "ecr:GetDownloadUrlForLayer",
                    on=account.arn("ecr", f"repository/{repository}"),
                ),
                # The streams of the service's own group: ECS names one after each task.
                allow(
                    "logs:CreateLogStream",
                    "logs:PutLogEvents",
                    on=pulumi.Output.concat(log_group.arn, ":log-stream:*"),
                ),
            ],
        )
        self.register_outputs({"task": self.task.arn, "execution": self.execution.arn})

    def _role(self, name: str, account: Account, may: Sequence[Statement]) -> aws.iam.Role:
        role = aws.iam.Role(
            name,
            name=name,
            assume_role_policy=pulumi.Output.json_dumps(_only_our_tasks(account)),
            opts=pulumi.ResourceOptions(parent=self),
        )
        aws.iam.RolePolicy(
            name,
            name="may",
            role=role.name,
            policy=pulumi.Output.json_dumps(
                {"Version": "2012-10-17", "Statement": [statement.as_json() for statement in may]}
            ),
            opts=pulumi.ResourceOptions(parent=role),
        )
        return role


def _only_our_tasks(account: Account) -> dict[str, Any]:
    """Trust ECS, and only when it acts for a task of this account (the confused deputy)."""
    return {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"Service": "ecs-tasks.amazonaws.com"},
                "Action": "sts:AssumeRole",
                "Condition": {
                    "StringEquals": {"aws:SourceAccount": account.id},
                    "ArnLike": {"aws:SourceArn": account.arn("ecs", "*")},
                },
            }
        ],
    }
