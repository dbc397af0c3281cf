"""What the local cloud knows of each type of resource: read, create, change, delete.

A type that the program declares and this table lacks is an error, not something to leave out: the
local cloud would then differ from AWS without anybody noticing.
"""

from __future__ import annotations

from localcloud.kinds import (
    backup,
    cloudformation,
    dynamodb,
    ec2,
    ec2_routes,
    ecs,
    iam,
    kms,
    logs,
    s3,
    sqs,
)
from localcloud.kinds.base import Clients, Kind

# In the order in which they can be deleted: what stands on others goes first.
_KINDS: tuple[type[Kind], ...] = (
    ecs.Service,
    ecs.TaskDefinition,
    ecs.ClusterCapacityProviders,
    ecs.Cluster,
    logs.LogGroup,
    cloudformation.Stack,
    backup.Selection,
    backup.Plan,
    backup.Vault,
    s3.BucketReplicationConfig,
    iam.RolePolicyAttachmentsExclusive,
    iam.RolePoliciesExclusive,
    iam.RolePolicy,
    iam.Role,
    ec2_routes.VpcEndpoint,
    ec2_routes.Route,
    ec2_routes.RouteTableAssociation,
    ec2_routes.RouteTable,
    ec2_routes.InternetGateway,
    ec2.SecurityGroupEgressRule,
    ec2.SecurityGroupIngressRule,
    ec2.DefaultSecurityGroup,
    ec2.SecurityGroup,
    ec2.Subnet,
    ec2.Vpc,
    sqs.RedriveAllowPolicy,
    sqs.QueuePolicy,
    sqs.Queue,
    dynamodb.Table,
    s3.BucketPolicy,
    s3.BucketLifecycleConfiguration,
    s3.BucketOwnershipControls,
    s3.BucketPublicAccessBlock,
    s3.BucketServerSideEncryptionConfiguration,
    s3.BucketObjectLockConfiguration,
    s3.BucketVersioning,
    kms.Alias,
    kms.ReplicaKey,
    kms.Key,
    s3.Bucket,  # last: in which regions there is anything is known by the buckets
)


def all_kinds(clients: Clients, stack: str) -> dict[str, Kind]:
    """Every type of resource by its Pulumi name, in the order in which they can be deleted."""
    return {kind.type: kind(clients, stack) for kind in _KINDS}
