"""The firewall before the load balancer: AWS's managed rules, and a limit for each address."""

from __future__ import annotations

from typing import Any

import pulumi
import pulumi_aws as aws

from infra.settings import EdgeSettings

# A customer file is a large body with whatever people write about customers in it. These rules
# would refuse it for its size (8 KB) or for a text in a cell, so they only count; the app reads
# bodies as data, and tests hold it to that.
_COUNTED = {
    "AWSManagedRulesCommonRuleSet": (
        "SizeRestrictions_BODY",
        "CrossSiteScripting_BODY",
        "EC2MetaDataSSRF_BODY",
        "GenericLFI_BODY",
        "GenericRFI_BODY",
    ),
    "AWSManagedRulesKnownBadInputsRuleSet": (
        "JavaDeserializationRCE_BODY",
        "Log4JRCE_BODY",
        "ReactJSRCE_BODY",
    ),
    "AWSManagedRulesAmazonIpReputationList": (),
}


class Firewall(pulumi.ComponentResource):
    """The web ACL of a load balancer."""

    def __init__(
        self,
        name: str,
        settings: EdgeSettings,
        load_balancer_arn: pulumi.Output[str],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("retainwise:infra:Firewall", name, None, opts)
        rules = [_rate(settings.requests_per_5_minutes)]
        rules += [
            _managed(rules_name, counted, priority)
            for priority, (rules_name, counted) in enumerate(_COUNTED.items(), start=1)
        ]
        acl = aws.wafv2.WebAcl(
            name,
            name=name,
            description="Managed rules and a rate for each address",
            scope="REGIONAL",
            default_action={"allow": {}},
            rules=rules,
            visibility_config=_visible(name),
            opts=pulumi.ResourceOptions(parent=self, delete_before_replace=True),
        )
        aws.wafv2.WebAclAssociation(
            name,
            resource_arn=load_balancer_arn,
            web_acl_arn=acl.arn,
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.arn = acl.arn
        self.register_outputs({"arn": acl.arn})


def _rate(limit: int) -> dict[str, Any]:
    return {
        "name": "rate",
        "priority": 0,
        "action": {"block": {}},
        "statement": {"rate_based_statement": {"limit": limit, "aggregate_key_type": "IP"}},
        "visibility_config": _visible("rate"),
    }


def _managed(name: str, counted: tuple[str, ...], priority: int) -> dict[str, Any]:
    group: dict[str, Any] = {"name": name, "vendor_name": "AWS"}
    if counted:
        group["rule_action_overrides"] = [
            {"name": rule, "action_to_use": {"count": {}}} for rule in counted
        ]
    return {
        "name": name,
        "priority": priority,
        "override_action": {"none": {}},
        "statement": {"managed_rule_group_statement": group},
        "visibility_config": _visible(name),
    }


def _visible(name: str) -> dict[str, Any]:
    return {
        "cloudwatch_metrics_enabled": True,
        "sampled_requests_enabled": False,  # a sample would keep parts of what people send
        "metric_name": name,
    }
