"""What the month may cost, and who is told when it will cost more."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

from localcloud.kinds.base import Found, Inputs, Kind, Tags, from_aws, pairs_from, tags_from, to_aws

_SUBSCRIBERS = {"subscriberSnsTopicArns": "SNS", "subscriberEmailAddresses": "EMAIL"}


class Budget(Kind):
    """A budget, by its name."""

    type = "aws:budgets/budget:Budget"
    defaults: ClassVar = {"notifications": []}
    replaced_for = frozenset({"accountId", "name"})

    def find(self, name: str, inputs: Inputs) -> Found | None:
        """See Kind."""
        return self.get(self._id(inputs["name"]))

    def get(self, resource_id: str) -> Found | None:
        """See Kind. The id is the account's and the budget's name."""
        account, _, name = resource_id.partition(":")
        try:
            answer = self.aws.budgets.describe_budget(AccountId=account, BudgetName=name)
        except self.aws.budgets.exceptions.NotFoundException:
            return None
        return self._found(answer["Budget"])

    def wanted(self, inputs: Inputs) -> Mapping[str, Any]:
        """See Kind."""
        values = super().wanted(inputs)
        told = [
            {key: sorted(value) if key in _SUBSCRIBERS else value for key, value in one.items()}
            for one in values["notifications"]
        ]
        amount = _amount(values["limitAmount"])
        rest = {"limitAmount": amount, "notifications": _ordered(told)}
        return {**values, **rest}

    def inputs_of(self, found: Found) -> dict[str, Any]:
        """See Kind."""
        return {**super().inputs_of(found), "limitAmount": f"{found.properties['limitAmount']:g}"}

    def create(self, inputs: Inputs, tags: Tags) -> None:
        """See Kind."""
        wanted = self.wanted(inputs)
        self.aws.budgets.create_budget(
            AccountId=self._account,
            Budget=_budget(wanted),
            NotificationsWithSubscribers=[_told(one) for one in wanted["notifications"]],
            ResourceTags=pairs_from(tags),
        )

    def change(self, found: Found, differing: Mapping[str, Any]) -> None:
        """See Kind."""
        wanted = {**found.properties, **differing}
        if "name" in differing:
            raise self.fixed(found, ["name"])
        if differing.keys() - {"notifications"}:
            self.aws.budgets.update_budget(AccountId=self._account, NewBudget=_budget(wanted))
        of_budget = {"AccountId": self._account, "BudgetName": found.properties["name"]}
        there = found.properties["notifications"]
        for one in there:
            if one not in wanted["notifications"]:
                given = {**of_budget, "Notification": _told(one)["Notification"]}
                self.aws.budgets.delete_notification(**given)
        for one in wanted["notifications"]:
            if one not in there:
                self.aws.budgets.create_notification(**of_budget, **_told(one))

    def tag(self, found: Found, tags: Tags) -> None:
        """See Kind."""
        self.aws.budgets.tag_resource(
            ResourceARN=found.outputs["arn"], ResourceTags=pairs_from(tags)
        )

    def owned(self) -> Iterable[Found]:
        """See Kind."""
        paginator = self.aws.budgets.get_paginator("describe_budgets")
        for page in paginator.paginate(AccountId=self._account):
            for one in page.get("Budgets", ()):
                tags = self._tags(one["BudgetName"])
                if self.is_ours(tags):
                    name = one["BudgetName"]
                    yield Found(self._id(name), {"name": name}, {}, tags)

    def delete(self, found: Found) -> None:
        """See Kind."""
        name = found.properties["name"]
        self.aws.budgets.delete_budget(AccountId=self._account, BudgetName=name)

    @functools.cached_property
    def _account(self) -> str:
        account: str = self.aws.sts.get_caller_identity()["Account"]
        return account

    def _id(self, name: str) -> str:
        return f"{self._account}:{name}"

    def _arn(self, name: str) -> str:
        return f"arn:aws:budgets::{self._account}:budget/{name}"

    def _tags(self, name: str) -> Tags:
        answer = self.aws.budgets.list_tags_for_resource(ResourceARN=self._arn(name))
        return tags_from(answer["ResourceTags"])

    def _found(self, one: Mapping[str, Any]) -> Found:
        name = one["BudgetName"]
        properties = {
            "name": name,
            "budgetType": one["BudgetType"],
            "limitAmount": _amount(one["BudgetLimit"]["Amount"]),
            "limitUnit": one["BudgetLimit"]["Unit"],
            "timeUnit": one["TimeUnit"],
            "notifications": _ordered(self._notifications(name)),
        }
        return Found(self._id(name), properties, {"arn": self._arn(name)}, self._tags(name))

    def _notifications(self, name: str) -> Iterable[dict[str, Any]]:
        of_budget = {"AccountId": self._account, "BudgetName": name}
        answer = self.aws.budgets.describe_notifications_for_budget(**of_budget)
        for one in answer.get("Notifications", ()):
            one.pop("NotificationState", None)
            subscribers = self.aws.budgets.describe_subscribers_for_notification(
                **of_budget, Notification=one
            )["Subscribers"]
            told = {
                key: sorted(to["Address"] for to in subscribers if to["SubscriptionType"] == kind)
                for key, kind in _SUBSCRIBERS.items()
            }
            yield {**from_aws(one), **{key: value for key, value in told.items() if value}}


def _budget(values: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "BudgetName": values["name"],
        "BudgetType": values["budgetType"],
        "BudgetLimit": {"Amount": str(values["limitAmount"]), "Unit": values["limitUnit"]},
        "TimeUnit": values["timeUnit"],
    }


def _told(one: Mapping[str, Any]) -> dict[str, Any]:
    """A notification and whom to tell, as AWS's calls take them."""
    said = {key: value for key, value in one.items() if key not in _SUBSCRIBERS}
    return {
        "Notification": to_aws(said),
        "Subscribers": [
            {"SubscriptionType": kind, "Address": address}
            for key, kind in _SUBSCRIBERS.items()
            for address in one.get(key, ())
        ],
    }


def _ordered(notifications: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    return sorted(notifications, key=lambda one: (one["notificationType"], one["threshold"]))


def _amount(text: str) -> float:
    """AWS writes 600 as 600.0."""
    return float(text)
