"""Alarms and the dashboard."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from localcloud.kinds.base import Found, Inputs, Kind, Tags, pairs_from, tags_from, to_aws
from localcloud.kinds.compare import in_order, only

_ALARM = {
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
}


class MetricAlarm(Kind):
    """An alarm over metrics and what is reckoned from them, by its name."""

    type = "aws:cloudwatch/metricAlarm:MetricAlarm"

    def find(self, name: str, inputs: Inputs) -> Found | None:
        """See Kind."""
        answer = self.aws.cloudwatch.describe_alarms(AlarmNames=[inputs["name"]])
        wanted = self.wanted(inputs)
        for one in answer["MetricAlarms"]:
            told = {name: one.get(aws) for name, aws in _ALARM.items()}
            # A change takes all of it, also what is not told.
            properties = {**in_order(only(told, wanted)), "declared": wanted}
            arn = one["AlarmArn"]
            return Found(one["AlarmName"], properties, {"arn": arn}, self._tags(arn))
        return None

    def wanted(self, inputs: Inputs) -> Mapping[str, Any]:
        """See Kind."""
        values = super().wanted(inputs)
        return in_order(
            {**values, "metricQueries": [_query(one) for one in values["metricQueries"]]}
        )

    def create(self, inputs: Inputs, tags: Tags) -> None:
        """See Kind."""
        self._put(self.wanted(inputs), Tags=pairs_from(tags))

    def change(self, found: Found, differing: Mapping[str, Any]) -> None:
        """See Kind."""
        self._put({**found.properties["declared"], **differing})

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
        given = {_ALARM[key]: value for key, value in values.items()}
        self.aws.cloudwatch.put_metric_alarm(**given, **more)

    def _tags(self, arn: str) -> Tags:
        return tags_from(self.aws.cloudwatch.list_tags_for_resource(ResourceARN=arn)["Tags"])


class Dashboard(Kind):
    """A dashboard, by its name. The emulator gives it no tags, so once made it stays."""

    type = "aws:cloudwatch/dashboard:Dashboard"
    has_tags = False
    documents = frozenset({"dashboardBody"})

    def find(self, name: str, inputs: Inputs) -> Found | None:
        """See Kind."""
        dashboard = inputs["dashboardName"]
        try:
            answer = self.aws.cloudwatch.get_dashboard(DashboardName=dashboard)
        except self.aws.cloudwatch.exceptions.ResourceNotFound:
            return None
        properties = {
            "dashboardName": dashboard,
            "dashboardBody": json.loads(answer["DashboardBody"]),
        }
        return Found(dashboard, properties, {"dashboardArn": answer["DashboardArn"]})

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
                "Dimensions": pairs_from(metric["dimensions"], "Name"),
            },
            "Period": metric["period"],
            "Stat": metric["stat"],
        }
    return query
