"""Policies that stand by themselves, the roles that have them, and who may come from elsewhere."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

from localcloud.kinds.base import Found, Inputs, Kind, Tags, pairs_from, tags_from
from localcloud.kinds.iam import Role

# AWS keeps so many versions of a policy and refuses another one.
_VERSIONS = 5


class Policy(Kind):
    """A policy of the account's own, by its name."""

    type = "aws:iam/policy:Policy"
    documents = frozenset({"policy"})
    defaults: ClassVar = {"description": ""}
    replaced_for = frozenset({"description", "name", "path"})

    def find(self, name: str, inputs: Inputs) -> Found | None:
        """See Kind."""
        arns = (one["Arn"] for one in self._all() if one["PolicyName"] == inputs["name"])
        return next(map(self._found, arns), None)

    def get(self, resource_id: str) -> Found | None:
        """See Kind."""
        try:
            return self._found(resource_id)
        except self.aws.iam.exceptions.NoSuchEntityException:
            return None

    def create(self, inputs: Inputs, tags: Tags) -> None:
        """See Kind."""
        self.aws.iam.create_policy(
            PolicyName=inputs["name"],
            PolicyDocument=inputs["policy"],
            Description=inputs.get("description", ""),
            Tags=pairs_from(tags),
        )

    def change(self, found: Found, differing: Mapping[str, Any]) -> None:
        """See Kind. A change is a new version; the oldest one makes room for it."""
        if fixed := differing.keys() - {"policy"}:
            raise self.fixed(found, fixed)
        _, *others = self._versions(found.id)
        if len(others) == _VERSIONS - 1:
            self.aws.iam.delete_policy_version(PolicyArn=found.id, VersionId=others[-1])
        self.aws.iam.create_policy_version(
            PolicyArn=found.id,
            PolicyDocument=json.dumps(differing["policy"]),
            SetAsDefault=True,
        )

    def tag(self, found: Found, tags: Tags) -> None:
        """See Kind."""
        self.aws.iam.tag_policy(PolicyArn=found.id, Tags=pairs_from(tags))

    def owned(self) -> Iterable[Found]:
        """See Kind."""
        for one in self._all():
            tags = self._tags(one["Arn"])
            if self.is_ours(tags):
                yield Found(one["Arn"], {}, {}, tags)

    def delete(self, found: Found) -> None:
        """See Kind."""
        _, *others = self._versions(found.id)
        for version in others:
            self.aws.iam.delete_policy_version(PolicyArn=found.id, VersionId=version)
        self.aws.iam.delete_policy(PolicyArn=found.id)

    def _all(self) -> Iterable[Mapping[str, Any]]:
        for page in self.aws.iam.get_paginator("list_policies").paginate(Scope="Local"):
            yield from page["Policies"]

    def _versions(self, arn: str) -> list[str]:
        """The one that counts, then the others from the newest to the oldest."""
        versions = self.aws.iam.list_policy_versions(PolicyArn=arn)["Versions"]
        numbers = [
            (one["IsDefaultVersion"], int(one["VersionId"].removeprefix("v"))) for one in versions
        ]
        return [f"v{number}" for _, number in sorted(numbers, reverse=True)]

    def _tags(self, arn: str) -> Tags:
        return tags_from(self.aws.iam.list_policy_tags(PolicyArn=arn)["Tags"])

    def _found(self, arn: str) -> Found:
        policy = self.aws.iam.get_policy(PolicyArn=arn)["Policy"]
        version = self.aws.iam.get_policy_version(
            PolicyArn=arn, VersionId=policy["DefaultVersionId"]
        )["PolicyVersion"]
        properties = {
            "name": policy["PolicyName"],
            "description": policy.get("Description", ""),
            "policy": version["Document"],
        }
        return Found(arn, properties, {"arn": arn}, self._tags(arn))


