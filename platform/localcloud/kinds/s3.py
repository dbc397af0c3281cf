"""Buckets and their settings."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from botocore.exceptions import ClientError

from localcloud.kinds.base import STACK_TAG, Found, Inputs, Kind, Tags, pairs_from, tags_from


class Bucket(Kind):
    """A bucket, by its name."""

    type = "aws:s3/bucket:Bucket"

    def find(self, name: str, inputs: Inputs) -> Found | None:
        """See Kind."""
        try:
            self.aws.s3.head_bucket(Bucket=inputs["bucket"])
        except ClientError as exc:
            if exc.response["Error"]["Code"] in ("404", "NoSuchBucket"):
                return None
            raise
        return self._found(inputs["bucket"])

    def create(self, inputs: Inputs, tags: Tags) -> None:
        """See Kind."""
        region = self.aws.s3.meta.region_name
        self.aws.s3.create_bucket(
            Bucket=inputs["bucket"],
            CreateBucketConfiguration={"LocationConstraint": region},
        )
        self._put_tags(inputs["bucket"], tags)

    def tag(self, found: Found, tags: Tags) -> None:
        """See Kind."""
        self._put_tags(found.id, {**found.tags, **tags})

    def owned(self) -> Iterable[Found]:
        """See Kind."""
        for bucket in self.aws.s3.list_buckets()["Buckets"]:
            found = self._found(bucket["Name"])
            if found.tags.get(STACK_TAG) == self.stack:
                yield found

    def delete(self, found: Found) -> None:
        """See Kind. AWS refuses when there is anything in it."""
        self.aws.s3.delete_bucket(Bucket=found.id)

    def _found(self, bucket: str) -> Found:
        try:
            tags = tags_from(self.aws.s3.get_bucket_tagging(Bucket=bucket)["TagSet"])
        except ClientError as exc:
            if exc.response["Error"]["Code"] != "NoSuchTagSet":
                raise
            tags = {}
        return Found(bucket, {"bucket": bucket}, {"arn": f"arn:aws:s3:::{bucket}"}, tags)

    def _put_tags(self, bucket: str, tags: Tags) -> None:
        self.aws.s3.put_bucket_tagging(Bucket=bucket, Tagging={"TagSet": pairs_from(tags)})


class BucketVersioning(Kind):
    """Whether a bucket keeps what is overwritten."""

    type = "aws:s3/bucketVersioning:BucketVersioning"
    has_tags = False

    def find(self, name: str, inputs: Inputs) -> Found:
        """See Kind."""
        bucket = inputs["bucket"]
        status = self.aws.s3.get_bucket_versioning(Bucket=bucket).get("Status", "Disabled")
        return Found(bucket, {"bucket": bucket, "versioningConfiguration": {"status": status}})

    def change(self, found: Found, differing: Mapping[str, Any]) -> None:
        """See Kind."""
        status = differing["versioningConfiguration"]["status"]
        self.aws.s3.put_bucket_versioning(
            Bucket=found.id, VersioningConfiguration={"Status": status}
        )


class BucketLifecycleConfiguration(Kind):
    """What a bucket removes by itself: so far, the parts of uploads that were never finished."""

    type = "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration"
    has_tags = False

    def find(self, name: str, inputs: Inputs) -> Found:
        """See Kind."""
        bucket = inputs["bucket"]
        try:
            rules = self.aws.s3.get_bucket_lifecycle_configuration(Bucket=bucket)["Rules"]
        except ClientError as exc:
            if exc.response["Error"]["Code"] != "NoSuchLifecycleConfiguration":
                raise
            return Found(bucket, {"bucket": bucket})
        declared = [
            {
                "id": rule["ID"],
                "status": rule["Status"],
                "filter": {"prefix": rule["Filter"].get("Prefix")},
                "abortIncompleteMultipartUpload": {
                    "daysAfterInitiation": rule["AbortIncompleteMultipartUpload"][
                        "DaysAfterInitiation"
                    ]
                },
            }
            for rule in rules
        ]
        return Found(bucket, {"bucket": bucket, "rules": declared})

    def change(self, found: Found, differing: Mapping[str, Any]) -> None:
        """See Kind. AWS takes all rules together."""
        rules = [
            {
                "ID": rule["id"],
                "Status": rule["status"],
                "Filter": {"Prefix": rule["filter"]["prefix"]},
                "AbortIncompleteMultipartUpload": {
                    "DaysAfterInitiation": rule["abortIncompleteMultipartUpload"][
                        "daysAfterInitiation"
                    ]
                },
            }
            for rule in differing["rules"]
        ]
        self.aws.s3.put_bucket_lifecycle_configuration(
            Bucket=found.id, LifecycleConfiguration={"Rules": rules}
        )


class BucketPublicAccessBlock(Kind):
    """The four ways of being public, refused."""

    type = "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock"
    has_tags = False

    def find(self, name: str, inputs: Inputs) -> Found:
        """See Kind."""
        bucket = inputs["bucket"]
        try:
            answer = self.aws.s3.get_public_access_block(Bucket=bucket)
        except ClientError as exc:
            if exc.response["Error"]["Code"] != "NoSuchPublicAccessBlockConfiguration":
                raise
            return Found(bucket, {"bucket": bucket})
        block = {_lower_first(k): v for k, v in answer["PublicAccessBlockConfiguration"].items()}
        return Found(bucket, {"bucket": bucket, **block})

    def change(self, found: Found, differing: Mapping[str, Any]) -> None:
        """See Kind. AWS takes the four together."""
        block = {**found.properties, **differing}
        del block["bucket"]
        self.aws.s3.put_public_access_block(
            Bucket=found.id,
            PublicAccessBlockConfiguration={k[0].upper() + k[1:]: v for k, v in block.items()},
        )


def _lower_first(name: str) -> str:
    return name[0].lower() + name[1:]
