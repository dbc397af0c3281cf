"""What the settings of the two programs must agree on, for each stack that has both."""

from __future__ import annotations

import json

import pytest

from localcloud.program import BOOTSTRAP, stack_config
from operations.graph import Graph


@pytest.fixture(params=["prod", "dev"])
def both(request):
    return stack_config(request.param), stack_config(request.param, BOOTSTRAP)


def test_a_deploy_may_write_into_the_zone_of_the_edge(both):
    service, bootstrap = both
    zone = service["retainwise:edge"]["hosted_zone_id"]
    assert zone in bootstrap["retainwise-bootstrap:deploy"]["hosted_zone_ids"]


def test_the_region_and_the_recovery_region_are_the_same(both):
    service, bootstrap = both
    assert service["aws:region"] == bootstrap["aws:region"]
    away = service["retainwise:data"].get("recovery_region")
    assert away == bootstrap["retainwise-bootstrap:state"].get("recovery_region")


@pytest.fixture(params=["prod", "dev"])
def both_graphs(request):
    return Graph.of(request.param), Graph.of(request.param, program=BOOTSTRAP)


def takes_roles(service):
    """Who takes the service's roles, as they say themselves."""
    return {
        statement["Principal"]["Service"]
        for role in service.all_of("Role").values()
        for statement in json.loads(role.inputs["assumeRolePolicy"])["Statement"]
    }


def handed_roles(policies):
    """Whom a deploy may hand a role to; `anybody` where nothing says whom."""
    return {
        service
        for policy in policies
        for statement in policy["Statement"]
        if statement["Effect"] == "Allow" and "iam:PassRole" in statement["Action"]
        for service in statement.get("Condition", {})
        .get("StringEquals", {})
        .get("iam:PassedToService", ["anybody"])
    }


def test_a_deploy_hands_roles_to_those_who_take_the_service_s_and_nobody_else(both_graphs):
    service, bootstrap = both_graphs
    policies = [json.loads(one.inputs["policy"]) for one in bootstrap.all_of("Policy").values()]
    assert handed_roles(policies) == takes_roles(service)
    more = {"Effect": "Allow", "Action": ["iam:PassRole"], "Resource": ["*"]}
    assert "anybody" in handed_roles([*policies, {"Statement": [more]}])
    condition = {"StringEquals": {"iam:PassedToService": ["lambda.amazonaws.com"]}}
    wider = {"Statement": [more | {"Condition": condition}]}
    assert handed_roles([*policies, wider]) != takes_roles(service)
