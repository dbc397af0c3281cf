"""The load balancer: itself, what it forwards to, where it listens and by which rules."""

from __future__ import annotations

import re
from abc import abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, ClassVar

from botocore.exceptions import ClientError

from localcloud.kinds.base import (
    Found,
    Inputs,
    Kind,
    Tags,
    from_aws,
    is_missing,
    pairs_from,
    tags_from,
    to_aws,
)
from localcloud.kinds.compare import in_order

# Settings that AWS keeps as pairs of texts.
_OF_LOAD_BALANCER = {
    "accessLogs.bucket": "access_logs.s3.bucket",
    "accessLogs.enabled": "access_logs.s3.enabled",
    "desyncMitigationMode": "routing.http.desync_mitigation_mode",
    "dropInvalidHeaderFields": "routing.http.drop_invalid_header_fields.enabled",
    "enableDeletionProtection": "deletion_protection.enabled",
    "idleTimeout": "idle_timeout.timeout_seconds",
}
_OF_TARGET_GROUP = {"deregistrationDelay": "deregistration_delay.timeout_seconds"}
_HEALTH_CHECK = {
    "healthyThreshold": "HealthyThresholdCount",
    "interval": "HealthCheckIntervalSeconds",
    "matcher": "Matcher",
    "path": "HealthCheckPath",
    "timeout": "HealthCheckTimeoutSeconds",
    "unhealthyThreshold": "UnhealthyThresholdCount",
}
# What AWS has of it where nothing is declared.
_CHECKED = {
    "healthyThreshold": 3,
    "interval": 30,
    "matcher": "200",
    "path": "/",
    "timeout": 5,
    "unhealthyThreshold": 3,
}
_SIGN_IN = "AuthenticateCognitoConfig"
_NAMES = {
    "authenticateCognito": _SIGN_IN,
    "fixedResponse": "FixedResponseConfig",
    "redirect": "RedirectConfig",
}
_GONE = ("LoadBalancerNotFound", "TargetGroupNotFound", "ListenerNotFound", "RuleNotFound")


class _Balancing(Kind):
    """What the four have in common: their ARN is their id, and their tags are read by it."""

    def get(self, resource_id: str) -> Found | None:
        """See Kind."""
        try:
            there = list(self.described(resource_id))
        except ClientError as exc:
            if is_missing(exc, *_GONE):
                return None
            raise
        return next(map(self.found, there), None)

    def look_for(self, name: str, inputs: Inputs) -> Found | None:
        """See Kind. What it belongs to may be gone."""
        try:
            return self.find(name, inputs)
        except ClientError as exc:
            if is_missing(exc, *_GONE):
                return None
            raise

    @abstractmethod
    def described(self, arn: str) -> Iterable[Mapping[str, Any]]:
        """Ask AWS for the one with this ARN."""

    @abstractmethod
    def found(self, one: Mapping[str, Any]) -> Found:
        """Turn AWS's description into ours."""

    def tag(self, found: Found, tags: Tags) -> None:
        """See Kind."""
        self.aws.elbv2.add_tags(ResourceArns=[found.id], Tags=pairs_from(tags))

    def owned(self) -> Iterable[Found]:
        """See Kind."""
        for arn in self.arns():
            tags = self.tags_of(arn)
            if self.is_ours(tags):
                yield Found(arn, {}, {}, tags)

    @abstractmethod
    def arns(self) -> Iterable[str]:
        """Every one of this type, whoever made it."""

    def tags_of(self, arn: str) -> Tags:
        """Read the tags of one."""
        [answer] = self.aws.elbv2.describe_tags(ResourceArns=[arn])["TagDescriptions"]
        return tags_from(answer["Tags"])


