"""Questions to the graph of a stack, in words; each answers with what is wrong, hopefully nothing.

Beside each stands a way to break the graph that the question must find.
"""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from infra.identity import WITHOUT_RESOURCE
from operations.graph import Graph, kind_of

RUNBOOKS = Path(__file__).parents[2] / "runbooks"
ANYWHERE = {"0.0.0.0/0", "::/0"}
TAGS = {"project", "environment", "managed-by"}
STATEFUL = {
    "Bucket",
    "Table",
    "Queue",
    "Key",
    "ReplicaKey",
    "UserPool",
    "Vault",
    "LoadBalancer",
    "Stack",
}
# Of these two with one name can be there at a time, or a new one is a new revision.
SAME_NAME_TWICE = {
    "Plan": "AWS gives plans ids",
    "Record": "a record is written over",
    "Selection": "AWS gives selections ids",
    "UserPoolClient": "AWS gives clients ids",
}
SECRET_NAME = re.compile(r"SECRET|PASSWORD|TOKEN|CREDENTIAL|PRIVATE|ACCESS_KEY")

DESCRIPTION = re.compile(r"[a-zA-Z0-9. _\-:/()#,@\[\]+=&;{}!$*]{1,255}")

Answer = Callable[[Graph], Iterator[str]]
Break = Callable[[Graph], Graph]
QUESTIONS: dict[str, tuple[Answer, Break]] = {}


def question(broken: Break) -> Callable[[Answer], Answer]:
    """Ask a question of every stack; its name is the sentence that must hold."""

    def add(answer: Answer) -> Answer:
        QUESTIONS[answer.__name__.replace("_", " ")] = (answer, broken)
        return answer

    return add


# ---- how a graph is broken -------------------------------------------------------------------


def changed(
    kind: str, change: Callable[[dict[str, Any]], object], end: str = "", **guards: bool
) -> Break:
    """Change the inputs, or the guards, of the first resource of a type whose name ends so."""

    def run(graph: Graph) -> Graph:
        resources, is_done = [], False
        for one in graph.resources:
            if kind_of(one) == kind and one.name.endswith(end) and not is_done:
                inputs = copy.deepcopy(dict(one.inputs))
                change(inputs)
                one, is_done = replace(one, inputs=inputs, **guards), True
            resources.append(one)
        assert is_done, f"there is no {kind} to break"
        return Graph(graph.stack, graph.region, resources)

    return run


def setting(kind: str, **inputs: object) -> Break:
    return changed(kind, lambda there: there.update(inputs))


def without(kind: str) -> Break:
    """Leave out the first resource of a type."""

    def run(graph: Graph) -> Graph:
        gone = next(one for one in graph.resources if kind_of(one) == kind)
        return Graph(graph.stack, graph.region, [one for one in graph.resources if one is not gone])

    return run


def in_policy(kind: str, change: Callable[[dict[str, Any]], object]) -> Break:
    """Change the first statement of a policy."""

    def run(inputs: dict[str, Any]) -> None:
        document = json.loads(inputs["policy"])
        change(document["Statement"][0])
        inputs["policy"] = json.dumps(document)

    return changed(kind, run)


def in_container(**values: object) -> Break:
    def run(inputs: dict[str, Any]) -> None:
        [container] = json.loads(inputs["containerDefinitions"])
        inputs["containerDefinitions"] = json.dumps([container | values])

    return changed("TaskDefinition", run)


# ---- network ---------------------------------------------------------------------------------


@question(in_policy("VpcEndpoint", lambda statement: statement.update(Resource="*")))
def each_endpoint_lets_only_our_own_things_be_reached(graph: Graph) -> Iterator[str]:
    for name, one in graph.all_of("VpcEndpoint").items():
        for statement in json.loads(one.inputs.get("policy", '{"Statement": [{}]}'))["Statement"]:
            resources = statement.get("Resource", "*")
            is_layers = "starport-layer-bucket" in json.dumps(resources)
            is_token = statement.get("Action") == ["ecr:GetAuthorizationToken"]
            ours = statement.get("Condition", {}).get("StringEquals", {})
            if "*" in resources and not is_token:
                yield f"{name}: everything can be reached"
            if "aws:PrincipalAccount" not in ours and not is_layers:
                yield f"{name}: for everybody"


def _private_route(graph: Graph) -> Graph:
    return changed(
        "Route", lambda one: one.update(routeTableId="RouteTable/prod-retainwise-private")
    )(graph)


