"""What the emulator cannot do: types that it cannot create, and calls that it does not know.

`apply` leaves such types out, and says so. A test attempts each row and fails once it works: then
the type gets a description, or the kind makes the call.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from localcloud.kinds.base import Clients, Inputs


def _none(_inputs: Inputs) -> Mapping[str, Any]:
    return {}


@dataclass(frozen=True)
class Unsupported:
    """Why there is no such thing in the local cloud.

    attempt: the call that would create it, which the emulator refuses.
    outputs: what the program may refer to, made up from the inputs.
    """

    reason: str
    attempt: Callable[[Clients], object]
    outputs: Callable[[Inputs], Mapping[str, Any]] = _none


@dataclass(frozen=True)
class MissingCall:
    """A call that a kind would make if the emulator knew it.

    instead: what is done without it.
    """

    instead: str
    attempt: Callable[[Clients], object]


# A number that AWS makes up; nothing here looks at it.
_SOME_ID = "00000000-0000-0000-0000-000000000000"
_SCALED = {
    "ServiceNamespace": "ecs",
    "ResourceId": "service/attempted/attempted",
    "ScalableDimension": "ecs:service:DesiredCount",
}


def _attempt_target(aws: Clients) -> object:
    return aws.application_autoscaling.register_scalable_target(
        **_SCALED, MinCapacity=1, MaxCapacity=2
    )


def _target(inputs: Inputs) -> Mapping[str, Any]:
    return {"arn": f"arn:aws:application-autoscaling:::scalable-target/{inputs['resourceId']}"}


def _attempt_policy(aws: Clients) -> object:
    return aws.application_autoscaling.put_scaling_policy(
        **_SCALED,
        PolicyName="attempted",
        PolicyType="StepScaling",
        StepScalingPolicyConfiguration={
            "AdjustmentType": "ExactCapacity",
            "StepAdjustments": [{"ScalingAdjustment": 1, "MetricIntervalUpperBound": 0}],
        },
    )


def _policy(inputs: Inputs) -> Mapping[str, Any]:
    place = f"resource/{inputs['serviceNamespace']}/{inputs['resourceId']}"
    policy = f"{_SOME_ID}:{place}:policyName/{inputs['name']}"
    return {"arn": f"arn:aws:autoscaling:::scalingPolicy:{policy}"}


def _attempt_region_settings(aws: Clients) -> object:
    tables = {"DynamoDB": True}
    return aws.backup.update_region_settings(
        ResourceTypeOptInPreference=tables, ResourceTypeManagementPreference=tables
    )


def _attempt_log_of_firewall(aws: Clients) -> object:
    seen = {
        "SampledRequestsEnabled": False,
        "CloudWatchMetricsEnabled": False,
        "MetricName": "attempted",
    }
    acl = aws.wafv2.create_web_acl(
        Name="attempted", Scope="REGIONAL", DefaultAction={"Allow": {}}, VisibilityConfig=seen
    )
    group = f"arn:aws:logs:{aws.region}::log-group:aws-waf-logs-attempted"
    return aws.wafv2.put_logging_configuration(
        LoggingConfiguration={
            "ResourceArn": acl["Summary"]["ARN"],
            "LogDestinationConfigs": [group],
        }
    )


UNSUPPORTED: Mapping[str, Unsupported] = {
    "aws:backup/regionSettings:RegionSettings": Unsupported(
        "the emulator reads the account's consent to backups, and takes none: it knows no such "
        "route",
        _attempt_region_settings,
    ),
    "aws:appautoscaling/target:Target": Unsupported(
        "the emulator has no Application Auto Scaling: it answers 400", _attempt_target, _target
    ),
    "aws:appautoscaling/policy:Policy": Unsupported(
        "the emulator has no Application Auto Scaling: it answers 400", _attempt_policy, _policy
    ),
    "aws:wafv2/webAclLoggingConfiguration:WebAclLoggingConfiguration": Unsupported(
        "the emulator's firewall has no log: it knows no such call", _attempt_log_of_firewall
    ),
}


def _attempt_another_key(aws: Clients) -> object:
    aws.logs.create_log_group(logGroupName="attempted")
    return aws.logs.associate_kms_key(logGroupName="attempted", kmsKeyId="arn:aws:kms:::key/x")


def _attempt_another_client(aws: Clients) -> object:
    provider = aws.iam.create_open_id_connect_provider(
        Url="https://attempted.example.com", ClientIDList=["one"]
    )
    return aws.iam.add_client_id_to_open_id_connect_provider(
        OpenIDConnectProviderArn=provider["OpenIDConnectProviderArn"], ClientID="another"
    )


def _attempt_tags_of_dashboard(aws: Clients) -> object:
    aws.cloudwatch.put_dashboard(
        DashboardName="attempted",
        DashboardBody='{"widgets": []}',
        Tags=[{"Key": "key", "Value": "value"}],
    )
    [one] = aws.cloudwatch.list_dashboards(DashboardNamePrefix="attempted")["DashboardEntries"]
    return aws.cloudwatch.list_tags_for_resource(ResourceARN=one["DashboardArn"])


MISSING_CALLS: Mapping[str, MissingCall] = {
    "logs:AssociateKmsKey": MissingCall(
        "a log group keeps its key; another one is refused", _attempt_another_key
    ),
    "iam:AddClientIDToOpenIDConnectProvider": MissingCall(
        "an identity provider keeps its clients; others are refused", _attempt_another_client
    ),
    "cloudwatch:TagResource of a dashboard": MissingCall(
        "a dashboard that leaves the program stays: nothing says whose it is",
        _attempt_tags_of_dashboard,
    ),
}
