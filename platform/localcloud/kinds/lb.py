"""The load balancer: itself, what it forwards to, where it listens and by which rules."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from localcloud.kinds.base import Found, Inputs, Kind, Tags, pairs_from, tags_from, to_aws
from localcloud.kinds.compare import in_order, only

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
_SIGN_IN = "AuthenticateCognitoConfig"
_NAMES = {"authenticateCognito": _SIGN_IN}


class _Balancing(Kind):
    """What the four have in common: their ARN is their id, and their tags are read by it."""

    def tag(self, found: Found, tags: Tags) -> None:
        """See Kind."""
        self.aws.elbv2.add_tags(ResourceArns=[found.id], Tags=pairs_from(tags))

    def owned(self) -> Iterable[Found]:
        """See Kind."""
        for arn in self.arns():
            tags = self.tags_of(arn)
            if self.is_ours(tags):
                yield Found(arn, {}, {}, tags)

    def arns(self) -> Iterable[str]:
        """Every one of this type, whoever made it."""
        raise NotImplementedError(self.type)

    def tags_of(self, arn: str) -> Tags:
        """Read the tags of one."""
        [answer] = self.aws.elbv2.describe_tags(ResourceArns=[arn])["TagDescriptions"]
        return tags_from(answer["Tags"])


class LoadBalancer(_Balancing):
    """A load balancer, by its name."""

    type = "aws:lb/loadBalancer:LoadBalancer"

    def find(self, name: str, inputs: Inputs) -> Found | None:
        """See Kind."""
        try:
            answer = self.aws.elbv2.describe_load_balancers(Names=[inputs["name"]])
        except self.aws.elbv2.exceptions.LoadBalancerNotFoundException:
            return None
        [one] = answer["LoadBalancers"]
        arn = one["LoadBalancerArn"]
        settings = self.aws.elbv2.describe_load_balancer_attributes(LoadBalancerArn=arn)
        properties = {
            "name": one["LoadBalancerName"],
            "loadBalancerType": one["Type"],
            "internal": one["Scheme"] == "internal",
            "subnets": [zone["SubnetId"] for zone in one["AvailabilityZones"]],
            "securityGroups": one["SecurityGroups"],
            **_settings(settings["Attributes"], _OF_LOAD_BALANCER),
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

    def create(self, inputs: Inputs, tags: Tags) -> None:
        """See Kind."""
        self.aws.elbv2.create_load_balancer(
            Name=inputs["name"],
            Type=inputs["loadBalancerType"],
            Scheme="internal" if inputs["internal"] else "internet-facing",
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

    def find(self, name: str, inputs: Inputs) -> Found | None:
        """See Kind."""
        # Not by `Names`: the emulator answers nothing where AWS raises.
        pages = self.aws.elbv2.get_paginator("describe_target_groups").paginate()
        groups = (one for page in pages for one in page["TargetGroups"])
        for one in groups:
            if one["TargetGroupName"] == inputs["name"]:
                return self._found(one, self.wanted(inputs))
        return None

    def wanted(self, inputs: Inputs) -> Mapping[str, Any]:
        """See Kind."""
        values = _as_texts(super().wanted(inputs), _OF_TARGET_GROUP)
        return {**values, "healthCheck": _health_check(inputs["healthCheck"])}

    def create(self, inputs: Inputs, tags: Tags) -> None:
        """See Kind."""
        self.aws.elbv2.create_target_group(
            Name=inputs["name"],
            Protocol=inputs["protocol"],
            Port=inputs["port"],
            VpcId=inputs["vpcId"],
            TargetType=inputs["targetType"],
            Tags=pairs_from(tags),
            **_health_check(inputs["healthCheck"]),
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

    def _found(self, one: Mapping[str, Any], wanted: Mapping[str, Any]) -> Found:
        arn = one["TargetGroupArn"]
        settings = self.aws.elbv2.describe_target_group_attributes(TargetGroupArn=arn)
        properties = {
            "name": one["TargetGroupName"],
            "protocol": one["Protocol"],
            "port": one["Port"],
            "vpcId": one["VpcId"],
            "targetType": one["TargetType"],
            "healthCheck": only(one, wanted["healthCheck"]),
            **_settings(settings["Attributes"], _OF_TARGET_GROUP),
        }
        outputs = {"arn": arn, "arnSuffix": arn.rpartition(":")[2]}
        return Found(arn, properties, outputs, self.tags_of(arn))


class Listener(_Balancing):
    """A port of a load balancer, and what is done with what comes in when no rule applies."""

    type = "aws:lb/listener:Listener"

    def find(self, name: str, inputs: Inputs) -> Found | None:
        """See Kind."""
        load_balancer = inputs["loadBalancerArn"]
        answer = self.aws.elbv2.describe_listeners(LoadBalancerArn=load_balancer)
        listeners = (one for one in answer["Listeners"] if one["Port"] == inputs["port"])
        return next((self._found(one, self.wanted(inputs)) for one in listeners), None)

    def wanted(self, inputs: Inputs) -> Mapping[str, Any]:
        """See Kind."""
        return _with_actions(
            super().wanted(inputs), "defaultActions", to_aws(inputs["defaultActions"], _NAMES)
        )

    def create(self, inputs: Inputs, tags: Tags) -> None:
        """See Kind."""
        self.aws.elbv2.create_listener(
            LoadBalancerArn=inputs["loadBalancerArn"],
            Tags=pairs_from(tags),
            **_listening(self.wanted(inputs)),
        )

    def change(self, found: Found, differing: Mapping[str, Any]) -> None:
        """See Kind."""
        wanted = {**found.properties["declared"], **differing}
        self.aws.elbv2.modify_listener(ListenerArn=found.id, **_listening(wanted))

    def arns(self) -> Iterable[str]:
        """See _Balancing."""
        for load_balancer in LoadBalancer(self.aws, self.stack).arns():
            answer = self.aws.elbv2.describe_listeners(LoadBalancerArn=load_balancer)
            yield from (one["ListenerArn"] for one in answer["Listeners"])

    def delete(self, found: Found) -> None:
        """See Kind."""
        self.aws.elbv2.delete_listener(ListenerArn=found.id)

    def _found(self, one: Mapping[str, Any], wanted: Mapping[str, Any]) -> Found:
        arn = one["ListenerArn"]
        [certificate] = one.get("Certificates") or [{}]
        properties = {
            "loadBalancerArn": one["LoadBalancerArn"],
            "port": one["Port"],
            "protocol": one["Protocol"],
            "sslPolicy": one.get("SslPolicy"),
            "certificateArn": certificate.get("CertificateArn"),
        }
        properties = _with_actions(properties, "defaultActions", one["DefaultActions"])
        # A change takes all of it, also what is not told.
        told = {**only(properties, wanted), "declared": wanted}
        return Found(arn, told, {"arn": arn}, self.tags_of(arn))


class ListenerRule(_Balancing):
    """A rule of a listener, by its priority."""

    type = "aws:lb/listenerRule:ListenerRule"

    def find(self, name: str, inputs: Inputs) -> Found | None:
        """See Kind."""
        answer = self.aws.elbv2.describe_rules(ListenerArn=inputs["listenerArn"])
        rules = (one for one in answer["Rules"] if one["Priority"] == str(inputs["priority"]))
        return next((self._found(one, inputs) for one in rules), None)

    def wanted(self, inputs: Inputs) -> Mapping[str, Any]:
        """See Kind."""
        conditions = [
            {"Field": _kebab(field), f"{field[0].upper()}{field[1:]}Config": to_aws(value)}
            for condition in inputs["conditions"]
            for field, value in condition.items()
        ]
        values = {**super().wanted(inputs), "conditions": sorted(conditions, key=_field)}
        return _with_actions(values, "actions", to_aws(inputs["actions"], _NAMES))

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
        wanted = {**found.properties["declared"], **differing}
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

    def _found(self, one: Mapping[str, Any], inputs: Inputs) -> Found:
        arn, wanted = one["RuleArn"], self.wanted(inputs)
        properties = {
            "listenerArn": inputs["listenerArn"],
            "priority": inputs["priority"],
            "conditions": sorted(one["Conditions"], key=_field),
        }
        properties = _with_actions(properties, "actions", one["Actions"])
        # A change takes all of it, also what is not told.
        told = {**only(properties, wanted), "declared": wanted}
        return Found(arn, told, {"arn": arn}, self.tags_of(arn))


def _settings(pairs: Iterable[Mapping[str, str]], names: Mapping[str, str]) -> dict[str, str]:
    there = tags_from(pairs)
    return {name: there[aws] for name, aws in names.items() if aws in there}


def _pairs(values: Mapping[str, Any], names: Mapping[str, str]) -> list[Any]:
    return pairs_from({names[key]: value for key, value in values.items() if key in names})


def _as_texts(values: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    """Make texts of what AWS keeps as such."""
    return {key: _text(value) if key in names else value for key, value in values.items()}


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _health_check(inputs: Mapping[str, Any]) -> dict[str, Any]:
    given = {_HEALTH_CHECK[key]: value for key, value in inputs.items()}
    if "Matcher" in given:
        given["Matcher"] = {"HttpCode": given["Matcher"]}
    return given


def _listening(values: Mapping[str, Any]) -> dict[str, Any]:
    given = {
        "Port": values["port"],
        "Protocol": values["protocol"],
        "DefaultActions": _actions(values, "defaultActions"),
    }
    if "certificateArn" in values:
        given["Certificates"] = [{"CertificateArn": values["certificateArn"]}]
        given["SslPolicy"] = values["sslPolicy"]
    return given


def _with_actions(
    values: Mapping[str, Any], name: str, actions: Iterable[Mapping[str, Any]]
) -> dict[str, Any]:
    """Put in the actions, and apart from them how people sign in, by the action's order."""
    ordered = sorted(actions, key=lambda action: action["Order"])
    return {
        **values,
        name: [{key: one[key] for key in one if key != _SIGN_IN} for one in ordered],
        f"{name}.authenticateCognito": {
            one["Order"]: one[_SIGN_IN] for one in ordered if _SIGN_IN in one
        },
    }


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


def _kebab(name: str) -> str:
    return re.sub("[A-Z]", lambda capital: f"-{capital[0].lower()}", name)
