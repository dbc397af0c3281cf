"""What belongs to one environment, as IAM's policies name it.

By name wherever AWS lets a policy do so: all that the environment has starts with its name. What
has only an id is told by its tags. For what is left there is one table, with reasons.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pulumi

from infra import identity
from infra.identity import Account, Statement, allow

PROJECT = "retainwise"

IMAGES = ("web", "worker")
"""The services that have an image of their own, and so a repository."""

_REASONS = {
    "the service's describing calls take no resource at all": (
        "application-autoscaling:DescribeScalableTargets",
        "application-autoscaling:DescribeScalingPolicies",
        "cognito-idp:DescribeUserPoolDomain",
        "ec2:DescribeAccountAttributes",
        "ec2:DescribeAvailabilityZones",
        "ec2:DescribeFlowLogs",
        "ec2:DescribeInternetGateways",
        "ec2:DescribeManagedPrefixLists",
        "ec2:DescribeNetworkAcls",
        "ec2:DescribeNetworkInterfaces",
        "ec2:DescribePrefixLists",
        "ec2:DescribeRouteTables",
        "ec2:DescribeSecurityGroupRules",
        "ec2:DescribeSecurityGroups",
        "ec2:DescribeSubnets",
        "ec2:DescribeTags",
        "ec2:DescribeVpcEndpointServices",
        "ec2:DescribeVpcEndpoints",
        "ec2:DescribeVpcs",
        "ecs:DescribeTaskDefinition",
        "elasticloadbalancing:DescribeCapacityReservation",
        "elasticloadbalancing:DescribeListenerAttributes",
        "elasticloadbalancing:DescribeListenerCertificates",
        "elasticloadbalancing:DescribeListeners",
        "elasticloadbalancing:DescribeLoadBalancerAttributes",
        "elasticloadbalancing:DescribeLoadBalancers",
        "elasticloadbalancing:DescribeRules",
        "elasticloadbalancing:DescribeSSLPolicies",
        "elasticloadbalancing:DescribeTags",
        "elasticloadbalancing:DescribeTargetGroupAttributes",
        "elasticloadbalancing:DescribeTargetGroups",
        "elasticloadbalancing:DescribeTargetHealth",
        "kms:ListAliases",
        "logs:DescribeLogGroups",
        "logs:DescribeResourcePolicies",
        "sns:GetSubscriptionAttributes",
    ),
    "it lists all that there is: what belongs to the environment is told by the names": (
        "acm:ListCertificates",
        "backup:ListBackupPlans",
        "cognito-idp:ListUserPools",
        "dynamodb:ListTables",
        "ecs:ListClusters",
        "ecs:ListServices",
        "ecs:ListTaskDefinitions",
        "events:ListRules",
        "iam:ListRoles",
        "s3:ListAllMyBuckets",
        "sns:ListTopics",
        "sqs:ListQueues",
        "wafv2:ListWebACLs",
    ),
    "AWS gives the new one its id, so a policy cannot name it; the tags it is made with can": (
        "acm:RequestCertificate",
        "cognito-idp:CreateUserPool",
        "kms:CreateKey",
    ),
    "AWS checks it beside wafv2:AssociateWebACL, which is held to the environment's names": (
        "elasticloadbalancing:SetWebAcl",
    ),
    "AWS checks it beside backup:CreateBackupVault, which is held to the environment's names": (
        "backup-storage:MountCapsule",
    ),
    "a subscription has only an id and no tags; to make one, the topic is named": (
        "sns:SetSubscriptionAttributes",
        "sns:Unsubscribe",
    ),
    "AWS checks it beside the calls that make and delete flow logs and the firewall's log": (
        "logs:CreateLogDelivery",
        "logs:DeleteLogDelivery",
    ),
    "such a policy is the account's and has a name, which AWS lets no other policy say": (
        "logs:DeleteResourcePolicy",
        "logs:PutResourcePolicy",
    ),
    "it makes up a password and touches nothing": ("secretsmanager:GetRandomPassword",),
}
WITHOUT_RESOURCE = identity.WITHOUT_RESOURCE | {
    action: reason for reason, actions in _REASONS.items() for action in actions
}
"""Actions that AWS takes on no narrower resource than `*`, and why. No others may have it."""


@dataclass(frozen=True)
class Scope:
    """One environment in its account, in its own region and the one that it is copied to."""

    environment: str
    account: Account
    recovery_region: str | None = None

    @property
    def name(self) -> str:
        """What every name in the environment starts with."""
        return f"{self.environment}-{PROJECT}"

    @property
    def accounts(self) -> list[Account]:
        """The account in each region where the environment has something."""
        if self.recovery_region is None:
            return [self.account]
        return [self.account, Account(self.account.id, self.recovery_region)]

    @property
    def preview_role(self) -> str:
        """The name of the role that a pull request's preview takes."""
        return f"{self.name}-preview"

    @property
    def deploy_role(self) -> str:
        """The name of the role that a deploy takes."""
        return f"{self.name}-deploy"

    @property
    def boundary(self) -> str:
        """ARN of the policy that bounds every role of the service."""
        return self.account.global_arn("iam", f"policy/{self.name}-boundary")

    @property
    def state_buckets(self) -> list[str]:
        """ARNs of the state's bucket and its copy."""
        bucket = f"arn:aws:s3:::{self.name}-state"
        return [f"{bucket}-{self.account.id}", f"{bucket}-recovery-{self.account.id}"]

    @property
    def state_aliases(self) -> list[str]:
        """ARNs of the names of the state's key."""
        return [one.arn("kms", f"alias/{self.name}-state") for one in self.accounts]

    @property
    def lease_table(self) -> str:
        """ARN of the table of the deploy lease."""
        return self.account.arn("dynamodb", f"table/{self.name}-deploy-lease")

    @property
    def images(self) -> list[str]:
        """Names of the image repositories."""
        return [f"{self.name}-{service}" for service in IMAGES]

    @property
    def own_roles(self) -> list[str]:
        """ARNs of the roles that are declared here, and which no deploy may touch."""
        names = (self.preview_role, self.deploy_role, f"{self.name}-state-replication")
        return [self.account.global_arn("iam", f"role/{name}") for name in names]

    @property
    def log_groups(self) -> list[str]:
        """ARNs of the log groups; what a firewall writes to begins with words of AWS's own."""
        return self.named("logs", "log-group:", "log-group:aws-waf-logs-")

    def named(self, service: str, *kinds: str, everywhere: bool = False) -> list[str]:
        """ARNs of the environment's own resources of these kinds, such as `table/`.

        everywhere: in the recovery region as well.
        """
        return [
            account.arn(service, f"{kind}{self.name}*")
            for account in self._accounts(everywhere)
            for kind in kinds
        ]

    def any(self, service: str, *kinds: str, everywhere: bool = False) -> list[str]:
        """ARNs of all resources of these kinds: to be narrowed by tags where it changes them."""
        return [
            account.arn(service, f"{kind}*")
            for account in self._accounts(everywhere)
            for kind in kinds
        ]

    @property
    def tagged(self) -> dict[str, Any]:
        """On the condition that the resource has the environment's tags."""
        return {"StringEquals": self._tags("aws:ResourceTag")}

    @property
    def made_with_tags(self) -> dict[str, Any]:
        """On the condition that the new resource is given the environment's tags."""
        return {"StringEquals": self._tags("aws:RequestTag")}

    @property
    def claimed(self) -> dict[str, Any]:
        """On the condition that the tags given are the environment's, and it is nobody else's."""
        return {
            "StringEquals": self._tags("aws:RequestTag"),
            "StringEqualsIfExists": self._tags("aws:ResourceTag"),
        }

    def _tags(self, key: str) -> dict[str, str]:
        return {f"{key}/project": PROJECT, f"{key}/environment": self.environment}

    def _accounts(self, everywhere: bool) -> list[Account]:
        return self.accounts if everywhere else [self.account]


@dataclass(frozen=True)
class Denial(Statement):
    """What is refused, whatever else allows it."""

    def as_json(self) -> dict[str, Any]:
        """Give it in the form of IAM's policy language."""
        return super().as_json() | {"Effect": "Deny"}


def deny(*actions: str, on: Sequence[pulumi.Input[str]]) -> Denial:
    """Refuse these actions on these resources."""
    return Denial(actions, tuple(on))


def anywhere(*actions: str, when: Mapping[str, Any] | None = None) -> Statement:
    """Allow actions of `WITHOUT_RESOURCE`."""
    return allow(*actions, on="*", when=when)
