"""Who people are: a user pool of the stack's own, and the secret that API tokens are signed with.

People are invited; nobody signs up. An administrator of the pool sets `custom:account`, which says
whose predictions somebody sees; the sign-in page lets nobody change it.
"""

from __future__ import annotations

import json

import pulumi
import pulumi_aws as aws

from infra.identity import Account

_SECRET_LENGTH = 64
_TOKEN_MINUTES = 5  # the least that Cognito takes


class SignIn(pulumi.ComponentResource):
    """A user pool with its sign-in page, and the load balancer as its only client."""

    def __init__(
        self,
        name: str,
        host: str,
        account: Account,
        *,
        session_hours: int,
        protect: bool,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("retainwise:infra:SignIn", name, None, opts)
        inside = pulumi.ResourceOptions(parent=self)
        pool = aws.cognito.UserPool(
            name,
            name=name,
            username_attributes=["email"],
            auto_verified_attributes=["email"],
            admin_create_user_config=aws.cognito.UserPoolAdminCreateUserConfigArgs(
                allow_admin_create_user_only=True
            ),
            mfa_configuration="OPTIONAL",
            software_token_mfa_configuration={"enabled": True},
            password_policy=aws.cognito.UserPoolPasswordPolicyArgs(
                minimum_length=14,
                require_lowercase=False,
                require_uppercase=False,
                require_numbers=False,
                require_symbols=False,
                temporary_password_validity_days=7,
            ),
            schemas=[
                aws.cognito.UserPoolSchemaArgs(
                    name="account",
                    attribute_data_type="String",
                    mutable=True,
                    string_attribute_constraints={"min_length": "1", "max_length": "64"},
                )
            ],
            deletion_protection="ACTIVE" if protect else "INACTIVE",
            opts=pulumi.ResourceOptions(parent=self, protect=protect, delete_before_replace=True),
        )
        # Part of a name that is one for all of AWS: the account's id keeps it ours.
        domain = aws.cognito.UserPoolDomain(
            name, domain=f"{name}-{account.id}", user_pool_id=pool.id, opts=inside
        )
        client = aws.cognito.UserPoolClient(
            name,
            name=f"{name}-load-balancer",
            user_pool_id=pool.id,
            generate_secret=True,
            allowed_oauth_flows_user_pool_client=True,
            allowed_oauth_flows=["code"],
            allowed_oauth_scopes=["openid", "email", "profile"],
            supported_identity_providers=["COGNITO"],
            callback_urls=[f"https://{host}/oauth2/idpresponse"],
            logout_urls=[f"https://{host}/"],
            read_attributes=["custom:account", "email", "name"],
            write_attributes=["name"],
            prevent_user_existence_errors="ENABLED",
            enable_token_revocation=True,
            # A copied session outlives signing out by an access token at the most.
            access_token_validity=_TOKEN_MINUTES,
            id_token_validity=_TOKEN_MINUTES,
            refresh_token_validity=session_hours,
            token_validity_units={
                "access_token": "minutes",
                "id_token": "minutes",
                "refresh_token": "hours",
            },
            opts=pulumi.ResourceOptions(parent=pool),
        )
        self.pool_arn, self.client_id, self.domain = pool.arn, client.id, domain.domain
        page = f"auth.{account.region}.amazoncognito.com"
        self.sign_out_url = pulumi.Output.concat(
            "https://", domain.domain, ".", page, "/logout?client_id=", client.id,
            f"&logout_uri=https%3A%2F%2F{host}%2F",
        )  # fmt: skip
        self.register_outputs({"pool": self.pool_arn})


class SessionSecret(pulumi.ComponentResource):
    """A secret that AWS makes up by itself: neither a person nor Pulumi's state ever holds it.

    CloudFormation is asked because it alone can have Secrets Manager generate a value.
    """

    def __init__(
        self,
        name: str,
        key_arn: pulumi.Input[str],
        *,
        protect: bool,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("retainwise:infra:SessionSecret", name, None, opts)
        stack = aws.cloudformation.Stack(
            f"{name}-session",
            name=f"{name}-session",
            template_body=json.dumps(_template(f"{name}-session", protect), sort_keys=True),
            parameters={"KeyArn": key_arn},
            opts=pulumi.ResourceOptions(parent=self, protect=protect, delete_before_replace=True),
        )
        self.arn: pulumi.Output[str] = stack.outputs["Arn"]
        self.register_outputs({"arn": self.arn})


def _template(name: str, protect: bool) -> dict[str, object]:
    on_removal = "Retain" if protect else "Delete"  # which is at once and for good
    return {
        "AWSTemplateFormatVersion": "2010-09-09",
        "Parameters": {"KeyArn": {"Type": "String"}},
        "Resources": {
            "Secret": {
                "Type": "AWS::SecretsManager::Secret",
                "DeletionPolicy": on_removal,
                "UpdateReplacePolicy": on_removal,
                "Properties": {
                    "Name": name,
                    "Description": "Signs the tokens of the API; a new one ends them all.",
                    "KmsKeyId": {"Ref": "KeyArn"},
                    "GenerateSecretString": {
                        "PasswordLength": _SECRET_LENGTH,
                        "ExcludePunctuation": True,
                    },
                },
            }
        },
        "Outputs": {"Arn": {"Value": {"Ref": "Secret"}}},
    }
