"""Who a service is: the role its code acts under and the role that starts it.

Exact actions on exact resources. `permissions` says what each service's code may do. A role holds
what is declared and nothing else: what someone adds to it by hand goes with the next deploy.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pulumi
import pulumi_aws as aws

WITHOUT_RESOURCE = {
    "ecr:GetAuthorizationToken": "the token opens the registry, which is the account's one",
}
"""Actions that AWS takes on no narrower resource than `*`, and why. No others may have it."""


@dataclass(frozen=True)
class Account:
    """Where the stack lives."""

    id: str
    region: str

    def arn(self, service: str, resource: str) -> str:
        """Name a resource of this account and region."""
        return f"arn:aws:{service}:{self.region}:{self.id}:{resource}"

    def global_arn(self, service: str, resource: str) -> str:
        """Name a resource of this account that is in no region."""
        return f"arn:aws:{service}::{self.id}:{resource}"


@dataclass(frozen=True)
class Statement:
    """What is allowed on what, and when."""

    actions: tuple[str, ...]
    resources: tuple[pulumi.Input[str], ...]
    condition: Mapping[str, Any] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """Give it in the form of IAM's policy language."""
        statement: dict[str, Any] = {
            "Effect": "Allow",
            "Action": [*self.actions],
            "Resource": [*self.resources],
        }
        return statement | ({"Condition": self.condition} if self.condition else {})


def allow(
    *actions: str,
    on: pulumi.Input[str] | Sequence[pulumi.Input[str]],
    when: Mapping[str, Any] | None = None,
) -> Statement:
    """Allow these actions on one resource or several, under a condition if one is given."""
    resources = tuple(on) if isinstance(on, list | tuple) else (on,)
    return Statement(actions, resources, when or {})


def policy(statements: Sequence[Statement]) -> pulumi.Output[str]:
    """Write a policy's document."""
    return pulumi.Output.json_dumps(
        {"Version": "2012-10-17", "Statement": [statement.as_json() for statement in statements]}
    )


class Role(pulumi.ComponentResource):
    """A role with one policy inside, `may`, and no others, by whomever they were added."""

    def __init__(
        self,
        name: str,
        *,
        trust: Mapping[str, Any],
        may: Sequence[Statement],
        boundary: str | None = None,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("retainwise:infra:Role", name, None, opts)
        role = aws.iam.Role(
            name,
            name=name,
            assume_role_policy=pulumi.Output.json_dumps(
                {"Version": "2012-10-17", "Statement": [trust]}
            ),
            permissions_boundary=boundary,
            opts=pulumi.ResourceOptions(parent=self, delete_before_replace=True),
        )
        self.arn, self.name = role.arn, role.name
        inside = pulumi.ResourceOptions(parent=role)
        # For what uses the role at once: to wait for this component is not to wait for its policy,
        # which is the role's child.
        self.policy = aws.iam.RolePolicy(
            name,
            name="may",
            role=role.name,
            policy=policy(may),
            opts=pulumi.ResourceOptions.merge(
                inside, pulumi.ResourceOptions(delete_before_replace=True)
            ),
        )
        aws.iam.RolePoliciesExclusive(
            name, role_name=role.name, policy_names=[self.policy.name], opts=inside
        )
        aws.iam.RolePolicyAttachmentsExclusive(
            name, role_name=role.name, policy_arns=[], opts=inside
        )
        self.register_outputs({"arn": self.arn})


def trust_service(
    service: str, account: Account | None, source: str | None = None
) -> dict[str, Any]:
    """Trust one of AWS's services, and only when it acts for this account (the confused deputy).

    account: None for a service that does not say for whom it acts, as S3 when it replicates: then
    what the role may do must name everything.
    source: the ARNs, with wildcards, of what it may act for, where the service tells.
    """
    condition: dict[str, Any] = {}
    if account is not None:
        condition["StringEquals"] = {"aws:SourceAccount": account.id}
    if source is not None:
        condition["ArnLike"] = {"aws:SourceArn": source}
    trust = {"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}
    return trust | ({"Condition": condition} if condition else {})


class ServiceRoles(pulumi.ComponentResource):
    """A service's task role (what its code may do) and execution role (what starts it)."""

    def __init__(
        self,
        name: str,
        account: Account,
        *,
        may: Sequence[Statement],
        starts_with: Sequence[Statement],
        boundary: str,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("retainwise:infra:ServiceRoles", name, None, opts)
        inside = pulumi.ResourceOptions(parent=self)
        trust = trust_service("ecs-tasks.amazonaws.com", account, account.arn("ecs", "*"))
        self.task = Role(f"{name}-task", trust=trust, may=may, boundary=boundary, opts=inside)
        self.execution = Role(
            f"{name}-execution", trust=trust, may=starts_with, boundary=boundary, opts=inside
        )
        self.policies = [self.task.policy, self.execution.policy]
        self.register_outputs({"task": self.task.arn, "execution": self.execution.arn})
