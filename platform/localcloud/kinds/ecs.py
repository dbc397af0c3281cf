"""The cluster, task definitions and services.

The emulator runs no container; the task definitions are what `tasks` starts its processes from.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

from botocore.exceptions import ClientError

from localcloud.kinds.base import (
    Found,
    Inputs,
    Kind,
    Tags,
    declared_tags,
    document,
    is_missing,
    pairs_from,
    tags_from,
)

_NO_ALARMS = {"alarmNames": [], "enable": False, "rollback": False}
_NO_INSIGHTS = [{"name": "containerInsights", "value": "disabled"}]
# Of a task definition, what AWS's call takes under the same names as the AWS provider.
_TASK = (
    "family",
    "requiresCompatibilities",
    "networkMode",
    "cpu",
    "memory",
    "runtimePlatform",
    "taskRoleArn",
    "executionRoleArn",
)


class Cluster(Kind):
    """A cluster, by its name."""

    type = "aws:ecs/cluster:Cluster"
    defaults: ClassVar = {"settings": _NO_INSIGHTS}
    replaced_for = frozenset({"name"})

    def find(self, name: str, inputs: Inputs) -> Found | None:
        """See Kind."""
        return self.get(inputs["name"])

    def get(self, resource_id: str) -> Found | None:
        """See Kind."""
        return next(iter(self._active([resource_id])), None)

    def create(self, inputs: Inputs, tags: Tags) -> None:
        """See Kind."""
        self.aws.ecs.create_cluster(
            clusterName=inputs["name"],
            settings=self.wanted(inputs)["settings"],
            tags=_pairs(tags),
        )

    def change(self, found: Found, differing: Mapping[str, Any]) -> None:
        """See Kind."""
        self.aws.ecs.update_cluster_settings(cluster=found.id, settings=differing["settings"])

    def tag(self, found: Found, tags: Tags) -> None:
        """See Kind."""
        self.aws.ecs.tag_resource(resourceArn=found.outputs["arn"], tags=_pairs(tags))

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
                one["clusterName"],
                {"name": one["clusterName"], "settings": one.get("settings") or _NO_INSIGHTS},
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
    defaults: ClassVar = {"capacityProviders": []}
    replaced_for = frozenset({"clusterName"})

    def find(self, name: str, inputs: Inputs) -> Found:
        """See Kind."""
        [one] = self._all(inputs["clusterName"])
        return one

    def get(self, resource_id: str) -> Found | None:
        """See Kind. Of every cluster, for a cluster may have none."""
        return next(iter(self._all(resource_id)), None)

    def look_for(self, name: str, inputs: Inputs) -> Found | None:
        """See Kind."""
        return self.get(inputs["clusterName"])

    def wanted(self, inputs: Inputs) -> Mapping[str, Any]:
        """See Kind. In no order."""
        values = super().wanted(inputs)
        return {**values, "capacityProviders": sorted(values["capacityProviders"])}

    def change(self, found: Found, differing: Mapping[str, Any]) -> None:
        """See Kind. Each service says itself which it wants."""
        self.aws.ecs.put_cluster_capacity_providers(
            cluster=found.id,
            capacityProviders=differing["capacityProviders"],
            defaultCapacityProviderStrategy=[],
        )

    def _all(self, cluster: str) -> list[Found]:
        return [
            Found(
                one["clusterName"],
                {
                    "clusterName": one["clusterName"],
                    "capacityProviders": sorted(one.get("capacityProviders", ())),
                },
            )
            for one in self.aws.ecs.describe_clusters(clusters=[cluster])["clusters"]
            if one["status"] == "ACTIVE"
        ]


class TaskDefinition(Kind):
    """The newest revision of a family. A change is a new one; the old ones stay for a rollback."""

    type = "aws:ecs/taskDefinition:TaskDefinition"
    has_tags = False
    replaced_for = frozenset({*_TASK, "containerDefinitions", "ephemeralStorage", "volumes"})

    def find(self, name: str, inputs: Inputs) -> Found | None:
        """See Kind."""
        newest = self.aws.ecs.list_task_definitions(
            familyPrefix=inputs["family"], sort="DESC", status="ACTIVE"
        )["taskDefinitionArns"]
        return self.get(newest[0]) if newest else None

    def get(self, resource_id: str) -> Found | None:
        """See Kind. A revision that was deregistered is gone."""
        try:
            answer = self.aws.ecs.describe_task_definition(
                taskDefinition=resource_id, include=["TAGS"]
            )
        except ClientError as exc:
            if is_missing(exc, "ClientException"):  # so AWS says that there is none
                return None
            raise
        one: Mapping[str, Any] = answer["taskDefinition"]
        if one["status"] != "ACTIVE":
            return None
        properties = {
            **{key: one.get(key) or None for key in _TASK},
            "ephemeralStorage": one.get("ephemeralStorage"),
            "volumes": one.get("volumes", []),
            "containerDefinitions": one["containerDefinitions"],
        }
        arn = one["taskDefinitionArn"]
        return Found(arn, properties, {"arn": arn}, _tags(answer.get("tags", ())))

    def wanted(self, inputs: Inputs) -> Mapping[str, Any]:
        """See Kind. These are the names of AWS's own call, but for `compatibilities`."""
        storage = inputs.get("ephemeralStorage")
        return {
            **{key: inputs.get(key) for key in _TASK},
            "ephemeralStorage": {"sizeInGiB": storage["sizeInGib"]} if storage else None,
            "volumes": inputs.get("volumes", []),
            "containerDefinitions": json.loads(inputs["containerDefinitions"]),
        }

    def inputs_of(self, found: Found) -> dict[str, Any]:
        """See Kind. A revision keeps the tags that it was made with."""
        there = found.properties
        inputs = {key: there[key] for key in _TASK if there[key] is not None}
        if storage := there["ephemeralStorage"]:
            inputs["ephemeralStorage"] = {"sizeInGib": storage["sizeInGiB"]}
        if there["volumes"]:
            inputs["volumes"] = there["volumes"]
        inputs["containerDefinitions"] = document(there["containerDefinitions"])
        if tags := declared_tags(found.tags):
            inputs["tags"] = tags
        return inputs

    def create(self, inputs: Inputs, tags: Tags) -> None:
        """See Kind."""
        self._register(self.wanted(inputs), tags)

    def change(self, found: Found, differing: Mapping[str, Any]) -> None:
        """See Kind."""
        self._register({**found.properties, **differing}, found.tags)

    def tag(self, found: Found, tags: Tags) -> None:
        """See Kind. The local cloud tags no revision again; a provider does."""
        self.aws.ecs.tag_resource(resourceArn=found.id, tags=_pairs(tags))

    def _register(self, values: Mapping[str, Any], tags: Tags) -> None:
        given = {key: value for key, value in values.items() if value is not None}
        if tags:  # AWS takes no empty list
            given["tags"] = _pairs(tags)
        self.aws.ecs.register_task_definition(**given)


