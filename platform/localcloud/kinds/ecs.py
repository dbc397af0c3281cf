"""The cluster, task definitions and services.

The emulator runs no container; the task definitions are what `tasks` starts its processes from.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from localcloud.kinds.base import Found, Inputs, Kind, Tags, pairs_from, tags_from

_NO_ALARMS = {"alarmNames": [], "enable": False, "rollback": False}
# Of a service, what AWS has where nothing is declared.
_NOT_DECLARED: Mapping[str, Any] = {
    "alarms": _NO_ALARMS,
    "healthCheckGracePeriodSeconds": 0,
    "loadBalancers": [],
}


class Cluster(Kind):
    """A cluster, by its name."""

    type = "aws:ecs/cluster:Cluster"

    def find(self, name: str, inputs: Inputs) -> Found | None:
        """See Kind."""
        return next(iter(self._active([inputs["name"]])), None)

    def create(self, inputs: Inputs, tags: Tags) -> None:
        """See Kind."""
        self.aws.ecs.create_cluster(
            clusterName=inputs["name"], settings=inputs["settings"], tags=_pairs(tags)
        )

    def change(self, found: Found, differing: Mapping[str, Any]) -> None:
        """See Kind."""
        self.aws.ecs.update_cluster_settings(cluster=found.id, settings=differing["settings"])

    def tag(self, found: Found, tags: Tags) -> None:
        """See Kind."""
        self.aws.ecs.tag_resource(resourceArn=found.id, tags=_pairs(tags))

    def owned(self) -> Iterable[Found]:
        """See Kind."""
        clusters = self._active(self.aws.ecs.list_clusters()["clusterArns"])
        return [one for one in clusters if self.is_ours(one.tags)]

    def delete(self, found: Found) -> None:
        """See Kind."""
        self.aws.ecs.delete_cluster(cluster=found.id)

    def _active(self, names: list[str]) -> list[Found]:
        answer = self.aws.ecs.describe_clusters(clusters=names, include=["TAGS", "SETTINGS"])
        return [
            Found(
                one["clusterArn"],
                {"name": one["clusterName"], "settings": one["settings"]},
                {"arn": one["clusterArn"], "name": one["clusterName"]},
                _tags(one.get("tags", ())),
            )
            for one in answer["clusters"]
            if one["status"] == "ACTIVE"
        ]


class ClusterCapacityProviders(Kind):
    """What a cluster's tasks may run on; a setting of the cluster."""

    type = "aws:ecs/clusterCapacityProviders:ClusterCapacityProviders"
    has_tags = False

    def find(self, name: str, inputs: Inputs) -> Found:
        """See Kind."""
        [one] = self.aws.ecs.describe_clusters(clusters=[inputs["clusterName"]])["clusters"]
        properties = {
            "clusterName": one["clusterName"],
            "capacityProviders": sorted(one["capacityProviders"]),
        }
        return Found(one["clusterName"], properties)

    def wanted(self, inputs: Inputs) -> Mapping[str, Any]:
        """See Kind. In no order."""
        return {**inputs, "capacityProviders": sorted(inputs["capacityProviders"])}

    def change(self, found: Found, differing: Mapping[str, Any]) -> None:
        """See Kind. Each service says itself which it wants."""
        self.aws.ecs.put_cluster_capacity_providers(
            cluster=found.id,
            capacityProviders=differing["capacityProviders"],
            defaultCapacityProviderStrategy=[],
        )


class TaskDefinition(Kind):
    """The newest revision of a family. A change is a new one; the old ones stay for a rollback."""

    type = "aws:ecs/taskDefinition:TaskDefinition"
    has_tags = False

    def find(self, name: str, inputs: Inputs) -> Found | None:
        """See Kind."""
        newest = self.aws.ecs.list_task_definitions(
            familyPrefix=inputs["family"], sort="DESC", status="ACTIVE"
        )["taskDefinitionArns"]
        if not newest:
            return None
        there: Mapping[str, Any] = self.aws.ecs.describe_task_definition(taskDefinition=newest[0])[
            "taskDefinition"
        ]
        properties = {key: there.get(key) for key in self.wanted(inputs)}
        return Found(newest[0], properties, {"arn": newest[0]})

    def wanted(self, inputs: Inputs) -> Mapping[str, Any]:
        """See Kind. These are the names of AWS's own call, but for `compatibilities`."""
        return {
            "family": inputs["family"],
            "requiresCompatibilities": inputs["requiresCompatibilities"],
            "networkMode": inputs["networkMode"],
            "cpu": inputs["cpu"],
            "memory": inputs["memory"],
            "ephemeralStorage": {"sizeInGiB": inputs["ephemeralStorage"]["sizeInGib"]},
            "runtimePlatform": inputs["runtimePlatform"],
            "taskRoleArn": inputs["taskRoleArn"],
            "executionRoleArn": inputs["executionRoleArn"],
            "volumes": inputs["volumes"],
            "containerDefinitions": json.loads(inputs["containerDefinitions"]),
        }

    def create(self, inputs: Inputs, tags: Tags) -> None:
        """See Kind."""
        self.aws.ecs.register_task_definition(**self.wanted(inputs), tags=_pairs(tags))

    def change(self, found: Found, differing: Mapping[str, Any]) -> None:
        """See Kind."""
        self.aws.ecs.register_task_definition(**{**found.properties, **differing})