class RolePolicyAttachment(Kind):
    """That a role has a policy."""

    type = "aws:iam/rolePolicyAttachment:RolePolicyAttachment"
    has_tags = False
    replaced_for = frozenset({"policyArn", "role"})

    def find(self, name: str, inputs: Inputs) -> Found | None:
        """See Kind."""
        attached = (
            one for one in self._of(inputs["role"]) if one.properties == self.wanted(inputs)
        )
        return next(attached, None)

    def get(self, resource_id: str) -> Found | None:
        """See Kind. The id is the role's name and the policy's ARN."""
        role, _, _ = resource_id.partition("/")
        try:
            return next((one for one in self._of(role) if one.id == resource_id), None)
        except self.aws.iam.exceptions.NoSuchEntityException:
            return None

    def look_for(self, name: str, inputs: Inputs) -> Found | None:
        """See Kind."""
        return self.get(f"{inputs['role']}/{inputs['policyArn']}")

    def create(self, inputs: Inputs, tags: Tags) -> None:
        """See Kind."""
        self.aws.iam.attach_role_policy(RoleName=inputs["role"], PolicyArn=inputs["policyArn"])

    def owned(self) -> Iterable[Found]:
        """Every policy that a role of the stack has: what is no longer granted must go."""
        for role in Role(self.aws, self.stack).owned():
            yield from self._of(role.id)

    def delete(self, found: Found) -> None:
        """See Kind."""
        self.aws.iam.detach_role_policy(
            RoleName=found.properties["role"], PolicyArn=found.properties["policyArn"]
        )

    def _of(self, role: str) -> Iterable[Found]:
        pages = self.aws.iam.get_paginator("list_attached_role_policies").paginate(RoleName=role)
        for page in pages:
            for one in page["AttachedPolicies"]:
                arn = one["PolicyArn"]
                yield Found(f"{role}/{arn}", {"role": role, "policyArn": arn})


class OpenIdConnectProvider(Kind):
    """Whose word about who somebody is the account takes, by its address.

    AWS would take other clients; the emulator does not, so they are refused.
    """

    type = "aws:iam/openIdConnectProvider:OpenIdConnectProvider"
    replaced_for = frozenset({"url"})

    def find(self, name: str, inputs: Inputs) -> Found | None:
        """See Kind."""
        ours = (one for one in self._all() if one.properties["url"] == inputs["url"])
        return next(ours, None)

    def get(self, resource_id: str) -> Found | None:
        """See Kind."""
        try:
            return self._found(resource_id)
        except self.aws.iam.exceptions.NoSuchEntityException:
            return None

    def wanted(self, inputs: Inputs) -> Mapping[str, Any]:
        """See Kind."""
        return {**super().wanted(inputs), "clientIdLists": sorted(inputs["clientIdLists"])}

    def create(self, inputs: Inputs, tags: Tags) -> None:
        """See Kind."""
        self.aws.iam.create_open_id_connect_provider(
            Url=inputs["url"], ClientIDList=inputs["clientIdLists"], Tags=pairs_from(tags)
        )

    def tag(self, found: Found, tags: Tags) -> None:
        """See Kind."""
        self.aws.iam.tag_open_id_connect_provider(
            OpenIDConnectProviderArn=found.id, Tags=pairs_from(tags)
        )

    def owned(self) -> Iterable[Found]:
        """See Kind."""
        return (one for one in self._all() if self.is_ours(one.tags))

    def delete(self, found: Found) -> None:
        """See Kind."""
        self.aws.iam.delete_open_id_connect_provider(OpenIDConnectProviderArn=found.id)

    def _all(self) -> Iterable[Found]:
        answer = self.aws.iam.list_open_id_connect_providers()
        for listed in answer["OpenIDConnectProviderList"]:
            yield self._found(listed["Arn"])

    def _found(self, arn: str) -> Found:
        one = self.aws.iam.get_open_id_connect_provider(OpenIDConnectProviderArn=arn)
        properties = {
            # AWS keeps it without the scheme, the emulator with it.
            "url": f"https://{one['Url'].removeprefix('https://')}",
            "clientIdLists": sorted(one["ClientIDList"]),
        }
        return Found(arn, properties, {"arn": arn}, tags_from(one.get("Tags", ())))
