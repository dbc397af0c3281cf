"""A graph as a Terraform plan, for the tools that read such plans and not Pulumi.

Pulumi's AWS provider is generated from Terraform's, so types, names and nesting follow by rule; the
tables below hold what that generator was told to call otherwise. Values are those of a stack that
stands: ids and ARNs are known, so policies can be read. What refers to what is not guessed from
them: the program says it as it declares a resource, and here it becomes `references`, as in a plan.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from localcloud.program import Declared
from operations.graph import Graph

TYPES = {
    "iam/OpenIdConnectProvider": "aws_iam_openid_connect_provider",
    "lb/LoadBalancer": "aws_lb",
    "s3/BucketReplicationConfig": "aws_s3_bucket_replication_configuration",
    "sqs/RedriveAllowPolicy": "aws_sqs_queue_redrive_allow_policy",
}
"""Types that the rule does not give."""

NAMES = {
    "aws_cloudwatch_metric_alarm": {"name": "alarm_name"},
    "aws_sns_topic_subscription": {"topic": "topic_arn"},
}
"""Properties of a type that Pulumi calls by another name."""

PLURAL_BLOCKS = {"dimensions", "metrics", "redactedFields"}
"""Lists of blocks that have a plural name in Terraform as well."""

SINGULAR_LISTS = {"clientIdLists": "client_id_list"}
"""Lists of plain values that have a singular name in Terraform."""

MAPS = {"dimensions", "inputPaths", "parameters", "tags"}
"""Objects whose keys are somebody's own: no block, and nothing in them is renamed."""

Value = Any  # whatever JSON can hold


def plan_of(graph: Graph) -> dict[str, Value]:
    """Return the plan that would create a graph, as `terraform show -json` writes it."""
    resources = [_resource(one) for one in graph.resources]
    known = {resource["address"] for resource in resources}
    return {
        "format_version": "1.2",
        "terraform_version": "1.9.0",
        "planned_values": {"root_module": {"resources": resources}},
        "resource_changes": [
            {
                **_whose(one),
                "change": {"actions": ["create"], "before": None, "after": one["values"]},
            }
            for one in resources
        ],
        "configuration": {
            "root_module": {
                "resources": [
                    {**_whose(resource), "expressions": _expressions(one, known)}
                    for one, resource in zip(graph.resources, resources, strict=True)
                ]
            }
        },
    }


def address_of(type_token: str, name: str) -> str:
    """Return a resource's address in Terraform: `aws_s3_bucket.prod_retainwise_uploads`."""
    return f"{type_of(type_token)}.{re.sub(r'[^A-Za-z0-9_]', '_', name)}"


def type_of(type_token: str) -> str:
    """Return Terraform's type for Pulumi's: `aws_sqs_queue` for `aws:sqs/queue:Queue`."""
    _, module, kind = type_token.split(":")
    service = module.partition("/")[0]
    if exception := TYPES.get(f"{service}/{kind}"):
        return exception
    # What belongs to EC2 has had no prefix since before there were others.
    return "_".join(["aws", *([] if service == "ec2" else [service]), snake(kind)])


def values_of(one: Declared) -> dict[str, Value]:
    """Return a resource's inputs with Terraform's names and nesting."""
    names = NAMES.get(type_of(one.type), {})
    return {names.get(key, key): value for key, value in _block(one.inputs).items()}


def snake(name: str) -> str:
    """Return `cidr_block` for `cidrBlock` and for `CidrBlock`."""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()


def _resource(one: Declared) -> dict[str, Value]:
    address = address_of(one.type, one.name)
    terraform_type, _, name = address.partition(".")
    return {
        "address": address,
        "mode": "managed",
        "type": terraform_type,
        "name": name,
        "provider_name": "registry.terraform.io/hashicorp/aws",
        "schema_version": 0,
        "values": values_of(one),
    }


def _whose(resource: Mapping[str, Value]) -> dict[str, Value]:
    return {key: resource[key] for key in ("address", "mode", "type", "name")}


def _expressions(one: Declared, known: set[str]) -> dict[str, Value]:
    """Name, for each property, the resources that its value comes from, where they are there."""
    names = NAMES.get(type_of(one.type), {})
    expressions = {}
    for key, others in one.references.items():
        addresses = [address_of(*other) for other in others]
        references = [f"{address}.id" for address in addresses if address in known]
        if references and one.inputs.get(key) is not None:
            name = _name(key, one.inputs[key])
            expressions[names.get(name, name)] = {"references": references}
    return expressions


def _name(key: str, value: Value) -> str:
    if key in SINGULAR_LISTS:
        return SINGULAR_LISTS[key]
    is_blocks = isinstance(value, list) and any(isinstance(one, dict) for one in value)
    return _singular(snake(key)) if is_blocks and key not in PLURAL_BLOCKS else snake(key)


def _singular(word: str) -> str:
    for end, singular in (("ies", "y"), ("xes", "x"), ("ses", "s"), ("s", "")):
        if word.endswith(end):
            return word.removesuffix(end) + singular
    return word


def _nested(key: str, value: Value) -> Value:
    match value:
        case dict() if key in MAPS:
            return value
        case dict():  # Pulumi gives an object where there is at most one block
            return [_block(value)]
        case list():
            return [_block(one) if isinstance(one, dict) else one for one in value]
    return value


def _block(values: Mapping[str, Value]) -> dict[str, Value]:
    # An empty list does not tell whether it is one of blocks, and says as little as nothing.
    there = {key: value for key, value in values.items() if value not in (None, [])}
    return {_name(key, value): _nested(key, value) for key, value in there.items()}
