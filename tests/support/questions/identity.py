"""Who may do what, on what, and who may become them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from infra.identity import WITHOUT_RESOURCE
from operations.graph import Graph
from questions.asking import changed, in_policy, question, setting, without


def _statements(graph: Graph) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for name, document in graph.policies():
        for statement in document["Statement"]:
            yield name, statement


@question(in_policy("RolePolicy", lambda statement: statement.update(Action=["s3:Get*"])))
def nothing_is_allowed_by_a_wildcard_action(graph: Graph) -> Iterator[str]:
    for name, statement in _statements(graph):
        actions = statement["Action"]
        for action in [actions] if isinstance(actions, str) else actions:
            if "*" in action and statement["Effect"] == "Allow":
                yield f"{name}: {action}"


@question(
    in_policy(
        "RolePolicy", lambda statement: statement.update(Resource=["*"], Action=["s3:GetObject"])
    )
)
def only_actions_without_resources_are_allowed_on_all(graph: Graph) -> Iterator[str]:
    for name, statement in _statements(graph):
        if not name.startswith("RolePolicy "):  # in the policy of a thing, * is that thing
            continue
        if "*" in statement["Resource"] and not set(statement["Action"]) <= set(WITHOUT_RESOURCE):
            yield f"{name}: {statement['Action']}"


@question(without("RolePoliciesExclusive"))
def each_role_holds_what_is_declared_and_nothing_else(graph: Graph) -> Iterator[str]:
    for name in graph.all_of("Role"):
        inline = graph.all_of("RolePoliciesExclusive").get(name)
        attached = graph.all_of("RolePolicyAttachmentsExclusive").get(name)
        if inline is None or inline.inputs["policyNames"] != ["may"]:
            yield f"{name}: policies inside"
        if attached is None or attached.inputs["policyArns"] != []:
            yield f"{name}: policies attached"


@question(setting("Role", permissionsBoundary=None))
def no_role_can_go_beyond_the_boundary(graph: Graph) -> Iterator[str]:
    for name, role in graph.all_of("Role").items():
        if not str(role.inputs.get("permissionsBoundary")).endswith(
            f"policy/{graph.stack}-retainwise-boundary"
        ):
            yield name


def _trusting_all(inputs: dict[str, Any]) -> None:
    document = json.loads(inputs["assumeRolePolicy"])
    document["Statement"][0]["Principal"] = {"AWS": "*"}
    inputs["assumeRolePolicy"] = json.dumps(document)


@question(changed("Role", _trusting_all))
def only_a_service_acting_for_this_account_may_take_a_role(graph: Graph) -> Iterator[str]:
    for name, role in graph.all_of("Role").items():
        for statement in json.loads(role.inputs["assumeRolePolicy"])["Statement"]:
            condition = statement.get("Condition", {})
            if set(statement["Principal"]) != {"Service"}:
                yield f"{name}: {statement['Principal']}"
            # S3 does not say for whom it replicates; those roles name all that they touch.
            is_replication = statement["Principal"] == {"Service": "s3.amazonaws.com"}
            if "aws:SourceAccount" not in condition.get("StringEquals", {}) and not is_replication:
                yield f"{name}: for whichever account"


@question(in_policy("Key", lambda statement: statement.update(Principal={"AWS": "*"})))
def nothing_is_allowed_to_everybody(graph: Graph) -> Iterator[str]:
    for name, statement in _statements(graph):
        is_endpoint = name.startswith("VpcEndpoint ")  # there it is who comes from inside
        principal = statement.get("Principal")
        if statement["Effect"] == "Allow" and principal in ("*", {"AWS": "*"}) and not is_endpoint:
            yield name


def _kms_by(graph: Graph, role: str) -> set[str]:
    policy = json.loads(graph.all_of("RolePolicy")[role].inputs["policy"])
    return {
        f"{action} {via}"
        for statement in policy["Statement"]
        for action in statement["Action"]
        if action.startswith("kms:")
        for via in statement["Condition"]["StringEquals"]["kms:ViaService"]
    }


@question(changed("RolePolicy", lambda inputs: inputs.update(policy='{"Statement": []}')))
def who_uses_what_is_encrypted_may_use_the_key_through_it(graph: Graph) -> Iterator[str]:
    """What no emulator checks: S3, SQS and DynamoDB ask KMS in the caller's name."""
    for service in ("web", "worker"):
        role = f"{graph.stack}-retainwise-{service}-task"
        needed = {
            f"kms:{action} {one}.{graph.region}.amazonaws.com"
            for action in ("Decrypt", "GenerateDataKey")
            for one in ("dynamodb", "s3", "sqs")
        }
        if _kms_by(graph, role) != needed:
            yield role
    for name, policy in graph.all_of("RolePolicy").items():
        if not json.loads(policy.inputs["policy"])["Statement"]:
            yield f"{name} allows nothing"


@question(setting("TaskDefinition", executionRoleArn="arn:aws:iam::1:role/other"))
def each_service_has_roles_of_its_own(graph: Graph) -> Iterator[str]:
    for name, task in graph.all_of("TaskDefinition").items():
        for kind in ("task", "execution"):
            if not task.inputs[f"{kind}RoleArn"].endswith(f":role/{name}-{kind}"):
                yield f"{name}: {task.inputs[f'{kind}RoleArn']}"
