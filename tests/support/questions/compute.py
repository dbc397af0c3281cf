"""What runs: as whom, from which image, and how a new release takes over."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from operations.graph import Graph, kind_of
from questions.asking import changed, in_container, question, setting
from worker import heartbeat

SECRET_NAME = re.compile(r"SECRET|PASSWORD|TOKEN|CREDENTIAL|PRIVATE|ACCESS_KEY")


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


@question(
    setting("Service", deploymentCircuitBreaker={"enable": True, "rollback": False}),
    changed("Service", lambda inputs: inputs.pop("alarms"), "-web"),
    changed("Service", lambda inputs: inputs.pop("alarms"), "-worker"),
    changed("Service", lambda inputs: inputs["alarms"].update(enable=False)),
    changed("Service", lambda inputs: inputs["alarms"].update(alarmNames=["prod-retainwise-none"])),
    changed(
        "Service",
        lambda inputs: inputs["alarms"].update(alarmNames=["prod-retainwise-worker-idle"]),
        "-worker",
    ),
)
def a_bad_release_is_taken_back(graph: Graph) -> Iterator[str]:
    alarms = {one.inputs["name"] for one in graph.all_of("MetricAlarm").values()}
    for name, service in graph.all_of("Service").items():
        if service.inputs["deploymentCircuitBreaker"] != {"enable": True, "rollback": True}:
            yield f"{name}: one that does not start"
        watched = service.inputs.get("alarms", {"alarmNames": [], "enable": True, "rollback": True})
        names = set(watched["alarmNames"])
        if names - alarms:
            yield f"{name}: alarms that are none, {names - alarms}"
        if any(one.endswith("-idle") for one in names):
            yield f"{name}: taken back for having little to do"
        must_watch = name.endswith("-worker") or service.inputs.get("loadBalancers")
        if not (watched["rollback"] and watched["enable"]) or (must_watch and not names):
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


@question(
    setting("Service", deploymentMinimumHealthyPercent=50),
    setting("Service", deploymentMaximumPercent=100),
    setting("TaskDefinition", skipDestroy=False),
)
def a_release_takes_no_task_away_before_its_own_run_and_keeps_the_one_before(
    graph: Graph,
) -> Iterator[str]:
    for name, service in graph.all_of("Service").items():
        if service.inputs["deploymentMinimumHealthyPercent"] != 100:
            yield f"{name}: fewer tasks during a deploy"
        if service.inputs["deploymentMaximumPercent"] < 200:  # with one task, this is one more
            yield f"{name}: no room for new tasks"
    for name, task in graph.all_of("TaskDefinition").items():
        if not task.inputs.get("skipDestroy"):
            yield f"{name}: there is nothing to roll back to"


@question(
    changed("Service", lambda inputs: inputs.update(desiredCount=1), "-web"),
    changed(
        "Service",
        lambda inputs: inputs["capacityProviderStrategies"][0].update(
            capacityProvider="FARGATE_SPOT"
        ),
        "-web",
    ),
    changed(
        "Service",
        lambda inputs: inputs["networkConfiguration"].update(
            subnets=inputs["networkConfiguration"]["subnets"][:1]
        ),
        "-web",
    ),
)
def in_production_people_are_served_while_a_zone_is_away(graph: Graph) -> Iterator[str]:
    if graph.stack != "prod":
        return
    for name, service in graph.all_of("Service").items():
        if not service.inputs.get("loadBalancers"):
            continue
        if min(service.inputs["desiredCount"], _zones(service.inputs)) < 2:
            yield f"{name}: in one place"
        for capacity in service.inputs["capacityProviderStrategies"]:
            if capacity["capacityProvider"] != "FARGATE":
                yield f"{name}: on {capacity['capacityProvider']}, which AWS takes back at any time"


def _zones(service: Mapping[str, Any]) -> int:
    return len(set(service["networkConfiguration"]["subnets"]))


@question(setting("Service", enableExecuteCommand=True))
def nobody_opens_a_shell_in_a_task(graph: Graph) -> Iterator[str]:
    """It would read customers' files under the task's role, and no log would say which."""
    for name, service in graph.all_of("Service").items():
        if service.inputs["enableExecuteCommand"]:
            yield name


@question(
    in_container("-worker", healthCheck=None),
    in_container("-worker", healthCheck={"command": ["CMD", "true"]}),
    changed("Service", lambda inputs: inputs.pop("loadBalancers"), "-web"),
    changed("TargetGroup", lambda inputs: inputs["healthCheck"].update(path="/readyz")),
)
def a_task_that_can_do_nothing_is_replaced(graph: Graph) -> Iterator[str]:
    """Who answers requests is asked by the load balancer; a worker writes signs of life."""
    for service, container in graph.containers().items():
        declared = graph.all_of("Service")[f"{graph.stack}-retainwise-{service}"]
        receives = "PREDICTIONS_DLQ_URL" in {one["name"] for one in container["environment"]}
        answers = bool(container["portMappings"] and graph.all_of("TargetGroup"))
        if answers and not declared.inputs.get("loadBalancers"):
            yield f"{service}: nobody asks whether it answers"
        check = ["CMD", "python", "-m", heartbeat.__name__]
        if receives and container.get("healthCheck", {}).get("command") != check:
            yield f"{service}: nobody asks whether it receives"
    for name, target in graph.all_of("TargetGroup").items():
        path = target.inputs["healthCheck"]["path"]
        if path != "/healthz":  # /readyz fails for all tasks at once, with what they all need
            yield f"{name}: replaced for {path}"
