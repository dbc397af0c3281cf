"""Tables with their indexes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from localcloud.kinds.base import STACK_TAG, Found, Inputs, Kind, Tags, pairs_from, tags_from


class Table(Kind):
    """A table, by its name."""

    type = "aws:dynamodb/table:Table"

    def find(self, name: str, inputs: Inputs) -> Found | None:
        """See Kind."""
        try:
            return self._found(inputs["name"])
        except self.aws.dynamodb.exceptions.ResourceNotFoundException:
            return None

    def wanted(self, inputs: Inputs) -> Mapping[str, Any]:
        """See Kind."""
        return {
            **super().wanted(inputs),
            "attributes": {one["name"]: one["type"] for one in inputs["attributes"]},
            "globalSecondaryIndexes": {
                index["name"]: {
                    "keys": {k["attributeName"]: k["keyType"] for k in index["keySchemas"]},
                    "projection": index["projectionType"],
                }
                for index in inputs["globalSecondaryIndexes"]
            },
        }

    def create(self, inputs: Inputs, tags: Tags) -> None:
        """See Kind."""
        wanted = self.wanted(inputs)
        self.aws.dynamodb.create_table(
            TableName=inputs["name"],
            BillingMode=inputs["billingMode"],
            KeySchema=[
                {"AttributeName": inputs["hashKey"], "KeyType": "HASH"},
                {"AttributeName": inputs["rangeKey"], "KeyType": "RANGE"},
            ],
            AttributeDefinitions=_definitions(wanted["attributes"]),
            GlobalSecondaryIndexes=[
                _index(name, index) for name, index in wanted["globalSecondaryIndexes"].items()
            ],
            Tags=pairs_from(tags),
        )
        self.aws.dynamodb.get_waiter("table_exists").wait(
            TableName=inputs["name"], WaiterConfig={"Delay": 1}
        )

    def change(self, found: Found, differing: Mapping[str, Any]) -> None:
        """See Kind."""
        changeable: dict[str, Callable[[Any], object]] = {
            "attributes": lambda _: None,  # go with the index that needs them
            "globalSecondaryIndexes": lambda _: self._change_indexes(found, differing),
            "ttl": lambda ttl: self.aws.dynamodb.update_time_to_live(
                TableName=found.id,
                TimeToLiveSpecification={
                    "AttributeName": ttl["attributeName"],
                    "Enabled": ttl["enabled"],
                },
            ),
            "pointInTimeRecovery": lambda recovery: self.aws.dynamodb.update_continuous_backups(
                TableName=found.id,
                PointInTimeRecoverySpecification={
                    "PointInTimeRecoveryEnabled": recovery["enabled"]
                },
            ),
            "deletionProtectionEnabled": lambda enabled: self.aws.dynamodb.update_table(
                TableName=found.id, DeletionProtectionEnabled=enabled
            ),
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

    def tag(self, found: Found, tags: Tags) -> None:
        """See Kind."""
        self.aws.dynamodb.tag_resource(ResourceArn=found.outputs["arn"], Tags=pairs_from(tags))

    def owned(self) -> Iterable[Found]:
        """See Kind."""
        for name in self.aws.dynamodb.list_tables()["TableNames"]:
            found = self._found(name)
            if found.tags.get(STACK_TAG) == self.stack:
                yield found

    def delete(self, found: Found) -> None:
        """See Kind. AWS refuses while its deletion protection is on."""
        self.aws.dynamodb.delete_table(TableName=found.id)

    def _found(self, name: str) -> Found:
        table = self.aws.dynamodb.describe_table(TableName=name)["Table"]
        keys = {key["KeyType"]: key["AttributeName"] for key in table["KeySchema"]}
        ttl = self.aws.dynamodb.describe_time_to_live(TableName=name)["TimeToLiveDescription"]
        backups = self.aws.dynamodb.describe_continuous_backups(TableName=name)
        recovery = backups["ContinuousBackupsDescription"]["PointInTimeRecoveryDescription"]
        properties = {
            "name": name,
            "billingMode": table["BillingModeSummary"]["BillingMode"],
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
            "pointInTimeRecovery": {"enabled": recovery["PointInTimeRecoveryStatus"] == "ENABLED"},
            "deletionProtectionEnabled": table.get("DeletionProtectionEnabled", False),
        }
        arn = table["TableArn"]
        tags = tags_from(self.aws.dynamodb.list_tags_of_resource(ResourceArn=arn).get("Tags", ()))
        return Found(name, properties, {"arn": arn}, tags)


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