class Service(Kind):
    """A service, by its cluster and name."""

    type = "aws:ecs/service:Service"
    defaults: ClassVar = {
        "alarms": _NO_ALARMS,
        "capacityProviderStrategies": [],
        "deploymentCircuitBreaker": {"enable": False, "rollback": False},
        "deploymentMaximumPercent": 200,
        "deploymentMinimumHealthyPercent": 100,
        "desiredCount": 0,
        "enableExecuteCommand": False,
        "healthCheckGracePeriodSeconds": 0,
        "launchType": None,
        "loadBalancers": [],
        "networkConfiguration": None,
        "propagateTags": None,
    }
    replaced_for = frozenset({"cluster", "launchType", "name", "schedulingStrategy"})

    def find(self, name: str, inputs: Inputs) -> Found | None:
        """See Kind."""
        active = self._active(inputs["cluster"], [inputs["name"]])
        return next(map(self._found, active), None)

    def get(self, resource_id: str) -> Found | None:
        """See Kind. The id is the cluster's name and the service's."""
        cluster, _, name = resource_id.partition("/")
        try:
            active = list(self._active(cluster, [name]))
        except self.aws.ecs.exceptions.ClusterNotFoundException:
            return None
        return next(map(self._found, active), None)

    def look_for(self, name: str, inputs: Inputs) -> Found | None:
        """See Kind."""
        return self.get(f"{inputs['cluster'].rpartition('/')[2]}/{inputs['name']}")

    def wanted(self, inputs: Inputs) -> Mapping[str, Any]:
        """See Kind."""
        values = super().wanted(inputs)
        strategies = [_without_nothing(one) for one in values["capacityProviderStrategies"]]
        network = values["networkConfiguration"]
        return {
            **values,
            "capacityProviderStrategies": strategies,
            "networkConfiguration": network and _network(network),
        }

    def create(self, inputs: Inputs, tags: Tags) -> None:
        """See Kind."""
        self.aws.ecs.create_service(
            cluster=inputs["cluster"],
            serviceName=inputs["name"],
            desiredCount=inputs.get("desiredCount", 0),
            tags=_pairs(tags),
            **({"launchType": inputs["launchType"]} if "launchType" in inputs else {}),
            **_changeable(self.wanted(inputs)),
        )

    def change(self, found: Found, differing: Mapping[str, Any]) -> None:
        """See Kind. The number of tasks is sent only when it is to change: scaling moves it."""
        if fixed := differing.keys() & self.replaced_for:
            raise self.fixed(found, fixed)
        count = {"desiredCount": differing["desiredCount"]} if "desiredCount" in differing else {}
        self.aws.ecs.update_service(
            cluster=found.properties["cluster"],
            service=found.properties["name"],
            **_changeable({**found.properties, **differing}),
            **count,
        )

    def tag(self, found: Found, tags: Tags) -> None:
        """See Kind."""
        self.aws.ecs.tag_resource(resourceArn=found.outputs["arn"], tags=_pairs(tags))

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
        network = one.get("networkConfiguration", {}).get("awsvpcConfiguration")
        strategies = [_without_nothing(one) for one in one.get("capacityProviderStrategy", ())]
        propagated = one.get("propagateTags", "NONE")
        properties = {
            "cluster": one["clusterArn"],
            "name": one["serviceName"],
            "taskDefinition": one["taskDefinition"],
            "desiredCount": one["desiredCount"],
            "capacityProviderStrategies": strategies,
            "launchType": None if strategies else one.get("launchType"),
            "loadBalancers": one.get("loadBalancers", []),
            "alarms": deployment.get("alarms", _NO_ALARMS),
            "healthCheckGracePeriodSeconds": one.get("healthCheckGracePeriodSeconds", 0),
            "propagateTags": None if propagated == "NONE" else propagated,
            "enableExecuteCommand": one.get("enableExecuteCommand", False),
            "deploymentMinimumHealthyPercent": deployment["minimumHealthyPercent"],
            "deploymentMaximumPercent": deployment["maximumPercent"],
            "deploymentCircuitBreaker": deployment.get("deploymentCircuitBreaker")
            or {"enable": False, "rollback": False},
            "networkConfiguration": network
            and _network({**network, "assignPublicIp": network.get("assignPublicIp") == "ENABLED"}),
        }
        outputs = {"name": one["serviceName"], "arn": one["serviceArn"]}
        cluster = one["clusterArn"].rpartition("/")[2]
        tags = _tags(one.get("tags", ()))
        return Found(f"{cluster}/{one['serviceName']}", properties, outputs, tags)


def _changeable(wanted: Mapping[str, Any]) -> dict[str, Any]:
    given = {
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
    }
    if network := wanted["networkConfiguration"]:
        public = "ENABLED" if network["assignPublicIp"] else "DISABLED"
        given["networkConfiguration"] = {
            "awsvpcConfiguration": {**network, "assignPublicIp": public}
        }
    return {key: value for key, value in given.items() if value is not None}


def _network(network: Mapping[str, Any]) -> dict[str, Any]:
    """In no order."""
    return {
        "subnets": sorted(network["subnets"]),
        "securityGroups": sorted(network.get("securityGroups", ())),
        "assignPublicIp": network.get("assignPublicIp", False),
    }


def _without_nothing(strategy: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out a base or a weight of none, which AWS tells."""
    return {key: value for key, value in strategy.items() if value}


def _tags(pairs: Iterable[Any]) -> Tags:
    return tags_from(pairs, "key", "value")


def _pairs(tags: Tags) -> list[Any]:
    return pairs_from(tags, "key", "value")
