"""Where people come in, and how they are told apart."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from operations.graph import Graph
from questions.asking import Break, changed, question, setting


@question(setting("Listener", sslPolicy="ELBSecurityPolicy-2016-08"))
def people_come_in_by_tls_1_3_and_nothing_else(graph: Graph) -> Iterator[str]:
    for name, listener in graph.all_of("Listener").items():
        if not listener.inputs["sslPolicy"].startswith("ELBSecurityPolicy-TLS13-1-3-"):
            yield f"{name}: {listener.inputs['sslPolicy']}"
        if (listener.inputs["port"], listener.inputs["protocol"]) != (443, "HTTPS"):
            yield f"{name}: port {listener.inputs['port']}"


@question(
    setting("LoadBalancer", dropInvalidHeaderFields=False),
    setting("LoadBalancer", desyncMitigationMode="monitor"),
)
def what_is_no_proper_http_is_refused(graph: Graph) -> Iterator[str]:
    """It may mean one thing to the load balancer and another to the app."""
    for name, balancer in graph.all_of("LoadBalancer").items():
        if not balancer.inputs["dropInvalidHeaderFields"]:
            yield f"{name}: passes improper headers on"
        if balancer.inputs["desyncMitigationMode"] != "strictest":
            yield f"{name}: passes ambiguous requests on"


_READY = [{"pathPattern": {"values": ["/readyz"]}}]
"""A deploy asks it from outside; it tells nothing of anybody's."""


def _ready_for_more(inputs: dict[str, Any]) -> None:
    inputs["conditions"][0]["pathPattern"]["values"].append("/predictions")


@question(
    changed("Listener", lambda inputs: inputs["defaultActions"].pop(0)),
    changed("ListenerRule", _ready_for_more, "-ready"),
)
def nobody_is_forwarded_before_signing_in_but_api_tokens(graph: Graph) -> Iterator[str]:
    entrances = [
        (n, one.inputs["defaultActions"], []) for n, one in graph.all_of("Listener").items()
    ]
    entrances += [
        (name, rule.inputs["actions"], rule.inputs["conditions"])
        for name, rule in graph.all_of("ListenerRule").items()
    ]
    for name, actions, conditions in entrances:
        kinds = [one["type"] for one in sorted(actions, key=lambda one: one["order"])]
        has_token = "Bearer rw_*" in json.dumps(conditions) and "/api/*" in json.dumps(conditions)
        if kinds[0] != "authenticate-cognito" and not has_token and conditions != _READY:
            yield f"{name}: {kinds}"


def _blocking_bodies(inputs: dict[str, Any]) -> None:
    for rule in inputs["rules"]:
        group = rule["statement"].get("managedRuleGroupStatement", {})
        group.pop("ruleActionOverrides", None)


def _rule(number: int, **changes: object) -> Break:
    """Change a rule of the firewall: the first is the rate, the others are AWS's."""
    return changed("WebAcl", lambda inputs: inputs["rules"][number].update(changes))


@question(
    _rule(0, action={"count": {}}),
    _rule(1, overrideAction={"count": {}}),
    changed(
        "WebAcl",
        lambda inputs: inputs["rules"][1]["statement"]["managedRuleGroupStatement"][
            "ruleActionOverrides"
        ].append({"name": "NoUserAgent_HEADER", "actionToUse": {"count": {}}}),
    ),
)
def the_firewall_refuses_what_its_rules_are_against(graph: Graph) -> Iterator[str]:
    """A rule that only counts looks like one that refuses."""
    for name, acl in graph.all_of("WebAcl").items():
        for rule in acl.inputs["rules"]:
            if {**rule.get("action", {}), **rule.get("overrideAction", {})}.keys() & {
                "allow",
                "count",
            }:
                yield f"{name}: {rule['name']} refuses nothing"
            group = rule["statement"].get("managedRuleGroupStatement", {})
            for one in group.get("ruleActionOverrides", ()):
                # Of bodies, which are customer files, the app judges for itself.
                if not one["name"].endswith("_BODY"):
                    yield f"{name}: {one['name']} refuses nothing"


@question(changed("WebAcl", _blocking_bodies))
def the_firewall_lets_large_uploads_pass_and_slows_down_floods(graph: Graph) -> Iterator[str]:
    for name, acl in graph.all_of("WebAcl").items():
        rules = json.dumps(acl.inputs["rules"])
        counted = {
            one["name"]
            for rule in acl.inputs["rules"]
            for one in rule["statement"]
            .get("managedRuleGroupStatement", {})
            .get("ruleActionOverrides", ())
            if one["actionToUse"] == {"count": {}}
        }
        if "SizeRestrictions_BODY" not in counted:
            yield f"{name}: bodies over 8 KB are refused"
        if "rateBasedStatement" not in rules or "AWSManagedRulesCommonRuleSet" not in rules:
            yield f"{name}: rules are missing"
        if not any(graph.refers(one, acl) for one in graph.all_of("WebAclAssociation").values()):
            yield f"{name}: before nothing"


@question(
    changed("UserPoolClient", lambda inputs: inputs["writeAttributes"].append("custom:account"))
)
def nobody_chooses_whose_predictions_they_see(graph: Graph) -> Iterator[str]:
    for name, pool in graph.all_of("UserPool").items():
        if not pool.inputs["adminCreateUserConfig"]["allowAdminCreateUserOnly"]:
            yield f"{name}: people sign up by themselves"
    for name, client in graph.all_of("UserPoolClient").items():
        if any(one.startswith("custom:") for one in client.inputs["writeAttributes"]):
            yield f"{name}: people write {client.inputs['writeAttributes']}"


def _tokens_for_pages(inputs: dict[str, Any]) -> None:
    for condition in inputs["conditions"]:
        if "pathPattern" in condition:
            condition["pathPattern"]["values"].append("/*")


@question(changed("ListenerRule", _tokens_for_pages, "-tokens"))
def rules_of_the_listener_are_for_the_api_and_readiness_alone(graph: Graph) -> Iterator[str]:
    for name, rule in graph.all_of("ListenerRule").items():
        paths = [
            one["pathPattern"]["values"]
            for one in rule.inputs["conditions"]
            if "pathPattern" in one
        ]
        if paths != [["/api/*"]] and rule.inputs["conditions"] != _READY:
            yield f"{name}: {paths}"
