"""Who may do what, on what, and who may become them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from infra.identity import WITHOUT_RESOURCE
from operations.graph import ACCOUNT_ID, Graph, kind_of, outputs_of
from questions.asking import Break, changed, in_container, in_policy, question, setting, without

NOTHING = '{"Statement": []}'
ASKED_ELSEWHERE = {
    "ecs:UpdateTaskProtection": "ECS's agent asks, at an address in the task",
}
"""What a role may do and nobody asks for through an endpoint."""


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


def _more(end: str, *actions: str, on: str = "arn:aws:s3:::prod-retainwise-other/*") -> Break:
    """Allow one thing more in a role's policy."""

    def run(inputs: dict[str, Any]) -> None:
        document = json.loads(inputs["policy"])
        more = {"Effect": "Allow", "Action": [*actions], "Resource": [on]}
        document["Statement"].append(more)
        inputs["policy"] = json.dumps(document)

    return changed("RolePolicy", run, end)


def _granted(graph: Graph, role: str) -> set[tuple[str, str, str]]:
    """What a role may do, on what and through what."""
    return {
        (action, resource, json.dumps(statement.get("Condition")))
        for statement in json.loads(graph.all_of("RolePolicy")[role].inputs["policy"])["Statement"]
        for action in statement["Action"]
        for resource in statement["Resource"]
    }


@question(
    _more("-web-execution", "s3:GetObject"),
    _more("-web-execution", "logs:CreateLogGroup", on="arn:aws:logs:eu-west-1:111122223333:*"),
    changed(
        "RolePolicy",
        lambda inputs: inputs.update(policy=inputs["policy"].replace("kms:ViaService", "x")),
        "-web-execution",
    ),
    in_container("-web", secrets=[]),
    in_container("-worker", image="111122223333.dkr.ecr.eu-west-1.amazonaws.com/other@sha256:0"),
)
def what_starts_a_task_may_fetch_its_image_and_secrets_and_write_its_log(
    graph: Graph,
) -> Iterator[str]:
    """docs.aws.amazon.com/AmazonECS/latest/developerguide/task_execution_IAM_role.html"""
    always = json.dumps(None)
    key = f"arn:aws:kms:{graph.region}:{ACCOUNT_ID}:key/{graph.stack}-retainwise"
    via = f"secretsmanager.{graph.region}.amazonaws.com"
    for service, container in graph.containers().items():
        log = container["logConfiguration"]["options"]["awslogs-group"]
        image = container["image"].partition("/")[2].partition("@")[0]
        needed = {("ecr:GetAuthorizationToken", "*", always)}
        needed |= {
            (f"ecr:{action}", f"arn:aws:ecr:{graph.region}:{ACCOUNT_ID}:repository/{image}", always)
            for action in (
                "BatchCheckLayerAvailability",
                "BatchGetImage",
                "GetDownloadUrlForLayer",
            )
        }
        streams = f"arn:aws:logs:{graph.region}:{ACCOUNT_ID}:log-group:{log}:log-stream:*"
        needed |= {(f"logs:{one}", streams, always) for one in ("CreateLogStream", "PutLogEvents")}
        for secret in container.get("secrets", ()):
            needed |= {
                ("secretsmanager:GetSecretValue", secret["valueFrom"], always),
                ("kms:Decrypt", key, json.dumps({"StringEquals": {"kms:ViaService": via}})),
            }
        role = f"{graph.stack}-retainwise-{service}-execution"
        for more in _granted(graph, role) ^ needed:
            yield f"{role}: {more}"


@question(
    _more("-web-task", "s3:PutObjectAcl"),
    _more("-worker-task", "sqs:PurgeQueue", on="arn:aws:sqs:eu-west-1:111122223333:prod-other"),
    in_policy("VpcEndpoint", lambda one: one["Action"].append("dynamodb:DeleteTable"), "-dynamodb"),
)
def what_the_tasks_may_and_what_the_network_lets_them_ask_are_the_same(
    graph: Graph,
) -> Iterator[str]:
    """Of each right one of the two would be of no use, or too much.

    That a role has no right too many of those that both have, the calls of its service show:
    tests/localcloud/test_permissions.py.
    """
    roles = {
        action
        for name in graph.all_of("RolePolicy")
        if name.endswith(("-task", "-execution"))
        for action, _, _ in _granted(graph, name)
    }
    endpoints = {
        action
        for endpoint in graph.all_of("VpcEndpoint").values()
        for statement in json.loads(endpoint.inputs.get("policy", NOTHING))["Statement"]
        for action in statement["Action"]
    }
    yield from sorted(roles - endpoints - ASKED_ELSEWHERE.keys())
    if graph.all_of("LoadBalancer"):  # on one machine there is no secret to ask for
        yield from sorted(endpoints - roles)


@question(
    _more("-worker-task", "sqs:SendMessage", on="arn:aws:sqs:eu-west-1:111122223333:*"),
    _more("-web-task", "s3:GetObject", on="arn:aws:s3:::prod-retainwise-*/*"),
    _more("-web-task", "dynamodb:Query", on="arn:aws:dynamodb:eu-west-1:111122223333:table/*"),
    _more("-backup", "dynamodb:CreateBackup", on="arn:aws:dynamodb:*:111122223333:table/any"),
    _more("-web-execution", "ecr:BatchGetImage", on="arn:aws:ecr:eu-west-1:111122223333:*"),
)
def a_role_may_touch_what_is_declared_and_what_is_inside_of_it(graph: Graph) -> Iterator[str]:
    arns = [
        outputs_of(one, graph.region)["arn"]
        for one in graph.resources
        if kind_of(one) in {"Bucket", "Key", "LogGroup", "Queue", "ReplicaKey", "Table", "Vault"}
    ]
    here, stack = f"{graph.region}:{ACCOUNT_ID}", f"{graph.stack}-retainwise"
    by_name = (  # what the bootstrap, ECS and CloudFormation make
        f"arn:aws:ecr:{here}:repository/{stack}-",
        f"arn:aws:ecs:{here}:task/{stack}/",
        f"arn:aws:secretsmanager:{here}:secret:{stack}-",
    )
    for name in graph.all_of("RolePolicy"):
        for action, resource, _ in _granted(graph, name):
            declared = any(
                resource == arn or resource.startswith((f"{arn}/", f"{arn}:")) for arn in arns
            )
            made = action == "backup:TagResource" and resource.endswith(":recovery-point:*")
            is_inside = declared or made or resource.startswith(by_name)  # AWS names a backup
            if not is_inside and action not in WITHOUT_RESOURCE:
                yield f"{name}: {action} on {resource}"