class LoadBalancer(_Balancing):
    """A load balancer, by its name."""

    type = "aws:lb/loadBalancer:LoadBalancer"
    defaults: ClassVar = {
        "accessLogs.bucket": "",
        "accessLogs.enabled": "false",
        "desyncMitigationMode": "defensive",
        "dropInvalidHeaderFields": "false",
        "enableDeletionProtection": "false",
        "idleTimeout": "60",
        "internal": False,
        "loadBalancerType": "application",
    }
    replaced_for = frozenset({"internal", "loadBalancerType", "name"})

    def find(self, name: str, inputs: Inputs) -> Found | None:
        """See Kind."""
        try:
            answer = self.aws.elbv2.describe_load_balancers(Names=[inputs["name"]])
        except self.aws.elbv2.exceptions.LoadBalancerNotFoundException:
            return None
        [one] = answer["LoadBalancers"]
        return self.found(one)

    def described(self, arn: str) -> Iterable[Mapping[str, Any]]:
        """See _Balancing."""
        answer = self.aws.elbv2.describe_load_balancers(LoadBalancerArns=[arn])
        load_balancers: list[Mapping[str, Any]] = answer["LoadBalancers"]
        return load_balancers

    def found(self, one: Mapping[str, Any]) -> Found:
        """See _Balancing."""
        arn = one["LoadBalancerArn"]
        settings = self.aws.elbv2.describe_load_balancer_attributes(LoadBalancerArn=arn)
        properties = {
            "name": one["LoadBalancerName"],
            "loadBalancerType": one["Type"],
            "internal": one["Scheme"] == "internal",
            "subnets": [zone["SubnetId"] for zone in one["AvailabilityZones"]],
            "securityGroups": one.get("SecurityGroups", []),
            **_settings(settings["Attributes"], _OF_LOAD_BALANCER, self.defaults),
        }
        outputs = {
            "arn": arn,
            "arnSuffix": arn.partition(":loadbalancer/")[2],
            "dnsName": one["DNSName"],
            "zoneId": one["CanonicalHostedZoneId"],
        }
        return Found(arn, in_order(properties), outputs, self.tags_of(arn))

    def wanted(self, inputs: Inputs) -> Mapping[str, Any]:
        """See Kind."""
        values = {**super().wanted(inputs)}
        logs = values.pop("accessLogs", {})
        values |= {f"accessLogs.{key}": value for key, value in logs.items()}
        return in_order(_as_texts(values, _OF_LOAD_BALANCER))

    def inputs_of(self, found: Found) -> dict[str, Any]:
        """See Kind."""
        inputs = _as_values(super().inputs_of(found), _OF_LOAD_BALANCER)
        logs = {
            key.removeprefix("accessLogs."): inputs.pop(key)
            for key in _OF_LOAD_BALANCER
            if key.startswith("accessLogs.") and key in inputs
        }
        return {**inputs, "accessLogs": logs} if logs else inputs

    def create(self, inputs: Inputs, tags: Tags) -> None:
        """See Kind."""
        self.aws.elbv2.create_load_balancer(
            Name=inputs["name"],
            Type=inputs.get("loadBalancerType", "application"),
            Scheme="internal" if inputs.get("internal") else "internet-facing",
            Subnets=inputs["subnets"],
            SecurityGroups=inputs["securityGroups"],
            Tags=pairs_from(tags),
        )

    def change(self, found: Found, differing: Mapping[str, Any]) -> None:
        """See Kind."""
        if fixed := differing.keys() - {"subnets", "securityGroups", *_OF_LOAD_BALANCER}:
            raise self.fixed(found, fixed)
        arn = found.id
        if "subnets" in differing:
            self.aws.elbv2.set_subnets(LoadBalancerArn=arn, Subnets=differing["subnets"])
        if "securityGroups" in differing:
            groups = differing["securityGroups"]
            self.aws.elbv2.set_security_groups(LoadBalancerArn=arn, SecurityGroups=groups)
        if settings := _pairs(differing, _OF_LOAD_BALANCER):
            self.aws.elbv2.modify_load_balancer_attributes(LoadBalancerArn=arn, Attributes=settings)

    def arns(self) -> Iterable[str]:
        """See _Balancing."""
        for page in self.aws.elbv2.get_paginator("describe_load_balancers").paginate():
            yield from (one["LoadBalancerArn"] for one in page["LoadBalancers"])

    def delete(self, found: Found) -> None:
        """See Kind."""
        self.aws.elbv2.delete_load_balancer(LoadBalancerArn=found.id)


