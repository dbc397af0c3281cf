"""What waits to be done: the predictions queue and the dead-letter queue behind it."""

from __future__ import annotations

import pulumi
import pulumi_aws as aws

_DAY_S = 24 * 60 * 60
_RETENTION_S = 4 * _DAY_S
# A message keeps its age when it moves here: this must outlast the source's. AWS's longest.
_DLQ_RETENTION_S = 14 * _DAY_S
_LONGEST_POLL_S = 20  # SQS's own limit


class PredictionsQueue(pulumi.ComponentResource):
    """The queue that workers receive from, and its dead-letter queue.

    `visibility_s` is the workers' lease: how long a message that nobody renews stays hidden.
    `max_receives` is a last resort; attempts are counted on the record.
    """

    def __init__(
        self,
        name: str,
        *,
        visibility_s: int,
        max_receives: int,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("retainwise:infra:PredictionsQueue", name, None, opts)
        # With a fixed name, created before deleted, the new one would be the one that is deleted.
        stateful = pulumi.ResourceOptions(parent=self, protect=True, delete_before_replace=True)
        self.dlq = aws.sqs.Queue(
            f"{name}-dlq",
            name=f"{name}-dlq",
            message_retention_seconds=_DLQ_RETENTION_S,
            sqs_managed_sse_enabled=True,
            opts=stateful,
        )
        self.queue = aws.sqs.Queue(
            f"{name}-queue",
            name=f"{name}-queue",
            visibility_timeout_seconds=visibility_s,
            message_retention_seconds=_RETENTION_S,
            receive_wait_time_seconds=_LONGEST_POLL_S,
            redrive_policy=pulumi.Output.json_dumps(
                {"deadLetterTargetArn": self.dlq.arn, "maxReceiveCount": max_receives}
            ),
            sqs_managed_sse_enabled=True,
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
        self.register_outputs({"url": self.queue.url, "dlq_url": self.dlq.url})
