"""What AWS notes down, for whoever looks into an incident: packets, files and requests refused.

Flow logs and logs of the buckets go to the bucket of access logs. The firewall's go to a log group,
since its logs can go only where the name begins with `aws-waf-logs-`.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

import pulumi
import pulumi_aws as aws

from infra.identity import Account
from infra.storage import PrivateBucket

_BY_SERVICE = "delivery.logs.amazonaws.com"


class Trails(pulumi.ComponentResource):
    """The logs of a network, of buckets and of a firewall; `logs` must allow `may_write`."""

    def __init__(
        self,
        name: str,
        account: Account,
        *,
        logs: PrivateBucket,
        vpc_id: pulumi.Input[str],
        buckets: Sequence[tuple[str, PrivateBucket]],
        acl_arn: pulumi.Input[str],
        key_arn: pulumi.Input[str],
        log_days: int,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("retainwise:infra:Trails", name, None, opts)
        inside = pulumi.ResourceOptions(parent=self, depends_on=[logs.policy])
        aws.ec2.FlowLog(
            name,
            vpc_id=vpc_id,
            traffic_type="REJECT",  # what tried to go where nothing lets it
            log_destination_type="s3",
            log_destination=f"{logs.arn}/flows/",
            opts=inside,
        )
        for what, bucket in buckets:
            aws.s3.BucketLogging(
                f"{name}-{what}",
                bucket=bucket.bucket,
                target_bucket=logs.bucket,
                target_prefix=f"files/{what}/",
                opts=inside,
            )
        self._log_firewall(name, account, acl_arn, key_arn, log_days)
        self.register_outputs({})

    def _log_firewall(
        self,
        name: str,
        account: Account,
        acl_arn: pulumi.Input[str],
        key_arn: pulumi.Input[str],
        log_days: int,
    ) -> None:
        group = aws.cloudwatch.LogGroup(
            f"{name}-firewall",
            name=f"aws-waf-logs-{name}",
            retention_in_days=log_days,
            kms_key_id=key_arn,
            opts=pulumi.ResourceOptions(parent=self, delete_before_replace=True),
        )
        statement = {
            "Effect": "Allow",
            "Principal": {"Service": _BY_SERVICE},
            "Action": ["logs:CreateLogStream", "logs:PutLogEvents"],
            "Resource": account.arn("logs", f"log-group:aws-waf-logs-{name}:*"),
            "Condition": {"StringEquals": {"aws:SourceAccount": account.id}},
        }
        allowed = aws.cloudwatch.LogResourcePolicy(
            f"{name}-firewall",
            policy_name=f"{name}-firewall",
            policy_document=json.dumps({"Version": "2012-10-17", "Statement": [statement]}),
            opts=pulumi.ResourceOptions(parent=group),
        )
        refused = [{"action_condition": {"action": action}} for action in ("BLOCK", "COUNT")]
        aws.wafv2.WebAclLoggingConfiguration(
            name,
            resource_arn=acl_arn,
            log_destination_configs=[group.arn],
            logging_filter={
                "default_behavior": "DROP",
                "filters": [
                    {"behavior": "KEEP", "requirement": "MEETS_ANY", "conditions": refused}
                ],
            },
            # What opens a door is not kept.
            redacted_fields=[
                {"single_header": {"name": header}} for header in ("authorization", "cookie")
            ],
            opts=pulumi.ResourceOptions(parent=group, depends_on=[allowed]),
        )


def may_write(bucket_arn: str, account: Account) -> list[dict[str, object]]:
    """Return the statements by which a bucket takes flow logs and logs of buckets."""
    ours = {"StringEquals": {"aws:SourceAccount": account.id}}
    flows = {**ours, "ArnLike": {"aws:SourceArn": account.arn("logs", "*")}}
    service = {"Service": _BY_SERVICE}
    # Named as AWS names those that it adds by itself where it finds none.
    return [
        {
            "Sid": "AWSLogDeliveryWrite",
            "Effect": "Allow",
            "Principal": service,
            "Action": "s3:PutObject",
            "Resource": f"{bucket_arn}/flows/AWSLogs/{account.id}/*",
            "Condition": flows,
        },
        {
            "Sid": "AWSLogDeliveryAclCheck",
            "Effect": "Allow",
            "Principal": service,
            "Action": "s3:GetBucketAcl",
            "Resource": bucket_arn,
            "Condition": flows,
        },
        {
            "Sid": "BucketsWrite",
            "Effect": "Allow",
            "Principal": {"Service": "logging.s3.amazonaws.com"},
            "Action": "s3:PutObject",
            "Resource": f"{bucket_arn}/files/*",
            "Condition": ours,
        },
    ]