class TargetGroup(_Balancing):
    """A target group, by its name."""

    type = "aws:lb/targetGroup:TargetGroup"
    defaults: ClassVar = {"deregistrationDelay": "300", "targetType": "instance"}
    replaced_for = frozenset({"name", "port", "protocol", "protocolVersion", "targetType", "vpcId"})

    def find(self, name: str, inputs: Inputs) -> Found | None:
        """See Kind."""
        # Not by `Names`: the emulator answers nothing where AWS raises.
        pages = self.aws.elbv2.get_paginator("describe_target_groups").paginate()
        groups = (one for page in pages for one in page["TargetGroups"])
        for one in groups:
            if one["TargetGroupName"] == inputs["name"]:
                return self.found(one)
        return None

    def described(self, arn: str) -> Iterable[Mapping[str, Any]]:
        """See _Balancing."""
        answer = self.aws.elbv2.describe_target_groups(TargetGroupArns=[arn])
        groups: list[Mapping[str, Any]] = answer["TargetGroups"]
        return groups

    def wanted(self, inputs: Inputs) -> Mapping[str, Any]:
        """See Kind."""
        values = _as_texts(super().wanted(inputs), _OF_TARGET_GROUP)
        return {**values, "healthCheck": _health_check(inputs.get("healthCheck", {}))}

    def inputs_of(self, found: Found) -> dict[str, Any]:
        """See Kind."""
        inputs = _as_values(super().inputs_of(found), _OF_TARGET_GROUP)
        there = inputs.pop("healthCheck")
        checked = {key: there.get(aws) for key, aws in _HEALTH_CHECK.items()}
        checked["matcher"] = there["Matcher"]["HttpCode"]
        checked = {key: value for key, value in checked.items() if value != _CHECKED[key]}
        return {**inputs, "healthCheck": checked} if checked else inputs

    def create(self, inputs: Inputs, tags: Tags) -> None:
        """See Kind."""
        self.aws.elbv2.create_target_group(
            Name=inputs["name"],
            Protocol=inputs["protocol"],
            Port=inputs["port"],
            VpcId=inputs["vpcId"],
            TargetType=inputs.get("targetType", "instance"),
            Tags=pairs_from(tags),
            **_health_check(inputs.get("healthCheck", {})),
        )

    def change(self, found: Found, differing: Mapping[str, Any]) -> None:
        """See Kind."""
        if fixed := differing.keys() - {"healthCheck", *_OF_TARGET_GROUP}:
            raise self.fixed(found, fixed)
        arn = found.id
        if "healthCheck" in differing:
            self.aws.elbv2.modify_target_group(TargetGroupArn=arn, **differing["healthCheck"])
        if settings := _pairs(differing, _OF_TARGET_GROUP):
            self.aws.elbv2.modify_target_group_attributes(TargetGroupArn=arn, Attributes=settings)

    def arns(self) -> Iterable[str]:
        """See _Balancing."""
        for page in self.aws.elbv2.get_paginator("describe_target_groups").paginate():
            yield from (one["TargetGroupArn"] for one in page["TargetGroups"])

    def delete(self, found: Found) -> None:
        """See Kind."""
        self.aws.elbv2.delete_target_group(TargetGroupArn=found.id)

    def found(self, one: Mapping[str, Any]) -> Found:
        """See _Balancing."""
        arn = one["TargetGroupArn"]
        settings = self.aws.elbv2.describe_target_group_attributes(TargetGroupArn=arn)
        properties = {
            "name": one["TargetGroupName"],
            "protocol": one["Protocol"],
            "port": one["Port"],
            "vpcId": one.get("VpcId"),
            "targetType": one["TargetType"],
            "healthCheck": {key: one.get(key) or value for key, value in _health_check({}).items()},
            **_settings(settings["Attributes"], _OF_TARGET_GROUP, self.defaults),
        }
        outputs = {"arn": arn, "arnSuffix": arn.rpartition(":")[2]}
        return Found(arn, properties, outputs, self.tags_of(arn))


