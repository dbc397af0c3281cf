"""The firewall, and what it stands before."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

from localcloud.kinds.base import Found, Inputs, Kind, Tags, from_aws, pairs_from, tags_from, to_aws

_NAMES = {"cloudwatchMetricsEnabled": "CloudWatchMetricsEnabled"}
_SCOPE = "REGIONAL"
_LOAD_BALANCER = "APPLICATION_LOAD_BALANCER"
_ACL = ("name", "scope", "description", "defaultAction", "rules", "visibilityConfig")


class WebAcl(Kind):
    """A web ACL of the region, by its name."""

    type = "aws:wafv2/webAcl:WebAcl"
    defaults: ClassVar = {"description": None, "rules": []}
    replaced_for = frozenset({"name", "scope"})

    def find(self, name: str, inputs: Inputs) -> Found | None:
        """See Kind."""
        ids = (_id(one) for one in self._all() if one["Name"] == inputs["name"])
        return next(map(self.get, ids), None)

    def get(self, resource_id: str) -> Found | None:
        """See Kind. The id is its own, its name and its scope."""
        id_, name, _ = resource_id.split("/")
        try:
            acl = {**self._get(name, id_)["WebACL"], "Scope": _SCOPE}
        except self.aws.wafv2.exceptions.WAFNonexistentItemException:
            return None
        properties = {key: acl.get(_aws(key)) or self.defaults.get(key) for key in _ACL}
        return Found(resource_id, properties, {"arn": acl["ARN"]}, self._tags(acl["ARN"]))

    def wanted(self, inputs: Inputs) -> Mapping[str, Any]:
        """See Kind."""
        return {key: to_aws(value, _NAMES) for key, value in super().wanted(inputs).items()}

    def inputs_of(self, found: Found) -> dict[str, Any]:
        """See Kind."""
        inputs = super().inputs_of(found)
        return {
            key: inputs[key] if key == "tags" else from_aws(inputs[key], _NAMES) for key in inputs
        }

    def create(self, inputs: Inputs, tags: Tags) -> None:
        """See Kind."""
        self.aws.wafv2.create_web_acl(Tags=pairs_from(tags), **_given(self.wanted(inputs)))

    def change(self, found: Found, differing: Mapping[str, Any]) -> None:
        """See Kind. AWS takes all of it together."""
        if fixed := differing.keys() & {"name", "scope"}:
            raise self.fixed(found, fixed)
        id_, name, _ = found.id.split("/")
        self.aws.wafv2.update_web_acl(
            Id=id_,
            LockToken=self._get(name, id_)["LockToken"],
            **_given({**found.properties, **differing}),
        )

    def tag(self, found: Found, tags: Tags) -> None:
        """See Kind."""
        self.aws.wafv2.tag_resource(ResourceARN=found.outputs["arn"], Tags=pairs_from(tags))

    def owned(self) -> Iterable[Found]:
        """See Kind."""
        for one in self._all():
            tags = self._tags(one["ARN"])
            if self.is_ours(tags):
                yield Found(_id(one), {}, {"arn": one["ARN"]}, tags)

    def delete(self, found: Found) -> None:
        """See Kind."""
        id_, name, _ = found.id.split("/")
        token = self._get(name, id_)["LockToken"]
        self.aws.wafv2.delete_web_acl(Name=name, Scope=_SCOPE, Id=id_, LockToken=token)

    def _all(self) -> Iterable[Mapping[str, str]]:
        acls: list[Mapping[str, str]] = self.aws.wafv2.list_web_acls(Scope=_SCOPE)["WebACLs"]
        return acls

    def _get(self, name: str, id_: str) -> Mapping[str, Any]:
        answer: Mapping[str, Any] = self.aws.wafv2.get_web_acl(Name=name, Scope=_SCOPE, Id=id_)
        return answer

    def _tags(self, arn: str) -> Tags:
        answer = self.aws.wafv2.list_tags_for_resource(ResourceARN=arn)
        return tags_from(answer["TagInfoForResource"]["TagList"])


class WebAclAssociation(Kind):
    """The web ACL of a load balancer."""

    type = "aws:wafv2/webAclAssociation:WebAclAssociation"
    has_tags = False
    replaced_for = frozenset({"resourceArn", "webAclArn"})

    def find(self, name: str, inputs: Inputs) -> Found | None:
        """See Kind."""
        return self._of(inputs["resourceArn"])

    def get(self, resource_id: str) -> Found | None:
        """See Kind. The id is the web ACL's ARN and that of what it stands before."""
        found = self._of(resource_id.partition(",")[2])
        return found if found and found.id == resource_id else None

    def _of(self, resource: str) -> Found | None:
        try:
            answer = self.aws.wafv2.get_web_acl_for_resource(ResourceArn=resource)
        except self.aws.wafv2.exceptions.WAFNonexistentItemException:
            return None
        if "WebACL" not in answer:  # so AWS says it
            return None
        return _association(answer["WebACL"]["ARN"], resource)

    def create(self, inputs: Inputs, tags: Tags) -> None:
        """See Kind."""
        self._associate(inputs["resourceArn"], inputs["webAclArn"])

    def change(self, found: Found, differing: Mapping[str, Any]) -> None:
        """See Kind. The new one takes the place of the old one."""
        self._associate(found.properties["resourceArn"], differing["webAclArn"])

    def owned(self) -> Iterable[Found]:
        """Every place of a web ACL of the stack."""
        for acl in WebAcl(self.aws, self.stack).owned():
            answer = self.aws.wafv2.list_resources_for_web_acl(
                WebACLArn=acl.outputs["arn"], ResourceType=_LOAD_BALANCER
            )
            for resource in answer["ResourceArns"]:
                yield _association(acl.outputs["arn"], resource)

    def delete(self, found: Found) -> None:
        """See Kind."""
        self.aws.wafv2.disassociate_web_acl(ResourceArn=found.properties["resourceArn"])

    def _associate(self, resource: str, acl: str) -> None:
        self.aws.wafv2.associate_web_acl(WebACLArn=acl, ResourceArn=resource)


def _association(acl: str, resource: str) -> Found:
    return Found(f"{acl},{resource}", {"webAclArn": acl, "resourceArn": resource})


def _id(one: Mapping[str, str]) -> str:
    return f"{one['Id']}/{one['Name']}/{_SCOPE}"


def _given(values: Mapping[str, Any]) -> dict[str, Any]:
    return {_aws(key): value for key, value in values.items() if value is not None}


def _aws(name: str) -> str:
    return name[0].upper() + name[1:]
