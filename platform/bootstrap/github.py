"""GitHub as an identity provider: its workflows take roles of the account without a stored key."""

from __future__ import annotations

from typing import Any

import pulumi
import pulumi_aws as aws

from bootstrap.settings import GitHubSettings
from infra.identity import Account

ISSUER = "token.actions.githubusercontent.com"
AUDIENCE = "sts.amazonaws.com"


class GitHub(pulumi.ComponentResource):
    """The account's one provider for GitHub, declared here or there already."""

    def __init__(
        self,
        settings: GitHubSettings,
        account: Account,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("retainwise:bootstrap:GitHub", "github", None, opts)
        self._repository = settings.repository
        self._arn: pulumi.Input[str] = account.global_arn("iam", f"oidc-provider/{ISSUER}")
        if not settings.provider_exists:
            provider = aws.iam.OpenIdConnectProvider(
                "github",
                url=f"https://{ISSUER}",
                client_id_lists=[AUDIENCE],
                opts=pulumi.ResourceOptions(parent=self, delete_before_replace=True),
            )
            self._arn = provider.arn
        self.register_outputs({})

    def trust(self, subject: str) -> dict[str, Any]:
        """Trust the workflows of the one repository that run for this subject, and no others.

        subject: `pull_request`, or `environment:` and its name; GitHub lets a job name an
            environment only from the branches that the environment's own rules allow.
        """
        return {
            "Effect": "Allow",
            "Principal": {"Federated": self._arn},
            "Action": "sts:AssumeRoleWithWebIdentity",
            "Condition": {
                "StringEquals": {
                    f"{ISSUER}:aud": AUDIENCE,
                    f"{ISSUER}:sub": f"repo:{self._repository}:{subject}",
                }
            },
        }