@question(_private_route)
def nothing_private_reaches_the_internet(graph: Graph) -> Iterator[str]:
    private = [one for name, one in graph.all_of("Subnet").items() if "-private-" in name]
    assert private
    routes = graph.all_of("Route").values()
    for association in graph.all_of("RouteTableAssociation").values():
        if not any(graph.refers(association, subnet) for subnet in private):
            continue
        for route in routes:
            if route.inputs["routeTableId"] == association.inputs["routeTableId"]:
                yield f"{association.name} has the route {route.name}"
    for kind in ("NatGateway", "EgressOnlyInternetGateway", "VpcPeeringConnection"):
        yield from graph.all_of(kind)
    for one in private:
        if one.inputs["mapPublicIpOnLaunch"]:
            yield f"{one.name} gives out public addresses"
    for name, service in graph.all_of("Service").items():
        if service.inputs["networkConfiguration"]["assignPublicIp"]:
            yield f"{name} has a public address"


@question(
    setting(
        "Service",
        networkConfiguration={
            "assignPublicIp": False,
            "subnets": ["Subnet/prod-retainwise-public-a"],
            "securityGroups": [],
        },
    )
)
def tasks_are_in_private_subnets(graph: Graph) -> Iterator[str]:
    for name, service in graph.all_of("Service").items():
        for subnet in service.inputs["networkConfiguration"]["subnets"]:
            if "-private-" not in subnet:
                yield f"{name} is in {subnet}"


@question(setting("SecurityGroupIngressRule", cidrIpv4="10.0.0.0/8"))
def who_may_connect_is_said_by_group_but_at_the_load_balancer(graph: Graph) -> Iterator[str]:
    for kind in ("SecurityGroupIngressRule", "SecurityGroupEgressRule"):
        for name, rule in graph.all_of(kind).items():
            address = rule.inputs.get("cidrIpv4") or rule.inputs.get("cidrIpv6")
            is_edge = "-load-balancer" in rule.inputs["securityGroupId"]
            if address and not (is_edge and address in ANYWHERE and rule.inputs["toPort"] == 443):
                yield f"{name}: {address}"
            if rule.inputs["fromPort"] != rule.inputs["toPort"]:
                yield f"{name}: many ports"


@question(setting("SecurityGroup", description="the tasks' own"))
def ec2_takes_what_groups_and_rules_are_described_with(graph: Graph) -> Iterator[str]:
    kinds = ("SecurityGroup", "SecurityGroupIngressRule", "SecurityGroupEgressRule")
    for name, one in graph.all_of(*kinds).items():
        if not DESCRIPTION.fullmatch(one.inputs["description"]):
            yield f"{name}: {one.inputs['description']}"


@question(setting("SecurityGroup", ingress=[{"cidrBlocks": ["0.0.0.0/0"]}]))
def groups_hold_no_rules_of_their_own(graph: Graph) -> Iterator[str]:
    for name, group in graph.all_of("SecurityGroup", "DefaultSecurityGroup").items():
        if group.inputs.get("ingress") or group.inputs.get("egress"):
            yield name


@question(changed("VpcEndpoint", lambda inputs: inputs.pop("privateDnsEnabled"), "-sqs"))
def the_tasks_find_every_service_that_they_use_inside(graph: Graph) -> Iterator[str]:
    """Without one of these the first deploy hangs, and no test without AWS would show it."""
    endpoints = graph.all_of("VpcEndpoint")
    there = {e.inputs["serviceName"].rpartition(f".{graph.region}.")[2] for e in endpoints.values()}
    yield from {
        "s3",
        "dynamodb",
        "sqs",
        "kms",
        "logs",
        "secretsmanager",
        "ecr.api",
        "ecr.dkr",
    } - there
    private = {f"Subnet/{name}" for name in graph.all_of("Subnet") if "-private-" in name}
    lists = {
        rule.inputs.get("prefixListId") for rule in graph.all_of("SecurityGroupEgressRule").values()
    }
    for name, endpoint in endpoints.items():
        inputs = endpoint.inputs
        if inputs["vpcEndpointType"] == "Gateway":
            is_found = any("-private" in table for table in inputs.get("routeTableIds", ()))
            is_found = is_found and f"pl-{name}" in lists
        else:
            is_found = inputs.get("privateDnsEnabled") and set(inputs["subnetIds"]) == private
        if not is_found or (
            inputs["vpcEndpointType"] != "Gateway" and not inputs["securityGroupIds"]
        ):
            yield name
    for name, vpc in graph.all_of("Vpc").items():
        if not (vpc.inputs["enableDnsHostnames"] and vpc.inputs["enableDnsSupport"]):
            yield f"{name}: names"


