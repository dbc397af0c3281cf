"""What waits to be done: the predictions queue and the dead-letter queue behind it."""

from __future__ import annotations

import pulumi
import pulumi_aws as aws

from infra.keys import DataKey
from infra.settings import DataSettings, PredictionsSettings

_DAY_S = 24 * 60 * 60
_RETENTION_S = 4 * _DAY_S
# A message keeps its age when it moves here: this must outlast the source's. AWS's longest.
_DLQ_RETENTION_S = 14 * _DAY_S
_LONGEST_POLL_S = 20  # SQS's own limit
# How long SQS may use a data key before it asks KMS again: it costs, and a minute is the least.
_KEY_REUSE_S = 300


class PredictionsQueue(pulumi.ComponentResource):
    """The queue that workers receive from, and its dead-letter queue.

    A message that nobody renews stays hidden for the workers' lease, no longer and no shorter.
    """

    def __init__(
        self,
        name: str,
        settings: PredictionsSettings,
        data: DataSettings,
        key: DataKey,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("retainwise:infra:PredictionsQueue", name, None, opts)
        # With a fixed name, created before deleted, the new one would be the one that is deleted.
        stateful = pulumi.ResourceOptions(
            parent=self, protect=data.protect, delete_before_replace=True
        )
        self.dlq = aws.sqs.Queue(
            f"{name}-dlq",
            name=f"{name}-dlq",
            message_retention_seconds=_DLQ_RETENTION_S,
            kms_master_key_id=key.arn,
            kms_data_key_reuse_period_seconds=_KEY_REUSE_S,
            opts=stateful,
        )
        self.queue = aws.sqs.Queue(
            f"{name}-queue",
            name=f"{name}-queue",
            visibility_timeout_seconds=settings.lease_s,
            message_retention_seconds=_RETENTION_S,
            receive_wait_time_seconds=_LONGEST_POLL_S,
            redrive_policy=pulumi.Output.json_dumps(
                {"deadLetterTargetArn": self.dlq.arn, "maxReceiveCount": settings.max_receives}
            ),
            kms_master_key_id=key.arn,
            kms_data_key_reuse_period_seconds=_KEY_REUSE_S,
            opts=stateful,
        )
        # Nothing else may use it as its dead-letter queue, and messages go back only there.
        aws.sqs.RedriveAllowPolicy(
            f"{name}-dlq",
            queue_url=self.dlq.url,
            redrive_allow_policy=pulumi.Output.json_dumps(
                {"redrivePermission": "byQueue", "sourceQueueArns": [self.queue.arn]}
            ),
            opts=pulumi.ResourceOptions(parent=self),
        )
        for queue, label in ((self.queue, f"{name}-queue"), (self.dlq, f"{name}-dlq")):
            aws.sqs.QueuePolicy(
                label,
                queue_url=queue.url,
                policy=_only_by_tls(queue.arn),
                opts=pulumi.ResourceOptions(parent=queue),
            )
        self.register_outputs({"url": self.queue.url, "dlq_url": self.dlq.url})


def _only_by_tls(arn: pulumi.Output[str]) -> pulumi.Output[str]:
    return pulumi.Output.json_dumps(
        {
            "Version": "2012-10-17",
            "Statement": [
                {
                    "Sid": "OnlyByTls",
                    "Effect": "Deny",
                    "Principal": "*",
                    "Action": "sqs:*",  # of a denial, the strict choice
                    "Resource": arn,
                    "Condition": {"Bool": {"aws:SecureTransport": "false"}},
                }
            ],
        }
    )
