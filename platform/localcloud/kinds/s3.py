"""Buckets and their settings."""

from __future__ import annotations

import json
from abc import abstractmethod
from collections.abc import Callable, Iterable, Mapping
from typing import Any, ClassVar

from botocore.exceptions import ClientError

from localcloud.kinds.base import (
    EMPTY_TAG,
    Clients,
    Found,
    Inputs,
    Kind,
    Tags,
    from_aws,
    is_missing,
    pairs_from,
    tags_from,
    to_aws,
)

# What S3 spells otherwise than the AWS provider does.
_NAMES = {
    "id": "ID",
    "sseAlgorithm": "SSEAlgorithm",
    "kmsMasterKeyId": "KMSMasterKeyID",
    "replicaKmsKeyId": "ReplicaKmsKeyID",
}


class Bucket(Kind):
    """A bucket, by its name."""

    type = "aws:s3/bucket:Bucket"
    takes_region = True
    defaults: ClassVar = {"objectLockEnabled": False}
    replaced_for = frozenset({"bucket", "objectLockEnabled"})

    def find(self, name: str, inputs: Inputs) -> Found | None:
        """See Kind."""
        region = self._region(inputs["bucket"])
        if region is None:
            return None
        if region != self.aws.region:
            raise self.fixed(Found(inputs["bucket"], {}), ["region"])
        return self._found(inputs["bucket"])

    def get(self, resource_id: str) -> Found | None:
        """See Kind. In another region it is another region's."""
        is_here = self._region(resource_id) == self.aws.region
        return self._found(resource_id) if is_here else None

    def create(self, inputs: Inputs, tags: Tags) -> None:
        """See Kind."""
        self.aws.s3.create_bucket(
            Bucket=inputs["bucket"],
            CreateBucketConfiguration={"LocationConstraint": self.aws.region},
            ObjectLockEnabledForBucket=inputs.get("objectLockEnabled", False),
        )
        self._put_tags(inputs["bucket"], tags)

    def tag(self, found: Found, tags: Tags) -> None:
        """See Kind."""
        self._put_tags(found.id, {**found.tags, **tags})

    def owned(self) -> Iterable[Found]:
        """See Kind."""
        for bucket in self.aws.s3.list_buckets()["Buckets"]:
            if bucket["BucketRegion"] == self.aws.region:
                tags = _tags(self.aws, bucket["Name"])
                if self.is_ours(tags):
                    yield Found(bucket["Name"], {}, {}, tags)

    def delete(self, found: Found) -> None:
        """See Kind. AWS refuses while there is anything in it, so that is asked for apart."""
        if found.tags.get(EMPTY_TAG) == "yes":
            self._empty(found.id)
        self.aws.s3.delete_bucket(Bucket=found.id)

    def _empty(self, bucket: str) -> None:
        for page in self.aws.s3.get_paginator("list_object_versions").paginate(Bucket=bucket):
            for one in (*page.get("Versions", ()), *page.get("DeleteMarkers", ())):
                self.aws.s3.delete_object(Bucket=bucket, Key=one["Key"], VersionId=one["VersionId"])

    def _region(self, bucket: str) -> str | None:
        """Where the bucket is, if it is anywhere."""
        try:
            region: str = self.aws.s3.head_bucket(Bucket=bucket)["BucketRegion"]
        except ClientError as exc:
            if is_missing(exc, "404", "NoSuchBucket"):
                return None
            raise
        return region

    def _found(self, bucket: str) -> Found:
        try:
            lock = self.aws.s3.get_object_lock_configuration(Bucket=bucket)
            has_lock = lock["ObjectLockConfiguration"].get("ObjectLockEnabled") == "Enabled"
        except ClientError as exc:
            if not is_missing(exc, "ObjectLockConfigurationNotFoundError"):
                raise
            has_lock = False
        properties = {"bucket": bucket, "objectLockEnabled": has_lock}
        outputs = {"arn": f"arn:aws:s3:::{bucket}"}
        return Found(bucket, properties, outputs, _tags(self.aws, bucket))

    def _put_tags(self, bucket: str, tags: Tags) -> None:
        self.aws.s3.put_bucket_tagging(Bucket=bucket, Tagging={"TagSet": pairs_from(tags)})


def regions(aws: Clients, stack: str) -> set[str]:
    """Where the stack has buckets: unlike all else, they are told of from anywhere."""
    kind = Bucket(aws, stack)
    return {
        bucket["BucketRegion"]
        for bucket in aws.s3.list_buckets()["Buckets"]
        if kind.is_ours(_tags(aws, bucket["Name"]))
    }


def _tags(aws: Clients, bucket: str) -> Tags:
    try:
        return tags_from(aws.s3.get_bucket_tagging(Bucket=bucket)["TagSet"])
    except ClientError as exc:
        if is_missing(exc, "NoSuchTagSet"):
            return {}
        raise


