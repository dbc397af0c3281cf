"""Who is told, of what, and what to do then: each alarm has its runbook, `runbooks/<alarm>.md`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_aws as aws

from infra.edge import Edge
from infra.identity import Account
from infra.keys import DataKey
from infra.metrics import (
    JOBS_COMPLETED,
    JOBS_FAILED,
    JOBS_LOST,
    RECORDS_STUCK,
    counted,
    query,
    queue_metric,
)
from infra.queues import PredictionsQueue
from infra.recovery import Copied, Recovery
from infra.replication import EVERYTHING
from infra.settings import OperationsSettings, Settings

_OLDEST_MESSAGE_S = 900
_FAILED_PERCENT = 20
_A_QUARTER_S = 900
_FAILED_AT_LEAST = 5  # of few jobs, one bad file is a large part
_SLOW_S = 2.0
_SERVER_ERRORS = 5
_BUDGET_PERCENT = 80


@dataclass(frozen=True)
class Watched:
    """What the alarms look at, by name: most of it is declared after them."""

    environment: str
    cluster: str
    queue: pulumi.Output[str]
    dlq: pulumi.Output[str]
    web: str
    worker: str
    worker_tasks: int
    edge: Edge | None
    copied: Sequence[Copied]

    @classmethod
    def of(
        cls,
        name: str,
        settings: Settings,
        queues: PredictionsQueue,
        recovery: Recovery,
        edge: Edge | None,
    ) -> Watched:
        """Name what the stack's alarms look at."""
        return cls(
            environment=settings.environment,
            cluster=name,
            queue=queues.queue.name,
            dlq=queues.dlq.name,
            web=f"{name}-web",
            worker=f"{name}-worker",
            worker_tasks=settings.services.worker.tasks,
            edge=edge,
            copied=recovery.copied,
        )