@question(
    changed(
        "SecurityGroupIngressRule",
        lambda inputs: inputs.update(fromPort=8080, toPort=8080),
        "web-from-load-balancer",
    )
)
def each_task_is_reached_at_the_port_where_it_listens(graph: Graph) -> Iterator[str]:
    if not graph.all_of("TargetGroup"):
        return
    for service, container in graph.containers().items():
        listens = {port["containerPort"] for port in container["portMappings"]}
        reached = {
            rule.inputs["fromPort"]
            for rule in graph.all_of("SecurityGroupIngressRule").values()
            if rule.inputs["securityGroupId"].endswith(f"-{service}")
        }
        if listens != reached:
            yield f"{service}: listens at {listens}, reached at {reached}"


# ---- what is kept ----------------------------------------------------------------------------


def _has_denial_of_plain_http(document: Mapping[str, Any]) -> bool:
    return any(
        statement["Effect"] == "Deny"
        and statement["Principal"] == "*"
        and statement.get("Condition") == {"Bool": {"aws:SecureTransport": "false"}}
        for statement in document["Statement"]
    )


@question(in_policy("BucketPolicy", lambda statement: statement.update(Effect="Allow")))
def every_bucket_queue_and_topic_refuses_plain_http(graph: Graph) -> Iterator[str]:
    kinds = {"Bucket": "BucketPolicy", "Queue": "QueuePolicy", "Topic": "TopicPolicy"}
    for kind, policy_kind in kinds.items():
        policies = graph.all_of(policy_kind).values()
        for name, one in graph.all_of(kind).items():
            key = {"Bucket": "bucket", "Queue": "queueUrl", "Topic": "arn"}[kind]
            own = [policy for policy in policies if str(policy.inputs[key]).endswith(name)]
            if not any(_has_denial_of_plain_http(json.loads(p.inputs["policy"])) for p in own):
                yield f"{kind} {name}"
            assert one


@question(without("BucketPublicAccessBlock"))
def every_bucket_is_closed_versioned_encrypted_and_tidied(graph: Graph) -> Iterator[str]:
    settings = {
        "BucketPublicAccessBlock": lambda i: all(
            v for k, v in i.items() if k not in {"bucket", "region"}
        ),
        "BucketVersioning": lambda i: i["versioningConfiguration"] == {"status": "Enabled"},
        "BucketServerSideEncryptionConfiguration": lambda i: bool(i["rules"]),
        "BucketOwnershipControls": lambda i: (
            i["rule"] == {"objectOwnership": "BucketOwnerEnforced"}
        ),
        "BucketLifecycleConfiguration": lambda i: any(
            "abortIncompleteMultipartUpload" in rule for rule in i["rules"]
        ),
    }
    for name in graph.all_of("Bucket"):
        for kind, is_good in settings.items():
            own = [one for one in graph.all_of(kind).values() if one.inputs["bucket"] == name]
            if not own or not all(is_good(one.inputs) for one in own):
                yield f"{name}: {kind}"


@question(setting("Queue", kmsMasterKeyId=None))
def what_is_kept_is_encrypted_with_the_stacks_key(graph: Graph) -> Iterator[str]:
    places = {
        "Queue": "kmsMasterKeyId",
        "Topic": "kmsMasterKeyId",
        "LogGroup": "kmsKeyId",
        "Vault": "kmsKeyArn",
        "Table": "serverSideEncryption",
        "Stack": "parameters",
    }
    for kind, key in places.items():
        for name, one in graph.all_of(kind).items():
            if ":key/" not in json.dumps(one.inputs.get(key)):
                yield f"{kind} {name}"
    for name, one in graph.all_of("BucketServerSideEncryptionConfiguration").items():
        # What the load balancer writes, no key of ours can encrypt.
        if ":key/" not in json.dumps(one.inputs["rules"]) and "-access-logs-" not in name:
            yield name