class Service(Kind):
    """A service, by its cluster and name."""

    type = "aws:ecs/service:Service"

    def find(self, name: str, inputs: Inputs) -> Found | None:
        """See Kind."""
        active = self._active(inputs["cluster"], [inputs["name"]])
        return next(map(self._found, active), None)

    def wanted(self, inputs: Inputs) -> Mapping[str, Any]:
        """See Kind. What is not declared is not there."""
        return {**_NOT_DECLARED, **super().wanted(inputs)}

    def create(self, inputs: Inputs, tags: Tags) -> None:
        """See Kind."""
        self.aws.ecs.create_service(
            cluster=inputs["cluster"],
            serviceName=inputs["name"],
            desiredCount=inputs["desiredCount"],
            tags=_pairs(tags),
            **_changeable(self.wanted(inputs)),
        )

    def change(self, found: Found, differing: Mapping[str, Any]) -> None:
        """See Kind. The number of tasks is sent only when it is to change: scaling moves it."""
        count = {"desiredCount": differing["desiredCount"]} if "desiredCount" in differing else {}
        self.aws.ecs.update_service(
            cluster=found.properties["cluster"],
            service=found.properties["name"],
            **_changeable({**found.properties, **differing}),
            **count,
        )

    def tag(self, found: Found, tags: Tags) -> None:
        """See Kind."""
        self.aws.ecs.tag_resource(resourceArn=found.id, tags=_pairs(tags))

    def owned(self) -> Iterable[Found]:
        """See Kind."""
        for cluster in Cluster(self.aws, self.stack).owned():
            names = self.aws.ecs.list_services(cluster=cluster.id)["serviceArns"]
            for one in self._active(cluster.id, names):
                if self.is_ours(_tags(one.get("tags", ()))):
                    yield self._found(one)

    def delete(self, found: Found) -> None:
        """See Kind."""
        self.aws.ecs.delete_service(
            cluster=found.properties["cluster"], service=found.properties["name"], force=True
        )

    def _active(self, cluster: str, names: list[str]) -> Iterable[Mapping[str, Any]]:
        if not names:
            return []
        answer = self.aws.ecs.describe_services(cluster=cluster, services=names, include=["TAGS"])
        return (one for one in answer["services"] if one["status"] == "ACTIVE")

    def _found(self, one: Mapping[str, Any]) -> Found:
        deployment = one["deploymentConfiguration"]
        network = one["networkConfiguration"]["awsvpcConfiguration"]
        properties = {
            "cluster": one["clusterArn"],
            "name": one["serviceName"],
            "taskDefinition": one["taskDefinition"],
            "desiredCount": one["desiredCount"],
            "capacityProviderStrategies": one.get("capacityProviderStrategy", []),
            "loadBalancers": one.get("loadBalancers", []),
            "alarms": deployment.get("alarms", _NO_ALARMS),
            "healthCheckGracePeriodSeconds": one.get("healthCheckGracePeriodSeconds", 0),
            "propagateTags": one.get("propagateTags"),
            "enableExecuteCommand": one.get("enableExecuteCommand", False),
            "deploymentMinimumHealthyPercent": deployment["minimumHealthyPercent"],
            "deploymentMaximumPercent": deployment["maximumPercent"],
            "deploymentCircuitBreaker": deployment.get("deploymentCircuitBreaker"),
            "networkConfiguration": {
                "subnets": network["subnets"],
                "securityGroups": network["securityGroups"],
                "assignPublicIp": network["assignPublicIp"] == "ENABLED",
            },
        }
        outputs = {"name": one["serviceName"]}
        return Found(one["serviceArn"], properties, outputs, _tags(one.get("tags", ())))


def _changeable(wanted: Mapping[str, Any]) -> dict[str, Any]:
    network = wanted["networkConfiguration"]
    public = "ENABLED" if network["assignPublicIp"] else "DISABLED"
    return {
        "taskDefinition": wanted["taskDefinition"],
        "capacityProviderStrategy": wanted["capacityProviderStrategies"],
        "loadBalancers": wanted["loadBalancers"],
        "healthCheckGracePeriodSeconds": wanted["healthCheckGracePeriodSeconds"],
        "propagateTags": wanted["propagateTags"],
        "enableExecuteCommand": wanted["enableExecuteCommand"],
        "deploymentConfiguration": {
            "minimumHealthyPercent": wanted["deploymentMinimumHealthyPercent"],
            "maximumPercent": wanted["deploymentMaximumPercent"],
            "deploymentCircuitBreaker": wanted["deploymentCircuitBreaker"],
            "alarms": wanted["alarms"],
        },
        "networkConfiguration": {
            "awsvpcConfiguration": {
                "subnets": network["subnets"],
                "securityGroups": network["securityGroups"],
                "assignPublicIp": public,
            }
        },
    }


def _tags(pairs: Iterable[Any]) -> Tags:
    return tags_from(pairs, "key", "value")


def _pairs(tags: Tags) -> list[Any]:
    return pairs_from(tags, "key", "value")
