"""Roles and what they may do."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from localcloud.kinds.base import STACK_TAG, Found, Inputs, Kind, Tags, pairs_from, tags_from


class Role(Kind):
    """A role, by its name."""

    type = "aws:iam/role:Role"

    def find(self, name: str, inputs: Inputs) -> Found | None:
        """See Kind."""
        try:
            return self._found(inputs["name"])
        except self.aws.iam.exceptions.NoSuchEntityException:
            return None

    def wanted(self, inputs: Inputs) -> Mapping[str, Any]:
        """See Kind."""
        values = super().wanted(inputs)
        return {**values, "assumeRolePolicy": json.loads(values["assumeRolePolicy"])}

    def create(self, inputs: Inputs, tags: Tags) -> None:
        """See Kind."""
        self.aws.iam.create_role(
            RoleName=inputs["name"],
            AssumeRolePolicyDocument=inputs["assumeRolePolicy"],
            Tags=pairs_from(tags),
        )

    def change(self, found: Found, differing: Mapping[str, Any]) -> None:
        """See Kind."""
        if fixed := differing.keys() - {"assumeRolePolicy"}:
            raise self.fixed(found, fixed)
        self.aws.iam.update_assume_role_policy(
            RoleName=found.id, PolicyDocument=json.dumps(differing["assumeRolePolicy"])
        )

    def tag(self, found: Found, tags: Tags) -> None:
        """See Kind."""
        self.aws.iam.tag_role(RoleName=found.id, Tags=pairs_from(tags))

    def owned(self) -> Iterable[Found]:
        """See Kind."""
        for role in self.aws.iam.list_roles()["Roles"]:
            found = self._found(role["RoleName"])
            if found.tags.get(STACK_TAG) == self.stack:
                yield found

    def delete(self, found: Found) -> None:
        """See Kind."""
        self.aws.iam.delete_role(RoleName=found.id)

    def _found(self, name: str) -> Found:
        role: Mapping[str, Any] = self.aws.iam.get_role(RoleName=name)["Role"]
        tags = tags_from(self.aws.iam.list_role_tags(RoleName=name)["Tags"])
        properties = {"name": name, "assumeRolePolicy": role["AssumeRolePolicyDocument"]}
        return Found(name, properties, {"arn": role["Arn"]}, tags)


class RolePolicy(Kind):
    """One of the policies inside a role, by the role's name and its own."""

    type = "aws:iam/rolePolicy:RolePolicy"
    has_tags = False

    def find(self, name: str, inputs: Inputs) -> Found | None:
        """See Kind."""
        try:
            return self._found(inputs["role"], inputs["name"])
        except self.aws.iam.exceptions.NoSuchEntityException:
            return None

    def wanted(self, inputs: Inputs) -> Mapping[str, Any]:
        """See Kind."""
        return {**inputs, "policy": json.loads(inputs["policy"])}

    def create(self, inputs: Inputs, tags: Tags) -> None:
        """See Kind."""
        self.aws.iam.put_role_policy(
            RoleName=inputs["role"], PolicyName=inputs["name"], PolicyDocument=inputs["policy"]
        )

    def change(self, found: Found, differing: Mapping[str, Any]) -> None:
        """See Kind."""
        self.aws.iam.put_role_policy(
            RoleName=found.properties["role"],
            PolicyName=found.properties["name"],
            PolicyDocument=json.dumps(differing["policy"]),
        )

    def owned(self) -> Iterable[Found]:
        """Every policy inside a role of the stack: what is no longer granted must go."""
        for role in Role(self.aws, self.stack).owned():
            for name in self.aws.iam.list_role_policies(RoleName=role.id)["PolicyNames"]:
                yield self._found(role.id, name)

    def delete(self, found: Found) -> None:
        """See Kind."""
        self.aws.iam.delete_role_policy(
            RoleName=found.properties["role"], PolicyName=found.properties["name"]
        )

    def _found(self, role: str, name: str) -> Found:
        policy = self.aws.iam.get_role_policy(RoleName=role, PolicyName=name)["PolicyDocument"]
        return Found(f"{role}:{name}", {"role": role, "name": name, "policy": policy})