@question(setting("Table", pointInTimeRecovery={"enabled": False}))
def the_table_can_be_had_back(graph: Graph) -> Iterator[str]:
    for name, table in graph.all_of("Table").items():
        if table.inputs.get("pointInTimeRecovery") != {"enabled": True}:
            yield f"{name}: as it was at any time"
        if not any(graph.refers(one, table) for one in graph.all_of("Selection").values()):
            yield f"{name}: from a backup"


@question(changed("Key", lambda _: None, protect=False))
def what_holds_data_is_protected_unless_the_stack_can_be_torn_down(graph: Graph) -> Iterator[str]:
    is_guarded = graph.stack != "dev"
    for one in graph.resources:
        if kind_of(one) not in STATEFUL or "-access-logs-" in one.name:
            continue
        if one.protect != is_guarded:
            yield f"{kind_of(one)} {one.name}"
    own = {
        "Table": ("deletionProtectionEnabled", is_guarded),
        "Bucket": ("forceDestroy", not is_guarded),
        "LoadBalancer": ("enableDeletionProtection", is_guarded),
        "Vault": ("forceDestroy", not is_guarded),
        "UserPool": ("deletionProtection", "ACTIVE" if is_guarded else "INACTIVE"),
    }
    for kind, (key, value) in own.items():
        for name, one in graph.all_of(kind).items():
            if one.inputs[key] != value and "-access-logs-" not in name:
                yield f"{kind} {name}: {key}"


@question(changed("Queue", lambda _: None, delete_before_replace=False))
def what_has_a_fixed_name_goes_before_its_successor_comes(graph: Graph) -> Iterator[str]:
    for one in graph.resources:
        names = {"name", "bucket"} if kind_of(one) == "Bucket" else {"name"}
        is_named = any(one.inputs.get(key) for key in names)
        if is_named and not one.delete_before_replace and kind_of(one) not in SAME_NAME_TWICE:
            yield f"{kind_of(one)} {one.name}"


@question(changed("Queue", lambda inputs: inputs.update(visibilityTimeoutSeconds=31), "-queue"))
def a_message_is_hidden_for_exactly_the_lease(graph: Graph) -> Iterator[str]:
    environment = graph.containers()["worker"]["environment"]
    [lease] = [one["value"] for one in environment if one["name"] == "LEASE_S"]
    queue = graph.all_of("Queue")[f"{graph.stack}-retainwise-predictions-queue"]
    if str(queue.inputs["visibilityTimeoutSeconds"]) != lease:
        yield f"hidden for {queue.inputs['visibilityTimeoutSeconds']} s, leased for {lease} s"


@question(changed("Queue", lambda inputs: inputs.update(messageRetentionSeconds=60), "-dlq"))
def dead_letters_are_kept_longer_than_messages_and_come_from_one_queue(
    graph: Graph,
) -> Iterator[str]:
    prefix, queues = f"{graph.stack}-retainwise-predictions", graph.all_of("Queue")
    queue, dlq = queues[f"{prefix}-queue"].inputs, queues[f"{prefix}-dlq"].inputs
    if dlq["messageRetentionSeconds"] <= queue["messageRetentionSeconds"]:
        yield "the dead-letter queue forgets first"
    if not json.loads(queue["redrivePolicy"])["deadLetterTargetArn"].endswith(f":{prefix}-dlq"):
        yield "dead letters go elsewhere"
    [allowed] = graph.all_of("RedriveAllowPolicy").values()
    source = f"{prefix}-queue"
    policy = json.loads(allowed.inputs["redriveAllowPolicy"])
    if policy["redrivePermission"] != "byQueue" or source not in policy["sourceQueueArns"][0]:
        yield "any queue may use the dead-letter queue"


# ---- who may do what -------------------------------------------------------------------------


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


# ---- what runs -------------------------------------------------------------------------------


@question(in_container(user="root"))
def tasks_run_as_nobody_and_write_only_to_their_spool(graph: Graph) -> Iterator[str]:
    for service, container in graph.containers().items():
        if container.get("user", "0").split(":")[0] in {"0", "root"}:
            yield f"{service}: as root"
        if not container["readonlyRootFilesystem"]:
            yield f"{service}: can write to its image"
        if [one["containerPath"] for one in container["mountPoints"]] != ["/tmp"]:
            yield f"{service}: {container['mountPoints']}"
        if container.get("privileged") or not container["linuxParameters"]["initProcessEnabled"]:
            yield f"{service}: how it is started"
        if container["stopTimeout"] != 120:
            yield f"{service}: stopped after {container['stopTimeout']} s"
    for name, task in graph.all_of("TaskDefinition").items():
        if not task.inputs.get("ephemeralStorage"):
            yield f"{name}: its spool has no size"