class _Setting(Kind):
    """A setting of a bucket, which AWS gives and takes as a whole."""

    has_tags = False
    takes_region = True
    replaced_for = frozenset({"bucket"})

    @abstractmethod
    def read(self, bucket: str) -> Mapping[str, Any]:
        """Return the setting in the program's form, nothing when it is not set."""

    @abstractmethod
    def put(self, bucket: str, setting: Mapping[str, Any]) -> None:
        """Make it so."""

    def find(self, name: str, inputs: Inputs) -> Found:
        """See Kind."""
        bucket = inputs["bucket"]
        return Found(bucket, {"bucket": bucket, **self.read(bucket)})

    def get(self, resource_id: str) -> Found | None:
        """See Kind."""
        try:
            setting = self.read(resource_id)
        except ClientError as exc:
            if is_missing(exc, "NoSuchBucket"):
                return None
            raise
        return Found(resource_id, {"bucket": resource_id, **setting}) if setting else None

    def look_for(self, name: str, inputs: Inputs) -> Found | None:
        """See Kind."""
        return self.get(inputs["bucket"])

    def change(self, found: Found, differing: Mapping[str, Any]) -> None:
        """See Kind."""
        setting = {**found.properties, **differing}
        self.put(setting.pop("bucket"), setting)


class _Removable(_Setting):
    """A setting that a bucket may have none of."""

    goes_with_bucket: ClassVar[bool] = True
    """Whether it is protected when its bucket is."""

    @abstractmethod
    def remove(self, bucket: str) -> None:
        """Take it away."""

    def owned(self) -> Iterable[Found]:
        """Give the setting of each bucket of the stack that has it."""
        for bucket in Bucket(self.aws, self.stack).owned():
            if setting := self.read(bucket.id):
                tags = bucket.tags if self.goes_with_bucket else {}
                yield Found(bucket.id, {"bucket": bucket.id, **setting}, tags=tags)

    def delete(self, found: Found) -> None:
        """See Kind."""
        self.remove(found.id)


def _unless(code: str, ask: Callable[..., Any], bucket: str) -> Any:  # noqa: ANN401 - AWS's answer
    """Ask for a setting; nothing when AWS's error has this code, for it is not set then."""
    try:
        return ask(Bucket=bucket)
    except ClientError as exc:
        if is_missing(exc, code):
            return {}
        raise


class BucketVersioning(_Setting):
    """Whether a bucket keeps what is overwritten."""

    type = "aws:s3/bucketVersioning:BucketVersioning"

    def read(self, bucket: str) -> Mapping[str, Any]:
        """See _Setting."""
        status = self.aws.s3.get_bucket_versioning(Bucket=bucket).get("Status")
        return {"versioningConfiguration": {"status": status}} if status else {}

    def put(self, bucket: str, setting: Mapping[str, Any]) -> None:
        """See _Setting."""
        self.aws.s3.put_bucket_versioning(
            Bucket=bucket, VersioningConfiguration=to_aws(setting["versioningConfiguration"])
        )


class BucketServerSideEncryptionConfiguration(_Setting):
    """What objects are encrypted with when they come without a wish of their own."""

    type = "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration"

    def read(self, bucket: str) -> Mapping[str, Any]:
        """See _Setting."""
        code = "ServerSideEncryptionConfigurationNotFoundError"
        answer = _unless(code, self.aws.s3.get_bucket_encryption, bucket)
        rules = answer.get("ServerSideEncryptionConfiguration", {}).get("Rules")
        return {"rules": from_aws(rules, _NAMES)} if rules else {}

    def put(self, bucket: str, setting: Mapping[str, Any]) -> None:
        """See _Setting."""
        self.aws.s3.put_bucket_encryption(
            Bucket=bucket, ServerSideEncryptionConfiguration=to_aws(setting, _NAMES)
        )


class BucketOwnershipControls(_Setting):
    """Who owns what others put into a bucket."""

    type = "aws:s3/bucketOwnershipControls:BucketOwnershipControls"

    def read(self, bucket: str) -> Mapping[str, Any]:
        """See _Setting. AWS's list has always one rule."""
        code, ask = "OwnershipControlsNotFoundError", self.aws.s3.get_bucket_ownership_controls
        controls = _unless(code, ask, bucket).get("OwnershipControls")
        return {"rule": from_aws(controls["Rules"][0])} if controls else {}

    def put(self, bucket: str, setting: Mapping[str, Any]) -> None:
        """See _Setting."""
        self.aws.s3.put_bucket_ownership_controls(
            Bucket=bucket, OwnershipControls={"Rules": [to_aws(setting["rule"])]}
        )