class Listener(_Balancing):
    """A port of a load balancer, and what is done with what comes in when no rule applies."""

    type = "aws:lb/listener:Listener"
    replaced_for = frozenset({"loadBalancerArn"})

    def find(self, name: str, inputs: Inputs) -> Found | None:
        """See Kind."""
        load_balancer = inputs["loadBalancerArn"]
        answer = self.aws.elbv2.describe_listeners(LoadBalancerArn=load_balancer)
        listeners = (one for one in answer["Listeners"] if one["Port"] == inputs["port"])
        # A change takes all of it, also what is not told.
        declared = self.wanted(inputs)
        return next((replace(self.found(one), declared=declared) for one in listeners), None)

    def described(self, arn: str) -> Iterable[Mapping[str, Any]]:
        """See _Balancing."""
        answer = self.aws.elbv2.describe_listeners(ListenerArns=[arn])
        listeners: list[Mapping[str, Any]] = answer["Listeners"]
        return listeners

    def wanted(self, inputs: Inputs) -> Mapping[str, Any]:
        """See Kind."""
        return _with_actions(
            super().wanted(inputs), "defaultActions", to_aws(inputs["defaultActions"], _NAMES)
        )

    def inputs_of(self, found: Found) -> dict[str, Any]:
        """See Kind."""
        return _with_declared_actions(super().inputs_of(found), "defaultActions")

    def create(self, inputs: Inputs, tags: Tags) -> None:
        """See Kind."""
        self.aws.elbv2.create_listener(
            LoadBalancerArn=inputs["loadBalancerArn"],
            Tags=pairs_from(tags),
            **_listening(self.wanted(inputs)),
        )

    def change(self, found: Found, differing: Mapping[str, Any]) -> None:
        """See Kind."""
        wanted = {**found.properties, **found.declared, **differing}
        self.aws.elbv2.modify_listener(ListenerArn=found.id, **_listening(wanted))

    def arns(self) -> Iterable[str]:
        """See _Balancing."""
        for load_balancer in LoadBalancer(self.aws, self.stack).arns():
            answer = self.aws.elbv2.describe_listeners(LoadBalancerArn=load_balancer)
            yield from (one["ListenerArn"] for one in answer["Listeners"])

    def delete(self, found: Found) -> None:
        """See Kind."""
        self.aws.elbv2.delete_listener(ListenerArn=found.id)

    def found(self, one: Mapping[str, Any]) -> Found:
        """See _Balancing."""
        arn = one["ListenerArn"]
        [certificate] = one.get("Certificates") or [{}]
        properties = {
            "loadBalancerArn": one["LoadBalancerArn"],
            "port": one["Port"],
            "protocol": one["Protocol"],
            "sslPolicy": one.get("SslPolicy") or None,
            "certificateArn": certificate.get("CertificateArn"),
        }
        properties = _with_actions(properties, "defaultActions", one["DefaultActions"])
        return Found(arn, properties, {"arn": arn}, self.tags_of(arn))


class ListenerRule(_Balancing):
    """A rule of a listener, by its priority."""

    type = "aws:lb/listenerRule:ListenerRule"
    replaced_for = frozenset({"listenerArn"})

    def find(self, name: str, inputs: Inputs) -> Found | None:
        """See Kind."""
        answer = self.aws.elbv2.describe_rules(ListenerArn=inputs["listenerArn"])
        rules = (one for one in answer["Rules"] if one["Priority"] == str(inputs["priority"]))
        # A change takes all of it, also what is not told.
        declared = self.wanted(inputs)
        return next((replace(self.found(one), declared=declared) for one in rules), None)

    def described(self, arn: str) -> Iterable[Mapping[str, Any]]:
        """See _Balancing."""
        rules: list[Mapping[str, Any]] = self.aws.elbv2.describe_rules(RuleArns=[arn])["Rules"]
        return rules

    def wanted(self, inputs: Inputs) -> Mapping[str, Any]:
        """See Kind."""
        conditions = [
            {"Field": _kebab(field), f"{field[0].upper()}{field[1:]}Config": to_aws(value)}
            for condition in inputs["conditions"]
            for field, value in condition.items()
        ]
        values = {**super().wanted(inputs), "conditions": sorted(conditions, key=_field)}
        return _with_actions(values, "actions", to_aws(inputs["actions"], _NAMES))

    def inputs_of(self, found: Found) -> dict[str, Any]:
        """See Kind."""
        inputs = _with_declared_actions(super().inputs_of(found), "actions")
        conditions = [
            {_camel(one["Field"]): from_aws(one[_config(one["Field"])])}
            for one in inputs["conditions"]
        ]
        return {**inputs, "conditions": conditions}

    def create(self, inputs: Inputs, tags: Tags) -> None:
        """See Kind."""
        wanted = self.wanted(inputs)
        self.aws.elbv2.create_rule(
            ListenerArn=inputs["listenerArn"],
            Priority=inputs["priority"],
            Conditions=wanted["conditions"],
            Actions=_actions(wanted, "actions"),
            Tags=pairs_from(tags),
        )

    def change(self, found: Found, differing: Mapping[str, Any]) -> None:
        """See Kind."""
        wanted = {**found.properties, **found.declared, **differing}
        if "priority" in differing:
            given = {"RuleArn": found.id, "Priority": differing["priority"]}
            self.aws.elbv2.set_rule_priorities(RulePriorities=[given])
        self.aws.elbv2.modify_rule(
            RuleArn=found.id,
            Conditions=wanted["conditions"],
            Actions=_actions(wanted, "actions"),
        )

    def arns(self) -> Iterable[str]:
        """See _Balancing."""
        for listener in Listener(self.aws, self.stack).arns():
            rules = self.aws.elbv2.describe_rules(ListenerArn=listener)["Rules"]
            # A listener's own last one is not a rule that somebody made.
            yield from (one["RuleArn"] for one in rules if not one["IsDefault"])

    def delete(self, found: Found) -> None:
        """See Kind."""
        self.aws.elbv2.delete_rule(RuleArn=found.id)

    def found(self, one: Mapping[str, Any]) -> Found:
        """See _Balancing. Its ARN is that of its listener, and more."""
        arn = one["RuleArn"]
        properties = {
            "listenerArn": arn.rpartition("/")[0].replace(":listener-rule/", ":listener/"),
            "priority": int(one["Priority"]),
            "conditions": sorted(map(_condition, one["Conditions"]), key=_field),
        }
        properties = _with_actions(properties, "actions", one["Actions"])
        return Found(arn, properties, {"arn": arn}, self.tags_of(arn))