@question(in_container(image="example/web:latest"))
def images_are_named_by_digest(graph: Graph) -> Iterator[str]:
    for service, container in graph.containers().items():
        if not re.search(r"@sha256:[0-9a-f]{64}$", container["image"]):
            yield f"{service}: {container['image']}"


@question(in_container(environment=[{"name": "API_TOKEN", "value": "x"}]))
def no_secret_is_in_plain_text(graph: Graph) -> Iterator[str]:
    for service, container in graph.containers().items():
        for variable in container["environment"]:
            if SECRET_NAME.search(variable["name"]):
                yield f"{service}: {variable['name']}"
        for secret in container.get("secrets", ()):
            if not secret["valueFrom"].startswith("arn:aws:secretsmanager:"):
                yield f"{service}: {secret['name']}"
    for kind in ("SecretVersion", "RandomPassword", "AccessKey"):
        yield from graph.all_of(kind)
    for name, stack in graph.all_of("Stack").items():
        if "SecretString" in stack.inputs["templateBody"].replace("GenerateSecretString", ""):
            yield name


@question(setting("Service", deploymentCircuitBreaker={"enable": True, "rollback": False}))
def a_bad_release_is_taken_back(graph: Graph) -> Iterator[str]:
    alarms = {one.inputs["name"] for one in graph.all_of("MetricAlarm").values()}
    for name, service in graph.all_of("Service").items():
        if service.inputs["deploymentCircuitBreaker"] != {"enable": True, "rollback": True}:
            yield f"{name}: one that does not start"
        watched = service.inputs.get("alarms", {"alarmNames": [], "rollback": True})
        names = set(watched["alarmNames"])
        if names - alarms:
            yield f"{name}: alarms that are none, {names - alarms}"
        if not watched["rollback"] or (not names and name.endswith("-worker")):
            yield f"{name}: one that sets off its alarm"


@question(setting("TargetGroup", deregistrationDelay=300))
def a_deploy_waits_for_nobody_longer_than_it_must(graph: Graph) -> Iterator[str]:
    for name, target in graph.all_of("TargetGroup").items():
        check = target.inputs["healthCheck"]
        if (check["interval"], check["healthyThreshold"]) != (5, 2):
            yield f"{name}: checked every {check['interval']} s"
        if target.inputs["deregistrationDelay"] != 5:
            yield f"{name}: leaves after {target.inputs['deregistrationDelay']} s"
    if graph.stack == "local":  # the twin has nothing to break there
        return
    if not graph.all_of("TargetGroup"):
        yield "there is no target group"


def _scaled_with_a_fixed_release(graph: Graph) -> Graph:
    resources = [
        replace(one, ignore_changes=("desiredCount", "taskDefinition"))
        if kind_of(one) == "Service"
        else one
        for one in graph.resources
    ]
    return Graph(graph.stack, graph.region, resources)


@question(_scaled_with_a_fixed_release)
def a_deploy_leaves_to_scaling_how_many_and_nothing_else(graph: Graph) -> Iterator[str]:
    for name, service in graph.all_of("Service").items():
        ours = ("desiredCount",) if name in graph.all_of("Target") else ()
        if tuple(service.ignore_changes) != ours:
            yield f"{name}: {service.ignore_changes}"


# ---- the edge --------------------------------------------------------------------------------


@question(setting("Listener", sslPolicy="ELBSecurityPolicy-2016-08"))
def people_come_in_by_tls_1_3_and_nothing_else(graph: Graph) -> Iterator[str]:
    for name, listener in graph.all_of("Listener").items():
        if not listener.inputs["sslPolicy"].startswith("ELBSecurityPolicy-TLS13-1-3-"):
            yield f"{name}: {listener.inputs['sslPolicy']}"
        if (listener.inputs["port"], listener.inputs["protocol"]) != (443, "HTTPS"):
            yield f"{name}: port {listener.inputs['port']}"


@question(changed("Listener", lambda inputs: inputs["defaultActions"].pop(0)))
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
        if kinds[0] != "authenticate-cognito" and not has_token:
            yield f"{name}: {kinds}"


