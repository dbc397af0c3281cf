"""Who can sign in: the pool of people, its page, and the client that sends them there."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, ClassVar

from localcloud.kinds.base import NAME_TAG, Found, Inputs, Kind, Tags, from_aws, the_one, to_aws
from localcloud.kinds.compare import in_order

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
# What AWS has of them where nothing is declared.
_PASSWORD = {
    "MinimumLength": 8,
    "RequireLowercase": False,
    "RequireNumbers": False,
    "RequireSymbols": False,
    "RequireUppercase": False,
    "TemporaryPasswordValidityDays": 7,
}
_SCHEMA = {"DeveloperOnlyAttribute": False, "Mutable": False, "Required": False}
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
    defaults: ClassVar = {
        "adminCreateUserConfig": {"allowAdminCreateUserOnly": False},
        "autoVerifiedAttributes": [],
        "deletionProtection": "INACTIVE",
        "mfaConfiguration": "OFF",
        "passwordPolicy": {},
        "schemas": [],
        "softwareTokenMfaConfiguration": None,
        "usernameAttributes": [],
    }
    replaced_for = frozenset({"aliasAttributes", "name", "usernameAttributes"})

    def find(self, name: str, inputs: Inputs) -> Found | None:
        """See Kind."""
        for one in self._ours():
            if one["UserPoolTags"].get(NAME_TAG) == name:
                return self._found(one)
        return None

    def get(self, resource_id: str) -> Found | None:
        """See Kind."""
        try:
            answer = self.aws.cognito_idp.describe_user_pool(UserPoolId=resource_id)
        except self.aws.cognito_idp.exceptions.ResourceNotFoundException:
            return None
        return self._found(answer["UserPool"])

    def look_for(self, name: str, inputs: Inputs) -> Found | None:
        """See Kind. By its name, which several can have."""
        ids = [one["Id"] for one in self._all() if one["Name"] == inputs["name"]]
        return the_one(found for found in map(self.get, ids) if found)

    def wanted(self, inputs: Inputs) -> Mapping[str, Any]:
        """See Kind."""
        wanted = {key: to_aws(value) for key, value in super().wanted(inputs).items()}
        return {
            **wanted,
            "passwordPolicy": {**_PASSWORD, **wanted["passwordPolicy"]},
            "schemas": [{**_SCHEMA, **one} for one in wanted["schemas"]],
        }

    def inputs_of(self, found: Found) -> dict[str, Any]:
        """See Kind."""
        there = dict(found.properties)
        there["passwordPolicy"] = _without(_PASSWORD, there["passwordPolicy"])
        there["schemas"] = [_without(_SCHEMA, one) for one in there["schemas"]]
        properties = {key: from_aws(value) for key, value in there.items()}
        return super().inputs_of(replace(found, properties=properties))

    def create(self, inputs: Inputs, tags: Tags) -> None:
        """See Kind."""
        wanted = self.wanted(inputs)
        self.aws.cognito_idp.create_user_pool(
            PoolName=wanted["name"],
            UsernameAttributes=wanted["usernameAttributes"],
            UserPoolTags=tags,
            **({"Schema": wanted["schemas"]} if wanted["schemas"] else {}),
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
                UserPoolId=found.id,
                **{aws: wanted[key] for key, aws in _MFA.items() if wanted[key] is not None},
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

    def _all(self) -> Iterable[Mapping[str, Any]]:
        paginator = self.aws.cognito_idp.get_paginator("list_user_pools")
        for page in paginator.paginate(MaxResults=_PAGE):
            yield from page["UserPools"]

    def _ours(self) -> Iterable[Mapping[str, Any]]:
        for one in self._all():
            pool = self.aws.cognito_idp.describe_user_pool(UserPoolId=one["Id"])["UserPool"]
            if self.is_ours(pool.get("UserPoolTags", {})):
                yield pool

    def _found(self, one: Mapping[str, Any]) -> Found:
        mfa = self.aws.cognito_idp.get_user_pool_mfa_config(UserPoolId=one["Id"])
        invited = one.get("AdminCreateUserConfig", {}).get("AllowAdminCreateUserOnly", False)
        by_app = mfa.get("SoftwareTokenMfaConfiguration", {}).get("Enabled", False)
        properties = {
            "name": one["Name"],
            "usernameAttributes": one.get("UsernameAttributes", []),
            "schemas": [
                {**_SCHEMA, **schema, "Name": schema["Name"].removeprefix(_CUSTOM)}
                for schema in one["SchemaAttributes"]
                if schema["Name"].startswith(_CUSTOM)
            ],
            "passwordPolicy": {**_PASSWORD, **one["Policies"]["PasswordPolicy"]},
            "adminCreateUserConfig": {"AllowAdminCreateUserOnly": invited},
            "autoVerifiedAttributes": one.get("AutoVerifiedAttributes", []),
            "deletionProtection": one.get("DeletionProtection", "INACTIVE"),
            "mfaConfiguration": mfa.get("MfaConfiguration", "OFF"),
            "softwareTokenMfaConfiguration": {"Enabled": True} if by_app else None,
        }
        return Found(one["Id"], properties, {"arn": one["Arn"]}, one.get("UserPoolTags", {}))


class UserPoolDomain(Kind):
    """Where a pool's page is."""

    type = "aws:cognito/userPoolDomain:UserPoolDomain"
    has_tags = False
    replaced_for = frozenset({"domain", "userPoolId"})

    def find(self, name: str, inputs: Inputs) -> Found | None:
        """See Kind."""
        answer = self.aws.cognito_idp.describe_user_pool(UserPoolId=inputs["userPoolId"])
        domain = answer["UserPool"].get("Domain")
        return _domain(inputs["userPoolId"], domain) if domain else None

    def get(self, resource_id: str) -> Found | None:
        """See Kind."""
        answer = self.aws.cognito_idp.describe_user_pool_domain(Domain=resource_id)
        pool = answer["DomainDescription"].get("UserPoolId")  # AWS tells nothing of what is not
        return _domain(pool, resource_id) if pool else None

    def look_for(self, name: str, inputs: Inputs) -> Found | None:
        """See Kind."""
        try:
            return self.find(name, inputs)
        except self.aws.cognito_idp.exceptions.ResourceNotFoundException:
            return None

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
    defaults: ClassVar = {
        "accessTokenValidity": None,
        "allowedOauthFlows": [],
        "allowedOauthFlowsUserPoolClient": False,
        "allowedOauthScopes": [],
        "callbackUrls": [],
        "enableTokenRevocation": True,
        "generateSecret": False,
        "idTokenValidity": None,
        "logoutUrls": [],
        "preventUserExistenceErrors": "LEGACY",
        "readAttributes": [],
        "refreshTokenValidity": 30,
        "supportedIdentityProviders": [],
        "tokenValidityUnits": None,
        "writeAttributes": [],
    }
    replaced_for = frozenset({"generateSecret", "userPoolId"})

    def find(self, name: str, inputs: Inputs) -> Found | None:
        """See Kind."""
        pool = inputs["userPoolId"]
        ids = (one["ClientId"] for one in self._of(pool) if one["ClientName"] == inputs["name"])
        return next((self._found(pool, id_) for id_ in ids), None)

    def get(self, resource_id: str) -> Found | None:
        """See Kind. The id is the pool's and its own."""
        pool, _, client = resource_id.partition("/")
        try:
            return self._found(pool, client)
        except self.aws.cognito_idp.exceptions.ResourceNotFoundException:
            return None

    def import_id(self, resource_id: str, inputs: Inputs) -> str:
        """See Kind. A program knows it by its own alone."""
        return resource_id if "/" in resource_id else f"{inputs['userPoolId']}/{resource_id}"

    def look_for(self, name: str, inputs: Inputs) -> Found | None:
        """See Kind. By its name, which several can have."""
        pool = inputs["userPoolId"]
        try:
            there = list(self._of(pool))
        except self.aws.cognito_idp.exceptions.ResourceNotFoundException:
            return None
        ids = [one["ClientId"] for one in there if one["ClientName"] == inputs["name"]]
        return the_one(self._found(pool, id_) for id_ in ids)

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
        self.aws.cognito_idp.update_user_pool_client(ClientId=found.outputs["id"], **given)

    def owned(self) -> Iterable[Found]:
        """Every client of a pool of the stack, protected as the pool is."""
        for pool in UserPool(self.aws, self.stack).owned():
            for one in self._of(pool.id):
                client, properties = one["ClientId"], {"userPoolId": pool.id}
                yield Found(f"{pool.id}/{client}", properties, {"id": client}, pool.tags)

    def delete(self, found: Found) -> None:
        """See Kind."""
        self.aws.cognito_idp.delete_user_pool_client(
            UserPoolId=found.properties["userPoolId"], ClientId=found.outputs["id"]
        )

    def _found(self, pool: str, client: str) -> Found:
        answer = self.aws.cognito_idp.describe_user_pool_client(UserPoolId=pool, ClientId=client)
        there = answer["UserPoolClient"]
        there["GenerateSecret"] = bool(there.pop("ClientSecret", None))
        properties = {
            key: from_aws(there.get(aws, self.defaults.get(key))) for key, aws in _CLIENT.items()
        }
        properties["tokenValidityUnits"] = properties["tokenValidityUnits"] or None
        return Found(f"{pool}/{client}", in_order(properties), {"id": client})

    def _of(self, pool: str) -> Iterable[Mapping[str, str]]:
        paginator = self.aws.cognito_idp.get_paginator("list_user_pool_clients")
        for page in paginator.paginate(UserPoolId=pool, MaxResults=_PAGE):
            yield from page["UserPoolClients"]


def _pool(wanted: Mapping[str, Any]) -> dict[str, Any]:
    given = {aws: wanted[key] for key, aws in _POOL.items() if key in wanted}
    return {**given, "Policies": {"PasswordPolicy": wanted["passwordPolicy"]}}


def _without(defaults: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in values.items() if value != defaults.get(key)}


def _client(wanted: Mapping[str, Any]) -> dict[str, Any]:
    return {_CLIENT[key]: to_aws(value) for key, value in wanted.items() if value is not None}


def _domain(pool: str, domain: str) -> Found:
    return Found(domain, {"userPoolId": pool, "domain": domain}, {"domain": domain})