def _settings(
    pairs: Iterable[Mapping[str, str]], names: Mapping[str, str], defaults: Mapping[str, str]
) -> dict[str, str]:
    there = tags_from(pairs)
    return {name: there.get(aws, defaults[name]) for name, aws in names.items()}


def _pairs(values: Mapping[str, Any], names: Mapping[str, str]) -> list[Any]:
    return pairs_from({names[key]: value for key, value in values.items() if key in names})


def _as_texts(values: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    """Make texts of what AWS keeps as such."""
    return {key: _text(value) if key in names else value for key, value in values.items()}


def _as_values(inputs: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    """Make of these texts what they say: the reverse of `_as_texts`."""
    return {key: _value(value) if key in names else value for key, value in inputs.items()}


def _value(text: str) -> Any:  # noqa: ANN401 - of any type
    return int(text) if text.isdecimal() else {"true": True, "false": False}.get(text, text)


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _health_check(inputs: Mapping[str, Any]) -> dict[str, Any]:
    given = {_HEALTH_CHECK[key]: value for key, value in {**_CHECKED, **inputs}.items()}
    return {**given, "Matcher": {"HttpCode": given["Matcher"]}}


def _listening(values: Mapping[str, Any]) -> dict[str, Any]:
    given = {
        "Port": values["port"],
        "Protocol": values["protocol"],
        "DefaultActions": _actions(values, "defaultActions"),
    }
    if values.get("certificateArn"):
        given["Certificates"] = [{"CertificateArn": values["certificateArn"]}]
        given["SslPolicy"] = values["sslPolicy"]
    return given


def _with_actions(
    values: Mapping[str, Any], name: str, actions: Iterable[Mapping[str, Any]]
) -> dict[str, Any]:
    """Put in the actions, and apart from them how people sign in, by the action's order."""
    numbered = [{"Order": order, **one} for order, one in enumerate(map(_plain, actions), start=1)]
    ordered = sorted(numbered, key=lambda action: action["Order"])
    return {
        **values,
        name: [{key: one[key] for key in one if key != _SIGN_IN} for one in ordered],
        f"{name}.authenticateCognito": {
            one["Order"]: one[_SIGN_IN] for one in ordered if _SIGN_IN in one
        },
    }


def _plain(action: Mapping[str, Any]) -> Mapping[str, Any]:
    """Leave out the second way in which AWS tells where an action forwards to."""
    if "TargetGroupArn" in action:
        return {key: value for key, value in action.items() if key != "ForwardConfig"}
    return action


def _with_declared_actions(inputs: dict[str, Any], name: str) -> dict[str, Any]:
    """Give the actions the form of the program: the reverse of `_with_actions`."""
    actions = from_aws(_actions(inputs, name), _NAMES)
    del inputs[f"{name}.authenticateCognito"]
    return {**inputs, name: actions}


def _actions(values: Mapping[str, Any], name: str) -> list[Any]:
    """Put both together again."""
    sign_in = values[f"{name}.authenticateCognito"]
    return [
        {**one, _SIGN_IN: sign_in[one["Order"]]} if one["Order"] in sign_in else one
        for one in values[name]
    ]


def _field(condition: Mapping[str, Any]) -> str:
    field: str = condition["Field"]
    return field


def _condition(one: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out the second way in which AWS tells some of them."""
    field = one["Field"]
    return {"Field": field, _config(field): one.get(_config(field), {"Values": one.get("Values")})}


def _config(field: str) -> str:
    return f"{field.title().replace('-', '')}Config"


def _kebab(name: str) -> str:
    return re.sub("[A-Z]", lambda capital: f"-{capital[0].lower()}", name)


def _camel(field: str) -> str:
    name = field.title().replace("-", "")
    return name[0].lower() + name[1:]