def _blocking_bodies(inputs: dict[str, Any]) -> None:
    for rule in inputs["rules"]:
        group = rule["statement"].get("managedRuleGroupStatement", {})
        group.pop("ruleActionOverrides", None)


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
def rules_of_the_listener_are_for_the_api_alone(graph: Graph) -> Iterator[str]:
    for name, rule in graph.all_of("ListenerRule").items():
        paths = [
            one["pathPattern"]["values"]
            for one in rule.inputs["conditions"]
            if "pathPattern" in one
        ]
        if paths != [["/api/*"]]:
            yield f"{name}: {paths}"


# ---- who is told -----------------------------------------------------------------------------


@question(setting("MetricAlarm", tags={"runbook": "https://example.com/runbooks/none.md"}))
def every_alarm_leads_to_a_runbook_that_exists(graph: Graph) -> Iterator[str]:
    alarms = graph.all_of("MetricAlarm", "EventRule", "Budget")
    for name, alarm in alarms.items():
        pages_nobody = name.endswith("-idle")  # it scales, and says so
        address = alarm.inputs["tags"].get("runbook", "")
        if pages_nobody:
            continue
        if not (RUNBOOKS / address.rpartition("/")[2]).is_file() or not address.endswith(".md"):
            yield f"{name}: {address or 'no runbook'}"
        words = alarm.inputs.get("alarmDescription", alarm.inputs.get("description"))
        if words is not None and address not in words:
            yield f"{name} does not say where to read on"
        if kind_of(alarm) == "MetricAlarm" and not alarm.inputs["alarmActions"]:
            yield f"{name} tells nobody"


@question(
    setting("LogMetricFilter", metricTransformation={"namespace": "RetainWise", "name": "other"})
)
def each_alarm_looks_at_a_metric_that_is_made(graph: Graph) -> Iterator[str]:
    made = {
        one.inputs["metricTransformation"]["name"]
        for one in graph.all_of("LogMetricFilter").values()
    }
    asked = {
        query["metric"]["metricName"]
        for alarm in graph.all_of("MetricAlarm").values()
        for query in alarm.inputs["metricQueries"]
        if query.get("metric", {}).get("namespace") == "RetainWise"
    }
    yield from sorted(asked - made)


@question(without("EventTarget"))
def every_event_reaches_somebody(graph: Graph) -> Iterator[str]:
    for name in graph.all_of("EventRule"):
        if name not in graph.all_of("EventTarget"):
            yield f"{name} tells nobody"
    for name, policy in graph.all_of("TopicPolicy").items():
        for service in ("budgets", "cloudwatch", "events"):
            if f'"{service}.amazonaws.com"' not in policy.inputs["policy"]:
                yield f"{name}: not from {service}"


@question(setting("LogGroup", retentionInDays=None))
def logs_are_kept_for_a_time_and_not_for_ever(graph: Graph) -> Iterator[str]:
    for name, group in graph.all_of("LogGroup").items():
        if not group.inputs.get("retentionInDays"):
            yield name


# ---- names and tags --------------------------------------------------------------------------


@question(changed("Queue", lambda inputs: inputs.pop("tags")))
def everything_that_takes_tags_has_them(graph: Graph) -> Iterator[str]:
    taking = {kind_of(one) for one in graph.resources if "tags" in one.inputs}
    assert len(taking) > 15
    for one in graph.resources:
        tags = one.inputs.get("tags", {})
        if kind_of(one) in taking and not tags.keys() >= TAGS:
            yield f"{kind_of(one)} {one.name}"


@question(setting("Queue", name="predictions"))
def every_name_starts_with_the_stacks(graph: Graph) -> Iterator[str]:
    for one in graph.resources:
        name = one.inputs.get("name") or one.inputs.get("bucket") or one.name
        is_ours = str(name).startswith(
            # The firewall's logs go nowhere else.
            tuple(f"{before}{graph.stack}-retainwise" for before in ("", "alias/", "aws-waf-logs-"))
        )
        inside = kind_of(one) in {"RolePolicy", "Record", "Certificate"}
        if not is_ours and not inside:
            yield f"{kind_of(one)} {name}"


@dataclass(frozen=True)
class Asked:
    """A question's name, answer and twin, as pytest shows it."""

    name: str
    answer: Answer
    broken: Break


ALL = [Asked(name, answer, broken) for name, (answer, broken) in QUESTIONS.items()]
