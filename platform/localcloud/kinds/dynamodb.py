"""Tables with their indexes and their replicas in other regions."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, ClassVar

from localcloud.kinds.base import Clients, Found, Inputs, Kind, Tags, pairs_from, tags_from


class Table(Kind):
    """A table, by its name."""

    type = "aws:dynamodb/table:Table"
    defaults: ClassVar = {
        "billingMode": "PROVISIONED",
        "deletionProtectionEnabled": False,
        "globalSecondaryIndexes": {},
        "pointInTimeRecovery": {"enabled": False},
        "rangeKey": None,
        "replicas": {},
        "serverSideEncryption": {"enabled": False},
        "streamEnabled": False,
        "streamViewType": None,
        "ttl": {"attributeName": None, "enabled": False},
    }
    replaced_for = frozenset({"hashKey", "localSecondaryIndexes", "name", "rangeKey"})

    def find(self, name: str, inputs: Inputs) -> Found | None:
        """See Kind."""
        return self.get(inputs["name"])

    def get(self, resource_id: str) -> Found | None:
        """See Kind."""
        try:
            return self._found(resource_id)
        except self.aws.dynamodb.exceptions.ResourceNotFoundException:
            return None

    def wanted(self, inputs: Inputs) -> Mapping[str, Any]:
        """See Kind. What is not declared is off."""
        replicas = inputs.get("replicas", ())
        return {
            **super().wanted(inputs),
            "attributes": {one["name"]: one["type"] for one in inputs["attributes"]},
            "globalSecondaryIndexes": {
                index["name"]: {
                    "keys": {k["attributeName"]: k["keyType"] for k in index["keySchemas"]},
                    "projection": index["projectionType"],
                }
                for index in inputs.get("globalSecondaryIndexes", ())
            },
            "replicas": {
                one["regionName"]: {
                    "pointInTimeRecovery": one.get("pointInTimeRecovery", False),
                    "deletionProtectionEnabled": one.get("deletionProtectionEnabled", False),
                    "tags": inputs["tags"] if one.get("propagateTags") else {},
                }
                for one in replicas
            },
            "replicas.kmsKeyArn": {one["regionName"]: one.get("kmsKeyArn") for one in replicas},
        }

    def inputs_of(self, found: Found) -> dict[str, Any]:
        """See Kind."""
        inputs = super().inputs_of(found)
        inputs["attributes"] = [
            {"name": name, "type": kind} for name, kind in inputs["attributes"].items()
        ]
        if "globalSecondaryIndexes" in inputs:
            inputs["globalSecondaryIndexes"] = [
                _declared_index(name, index)
                for name, index in inputs["globalSecondaryIndexes"].items()
            ]
        if "replicas" in inputs:
            inputs["replicas"] = [
                _declared_replica(region, replica) for region, replica in inputs["replicas"].items()
            ]
        return inputs

    def create(self, inputs: Inputs, tags: Tags) -> None:
        """See Kind."""
        wanted = self.wanted(inputs)
        keys = [(inputs["hashKey"], "HASH")]
        if "rangeKey" in inputs:
            keys.append((inputs["rangeKey"], "RANGE"))
        indexes = [_index(name, index) for name, index in wanted["globalSecondaryIndexes"].items()]
        self.aws.dynamodb.create_table(
            TableName=inputs["name"],
            BillingMode=inputs["billingMode"],
            KeySchema=[{"AttributeName": name, "KeyType": kind} for name, kind in keys],
            AttributeDefinitions=_definitions(wanted["attributes"]),
            **({"GlobalSecondaryIndexes": indexes} if indexes else {}),
            # Nothing is ever written without the key.
            SSESpecification=_encryption(wanted["serverSideEncryption"]),
            Tags=pairs_from(tags),
        )
        self.aws.dynamodb.get_waiter("table_exists").wait(
            TableName=inputs["name"], WaiterConfig={"Delay": 1}
        )
        for one in inputs.get("replicas", ()):
            _replicate(self.aws, inputs["name"], one["regionName"], one.get("kmsKeyArn"))

    def change(self, found: Found, differing: Mapping[str, Any]) -> None:
        """See Kind."""
        changeable: dict[str, Callable[[Any], object]] = {
            "attributes": lambda _: None,  # go with the index that needs them
            "globalSecondaryIndexes": lambda _: self._change_indexes(found, differing),
            "ttl": lambda ttl: self.aws.dynamodb.update_time_to_live(
                TableName=found.id,
                TimeToLiveSpecification={
                    # To turn it off, AWS has to be told which it was.
                    "AttributeName": ttl["attributeName"]
                    or found.properties["ttl"]["attributeName"],
                    "Enabled": ttl["enabled"],
                },
            ),
            "billingMode": lambda mode: self.aws.dynamodb.update_table(
                TableName=found.id, BillingMode=mode
            ),
            "pointInTimeRecovery": lambda recovery: _recover(
                self.aws, found.id, is_on=recovery["enabled"]
            ),
            "deletionProtectionEnabled": lambda enabled: self.aws.dynamodb.update_table(
                TableName=found.id, DeletionProtectionEnabled=enabled
            ),
            "serverSideEncryption": lambda encryption: self.aws.dynamodb.update_table(
                TableName=found.id, SSESpecification=_encryption(encryption)
            ),
            "streamEnabled": lambda _: self._stream(found, differing),
            "streamViewType": lambda _: self._stream(found, differing),
            "replicas": lambda replicas: self._change_replicas(found, replicas),
        }
        if fixed := differing.keys() - changeable.keys():
            raise self.fixed(found, fixed)
        for key, value in differing.items():
            changeable[key](value)

    def _change_indexes(self, found: Found, differing: Mapping[str, Any]) -> None:
        there = found.properties["globalSecondaryIndexes"]
        wanted = differing["globalSecondaryIndexes"]
        attributes = differing.get("attributes", found.properties["attributes"])
        for name, index in there.items():
            if wanted.get(name) != index:
                self.aws.dynamodb.update_table(
                    TableName=found.id,
                    GlobalSecondaryIndexUpdates=[{"Delete": {"IndexName": name}}],
                )
        for name, index in wanted.items():
            if there.get(name) != index:
                self.aws.dynamodb.update_table(
                    TableName=found.id,
                    AttributeDefinitions=_definitions(attributes),
                    GlobalSecondaryIndexUpdates=[{"Create": _index(name, index)}],
                )

    def _stream(self, found: Found, differing: Mapping[str, Any]) -> None:
        """AWS changes what a stream shows only by a new one."""
        if found.properties["streamEnabled"]:
            self.aws.dynamodb.update_table(
                TableName=found.id, StreamSpecification={"StreamEnabled": False}
            )
        if differing.get("streamEnabled", found.properties["streamEnabled"]):
            view = differing.get("streamViewType", found.properties["streamViewType"])
            self.aws.dynamodb.update_table(
                TableName=found.id,
                StreamSpecification={"StreamEnabled": True, "StreamViewType": view},
            )

    def _change_replicas(self, found: Found, wanted: Mapping[str, Any]) -> None:
        there = found.properties["replicas"]
        for region in there.keys() - wanted.keys():
            self.aws.dynamodb.update_table(
                TableName=found.id, ReplicaUpdates=[{"Delete": {"RegionName": region}}]
            )
        for region, replica in wanted.items():
            if region not in there:
                _replicate(self.aws, found.id, region, None)
            away = self.aws.of(region)
            has = _replica(away, found.id)
            if replica["pointInTimeRecovery"] != has["pointInTimeRecovery"]:
                _recover(away, found.id, is_on=replica["pointInTimeRecovery"])
            if replica["deletionProtectionEnabled"] != has["deletionProtectionEnabled"]:
                away.dynamodb.update_table(
                    TableName=found.id,
                    DeletionProtectionEnabled=replica["deletionProtectionEnabled"],
                )
            if replica["tags"] != has["tags"]:
                away.dynamodb.tag_resource(ResourceArn=has["arn"], Tags=pairs_from(replica["tags"]))

    def tag(self, found: Found, tags: Tags) -> None:
        """See Kind."""
        self.aws.dynamodb.tag_resource(ResourceArn=found.outputs["arn"], Tags=pairs_from(tags))

    def owned(self) -> Iterable[Found]:
        """See Kind."""
        for name in self.aws.dynamodb.list_tables()["TableNames"]:
            arn = self.aws.dynamodb.describe_table(TableName=name)["Table"]["TableArn"]
            tags = _tags(self.aws, arn)
            if self.is_ours(tags):
                yield Found(name, {}, {}, tags)

    def delete(self, found: Found) -> None:
        """See Kind. AWS refuses while its deletion protection is on."""
        self._change_replicas(self._found(found.id), {})
        self.aws.dynamodb.delete_table(TableName=found.id)

    def _found(self, name: str) -> Found:
        table = self.aws.dynamodb.describe_table(TableName=name)["Table"]
        keys = {key["KeyType"]: key["AttributeName"] for key in table["KeySchema"]}
        ttl = self.aws.dynamodb.describe_time_to_live(TableName=name)["TimeToLiveDescription"]
        stream = table.get("StreamSpecification", {})
        properties = {
            "name": name,
            "billingMode": table.get("BillingModeSummary", {}).get("BillingMode", "PROVISIONED"),
            "hashKey": keys["HASH"],
            "rangeKey": keys.get("RANGE"),
            "attributes": {
                one["AttributeName"]: one["AttributeType"] for one in table["AttributeDefinitions"]
            },
            "globalSecondaryIndexes": {
                index["IndexName"]: {
                    "keys": {k["AttributeName"]: k["KeyType"] for k in index["KeySchema"]},
                    "projection": index["Projection"]["ProjectionType"],
                }
                for index in table.get("GlobalSecondaryIndexes", ())
            },
            "ttl": {
                "attributeName": ttl.get("AttributeName"),
                "enabled": ttl["TimeToLiveStatus"] == "ENABLED",
            },
            "pointInTimeRecovery": {"enabled": _recovers(self.aws, name)},
            "deletionProtectionEnabled": table.get("DeletionProtectionEnabled", False),
            "serverSideEncryption": _encrypted(table.get("SSEDescription", {})),
            "streamEnabled": stream.get("StreamEnabled", False),
            "streamViewType": stream.get("StreamViewType"),
            "replicas": {
                one["RegionName"]: _without_arn(_replica(self.aws.of(one["RegionName"]), name))
                for one in table.get("Replicas", ())
            },
        }
        arn = table["TableArn"]
        return Found(name, properties, {"arn": arn}, _tags(self.aws, arn))


def _replicate(aws: Clients, table: str, region: str, key_arn: str | None) -> None:
    new = {"RegionName": region, **({"KMSMasterKeyId": key_arn} if key_arn else {})}
    aws.dynamodb.update_table(TableName=table, ReplicaUpdates=[{"Create": new}])


def _replica(away: Clients, name: str) -> dict[str, Any]:
    """Describe a replica; unlike its indexes, these things are its own."""
    table = away.dynamodb.describe_table(TableName=name)["Table"]
    return {
        "arn": table["TableArn"],
        "pointInTimeRecovery": _recovers(away, name),
        "deletionProtectionEnabled": table.get("DeletionProtectionEnabled", False),
        "tags": _tags(away, table["TableArn"]),
    }


def _without_arn(replica: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in replica.items() if key != "arn"}


def _declared_index(name: str, index: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "name": name,
        "keySchemas": [
            {"attributeName": attribute, "keyType": kind}
            for attribute, kind in index["keys"].items()
        ],
        "projectionType": index["projection"],
    }


def _declared_replica(region: str, replica: Mapping[str, Any]) -> dict[str, Any]:
    settings = {
        "pointInTimeRecovery": replica["pointInTimeRecovery"],
        "deletionProtectionEnabled": replica["deletionProtectionEnabled"],
        "propagateTags": bool(replica["tags"]),
    }
    return {"regionName": region, **{key: value for key, value in settings.items() if value}}


def _tags(aws: Clients, arn: str) -> Tags:
    return tags_from(aws.dynamodb.list_tags_of_resource(ResourceArn=arn).get("Tags", ()))


def _recovers(aws: Clients, name: str) -> bool:
    backups = aws.dynamodb.describe_continuous_backups(TableName=name)
    recovery = backups["ContinuousBackupsDescription"]["PointInTimeRecoveryDescription"]
    is_on: bool = recovery["PointInTimeRecoveryStatus"] == "ENABLED"
    return is_on


def _recover(aws: Clients, name: str, *, is_on: bool) -> None:
    aws.dynamodb.update_continuous_backups(
        TableName=name,
        PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": is_on},
    )


def _encryption(wanted: Mapping[str, Any]) -> dict[str, Any]:
    if not wanted["enabled"]:
        return {"Enabled": False}
    return {"Enabled": True, "SSEType": "KMS", "KMSMasterKeyId": wanted["kmsKeyArn"]}


def _encrypted(description: Mapping[str, Any]) -> dict[str, Any]:
    if description.get("Status") != "ENABLED":
        return {"enabled": False}
    return {"enabled": True, "kmsKeyArn": description["KMSMasterKeyArn"]}


def _definitions(attributes: Mapping[str, Any]) -> list[Any]:
    return [{"AttributeName": name, "AttributeType": kind} for name, kind in attributes.items()]


def _index(name: str, index: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "IndexName": name,
        "KeySchema": [
            {"AttributeName": attribute, "KeyType": kind}
            for attribute, kind in index["keys"].items()
        ],
        "Projection": {"ProjectionType": index["projection"]},
    }
