"""What runs: as whom, from which image, and how a new release takes over."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

from operations.graph import Graph, kind_of
from questions.asking import in_container, question, setting

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
