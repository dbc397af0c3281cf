"""The roles that CI takes: managed policies, one for each concern, and no others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pulumi
import pulumi_aws as aws

from bootstrap.scope import Scope
from infra.identity import Account, Statement, policy

# Twice the longest deploy: credentials that end in the middle of one leave it half done.
_SESSION_S = 2 * 60 * 60


def policies(
    scope: Scope, what: str, concerns: Mapping[str, Sequence[Statement]]
) -> list[aws.iam.Policy]:
    """Declare a managed policy for each concern.

    One for all would be over AWS's limit of 6,144 characters.
    """
    return [
        aws.iam.Policy(
            f"{scope.name}-{what}-{concern}",
            name=f"{scope.name}-{what}-{concern}",
            policy=policy(statements),
            opts=pulumi.ResourceOptions(delete_before_replace=True),
        )
        for concern, statements in concerns.items()
    ]


def trust_in(account: Account, principals: Sequence[str]) -> dict[str, Any]:
    """Trust these roles and users of the account, as far as their own policies let them.

    principals: what their ARNs end with, such as `role/…`; `*` for any letters.
    """
    return {
        "Effect": "Allow",
        # A role cannot be named here before it is made, and a pattern at no time.
        "Principal": {"AWS": account.global_arn("iam", "root")},
        # The last two for a session that carries who is behind it on to the next role.
        "Action": ["sts:AssumeRole", "sts:SetSourceIdentity", "sts:TagSession"],
        "Condition": {
            "ArnLike": {
                "aws:PrincipalArn": [account.global_arn("iam", one) for one in principals],
            }
        },
    }


class CiRole(pulumi.ComponentResource):
    """A role with these policies; what someone adds by hand goes with the next `pulumi up`."""

    def __init__(
        self,
        name: str,
        trust: Sequence[Mapping[str, Any]],
        may: Sequence[aws.iam.Policy],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("retainwise:bootstrap:CiRole", name, None, opts)
        role = aws.iam.Role(
            name,
            name=name,
            assume_role_policy=pulumi.Output.json_dumps(
                {"Version": "2012-10-17", "Statement": [*trust]}
            ),
            max_session_duration=_SESSION_S,
            opts=pulumi.ResourceOptions(parent=self, delete_before_replace=True),
        )
        self.arn = role.arn
        inside = pulumi.ResourceOptions(parent=role)
        aws.iam.RolePoliciesExclusive(name, role_name=role.name, policy_names=[], opts=inside)
        for one in may:
            aws.iam.RolePolicyAttachment(
                f"{name}-{one.pulumi_resource_name}",
                role=role.name,
                policy_arn=one.arn,
                opts=inside,
            )
        aws.iam.RolePolicyAttachmentsExclusive(
            name, role_name=role.name, policy_arns=[one.arn for one in may], opts=inside
        )
        self.register_outputs({"arn": self.arn})
