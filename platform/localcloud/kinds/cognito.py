"""Who can sign in: the pool of people, its page, and the client that sends them there."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from localcloud.kinds.base import NAME_TAG, Found, Inputs, Kind, Tags, from_aws, to_aws
from localcloud.kinds.compare import in_order, only

_PAGE = 60  # the most that AWS lists at a time
_CUSTOM = "custom:"
_MFA = {
    "mfaConfiguration": "MfaConfiguration",
    "softwareTokenMfaConfiguration": "SoftwareTokenMfaConfiguration",
}
_POOL = {
    "adminCreateUserConfig": "AdminCreateUserConfig",
    "autoVerifiedAttributes": "AutoVerifiedAttributes",
    "deletionProtection": "DeletionProtection",
}
_CLIENT = {
    "accessTokenValidity": "AccessTokenValidity",
    "allowedOauthFlows": "AllowedOAuthFlows",
    "allowedOauthFlowsUserPoolClient": "AllowedOAuthFlowsUserPoolClient",
    "allowedOauthScopes": "AllowedOAuthScopes",
    "callbackUrls": "CallbackURLs",
    "enableTokenRevocation": "EnableTokenRevocation",
    "generateSecret": "GenerateSecret",
    "idTokenValidity": "IdTokenValidity",
    "logoutUrls": "LogoutURLs",
    "name": "ClientName",
    "preventUserExistenceErrors": "PreventUserExistenceErrors",
    "readAttributes": "ReadAttributes",
    "refreshTokenValidity": "RefreshTokenValidity",
    "supportedIdentityProviders": "SupportedIdentityProviders",
    "tokenValidityUnits": "TokenValidityUnits",
    "userPoolId": "UserPoolId",
    "writeAttributes": "WriteAttributes",
}


class UserPool(Kind):
    """A pool of people. Several can have one name, so it is found by its tags."""

    type = "aws:cognito/userPool:UserPool"

    def find(self, name: str, inputs: Inputs) -> Found | None:
        """See Kind."""
        for one in self._ours():
            if one["UserPoolTags"].get(NAME_TAG) == name:
                return self._found(one, self.wanted(inputs))
        return None

    def wanted(self, inputs: Inputs) -> Mapping[str, Any]:
        """See Kind."""
        return {key: to_aws(value) for key, value in super().wanted(inputs).items()}

    def create(self, inputs: Inputs, tags: Tags) -> None:
        """See Kind."""
        wanted = self.wanted(inputs)
        self.aws.cognito_idp.create_user_pool(
            PoolName=wanted["name"],
            UsernameAttributes=wanted["usernameAttributes"],
            Schema=wanted["schemas"],
            UserPoolTags=tags,
            **_pool(wanted),
        )

    def change(self, found: Found, differing: Mapping[str, Any]) -> None:
        """See Kind. Of what has one call, AWS takes all together."""
        if fixed := differing.keys() - {"passwordPolicy", *_POOL, *_MFA}:
            raise self.fixed(found, fixed)
        there = {**found.properties}
        wanted = {**there, **differing}
        cognito = self.aws.cognito_idp
        if differing.keys() - _MFA.keys():
            cognito.update_user_pool(
                UserPoolId=found.id,
                MfaConfiguration=there["mfaConfiguration"],
                UserPoolTags=found.tags,
                **_pool(wanted),
            )
        if differing.keys() & _MFA.keys():
            cognito.set_user_pool_mfa_config(
                UserPoolId=found.id, **{aws: wanted[key] for key, aws in _MFA.items()}
            )

    def tag(self, found: Found, tags: Tags) -> None:
        """See Kind."""
        self.aws.cognito_idp.tag_resource(ResourceArn=found.outputs["arn"], Tags=tags)

    def owned(self) -> Iterable[Found]:
        """See Kind."""
        for one in self._ours():
            yield Found(one["Id"], {"domain": one.get("Domain")}, {}, one["UserPoolTags"])

    def delete(self, found: Found) -> None:
        """See Kind."""
        self.aws.cognito_idp.delete_user_pool(UserPoolId=found.id)

    def _ours(self) -> Iterable[Mapping[str, Any]]:
        paginator = self.aws.cognito_idp.get_paginator("list_user_pools")
        for page in paginator.paginate(MaxResults=_PAGE):
            for one in page["UserPools"]:
                pool = self.aws.cognito_idp.describe_user_pool(UserPoolId=one["Id"])["UserPool"]
                if self.is_ours(pool.get("UserPoolTags", {})):
                    yield pool

    def _found(self, one: Mapping[str, Any], wanted: Mapping[str, Any]) -> Found:
        mfa = self.aws.cognito_idp.get_user_pool_mfa_config(UserPoolId=one["Id"])
        properties = {
            "name": one["Name"],
            "usernameAttributes": one["UsernameAttributes"],
            "schemas": [
                {**schema, "Name": schema["Name"].removeprefix(_CUSTOM)}
                for schema in one["SchemaAttributes"]
                if schema["Name"].startswith(_CUSTOM)
            ],
            "passwordPolicy": one["Policies"]["PasswordPolicy"],
            **{key: one.get(aws) for key, aws in _POOL.items()},
            **{key: mfa.get(aws) for key, aws in _MFA.items()},
        }
        outputs = {"arn": one["Arn"]}
        return Found(one["Id"], only(properties, wanted), outputs, one["UserPoolTags"])


class UserPoolDomain(Kind):
    """Where a pool's page is."""

    type = "aws:cognito/userPoolDomain:UserPoolDomain"
    has_tags = False

    def find(self, name: str, inputs: Inputs) -> Found | None:
        """See Kind."""
        answer = self.aws.cognito_idp.describe_user_pool(UserPoolId=inputs["userPoolId"])
        domain = answer["UserPool"].get("Domain")
        return _domain(inputs["userPoolId"], domain) if domain else None

    def create(self, inputs: Inputs, tags: Tags) -> None:
        """See Kind."""
        self.aws.cognito_idp.create_user_pool_domain(
            UserPoolId=inputs["userPoolId"], Domain=inputs["domain"]
        )

    def owned(self) -> Iterable[Found]:
        """The page of each pool of the stack."""
        for pool in UserPool(self.aws, self.stack).owned():
            if domain := pool.properties["domain"]:
                yield _domain(pool.id, domain)

    def delete(self, found: Found) -> None:
        """See Kind."""
        self.aws.cognito_idp.delete_user_pool_domain(
            UserPoolId=found.properties["userPoolId"], Domain=found.id
        )


