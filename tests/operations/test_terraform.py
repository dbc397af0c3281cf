"""The translation into a Terraform plan: names, nesting, and what refers to what."""

from __future__ import annotations

import pytest

from localcloud.program import Declared
from operations.graph import Graph
from operations.terraform import plan_of, type_of, values_of
from questions import changed, without

BUCKET = "aws_s3_bucket.prod_retainwise_uploads_111122223333"


@pytest.fixture(scope="module")
def prod() -> Graph:
    return Graph.of("prod")


def expressions(graph: Graph, kind: str, name: str) -> dict:
    configured = plan_of(graph)["configuration"]["root_module"]["resources"]
    [found] = [one for one in configured if one["address"] == f"{kind}.{name}"]
    return found["expressions"]


@pytest.mark.parametrize(
    ("theirs", "ours"),
    {
        "aws:sqs/queue:Queue": "aws_sqs_queue",
        "aws:ec2/vpc:Vpc": "aws_vpc",
        "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule": (
            "aws_vpc_security_group_ingress_rule"
        ),
        "aws:lb/loadBalancer:LoadBalancer": "aws_lb",
        "aws:s3/bucketReplicationConfig:BucketReplicationConfig": (
            "aws_s3_bucket_replication_configuration"
        ),
    }.items(),
)
def test_types_are_terraforms(theirs, ours):
    assert type_of(theirs) == ours


@pytest.mark.parametrize(
    ("inputs", "values"),
    [
        ({"cidrIpv4": "0.0.0.0/0"}, {"cidr_ipv4": "0.0.0.0/0"}),
        ({"ttl": {"attributeName": "at"}}, {"ttl": [{"attribute_name": "at"}]}),
        ({"defaultAction": {"allow": {}}}, {"default_action": [{"allow": [{}]}]}),
        (
            {"globalSecondaryIndexes": [{"keySchemas": [{"keyType": "HASH"}]}]},
            {"global_secondary_index": [{"key_schema": [{"key_type": "HASH"}]}]},
        ),
        ({"aliases": [{"zoneId": "Z1"}]}, {"alias": [{"zone_id": "Z1"}]}),
        ({"subnetIds": ["a", "b"]}, {"subnet_ids": ["a", "b"]}),
        ({"clientIdLists": ["a"]}, {"client_id_list": ["a"]}),
        ({"tags": {"managedBy": "pulumi"}}, {"tags": {"managedBy": "pulumi"}}),
        ({"kmsKeyId": None, "ingress": []}, {}),
    ],
)
def test_names_and_nesting_are_terraforms(inputs, values):
    assert values_of(Declared("aws:none/none:None", "any", inputs, protect=False)) == values


def test_a_property_with_another_name_is_found_under_it():
    alarm = Declared("aws:cloudwatch/metricAlarm:MetricAlarm", "any", {"name": "a"}, protect=False)
    assert values_of(alarm) == {"alarm_name": "a"}


def test_every_resource_has_an_address_of_its_own(prod):
    planned = plan_of(prod)["planned_values"]["root_module"]["resources"]
    assert len({one["address"] for one in planned}) == len(planned) == len(prod.resources)


def test_references_are_those_that_the_program_makes(prod):
    name = "prod_retainwise_uploads_111122223333"
    assert expressions(prod, "aws_s3_bucket_versioning", name) == {
        "bucket": {"references": [f"{BUCKET}.id"]}
    }
    balanced = expressions(prod, "aws_lb", "prod_retainwise")
    assert {name for name, one in balanced.items() if one["references"]} == {
        "access_logs",
        "security_groups",
        "subnets",
    }


def test_what_is_gone_is_not_referred_to(prod):
    def uses_key(graph):
        return "kms_key_arn" in expressions(graph, "aws_backup_vault", "prod_retainwise_backup")

    assert uses_key(prod)
    assert not uses_key(without("Key")(prod))
    assert not uses_key(changed("Vault", lambda inputs: inputs.update(kmsKeyArn=None))(prod))
