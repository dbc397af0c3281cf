"""Keys, their names, and their copies in another region."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

from localcloud.kinds.base import NAME_TAG, Found, Inputs, Kind, Tags, pairs_from, tags_from

# How long AWS waits; it is told when a key is deleted, and not kept with the key.
_DELETION_WINDOW_DAYS = 30


class Key(Kind):
    """A key. AWS gives it no name, so it is found by its tags."""

    type = "aws:kms/key:Key"
    documents = frozenset({"policy"})
    takes_region = True
    defaults: ClassVar[Mapping[str, Any]] = {
        "description": "",
        "enableKeyRotation": False,
        "multiRegion": False,
    }
    replaced_for = frozenset({"customerMasterKeySpec", "keyUsage", "multiRegion"})
    _role = "PRIMARY"

    def find(self, name: str, inputs: Inputs) -> Found | None:
        """See Kind."""
        return next(
            (self._found(data, tags) for data, tags in self._ours() if tags[NAME_TAG] == name), None
        )

    def get(self, resource_id: str) -> Found | None:
        """See Kind. One that waits for its deletion is gone."""
        try:
            data = self.aws.kms.describe_key(KeyId=resource_id)["KeyMetadata"]
        except self.aws.kms.exceptions.NotFoundException:
            return None
        if not self._is_there(data):
            return None
        return self._found(data, self._tags(data["KeyId"]))

    def look_for(self, name: str, inputs: Inputs) -> Found | None:
        """See Kind. By the alias of the same name."""
        alias = Alias(self.aws, self.stack).get(f"alias/{name}")
        key = alias.properties["targetKeyId"] if alias else None
        return self.get(key) if key else self._never_named(inputs)

    def _never_named(self, inputs: Inputs) -> Found | None:
        """Return the one that was made when a run was cut off, and got no alias any more.

        Only one with the program's tags: who described a key alike may be a stranger.
        """
        if not inputs.get("tags"):
            return None
        pages = self.aws.kms.get_paginator("list_aliases").paginate()
        named = {one.get("TargetKeyId") for page in pages for one in page["Aliases"]}
        for key in self.aws.kms.list_keys()["Keys"]:
            found = None if key["KeyId"] in named else self.get(key["KeyId"])
            if (
                found is not None
                and found.properties["description"] == inputs["description"]
                and found.tags.items() >= inputs["tags"].items()
            ):
                return found
        return None

    def wanted(self, inputs: Inputs) -> Mapping[str, Any]:
        """See Kind."""
        values = {**super().wanted(inputs)}
        values.pop("deletionWindowInDays", None)
        return values

    def create(self, inputs: Inputs, tags: Tags) -> None:
        """See Kind."""
        self.aws.kms.create_key(
            Description=inputs["description"],
            MultiRegion=inputs.get("multiRegion", False),
            Policy=inputs["policy"],
            Tags=_pairs(tags),
        )

    def change(self, found: Found, differing: Mapping[str, Any]) -> None:
        """See Kind."""
        kms = self.aws.kms
        for name, value in differing.items():
            match name:
                case "description":
                    kms.update_key_description(KeyId=found.id, Description=value)
                case "policy":
                    kms.put_key_policy(
                        KeyId=found.id, PolicyName="default", Policy=json.dumps(value)
                    )
                case "enableKeyRotation":
                    turn = kms.enable_key_rotation if value else kms.disable_key_rotation
                    turn(KeyId=found.id)
                case _:
                    raise self.fixed(found, [name])

    def tag(self, found: Found, tags: Tags) -> None:
        """See Kind."""
        self.aws.kms.tag_resource(KeyId=found.id, Tags=_pairs(tags))

    def owned(self) -> Iterable[Found]:
        """See Kind."""
        return (Found(data["KeyId"], {}, {}, tags) for data, tags in self._ours())

    def _ours(self) -> Iterable[tuple[Mapping[str, Any], Tags]]:
        """Give the stack's keys; one that waits for its deletion is gone."""
        for key in self.aws.kms.list_keys()["Keys"]:
            data = self.aws.kms.describe_key(KeyId=key["KeyId"])["KeyMetadata"]
            if not self._is_there(data):
                continue
            tags = self._tags(key["KeyId"])
            if self.is_ours(tags):
                yield data, tags

    def _is_there(self, data: Mapping[str, Any]) -> bool:
        role = data.get("MultiRegionConfiguration", {}).get("MultiRegionKeyType", "PRIMARY")
        is_kept: bool = data["KeyState"] != "PendingDeletion"
        return is_kept and role == self._role

    def delete(self, found: Found) -> None:
        """See Kind."""
        self.aws.kms.schedule_key_deletion(
            KeyId=found.id, PendingWindowInDays=_DELETION_WINDOW_DAYS
        )

    def _tags(self, key: str) -> Tags:
        pairs = self.aws.kms.list_resource_tags(KeyId=key)["Tags"]
        return tags_from(pairs, "TagKey", "TagValue")

    def _found(self, data: Mapping[str, Any], tags: Tags) -> Found:
        key, kms = data["KeyId"], self.aws.kms
        policy = kms.get_key_policy(KeyId=key, PolicyName="default")["Policy"]
        properties = {"description": data["Description"], "policy": json.loads(policy)}
        if self._role == "REPLICA":
            properties["primaryKeyArn"] = data["MultiRegionConfiguration"]["PrimaryKey"]["Arn"]
        else:
            rotation = kms.get_key_rotation_status(KeyId=key)
            properties["enableKeyRotation"] = rotation["KeyRotationEnabled"]
            properties["multiRegion"] = data["MultiRegion"]
        return Found(key, properties, {"arn": data["Arn"], "keyId": key}, tags)


