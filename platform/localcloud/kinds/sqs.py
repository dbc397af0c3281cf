"""Queues, and who may use one as its dead-letter queue."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from localcloud.kinds.base import STACK_TAG, Found, Inputs, Kind, Tags

_ATTRIBUTES = {
    "visibilityTimeoutSeconds": "VisibilityTimeout",
    "messageRetentionSeconds": "MessageRetentionPeriod",
    "receiveWaitTimeSeconds": "ReceiveMessageWaitTimeSeconds",
    "redrivePolicy": "RedrivePolicy",
    "sqsManagedSseEnabled": "SqsManagedSseEnabled",
}


class Queue(Kind):
    """A queue, by its name."""

    type = "aws:sqs/queue:Queue"

    def find(self, name: str, inputs: Inputs) -> Found | None:
        """See Kind."""
        try:
            url = self.aws.sqs.get_queue_url(QueueName=inputs["name"])["QueueUrl"]
        except self.aws.sqs.exceptions.QueueDoesNotExist:
            return None
        return self._found(url)

    def wanted(self, inputs: Inputs) -> Mapping[str, Any]:
        """See Kind."""
        values = super().wanted(inputs)
        return {k: json.loads(v) if k == "redrivePolicy" else v for k, v in values.items()}

    def create(self, inputs: Inputs, tags: Tags) -> None:
        """See Kind."""
        self.aws.sqs.create_queue(QueueName=inputs["name"], tags=tags)

    def change(self, found: Found, differing: Mapping[str, Any]) -> None:
        """See Kind."""
        attributes = {_ATTRIBUTES[key]: json.dumps(value) for key, value in differing.items()}
        self.aws.sqs.set_queue_attributes(QueueUrl=found.id, Attributes=attributes)

    def tag(self, found: Found, tags: Tags) -> None:
        """See Kind."""
        self.aws.sqs.tag_queue(QueueUrl=found.id, Tags=tags)

    def owned(self) -> Iterable[Found]:
        """See Kind."""
        for url in self.aws.sqs.list_queues().get("QueueUrls", ()):
            found = self._found(url)
            if found.tags.get(STACK_TAG) == self.stack:
                yield found

    def delete(self, found: Found) -> None:
        """See Kind."""
        self.aws.sqs.delete_queue(QueueUrl=found.id)

    def _found(self, url: str) -> Found:
        answer = self.aws.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])
        attributes: Mapping[str, str] = answer["Attributes"]
        # Numbers, booleans and policies all come as text.
        properties = {
            key: json.loads(attributes[attribute])
            for key, attribute in _ATTRIBUTES.items()
            if attribute in attributes
        }
        properties["name"] = url.rpartition("/")[2]
        tags = self.aws.sqs.list_queue_tags(QueueUrl=url).get("Tags", {})
        return Found(url, properties, {"arn": attributes["QueueArn"], "url": url}, tags)


class RedriveAllowPolicy(Kind):
    """The queues that a dead-letter queue stands behind."""

    type = "aws:sqs/redriveAllowPolicy:RedriveAllowPolicy"
    has_tags = False

    def find(self, name: str, inputs: Inputs) -> Found:
        """See Kind."""
        url = inputs["queueUrl"]
        answer = self.aws.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])
        attributes: Mapping[str, str] = answer["Attributes"]
        policy = json.loads(attributes.get("RedriveAllowPolicy", "{}"))
        return Found(url, {"queueUrl": url, "redriveAllowPolicy": policy})

    def wanted(self, inputs: Inputs) -> Mapping[str, Any]:
        """See Kind."""
        return {**inputs, "redriveAllowPolicy": json.loads(inputs["redriveAllowPolicy"])}

    def change(self, found: Found, differing: Mapping[str, Any]) -> None:
        """See Kind."""
        policy = json.dumps(differing["redriveAllowPolicy"])
        self.aws.sqs.set_queue_attributes(
            QueueUrl=found.id, Attributes={"RedriveAllowPolicy": policy}
        )
