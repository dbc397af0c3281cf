"""Topics, who may publish to them, and who is told."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from botocore.exceptions import ClientError

from localcloud.kinds.base import (
    Found,
    Inputs,
    Kind,
    Tags,
    is_missing,
    pairs_from,
    tags_from,
    to_aws,
)


class Topic(Kind):
    """A topic, by its name."""

    type = "aws:sns/topic:Topic"
    replaced_for = frozenset({"fifoTopic", "name"})

    def find(self, name: str, inputs: Inputs) -> Found | None:
        """See Kind."""
        ours = f":{inputs['name']}"
        return next((self._found(arn) for arn in self._all() if arn.endswith(ours)), None)

    def get(self, resource_id: str) -> Found | None:
        """See Kind."""
        try:
            return self._found(resource_id)
        except self.aws.sns.exceptions.NotFoundException:
            return None

    def create(self, inputs: Inputs, tags: Tags) -> None:
        """See Kind."""
        self.aws.sns.create_topic(
            Name=inputs["name"],
            Attributes=_attributes(self.wanted(inputs)),
            Tags=pairs_from(tags),
        )

    def change(self, found: Found, differing: Mapping[str, Any]) -> None:
        """See Kind."""
        for name, value in _attributes(differing).items():  # AWS takes one at a time
            self.aws.sns.set_topic_attributes(
                TopicArn=found.id, AttributeName=name, AttributeValue=value
            )

    def tag(self, found: Found, tags: Tags) -> None:
        """See Kind."""
        self.aws.sns.tag_resource(ResourceArn=found.id, Tags=pairs_from(tags))

    def owned(self) -> Iterable[Found]:
        """See Kind."""
        for arn in self._all():
            tags = self._tags(arn)
            if self.is_ours(tags):
                yield Found(arn, {}, {}, tags)

    def delete(self, found: Found) -> None:
        """See Kind."""
        self.aws.sns.delete_topic(TopicArn=found.id)

    def _all(self) -> Iterable[str]:
        for page in self.aws.sns.get_paginator("list_topics").paginate():
            yield from (one["TopicArn"] for one in page["Topics"])

    def _found(self, arn: str) -> Found:
        attributes = self.aws.sns.get_topic_attributes(TopicArn=arn)["Attributes"]
        properties = {
            "name": arn.rpartition(":")[2],
            "kmsMasterKeyId": attributes.get("KmsMasterKeyId"),
        }
        return Found(arn, properties, {"arn": arn}, self._tags(arn))

    def _tags(self, arn: str) -> Tags:
        return tags_from(self.aws.sns.list_tags_for_resource(ResourceArn=arn)["Tags"])


class TopicPolicy(Kind):
    """Who may publish to a topic."""

    type = "aws:sns/topicPolicy:TopicPolicy"
    has_tags = False
    documents = frozenset({"policy"})
    replaced_for = frozenset({"arn"})

    def find(self, name: str, inputs: Inputs) -> Found:
        """See Kind."""
        return self._found(inputs["arn"])

    def get(self, resource_id: str) -> Found | None:
        """See Kind. Every topic has one: AWS makes it up."""
        try:
            return self._found(resource_id)
        except self.aws.sns.exceptions.NotFoundException:
            return None

    def look_for(self, name: str, inputs: Inputs) -> Found | None:
        """See Kind."""
        return self.get(inputs["arn"])

    def change(self, found: Found, differing: Mapping[str, Any]) -> None:
        """See Kind."""
        self.aws.sns.set_topic_attributes(
            TopicArn=found.id,
            AttributeName="Policy",
            AttributeValue=json.dumps(differing["policy"]),
        )

    def _found(self, arn: str) -> Found:
        attributes = self.aws.sns.get_topic_attributes(TopicArn=arn)["Attributes"]
        return Found(arn, {"arn": arn, "policy": json.loads(attributes["Policy"])})


class TopicSubscription(Kind):
    """Who is told, by the topic, the way and the address."""

    type = "aws:sns/topicSubscription:TopicSubscription"
    has_tags = False
    replaced_for = frozenset({"endpoint", "protocol", "topic"})

    def find(self, name: str, inputs: Inputs) -> Found | None:
        """See Kind."""
        found = (one for one in self._of(inputs["topic"]) if one.properties == inputs)
        return next(found, None)

    def get(self, resource_id: str) -> Found | None:
        """See Kind. One that nobody has confirmed yet has no id."""
        try:
            answer = self.aws.sns.get_subscription_attributes(SubscriptionArn=resource_id)
        except ClientError as exc:
            if is_missing(exc, "NotFound", "InvalidParameter"):
                return None
            raise
        one = answer["Attributes"]
        return _subscription(resource_id, one["TopicArn"], one["Protocol"], one["Endpoint"])

    def look_for(self, name: str, inputs: Inputs) -> Found | None:
        """See Kind."""
        try:
            return self.find(name, inputs)
        except self.aws.sns.exceptions.NotFoundException:
            return None

    def create(self, inputs: Inputs, tags: Tags) -> None:
        """See Kind."""
        self.aws.sns.subscribe(
            TopicArn=inputs["topic"], Protocol=inputs["protocol"], Endpoint=inputs["endpoint"]
        )

    def owned(self) -> Iterable[Found]:
        """Every subscription to a topic of the stack."""
        for topic in Topic(self.aws, self.stack).owned():
            yield from self._of(topic.id)

    def delete(self, found: Found) -> None:
        """See Kind."""
        self.aws.sns.unsubscribe(SubscriptionArn=found.id)

    def _of(self, topic: str) -> Iterable[Found]:
        paginator = self.aws.sns.get_paginator("list_subscriptions_by_topic")
        for page in paginator.paginate(TopicArn=topic):
            for one in page["Subscriptions"]:
                yield _subscription(one["SubscriptionArn"], topic, one["Protocol"], one["Endpoint"])


def _subscription(arn: str, topic: str, protocol: str, endpoint: str) -> Found:
    properties = {"topic": topic, "protocol": protocol, "endpoint": endpoint}
    return Found(arn, properties, {"arn": arn})


def _attributes(values: Mapping[str, Any]) -> Any:  # noqa: ANN401 - as AWS's call takes it
    return to_aws({key: value for key, value in values.items() if key != "name"})
