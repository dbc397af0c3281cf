"""Roles and what they may do."""

from __future__ import annotations

import json
from abc import abstractmethod
from collections.abc import Callable, Iterable, Mapping
from typing import Any, ClassVar

from localcloud.kinds.base import Found, Inputs, Kind, Tags, pairs_from, tags_from


class Role(Kind):
    """A role, by its name."""

    type = "aws:iam/role:Role"
    documents = frozenset({"assumeRolePolicy"})
    # A boundary that left the program must go, too.
    defaults: ClassVar = {
        "description": "",
        "maxSessionDuration": 3600,
        "permissionsBoundary": None,
    }
    replaced_for = frozenset({"name", "path"})

    def find(self, name: str, inputs: Inputs) -> Found | None:
        """See Kind."""
        return self.get(inputs["name"])

    def get(self, resource_id: str) -> Found | None:
        """See Kind."""
        try:
            return self._found(resource_id)
        except self.aws.iam.exceptions.NoSuchEntityException:
            return None

    def create(self, inputs: Inputs, tags: Tags) -> None:
        """See Kind. From its first moment on, it has its boundary."""
        boundary = inputs.get("permissionsBoundary")
        self.aws.iam.create_role(
            RoleName=inputs["name"],
            AssumeRolePolicyDocument=inputs["assumeRolePolicy"],
            Tags=pairs_from(tags),
            **({"PermissionsBoundary": boundary} if boundary else {}),
        )

    def change(self, found: Found, differing: Mapping[str, Any]) -> None:
        """See Kind."""
        iam, role = self.aws.iam, found.id
        changeable: dict[str, Callable[[Any], object]] = {
            "assumeRolePolicy": lambda policy: iam.update_assume_role_policy(
                RoleName=role, PolicyDocument=json.dumps(policy)
            ),
            "permissionsBoundary": lambda boundary: (
                iam.put_role_permissions_boundary(RoleName=role, PermissionsBoundary=boundary)
                if boundary
                else iam.delete_role_permissions_boundary(RoleName=role)
            ),
            "maxSessionDuration": lambda seconds: iam.update_role(
                RoleName=role, MaxSessionDuration=seconds
            ),
            "description": lambda text: iam.update_role(RoleName=role, Description=text),
        }
        if fixed := differing.keys() - changeable.keys():
            raise self.fixed(found, fixed)
        for key, value in differing.items():
            changeable[key](value)

    def tag(self, found: Found, tags: Tags) -> None:
        """See Kind."""
        self.aws.iam.tag_role(RoleName=found.id, Tags=pairs_from(tags))

    def owned(self) -> Iterable[Found]:
        """See Kind."""
        for role in self.aws.iam.list_roles()["Roles"]:
            tags = self._tags(role["RoleName"])
            if self.is_ours(tags):
                yield Found(role["RoleName"], {}, {}, tags)

    def delete(self, found: Found) -> None:
        """See Kind. AWS refuses while the role has policies, by whomever they were added."""
        for kind in (RolePoliciesExclusive, RolePolicyAttachmentsExclusive):
            holds = kind(self.aws, self.stack)
            holds.change(holds.of(found.id), {holds.key: []})
        self.aws.iam.delete_role(RoleName=found.id)

    def _tags(self, name: str) -> Tags:
        return tags_from(self.aws.iam.list_role_tags(RoleName=name)["Tags"])

    def _found(self, name: str) -> Found:
        role: Mapping[str, Any] = self.aws.iam.get_role(RoleName=name)["Role"]
        properties = {
            "name": name,
            "description": role.get("Description", ""),
            "assumeRolePolicy": role["AssumeRolePolicyDocument"],
            "maxSessionDuration": role.get("MaxSessionDuration", 3600),
            "permissionsBoundary": role.get("PermissionsBoundary", {}).get(
                "PermissionsBoundaryArn"
            ),
        }
        return Found(name, properties, {"arn": role["Arn"], "name": name}, self._tags(name))


class RolePolicy(Kind):
    """One of the policies inside a role, by the role's name and its own."""

    type = "aws:iam/rolePolicy:RolePolicy"
    has_tags = False
    documents = frozenset({"policy"})
    replaced_for = frozenset({"name", "role"})

    def find(self, name: str, inputs: Inputs) -> Found | None:
        """See Kind."""
        return self.get(f"{inputs['role']}:{inputs['name']}")

    def get(self, resource_id: str) -> Found | None:
        """See Kind. The id is the role's name and the policy's."""
        role, _, name = resource_id.partition(":")
        try:
            return self._found(role, name)
        except self.aws.iam.exceptions.NoSuchEntityException:
            return None

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

    def _found(self, role: str, name: str) -> Found:
        policy = self.aws.iam.get_role_policy(RoleName=role, PolicyName=name)["PolicyDocument"]
        properties = {"role": role, "name": name, "policy": policy}
        return Found(f"{role}:{name}", properties, {"name": name})


class _Exclusive(Kind):
    """What a role holds, and nothing else; a setting that every role has, of nothing too."""

    has_tags = False
    replaced_for = frozenset({"roleName"})
    key: ClassVar[str]

    def find(self, name: str, inputs: Inputs) -> Found:
        """See Kind."""
        return self.of(inputs["roleName"])

    def get(self, resource_id: str) -> Found | None:
        """See Kind. Of every role, for a role may hold none."""
        try:
            return self.of(resource_id)
        except self.aws.iam.exceptions.NoSuchEntityException:
            return None

    def look_for(self, name: str, inputs: Inputs) -> Found | None:
        """See Kind."""
        return self.get(inputs["roleName"])

    @abstractmethod
    def of(self, role: str) -> Found:
        """Return what a role holds."""

    def wanted(self, inputs: Inputs) -> Mapping[str, Any]:
        """See Kind. In no order."""
        return {**inputs, self.key: sorted(inputs[self.key])}


class RolePoliciesExclusive(_Exclusive):
    """The policies inside a role, and no others: what was put in by hand goes."""

    type = "aws:iam/rolePoliciesExclusive:RolePoliciesExclusive"
    key = "policyNames"

    def of(self, role: str) -> Found:
        """See _Exclusive."""
        names = self.aws.iam.list_role_policies(RoleName=role)["PolicyNames"]
        return Found(role, {"roleName": role, self.key: sorted(names)})

    def change(self, found: Found, differing: Mapping[str, Any]) -> None:
        """See Kind. One that is missing is for its own description to put in."""
        for name in {*found.properties[self.key]} - {*differing[self.key]}:
            self.aws.iam.delete_role_policy(RoleName=found.id, PolicyName=name)


class RolePolicyAttachmentsExclusive(_Exclusive):
    """The policies attached to a role, and no others; unlike those inside, it attaches them."""

    type = "aws:iam/rolePolicyAttachmentsExclusive:RolePolicyAttachmentsExclusive"
    key = "policyArns"

    def of(self, role: str) -> Found:
        """See _Exclusive."""
        attached = self.aws.iam.list_attached_role_policies(RoleName=role)["AttachedPolicies"]
        return Found(
            role, {"roleName": role, self.key: sorted(one["PolicyArn"] for one in attached)}
        )

    def change(self, found: Found, differing: Mapping[str, Any]) -> None:
        """See Kind."""
        there, wanted = {*found.properties[self.key]}, {*differing[self.key]}
        for arn in there - wanted:
            self.aws.iam.detach_role_policy(RoleName=found.id, PolicyArn=arn)
        for arn in wanted - there:
            self.aws.iam.attach_role_policy(RoleName=found.id, PolicyArn=arn)
