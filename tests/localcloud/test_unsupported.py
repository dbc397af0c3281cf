"""The tables of what the emulator cannot do are true, and `apply` says what it passed over."""

from __future__ import annotations

import pytest
from botocore.exceptions import ClientError

from localcloud.kinds.base import Clients, Unapplicable
from localcloud.kinds.unsupported import MISSING_CALLS, UNSUPPORTED

SCALED = """
import pulumi_aws as aws
target = aws.appautoscaling.Target("web", service_namespace="ecs", resource_id="service/a/b",
    scalable_dimension="ecs:service:DesiredCount", min_capacity=1, max_capacity=2)
policy = aws.appautoscaling.Policy("web", name="web", service_namespace="ecs",
    resource_id="service/a/b", scalable_dimension="ecs:service:DesiredCount",
    policy_type="StepScaling", step_scaling_policy_configuration={
        "adjustment_type": "ExactCapacity",
        "step_adjustments": [{"scaling_adjustment": 1, "metric_interval_upper_bound": "0"}]})
aws.sns.Topic("told", name="told", tags={"by": policy.arn})
"""


def test_what_the_emulator_is_said_not_to_do_it_does_not_do(emulator):
    aws = Clients(emulator.session, emulator.endpoint)
    for row in [*UNSUPPORTED.values(), *MISSING_CALLS.values()]:
        with pytest.raises(ClientError):  # it works now? Then describe it, and take its row out
            row.attempt(aws)


def test_what_cannot_be_created_is_passed_over_and_told(emulator, small):
    applied = small(SCALED)
    assert sorted(applied.skipped) == [
        "aws:appautoscaling/policy:Policy web",
        "aws:appautoscaling/target:Target web",
    ]
    topic = f"arn:aws:sns:eu-west-1:{'0' * 12}:told"
    tags = emulator.client("sns").list_tags_for_resource(ResourceArn=topic)["Tags"]
    [by] = [one["Value"] for one in tags if one["Key"] == "by"]
    assert by.endswith(":resource/ecs/service/a/b:policyName/web")


def test_an_input_that_no_kind_describes_is_named_with_where_to_describe_it(small):
    program = """
import pulumi_aws as aws
aws.sqs.Queue("late", name="late", delay_seconds=5)
"""
    said = r"know delaySeconds of aws:sqs/queue:Queue \(late\): .*localcloud/kinds/sqs\.py"
    with pytest.raises(Unapplicable, match=said):
        small(program)
