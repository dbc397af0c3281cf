"""The firewall, and what it stands before."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from localcloud.kinds.base import Found, Inputs, Kind, Tags, pairs_from, tags_from, to_aws
from localcloud.kinds.compare import only

_NAMES = {"cloudwatchMetricsEnabled": "CloudWatchMetricsEnabled"}
_SCOPE = "REGIONAL"
_LOAD_BALANCER = "APPLICATION_LOAD_BALANCER"


class WebAcl(Kind):
    """A web ACL of the region, by its name."""

    type = "aws:wafv2/webAcl:WebAcl"

    def find(self, name: str, inputs: Inputs) -> Found | None:
        """See Kind."""
        for one in self._all():
            if one["Name"] == inputs["name"]:
                acl = {**self._get(one["Name"], one["Id"])["WebACL"], "Scope": _SCOPE}
                wanted = self.wanted(inputs)
                properties = {key: only(acl.get(_aws(key)), wanted[key]) for key in wanted}
                return Found(one["ARN"], properties, {"arn": one["ARN"]}, self._tags(one["ARN"]))
        return None

    def wanted(self, inputs: Inputs) -> Mapping[str, Any]:
        """See Kind."""
        return {key: to_aws(value, _NAMES) for key, value in super().wanted(inputs).items()}

    def create(self, inputs: Inputs, tags: Tags) -> None:
        """See Kind."""
        self.aws.wafv2.create_web_acl(
            Tags=pairs_from(tags), **{_aws(k): v for k, v in self.wanted(inputs).items()}
        )

    def change(self, found: Found, differing: Mapping[str, Any]) -> None:
        """See Kind. AWS takes all of it together."""
        if fixed := differing.keys() & {"name", "scope"}:
            raise self.fixed(found, fixed)
        name, id_ = _name_and_id(found.id)
        self.aws.wafv2.update_web_acl(
            Id=id_,
            LockToken=self._get(name, id_)["LockToken"],
            **{_aws(key): value for key, value in {**found.properties, **differing}.items()},
        )

    def tag(self, found: Found, tags: Tags) -> None:
        """See Kind."""
        self.aws.wafv2.tag_resource(ResourceARN=found.id, Tags=pairs_from(tags))

    def owned(self) -> Iterable[Found]:
        """See Kind."""
        for one in self._all():
            tags = self._tags(one["ARN"])
            if self.is_ours(tags):
                yield Found(one["ARN"], {}, {}, tags)

    def delete(self, found: Found) -> None:
        """See Kind."""
        name, id_ = _name_and_id(found.id)
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

    def find(self, name: str, inputs: Inputs) -> Found | None:
        """See Kind."""
        resource = inputs["resourceArn"]
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
                WebACLArn=acl.id, ResourceType=_LOAD_BALANCER
            )
            for resource in answer["ResourceArns"]:
                yield _association(acl.id, resource)

    def delete(self, found: Found) -> None:
        """See Kind."""
        self.aws.wafv2.disassociate_web_acl(ResourceArn=found.id)

    def _associate(self, resource: str, acl: str) -> None:
        self.aws.wafv2.associate_web_acl(WebACLArn=acl, ResourceArn=resource)


def _association(acl: str, resource: str) -> Found:
    return Found(resource, {"webAclArn": acl, "resourceArn": resource})


def _name_and_id(arn: str) -> tuple[str, str]:
    _, _, name, id_ = arn.split("/")
    return name, id_


def _aws(name: str) -> str:
    return name[0].upper() + name[1:]
