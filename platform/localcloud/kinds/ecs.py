"""The cluster, task definitions and services.

The emulator runs no container; the task definitions are what `tasks` starts its processes from.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from localcloud.kinds.base import STACK_TAG, Found, Inputs, Kind, Tags, pairs_from, tags_from


class Cluster(Kind):
    """A cluster, by its name."""

    type = "aws:ecs/cluster:Cluster"

    def find(self, name: str, inputs: Inputs) -> Found | None:
        """See Kind."""
        return next(iter(self._active([inputs["name"]])), None)

    def create(self, inputs: Inputs, tags: Tags) -> None:
        """See Kind."""
        self.aws.ecs.create_cluster(clusterName=inputs["name"], tags=_pairs(tags))

    def tag(self, found: Found, tags: Tags) -> None:
        """See Kind."""
        self.aws.ecs.tag_resource(resourceArn=found.id, tags=_pairs(tags))

    def owned(self) -> Iterable[Found]:
        """See Kind."""
        clusters = self._active(self.aws.ecs.list_clusters()["clusterArns"])
        return [one for one in clusters if one.tags.get(STACK_TAG) == self.stack]

    def delete(self, found: Found) -> None:
        """See Kind."""
        self.aws.ecs.delete_cluster(cluster=found.id)

    def _active(self, names: list[str]) -> list[Found]:
        answer = self.aws.ecs.describe_clusters(clusters=names, include=["TAGS"])
        return [
            Found(
                one["clusterArn"],
                {"name": one["clusterName"]},
                {"arn": one["clusterArn"]},
                _tags(one.get("tags", ())),
            )
            for one in answer["clusters"]
            if one["status"] == "ACTIVE"
        ]


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

    def create(self, inputs: Inputs, tags: Tags) -> None:
        """See Kind."""
        self.aws.ecs.create_service(
            cluster=inputs["cluster"],
            serviceName=inputs["name"],
            launchType=inputs["launchType"],
            tags=_pairs(tags),
            **_changeable(self.wanted(inputs)),
        )

    def change(self, found: Found, differing: Mapping[str, Any]) -> None:
        """See Kind."""
        wanted = {**found.properties, **differing}
        self.aws.ecs.update_service(
            cluster=found.properties["cluster"],
            service=found.properties["name"],
            **_changeable(wanted),
        )

    def tag(self, found: Found, tags: Tags) -> None:
        """See Kind."""
        self.aws.ecs.tag_resource(resourceArn=found.id, tags=_pairs(tags))

    def owned(self) -> Iterable[Found]:
        """See Kind."""
        for cluster in Cluster(self.aws, self.stack).owned():
            names = self.aws.ecs.list_services(cluster=cluster.id)["serviceArns"]
            for one in self._active(cluster.id, names):
                if _tags(one.get("tags", ())).get(STACK_TAG) == self.stack:
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
            "launchType": one["launchType"],
            "deploymentMinimumHealthyPercent": deployment["minimumHealthyPercent"],
            "deploymentMaximumPercent": deployment["maximumPercent"],
            "deploymentCircuitBreaker": deployment["deploymentCircuitBreaker"],
            "networkConfiguration": {
                "subnets": network["subnets"],
                "securityGroups": network["securityGroups"],
                "assignPublicIp": network["assignPublicIp"] == "ENABLED",
            },
        }
        return Found(one["serviceArn"], properties, {}, _tags(one.get("tags", ())))


def _changeable(wanted: Mapping[str, Any]) -> dict[str, Any]:
    network = wanted["networkConfiguration"]
    public = "ENABLED" if network["assignPublicIp"] else "DISABLED"
    return {
        "taskDefinition": wanted["taskDefinition"],
        "desiredCount": wanted["desiredCount"],
        "deploymentConfiguration": {
            "minimumHealthyPercent": wanted["deploymentMinimumHealthyPercent"],
            "maximumPercent": wanted["deploymentMaximumPercent"],
            "deploymentCircuitBreaker": wanted["deploymentCircuitBreaker"],
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
