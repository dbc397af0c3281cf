"""Alarms and the dashboard."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, ClassVar

from localcloud.kinds.base import Found, Inputs, Kind, Tags, from_aws, pairs_from, tags_from, to_aws
from localcloud.kinds.compare import in_order

# An alarm is over one metric or over what is reckoned from several.
_ONE_METRIC = {
    "dimensions": "Dimensions",
    "extendedStatistic": "ExtendedStatistic",
    "metricName": "MetricName",
    "namespace": "Namespace",
    "period": "Period",
    "statistic": "Statistic",
    "unit": "Unit",
}
_ALARM = {
    "actionsEnabled": "ActionsEnabled",
    "insufficientDataActions": "InsufficientDataActions",
    "name": "AlarmName",
    "alarmDescription": "AlarmDescription",
    "alarmActions": "AlarmActions",
    "okActions": "OKActions",
    "comparisonOperator": "ComparisonOperator",
    "datapointsToAlarm": "DatapointsToAlarm",
    "evaluationPeriods": "EvaluationPeriods",
    "threshold": "Threshold",
    "treatMissingData": "TreatMissingData",
    "metricQueries": "Metrics",
    **_ONE_METRIC,
}


class MetricAlarm(Kind):
    """An alarm over metrics and what is reckoned from them, by its name."""

    type = "aws:cloudwatch/metricAlarm:MetricAlarm"
    defaults: ClassVar = {
        "actionsEnabled": True,
        "alarmActions": [],
        "alarmDescription": None,
        "datapointsToAlarm": None,
        "insufficientDataActions": [],
        "metricQueries": [],
        "okActions": [],
        "threshold": None,
        "treatMissingData": "missing",
        **dict.fromkeys(_ONE_METRIC),
    }
    replaced_for = frozenset({"name"})

    def find(self, name: str, inputs: Inputs) -> Found | None:
        """See Kind."""
        found = self.get(inputs["name"])
        # A change takes all of it, also what is not told.
        return replace(found, declared=self.wanted(inputs)) if found else None

    def get(self, resource_id: str) -> Found | None:
        """See Kind."""
        answer = self.aws.cloudwatch.describe_alarms(AlarmNames=[resource_id])
        return next(map(self._found, answer["MetricAlarms"]), None)

    def wanted(self, inputs: Inputs) -> Mapping[str, Any]:
        """See Kind."""
        values = super().wanted(inputs)
        return in_order(
            {**values, "metricQueries": [_query(one) for one in values["metricQueries"]]}
        )

    def inputs_of(self, found: Found) -> dict[str, Any]:
        """See Kind."""
        inputs = super().inputs_of(found)
        if "metricQueries" in inputs:
            inputs["metricQueries"] = [_declared(one) for one in inputs["metricQueries"]]
        return inputs

    def create(self, inputs: Inputs, tags: Tags) -> None:
        """See Kind."""
        self._put(self.wanted(inputs), Tags=pairs_from(tags))

    def change(self, found: Found, differing: Mapping[str, Any]) -> None:
        """See Kind."""
        self._put({**found.properties, **found.declared, **differing})

    def tag(self, found: Found, tags: Tags) -> None:
        """See Kind."""
        self.aws.cloudwatch.tag_resource(ResourceARN=found.outputs["arn"], Tags=pairs_from(tags))

    def owned(self) -> Iterable[Found]:
        """See Kind."""
        for page in self.aws.cloudwatch.get_paginator("describe_alarms").paginate():
            for one in page["MetricAlarms"]:
                tags = self._tags(one["AlarmArn"])
                if self.is_ours(tags):
                    yield Found(one["AlarmName"], {}, {}, tags)

    def delete(self, found: Found) -> None:
        """See Kind."""
        self.aws.cloudwatch.delete_alarms(AlarmNames=[found.id])

    def _put(self, values: Mapping[str, Any], **more: list[Any]) -> None:
        # Of the metric and the queries it has one, and the other is nothing.
        given = {_ALARM[key]: value for key, value in values.items() if value not in (None, [])}
        if "Dimensions" in given:
            given["Dimensions"] = pairs_from(given["Dimensions"], "Name")
        self.aws.cloudwatch.put_metric_alarm(**given, **more)

    def _found(self, one: Mapping[str, Any]) -> Found:
        # What is not set is told as nothing, or as an empty text; what is over several metrics has
        # no period of its own, whatever the emulator makes up.
        told = {key: one.get(aws) or self.defaults.get(key) for key, aws in _ALARM.items()}
        if not told["metricName"]:
            told |= dict.fromkeys(_ONE_METRIC)
        told |= {
            "actionsEnabled": one.get("ActionsEnabled", True),
            "threshold": one.get("Threshold"),
        }
        if told["dimensions"]:
            told["dimensions"] = tags_from(told["dimensions"], "Name")
        arn = one["AlarmArn"]
        return Found(one["AlarmName"], in_order(told), {"arn": arn}, self._tags(arn))

    def _tags(self, arn: str) -> Tags:
        return tags_from(self.aws.cloudwatch.list_tags_for_resource(ResourceARN=arn)["Tags"])


class Dashboard(Kind):
    """A dashboard, by its name. The emulator gives it no tags, so once made it stays."""

    type = "aws:cloudwatch/dashboard:Dashboard"
    has_tags = False
    documents = frozenset({"dashboardBody"})
    replaced_for = frozenset({"dashboardName"})

    def find(self, name: str, inputs: Inputs) -> Found | None:
        """See Kind."""
        return self.get(inputs["dashboardName"])

    def get(self, resource_id: str) -> Found | None:
        """See Kind."""
        try:
            answer = self.aws.cloudwatch.get_dashboard(DashboardName=resource_id)
        except self.aws.cloudwatch.exceptions.ResourceNotFound:
            return None
        properties = {
            "dashboardName": resource_id,
            "dashboardBody": json.loads(answer["DashboardBody"]),
        }
        return Found(resource_id, properties, {"dashboardArn": answer["DashboardArn"]})

    def create(self, inputs: Inputs, tags: Tags) -> None:
        """See Kind."""
        self._put(inputs["dashboardName"], inputs["dashboardBody"])

    def change(self, found: Found, differing: Mapping[str, Any]) -> None:
        """See Kind."""
        self._put(found.id, json.dumps(differing["dashboardBody"]))

    def _put(self, name: str, body: str) -> None:
        self.aws.cloudwatch.put_dashboard(DashboardName=name, DashboardBody=body)


def _query(one: Mapping[str, Any]) -> Any:  # noqa: ANN401 - as AWS's call takes it
    query = to_aws({key: value for key, value in one.items() if key != "metric"})
    if "metric" in one:
        metric = one["metric"]
        query["MetricStat"] = {
            "Metric": {
                "Namespace": metric["namespace"],
                "MetricName": metric["metricName"],
                # In one order, which a mapping has not: two that mean the same are equal then.
                "Dimensions": pairs_from(
                    dict(sorted(metric.get("dimensions", {}).items())), "Name"
                ),
            },
            "Period": metric["period"],
            "Stat": metric["stat"],
        }
    return query


def _declared(query: Mapping[str, Any]) -> dict[str, Any]:
    """Give a query the form of the program: the reverse of `_query`."""
    declared: dict[str, Any] = from_aws({k: v for k, v in query.items() if k != "MetricStat"})
    if stat := query.get("MetricStat"):
        metric = stat["Metric"]
        declared["metric"] = {
            "namespace": metric["Namespace"],
            "metricName": metric["MetricName"],
            "dimensions": tags_from(metric.get("Dimensions", ()), "Name"),
            "period": stat["Period"],
            "stat": stat["Stat"],
        }
    return declared
