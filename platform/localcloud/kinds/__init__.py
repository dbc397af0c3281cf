"""What the local cloud knows of each type of resource: read, create, change, delete.

A type that the program declares and this table lacks is an error, not something to leave out: the
local cloud would then differ from AWS without anybody noticing.
"""

from __future__ import annotations

from localcloud.kinds import (
    acm,
    backup,
    budgets,
    cloudformation,
    cloudwatch,
    cognito,
    dynamodb,
    ec2,
    ec2_routes,
    ecr,
    ecs,
    events,
    iam,
    iam_managed,
    kms,
    lb,
    logs,
    route53,
    s3,
    sns,
    sqs,
    wafv2,
)
from localcloud.kinds.base import Clients, Kind

# In the order in which they can be deleted: what stands on others goes first.
_KINDS: tuple[type[Kind], ...] = (
    ecs.Service,
    ecs.TaskDefinition,
    ecs.ClusterCapacityProviders,
    ecs.Cluster,
    budgets.Budget,
    events.EventTarget,
    events.EventRule,
    cloudwatch.MetricAlarm,
    cloudwatch.Dashboard,
    sns.TopicSubscription,
    sns.TopicPolicy,
    sns.Topic,
    wafv2.WebAclAssociation,
    wafv2.WebAcl,
    route53.Record,
    lb.ListenerRule,
    lb.Listener,
    lb.TargetGroup,
    lb.LoadBalancer,
    acm.CertificateValidation,
    acm.Certificate,
    cognito.UserPoolClient,
    cognito.UserPoolDomain,
    cognito.UserPool,
    logs.LogMetricFilter,
    logs.LogGroup,
    ecr.LifecyclePolicy,
    ecr.Repository,
    cloudformation.Stack,
    backup.Selection,
    backup.Plan,
    backup.Vault,
    s3.BucketReplicationConfig,
    iam_managed.RolePolicyAttachment,
    iam.RolePolicyAttachmentsExclusive,
    iam.RolePoliciesExclusive,
    iam.RolePolicy,
    iam.Role,
    iam_managed.Policy,
    iam_managed.OpenIdConnectProvider,
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
