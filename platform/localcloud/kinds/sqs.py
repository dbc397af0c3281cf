"""Queues, and who may use one as its dead-letter queue."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, ClassVar

from localcloud.kinds.base import Found, Inputs, Kind, Tags

_ATTRIBUTES = {
    "visibilityTimeoutSeconds": "VisibilityTimeout",
    "messageRetentionSeconds": "MessageRetentionPeriod",
    "receiveWaitTimeSeconds": "ReceiveMessageWaitTimeSeconds",
    "redrivePolicy": "RedrivePolicy",
    "kmsMasterKeyId": "KmsMasterKeyId",
    "kmsDataKeyReusePeriodSeconds": "KmsDataKeyReusePeriodSeconds",
}
# Numbers and policies come as text, names as they are.
_NAMES = ("KmsMasterKeyId",)


class Queue(Kind):
    """A queue, by its name."""

    type = "aws:sqs/queue:Queue"
    documents = frozenset({"redrivePolicy"})
    defaults: ClassVar = {
        "kmsMasterKeyId": None,
        "kmsDataKeyReusePeriodSeconds": 300,
        "messageRetentionSeconds": 345_600,
        "receiveWaitTimeSeconds": 0,
        "redrivePolicy": None,
        "visibilityTimeoutSeconds": 30,
    }
    replaced_for = frozenset({"name", "fifoQueue"})

    def find(self, name: str, inputs: Inputs) -> Found | None:
        """See Kind."""
        try:
            url = self.aws.sqs.get_queue_url(QueueName=inputs["name"])["QueueUrl"]
        except self.aws.sqs.exceptions.QueueDoesNotExist:
            return None
        return self._found(url)

    def get(self, resource_id: str) -> Found | None:
        """See Kind."""
        try:
            return self._found(resource_id)
        except self.aws.sqs.exceptions.QueueDoesNotExist:
            return None

    def create(self, inputs: Inputs, tags: Tags) -> None:
        """See Kind."""
        self.aws.sqs.create_queue(QueueName=inputs["name"], tags=tags)

    def change(self, found: Found, differing: Mapping[str, Any]) -> None:
        """See Kind."""
        attributes = {_ATTRIBUTES[key]: _text(value) for key, value in differing.items()}
        self.aws.sqs.set_queue_attributes(QueueUrl=found.id, Attributes=attributes)

    def tag(self, found: Found, tags: Tags) -> None:
        """See Kind."""
        self.aws.sqs.tag_queue(QueueUrl=found.id, Tags=tags)

    def owned(self) -> Iterable[Found]:
        """See Kind."""
        for url in self.aws.sqs.list_queues().get("QueueUrls", ()):
            tags = self._tags(url)
            if self.is_ours(tags):
                yield Found(url, {}, {}, tags)

    def delete(self, found: Found) -> None:
        """See Kind."""
        self.aws.sqs.delete_queue(QueueUrl=found.id)

    def _found(self, url: str) -> Found:
        answer = self.aws.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])
        attributes: Mapping[str, str] = answer["Attributes"]
        told = {
            key: attributes[attribute] if attribute in _NAMES else json.loads(attributes[attribute])
            for key, attribute in _ATTRIBUTES.items()
            if attributes.get(attribute)
        }
        properties = {**self.defaults, **told, "name": url.rpartition("/")[2]}
        outputs = {"arn": attributes["QueueArn"], "url": url, "name": properties["name"]}
        return Found(url, properties, outputs, self._tags(url))

    def _tags(self, url: str) -> Tags:
        tags: Tags = self.aws.sqs.list_queue_tags(QueueUrl=url).get("Tags", {})
        return tags


class _Policy(Kind):
    """One of the policies that a queue has as an attribute."""

    has_tags = False
    replaced_for = frozenset({"queueUrl"})
    attribute: ClassVar[str]
    key: ClassVar[str]

    def find(self, name: str, inputs: Inputs) -> Found:
        """See Kind."""
        return self._found(inputs["queueUrl"])

    def get(self, resource_id: str) -> Found | None:
        """See Kind."""
        try:
            found = self._found(resource_id)
        except self.aws.sqs.exceptions.QueueDoesNotExist:
            return None
        return found if self.key in found.properties else None

    def look_for(self, name: str, inputs: Inputs) -> Found | None:
        """See Kind."""
        return self.get(inputs["queueUrl"])

    def change(self, found: Found, differing: Mapping[str, Any]) -> None:
        """See Kind."""
        self._set(found.id, json.dumps(differing[self.key]))

    def owned(self) -> Iterable[Found]:
        """Give the policy of each queue of the stack that has one."""
        for queue in Queue(self.aws, self.stack).owned():
            found = self._found(queue.id)
            if self.key in found.properties:
                yield replace(found, tags=queue.tags)

    def delete(self, found: Found) -> None:
        """See Kind."""
        self._set(found.id, "")

    def _found(self, url: str) -> Found:
        answer = self.aws.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=[self.attribute])
        policy = answer.get("Attributes", {}).get(self.attribute)
        return Found(url, {"queueUrl": url, **({self.key: json.loads(policy)} if policy else {})})

    def _set(self, url: str, policy: str) -> None:
        self.aws.sqs.set_queue_attributes(QueueUrl=url, Attributes={self.attribute: policy})


class QueuePolicy(_Policy):
    """Who may do what with a queue, whatever their own policies say."""

    type = "aws:sqs/queuePolicy:QueuePolicy"
    documents = frozenset({"policy"})
    attribute, key = "Policy", "policy"


class RedriveAllowPolicy(_Policy):
    """The queues that a dead-letter queue stands behind."""

    type = "aws:sqs/redriveAllowPolicy:RedriveAllowPolicy"
    documents = frozenset({"redriveAllowPolicy"})
    attribute, key = "RedriveAllowPolicy", "redriveAllowPolicy"


def _text(value: Any) -> str:  # noqa: ANN401 - an attribute of any type
    if value is None:
        return ""  # so AWS is told to take it away
    return value if isinstance(value, str) else json.dumps(value)
