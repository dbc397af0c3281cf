"""The service's policies, read by a linter and held against the bootstrap's boundary."""

from __future__ import annotations

import json

import pytest

from iam_decision import allowed
from iam_lint import findings, resource_types
from infra.identity import WITHOUT_RESOURCE
from localcloud.program import BOOTSTRAP
from operations.graph import ACCOUNT_ID, Graph

STACKS = ("prod", "dev")


def named(graph):
    return [
        pytest.param(name, document, id=f"{graph.stack}: {name}")
        for name, document in graph.policies()
        if not name.startswith("Role ")  # a trust policy has no resource, which the linter misses
    ]


ALL_POLICIES = [one for stack in STACKS for one in named(Graph.of(stack))]


@pytest.mark.parametrize(("name", "document"), ALL_POLICIES)
def test_a_linter_finds_nothing(name, document):
    # In the policy of a thing, * is that thing; of an endpoint, all that the other lines leave.
    is_of_a_thing = name.startswith(("Key ", "ReplicaKey ", "VpcEndpoint "))
    found = [one for one in findings(document) if not (is_of_a_thing and "RESOURCE_STAR" in one)]
    assert found == []


@pytest.mark.parametrize(
    ("action", "resource"),
    [
        ("s3:GetObjekt", "arn:aws:s3:::a/*"),
        ("dynamodb:Query", "arn:aws:s3:::a"),
        ("s3:GetObject", "arn:aws:s3:::a"),
    ],
)
def test_the_linter_finds_what_is_wrong(action, resource):
    statement = {"Effect": "Allow", "Action": [action], "Resource": [resource]}
    assert findings({"Version": "2012-10-17", "Statement": [statement]}) != []


@pytest.mark.parametrize("action", WITHOUT_RESOURCE)
def test_what_is_allowed_on_all_takes_nothing_narrower(action):
    assert resource_types(action) == []


def boundary_of(stack):
    bootstrap = Graph.of(stack, program=BOOTSTRAP)
    return json.loads(bootstrap.all_of("Policy")[f"{stack}-retainwise-boundary"].inputs["policy"])


def beyond(boundary, graph):
    """What a role of the stack is given and the boundary takes away again."""
    tags = {
        f"aws:ResourceTag/{key}": value
        for key, value in graph.all_of("Key")[f"{graph.stack}-retainwise"].inputs["tags"].items()
    }
    tags["kms:GrantIsForAWSResource"] = "true"  # AWS Backup's grants are
    for name, policy in graph.all_of("RolePolicy").items():
        for statement in json.loads(policy.inputs["policy"])["Statement"]:
            for action in statement["Action"]:
                for resource in statement["Resource"]:
                    if not allowed([boundary], action, resource.replace("*", "x"), tags):
                        yield f"{name}: {action} on {resource}"


@pytest.mark.parametrize("stack", STACKS)
def test_the_boundary_takes_nothing_away_from_the_services_roles(graphs, stack):
    assert [*beyond(boundary_of(stack), graphs[stack])] == []


@pytest.mark.parametrize(
    ("action", "resource"),
    [
        ("s3:GetObject", f"arn:aws:s3:::prod-retainwise-state-{ACCOUNT_ID}/x"),
        ("s3:GetObject", "arn:aws:s3:::somebody-else/x"),
        ("iam:CreateRole", f"arn:aws:iam::{ACCOUNT_ID}:role/prod-retainwise-web-task"),
        ("dynamodb:GetItem", f"arn:aws:dynamodb:eu-west-1:{ACCOUNT_ID}:table/dev-retainwise-x"),
    ],
)
def test_the_boundary_keeps_every_role_from_what_is_not_the_services(action, resource):
    assert not allowed([boundary_of("prod")], action, resource)
