"""The table of the deploy lease: who is changing a stack right now.

Pulumi's own lock on S3 is not conditional, and a killed job strands it; the lease is a conditional
write, renewed while a deploy runs, and it ends by itself.
"""

from __future__ import annotations

import pulumi
import pulumi_aws as aws


class LeaseTable(pulumi.ComponentResource):
    """One item for each stack. None expires: one that is over still tells who had it last."""

    def __init__(
        self,
        name: str,
        key_arn: pulumi.Output[str],
        *,
        protect: bool,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("retainwise:bootstrap:LeaseTable", name, None, opts)
        self.table = aws.dynamodb.Table(
            name,
            name=name,
            billing_mode="PAY_PER_REQUEST",
            hash_key="stack",
            attributes=[aws.dynamodb.TableAttributeArgs(name="stack", type="S")],
            point_in_time_recovery=aws.dynamodb.TablePointInTimeRecoveryArgs(enabled=True),
            server_side_encryption=aws.dynamodb.TableServerSideEncryptionArgs(
                enabled=True, kms_key_arn=key_arn
            ),
            deletion_protection_enabled=protect,
            # With a fixed name, created before deleted, the new one would be what is deleted.
            opts=pulumi.ResourceOptions(parent=self, protect=protect, delete_before_replace=True),
        )
        self.register_outputs({"name": self.table.name})