class UserPoolClient(Kind):
    """What sends people to a pool's page, by its name. Its secret is read nowhere."""

    type = "aws:cognito/userPoolClient:UserPoolClient"
    has_tags = False

    def find(self, name: str, inputs: Inputs) -> Found | None:
        """See Kind."""
        pool = inputs["userPoolId"]
        for one in self._of(pool):
            if one["ClientName"] == inputs["name"]:
                answer = self.aws.cognito_idp.describe_user_pool_client(
                    UserPoolId=pool, ClientId=one["ClientId"]
                )
                client = answer["UserPoolClient"]
                client["GenerateSecret"] = bool(client.pop("ClientSecret", None))
                properties = {
                    key: from_aws(client.get(_CLIENT[key])) for key in self.wanted(inputs)
                }
                return Found(one["ClientId"], in_order(properties))
        return None

    def wanted(self, inputs: Inputs) -> Mapping[str, Any]:
        """See Kind."""
        return in_order(super().wanted(inputs))

    def create(self, inputs: Inputs, tags: Tags) -> None:
        """See Kind."""
        given = _client(self.wanted(inputs))
        self.aws.cognito_idp.create_user_pool_client(**given)

    def change(self, found: Found, differing: Mapping[str, Any]) -> None:
        """See Kind. AWS takes all of it together."""
        if "generateSecret" in differing:
            raise self.fixed(found, ["generateSecret"])
        given = _client({**found.properties, **differing})
        del given["GenerateSecret"]
        self.aws.cognito_idp.update_user_pool_client(ClientId=found.id, **given)

    def owned(self) -> Iterable[Found]:
        """Every client of a pool of the stack, protected as the pool is."""
        for pool in UserPool(self.aws, self.stack).owned():
            for one in self._of(pool.id):
                yield Found(one["ClientId"], {"userPoolId": pool.id}, {}, pool.tags)

    def delete(self, found: Found) -> None:
        """See Kind."""
        self.aws.cognito_idp.delete_user_pool_client(
            UserPoolId=found.properties["userPoolId"], ClientId=found.id
        )

    def _of(self, pool: str) -> Iterable[Mapping[str, str]]:
        paginator = self.aws.cognito_idp.get_paginator("list_user_pool_clients")
        for page in paginator.paginate(UserPoolId=pool, MaxResults=_PAGE):
            yield from page["UserPoolClients"]


def _pool(wanted: Mapping[str, Any]) -> dict[str, Any]:
    given = {aws: wanted[key] for key, aws in _POOL.items() if key in wanted}
    return {**given, "Policies": {"PasswordPolicy": wanted["passwordPolicy"]}}


def _client(wanted: Mapping[str, Any]) -> dict[str, Any]:
    return {_CLIENT[key]: to_aws(value) for key, value in wanted.items()}


def _domain(pool: str, domain: str) -> Found:
    return Found(domain, {"userPoolId": pool, "domain": domain}, {"domain": domain})