class BucketPublicAccessBlock(_Setting):
    """The four ways of being public, refused."""

    type = "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock"

    def read(self, bucket: str) -> Mapping[str, Any]:
        """See _Setting."""
        code, ask = "NoSuchPublicAccessBlockConfiguration", self.aws.s3.get_public_access_block
        block: Mapping[str, Any] = from_aws(
            _unless(code, ask, bucket).get("PublicAccessBlockConfiguration", {})
        )
        return block

    def put(self, bucket: str, setting: Mapping[str, Any]) -> None:
        """See _Setting."""
        self.aws.s3.put_public_access_block(
            Bucket=bucket, PublicAccessBlockConfiguration=to_aws(setting)
        )


class BucketObjectLockConfiguration(_Setting):
    """For how long a version cannot be deleted. AWS takes no lock back, only its length."""

    type = "aws:s3/bucketObjectLockConfiguration:BucketObjectLockConfiguration"

    def read(self, bucket: str) -> Mapping[str, Any]:
        """See _Setting."""
        code = "ObjectLockConfigurationNotFoundError"
        answer = _unless(code, self.aws.s3.get_object_lock_configuration, bucket)
        rule = answer.get("ObjectLockConfiguration", {}).get("Rule")
        return {"rule": from_aws(rule)} if rule else {}

    def put(self, bucket: str, setting: Mapping[str, Any]) -> None:
        """See _Setting."""
        self.aws.s3.put_object_lock_configuration(
            Bucket=bucket,
            ObjectLockConfiguration={"ObjectLockEnabled": "Enabled", **to_aws(setting)},
        )


class BucketPolicy(_Removable):
    """Who may do what with a bucket, whatever their own policies say."""

    type = "aws:s3/bucketPolicy:BucketPolicy"
    documents = frozenset({"policy"})

    def read(self, bucket: str) -> Mapping[str, Any]:
        """See _Setting."""
        answer = _unless("NoSuchBucketPolicy", self.aws.s3.get_bucket_policy, bucket)
        return {"policy": json.loads(answer["Policy"])} if answer else {}

    def put(self, bucket: str, setting: Mapping[str, Any]) -> None:
        """See _Setting."""
        self.aws.s3.put_bucket_policy(Bucket=bucket, Policy=json.dumps(setting["policy"]))

    def remove(self, bucket: str) -> None:
        """See _Removable."""
        self.aws.s3.delete_bucket_policy(Bucket=bucket)


class BucketLifecycleConfiguration(_Removable):
    """What a bucket removes by itself."""

    type = "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration"

    def read(self, bucket: str) -> Mapping[str, Any]:
        """See _Setting."""
        ask = self.aws.s3.get_bucket_lifecycle_configuration
        rules = _unless("NoSuchLifecycleConfiguration", ask, bucket).get("Rules")
        return {"rules": from_aws(rules, _NAMES)} if rules else {}

    def put(self, bucket: str, setting: Mapping[str, Any]) -> None:
        """See _Setting."""
        self.aws.s3.put_bucket_lifecycle_configuration(
            Bucket=bucket, LifecycleConfiguration=to_aws(setting, _NAMES)
        )

    def remove(self, bucket: str) -> None:
        """See _Removable."""
        self.aws.s3.delete_bucket_lifecycle(Bucket=bucket)


class BucketReplicationConfig(_Removable):
    """Where a bucket's objects are copied to."""

    type = "aws:s3/bucketReplicationConfig:BucketReplicationConfig"
    goes_with_bucket = False  # only the copies end

    def read(self, bucket: str) -> Mapping[str, Any]:
        """See _Setting."""
        ask = self.aws.s3.get_bucket_replication
        answer = _unless("ReplicationConfigurationNotFoundError", ask, bucket)
        replication: Mapping[str, Any] = from_aws(
            answer.get("ReplicationConfiguration", {}), _NAMES
        )
        return replication

    def put(self, bucket: str, setting: Mapping[str, Any]) -> None:
        """See _Setting."""
        self.aws.s3.put_bucket_replication(
            Bucket=bucket, ReplicationConfiguration=to_aws(setting, _NAMES)
        )

    def remove(self, bucket: str) -> None:
        """See _Removable."""
        self.aws.s3.delete_bucket_replication(Bucket=bucket)


class BucketLogging(_Removable):
    """Where it is noted who asked a bucket for what."""

    type = "aws:s3/bucketLogging:BucketLogging"
    goes_with_bucket = False  # only the notes end

    def read(self, bucket: str) -> Mapping[str, Any]:
        """See _Setting."""
        answer = self.aws.s3.get_bucket_logging(Bucket=bucket)
        logging: Mapping[str, Any] = from_aws(answer.get("LoggingEnabled", {}))
        return logging

    def put(self, bucket: str, setting: Mapping[str, Any]) -> None:
        """See _Setting."""
        self.aws.s3.put_bucket_logging(
            Bucket=bucket, BucketLoggingStatus={"LoggingEnabled": to_aws(setting)}
        )

    def remove(self, bucket: str) -> None:
        """See _Removable. AWS has no call to delete it."""
        self.aws.s3.put_bucket_logging(Bucket=bucket, BucketLoggingStatus={})