class ReplicaKey(Key):
    """The copy of a key in another region: the same id, its own tags and policy."""

    type = "aws:kms/replicaKey:ReplicaKey"
    defaults: ClassVar[Mapping[str, Any]] = {"description": ""}
    replaced_for = frozenset({"primaryKeyArn"})
    _role = "REPLICA"

    def look_for(self, name: str, inputs: Inputs) -> Found | None:
        """See Kind. By the original, whose id it has."""
        return self.get(inputs["primaryKeyArn"].rpartition("/")[2])

    def create(self, inputs: Inputs, tags: Tags) -> None:
        """See Kind. The region of the original is the one that is asked."""
        primary = inputs["primaryKeyArn"]
        _, _, _, region, _, resource = primary.split(":")
        self.aws.of(region).kms.replicate_key(
            KeyId=resource.removeprefix("key/"),
            ReplicaRegion=self.aws.region,
            Description=inputs["description"],
            Policy=inputs["policy"],
            Tags=_pairs(tags),
        )


class Alias(Kind):
    """The name of a key."""

    type = "aws:kms/alias:Alias"
    has_tags = False
    takes_region = True
    replaced_for = frozenset({"name"})

    def find(self, name: str, inputs: Inputs) -> Found | None:
        """See Kind."""
        return self.get(inputs["name"])

    def get(self, resource_id: str) -> Found | None:
        """See Kind."""
        pages = self.aws.kms.get_paginator("list_aliases").paginate()
        aliases = (one for page in pages for one in page["Aliases"])
        return next((_alias(one) for one in aliases if one["AliasName"] == resource_id), None)

    def create(self, inputs: Inputs, tags: Tags) -> None:
        """See Kind."""
        self.aws.kms.create_alias(AliasName=inputs["name"], TargetKeyId=inputs["targetKeyId"])

    def change(self, found: Found, differing: Mapping[str, Any]) -> None:
        """See Kind."""
        self.aws.kms.update_alias(AliasName=found.id, TargetKeyId=differing["targetKeyId"])

    def owned(self) -> Iterable[Found]:
        """Every name of a key of the stack."""
        for kind in (Key, ReplicaKey):
            for key in kind(self.aws, self.stack).owned():
                for one in self.aws.kms.list_aliases(KeyId=key.id)["Aliases"]:
                    yield _alias(one, key.tags)

    def delete(self, found: Found) -> None:
        """See Kind."""
        self.aws.kms.delete_alias(AliasName=found.id)


def _alias(one: Mapping[str, Any], tags: Tags | None = None) -> Found:
    name = one["AliasName"]
    properties = {"name": name, "targetKeyId": one.get("TargetKeyId")}
    return Found(name, properties, {"arn": one["AliasArn"]}, tags or {})


def _pairs(tags: Tags) -> list[Any]:
    return pairs_from(tags, "TagKey", "TagValue")
