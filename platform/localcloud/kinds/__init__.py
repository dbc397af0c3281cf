"""What the local cloud knows of each type of resource: read, create, change, delete.

A type that the program declares and this table lacks is an error, not something to leave out: the
local cloud would then differ from AWS without anybody noticing.
"""

from __future__ import annotations

from localcloud.kinds import dynamodb, ec2, ecs, iam, logs, s3, sqs
from localcloud.kinds.base import Clients, Kind

# In the order in which they can be deleted: what stands on others goes first.
_KINDS: tuple[type[Kind], ...] = (
    ecs.Service,
    ecs.TaskDefinition,
    ecs.Cluster,
    logs.LogGroup,
    iam.RolePolicy,
    iam.Role,
    ec2.SecurityGroup,
    ec2.Subnet,
    ec2.Vpc,
    sqs.RedriveAllowPolicy,
    sqs.Queue,
    dynamodb.Table,
    s3.BucketVersioning,
    s3.BucketLifecycleConfiguration,
    s3.BucketPublicAccessBlock,
    s3.Bucket,
)


def all_kinds(clients: Clients, stack: str) -> dict[str, Kind]:
    """Every type of resource by its Pulumi name, in the order in which they can be deleted."""
    return {kind.type: kind(clients, stack) for kind in _KINDS}