class Alarms(pulumi.ComponentResource):
    """The topic that people are told through, and every alarm of the stack.

    `runbooks` has the address of the runbook of each alarm, by the alarm's short name.
    """

    def __init__(
        self,
        name: str,
        settings: OperationsSettings,
        watched: Watched,
        *,
        account: Account,
        key: DataKey,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("retainwise:infra:Alarms", name, None, opts)
        self._name, self._settings, self._account = name, settings, account
        self._inside = pulumi.ResourceOptions(parent=self)
        self.runbooks: dict[str, str] = {}
        self._topic = self._tell_people(key)
        self._of_the_queue(watched)
        jobs_failing = self._of_jobs(watched)
        self._of_the_worker(watched)
        self.take_back_worker: Sequence[pulumi.Output[str]] = [jobs_failing.name]
        self.take_back_web: Sequence[pulumi.Output[str]] = []
        if watched.edge is not None:
            self.take_back_web = [self._of_pages(watched.edge).name]
        self._of_deploys(watched.cluster)
        self._of_backups()
        if watched.copied:
            self._of_copies(watched.copied)
        self._of_money()
        self.register_outputs({"topic": self._topic.arn})

    def _of_the_queue(self, watched: Watched) -> None:
        self._alarm(
            "queue-age",
            "The oldest message has waited for a quarter of an hour.",
            [_shown(queue_metric("age", "ApproximateAgeOfOldestMessage", watched.queue))],
            above=_OLDEST_MESSAGE_S,
            minutes=5,
        )
        self._alarm(
            "dead-letters",
            "A message is in the dead-letter queue: nobody could read or finish it.",
            [_shown(queue_metric("dead", "ApproximateNumberOfMessagesVisible", watched.dlq))],
            above=0,
            minutes=1,
        )

    def _of_jobs(self, watched: Watched) -> aws.cloudwatch.MetricAlarm:
        environment = watched.environment
        self._alarm(
            "stuck-records",
            "A prediction was sent three times without being taken, or was given up.",
            [_shown(counted("stuck", environment, RECORDS_STUCK))],
            above=0,
            minutes=1,
        )
        self._alarm(
            "no-progress",
            "Messages wait, and no job has ended for a quarter of an hour.",
            [
                queue_metric("waiting", "ApproximateNumberOfMessagesVisible", watched.queue),
                counted("done", environment, JOBS_COMPLETED),
                counted("failed", environment, JOBS_FAILED),
                _expression(
                    "IF(waiting > 0 AND FILL(done, 0) + FILL(failed, 0) == 0, 1, 0)", "idle"
                ),
            ],
            above=0,
            minutes=15,
        )
        return self._alarm(
            "failed-jobs",
            f"More than {_FAILED_PERCENT} % of the jobs fail or die.",
            [
                # Not filled: each line that has one of the three has all, so that none is missing
                # where another counts.
                *(
                    counted(id_, environment, what, _A_QUARTER_S)
                    for id_, what in (
                        ("done", JOBS_COMPLETED),
                        ("failed", JOBS_FAILED),
                        ("lost", JOBS_LOST),
                    )
                ),
                _expression(
                    f"IF(failed + lost >= {_FAILED_AT_LEAST}, "
                    "100 * (failed + lost) / (done + failed + lost), 0)",
                    "percent",
                ),
            ],
            above=_FAILED_PERCENT,
            minutes=1,  # of a quarter of an hour each: of few jobs a minute, a minute has too few
        )

    def _of_the_worker(self, watched: Watched) -> None:
        tasks = {"ClusterName": watched.cluster, "ServiceName": watched.worker}
        self._alarm(
            "worker-silent",
            "Fewer workers run than the stack asks for, or nothing is heard of them.",
            [_shown(query("tasks", "ECS/ContainerInsights", "RunningTaskCount", tasks, "Average"))],
            below=watched.worker_tasks,
            minutes=5,
            missing="breaching",
        )

    def _of_pages(self, edge: Edge) -> aws.cloudwatch.MetricAlarm:
        balancer: dict[str, pulumi.Input[str]] = {"LoadBalancer": edge.load_balancer.arn_suffix}
        namespace = "AWS/ApplicationELB"
        self._alarm(
            "slow-pages",
            f"One in twenty requests takes more than {_SLOW_S:g} s.",
            [_shown(query("p95", namespace, "TargetResponseTime", balancer, "p95"))],
            above=_SLOW_S,
            minutes=5,
        )
        return self._alarm(
            "server-errors",
            f"More than {_SERVER_ERRORS} requests a minute end in an error of ours.",
            [
                query("of_app", namespace, "HTTPCode_Target_5XX_Count", balancer, "Sum"),
                query("of_balancer", namespace, "HTTPCode_ELB_5XX_Count", balancer, "Sum"),
                _expression("FILL(of_app, 0) + FILL(of_balancer, 0)", "errors"),
            ],
            above=_SERVER_ERRORS,
            minutes=3,
            within=5,
        )

    def _of_deploys(self, cluster: str) -> None:
        """Tell of a release that ECS took back: Pulumi itself reports it as a success."""
        # Of whatever service is in the cluster, those to come among them.
        services = self._account.arn("ecs", f"service/{cluster}/")
        self._event(
            "deploy-rolled-back",
            "A release was taken back.",
            {
                "source": ["aws.ecs"],
                "detail-type": ["ECS Deployment State Change"],
                "detail": {"eventName": ["SERVICE_DEPLOYMENT_FAILED"]},
                "resources": [{"prefix": services}],
            },
            {"reason": "$.detail.reason", "service": "$.resources[0]"},
            "a release of <service> was taken back (<reason>).",
        )

    def _of_backups(self) -> None:
        """Tell of a backup, or its copy, that did not come about: nothing else would for weeks."""
        self._event(
            "backup-failed",
            "A backup of the records, or its copy, did not come about.",
            {
                "source": ["aws.backup"],
                "detail-type": ["Backup Job State Change", "Copy Job State Change"],
                "detail": {"state": ["ABORTED", "EXPIRED", "FAILED"]},
            },
            {"reason": "$.detail.statusMessage", "state": "$.detail.state"},
            "a backup or its copy is <state> (<reason>).",
        )

    def _of_copies(self, copied: Sequence[Copied]) -> None:
        """Tell of files without a copy: what S3 may not copy it does not try again."""
        failed = [
            query(
                one.what,
                "AWS/S3",
                "OperationsFailedReplication",
                {"SourceBucket": one.source, "DestinationBucket": one.copy, "RuleId": EVERYTHING},
                "Sum",
            )
            for one in copied
        ]
        total = " + ".join(f"FILL({one.what}, 0)" for one in copied)
        self._alarm(
            "replication-failed",
            "A file was not copied to the recovery region.",
            [*failed, _expression(total, "failed")],
            above=0,
            minutes=1,
            within=15,
        )

    def _event(
        self,
        short: str,
        what: str,
        pattern: dict[str, Any],
        paths: dict[str, str],
        words: str,
    ) -> None:
        """Tell of an event that is no metric, in `words` with the parts of it at `paths`."""
        name, runbook = f"{self._name}-{short}", self._runbook(short)
        rule = aws.cloudwatch.EventRule(
            name,
            name=name,
            description=f"{what} What to do: {runbook}",
            event_pattern=json.dumps(pattern, sort_keys=True),
            tags={"runbook": runbook},
            opts=pulumi.ResourceOptions(parent=self, delete_before_replace=True),
        )
        aws.cloudwatch.EventTarget(
            name,
            rule=rule.name,
            arn=self._topic.arn,
            input_transformer=aws.cloudwatch.EventTargetInputTransformerArgs(
                input_paths=paths,
                input_template=json.dumps(f"{name}: {words} What to do: {runbook}"),
            ),
            opts=pulumi.ResourceOptions(parent=rule),
        )

    def _of_money(self) -> None:
        """Tell of the account's spending: an account is for one stack.

        What a budget sends cannot be worded; its name is the runbook's.
        """
        name = f"{self._name}-budget"
        notification = aws.budgets.BudgetNotificationArgs
        topic = [self._topic.arn]
        aws.budgets.Budget(
            name,
            name=name,
            budget_type="COST",
            time_unit="MONTHLY",
            limit_amount=str(self._settings.monthly_budget_usd),
            limit_unit="USD",
            notifications=[
                notification(
                    comparison_operator="GREATER_THAN",
                    notification_type="ACTUAL",
                    threshold=_BUDGET_PERCENT,
                    threshold_type="PERCENTAGE",
                    subscriber_sns_topic_arns=topic,
                ),
                notification(
                    comparison_operator="GREATER_THAN",
                    notification_type="FORECASTED",
                    threshold=100,
                    threshold_type="PERCENTAGE",
                    subscriber_sns_topic_arns=topic,
                ),
            ],
            tags={"runbook": self._runbook("budget")},
            opts=pulumi.ResourceOptions(parent=self, delete_before_replace=True),
        )

    def _alarm(
        self,
        short: str,
        what: str,
        queries: list[dict[str, Any]],
        *,
        minutes: int,
        above: float | None = None,
        below: float | None = None,
        within: int | None = None,
        missing: str = "notBreaching",
    ) -> aws.cloudwatch.MetricAlarm:
        """Declare an alarm that rings after so many bad minutes.

        within: of so many; none: one after the other. What is filled needs it: a metric that comes
        late has no newest minute, which would then always be a good one.
        """
        runbook, name = self._runbook(short), f"{self._name}-{short}"
        return aws.cloudwatch.MetricAlarm(
            name,
            name=name,
            alarm_description=f"{what} What to do: {runbook}",
            comparison_operator="GreaterThanThreshold" if below is None else "LessThanThreshold",
            threshold=above if below is None else below,
            evaluation_periods=within or minutes,
            datapoints_to_alarm=minutes if within else None,
            treat_missing_data=missing,
            metric_queries=queries,
            alarm_actions=[self._topic.arn],
            ok_actions=[self._topic.arn],
            tags={"runbook": runbook},
            opts=pulumi.ResourceOptions(parent=self, delete_before_replace=True),
        )

    def _runbook(self, short: str) -> str:
        address = f"https://github.com/{self._settings.repository}/blob/main/runbooks/{short}.md"
        return self.runbooks.setdefault(short, address)

    def _tell_people(self, key: DataKey) -> aws.sns.Topic:
        name = f"{self._name}-alarms"
        topic = aws.sns.Topic(
            name,
            name=name,
            kms_master_key_id=key.arn,
            opts=pulumi.ResourceOptions(parent=self, delete_before_replace=True),
        )
        inside = pulumi.ResourceOptions(parent=topic)
        aws.sns.TopicPolicy(
            name, arn=topic.arn, policy=_who_may_tell(topic.arn, self._account), opts=inside
        )
        for email in self._settings.alarm_emails:
            aws.sns.TopicSubscription(
                f"{name}-{email}", topic=topic.arn, protocol="email", endpoint=email, opts=inside
            )
        return topic


def _who_may_tell(topic_arn: pulumi.Output[str], account: Account) -> pulumi.Output[str]:
    services = ["budgets.amazonaws.com", "cloudwatch.amazonaws.com"]
    return pulumi.Output.json_dumps(
        {
            "Version": "2012-10-17",
            "Statement": [
                {
                    "Sid": "ServicesTell",
                    "Effect": "Allow",
                    "Principal": {"Service": services},
                    "Action": "sns:Publish",
                    "Resource": topic_arn,
                    "Condition": {"StringEquals": {"aws:SourceAccount": account.id}},
                },
                # EventBridge does not say for whom it acts: under a condition it is refused.
                {
                    "Sid": "EventsTell",
                    "Effect": "Allow",
                    "Principal": {"Service": "events.amazonaws.com"},
                    "Action": "sns:Publish",
                    "Resource": topic_arn,
                },
                {
                    "Sid": "OnlyByTls",
                    "Effect": "Deny",
                    "Principal": "*",
                    "Action": "sns:Publish",
                    "Resource": topic_arn,
                    "Condition": {"Bool": {"aws:SecureTransport": "false"}},
                },
            ],
        }
    )


def _shown(one: dict[str, Any]) -> dict[str, Any]:
    """Make a metric the one that the alarm compares."""
    return one | {"return_data": True}


def _expression(expression: str, label: str) -> dict[str, Any]:
    return {"id": "result", "expression": expression, "label": label, "return_data": True}
