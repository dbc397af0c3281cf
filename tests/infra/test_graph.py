"""What the program declares, examined as a graph: no cloud, no engine."""

from __future__ import annotations

import json

import pytest

from operations.graph import ACCOUNT_ID
from questions import ALL

STACKS = ("prod", "dev", "local")


@pytest.mark.parametrize("stack", STACKS)
@pytest.mark.parametrize("asked", ALL, ids=lambda asked: asked.name)
def test_in_each_stack(graphs, stack, asked):
    assert [*asked.answer(graphs[stack])] == []


@pytest.mark.parametrize(
    ("asked", "broken"),
    [
        pytest.param(asked, broken, id=f"{asked.name} ({number})")
        for asked in ALL
        for number, broken in enumerate(asked.twins, start=1)
    ],
)
def test_a_broken_program_is_found_out(graphs, asked, broken):
    assert [*asked.answer(broken(graphs["prod"]))] != []


def test_each_question_has_a_twin():
    assert [asked.name for asked in ALL if not asked.twins] == []


def test_names_are_those_that_others_lean_on(graphs):
    prod = graphs["prod"]
    assert set(prod.all_of("Queue")) == {
        "prod-retainwise-predictions-queue",
        "prod-retainwise-predictions-dlq",
    }
    assert set(prod.all_of("Table")) == {"prod-retainwise-predictions"}
    assert set(prod.all_of("Bucket")) >= {
        f"prod-retainwise-uploads-{ACCOUNT_ID}",
        f"prod-retainwise-results-{ACCOUNT_ID}",
    }


def test_production_is_in_three_zones_and_dev_in_one(graphs):
    def zones(stack):
        names = graphs[stack].all_of("Subnet")
        return {name[-1] for name in names if "-private-" in name}

    assert zones("prod") == {"a", "b", "c"}
    assert zones("dev") == {"a"}


@pytest.mark.parametrize("before", [["a", "b", "c"], ["a", "c"], ["b"]], ids="".join)
def test_adding_a_zone_moves_no_subnet(declare, before):
    def blocks(zones):
        public = sorted({*zones, "a", "f"})
        graph = declare("prod", {"network": {"zones": zones, "public_zones": public}})
        return {name: one.inputs["cidrBlock"] for name, one in graph.all_of("Subnet").items()}

    after = blocks(["a", "b", "c", "d"])
    assert blocks(before).items() < after.items()
    assert len(set(after.values())) == len(after)


def test_what_a_service_runs_on_is_changed_in_place(graphs):
    # The provider replaces a service whose capacity changes, unless it may redeploy it.
    for stack in STACKS:
        services = graphs[stack].all_of("Service").values()
        assert [one.inputs.get("forceNewDeployment") for one in services] == [True, True]


def test_each_copy_that_fails_is_told_of(graphs):
    def copied(stack):
        return {
            (one.inputs["bucket"], rule["destination"]["bucket"].rpartition(":")[2], rule["id"])
            for one in graphs[stack].all_of("BucketReplicationConfig").values()
            for rule in one.inputs["rules"]
            if rule["destination"].get("metrics") == {"status": "Enabled"}
        }

    def watched(stack):
        alarm = graphs[stack].all_of("MetricAlarm").get(f"{stack}-retainwise-replication-failed")
        queries = alarm.inputs["metricQueries"] if alarm else []
        dimensions = (one["metric"]["dimensions"] for one in queries if "metric" in one)
        return {
            (one["SourceBucket"], one["DestinationBucket"], one["RuleId"]) for one in dimensions
        }

    assert watched("prod") == copied("prod") != set()
    assert watched("dev") == copied("dev") == set()


def test_what_is_kept_is_copied_to_the_recovery_region_by_setting(graphs, declare):
    prod = graphs["prod"]
    [replica] = prod.all_of("Table")["prod-retainwise-predictions"].inputs["replicas"]
    assert replica["regionName"] == "eu-central-1"
    assert replica["pointInTimeRecovery"] is True
    sources = {one.inputs["bucket"] for one in prod.all_of("BucketReplicationConfig").values()}
    assert sources == {f"prod-retainwise-{what}-{ACCOUNT_ID}" for what in ("uploads", "results")}
    away = {one.inputs.get("region") for one in prod.all_of("Bucket", "Vault").values()}
    assert away == {None, "eu-central-1"}

    alone = declare("prod", {"data": {"recovery_region": None}})
    assert not alone.all_of("BucketReplicationConfig")
    assert "replicas" not in alone.all_of("Table")["prod-retainwise-predictions"].inputs


def test_workers_follow_the_backlog_and_leave_when_idle(graphs):
    policies = graphs["prod"].all_of("Policy")
    follows = policies["prod-retainwise-worker-follows"].inputs
    configuration = follows["targetTrackingScalingPolicyConfiguration"]
    assert configuration["disableScaleIn"] is True
    [math] = [
        one["expression"]
        for one in configuration["customizedMetricSpecification"]["metrics"]
        if "expression" in one
    ]
    assert math == "IF(running > 0, waiting / running, waiting)"
    idle = graphs["prod"].all_of("MetricAlarm")["prod-retainwise-worker-idle"].inputs
    assert "(waiting + in_flight) / running" in json.dumps(idle["metricQueries"])


def test_the_worker_runs_on_spare_capacity_by_setting(declare):
    graph = declare("prod", {"worker": {"spot": True}})
    providers = {
        name: one.inputs["capacityProviderStrategies"][0]["capacityProvider"]
        for name, one in graph.all_of("Service").items()
    }
    assert providers == {
        "prod-retainwise-web": "FARGATE",
        "prod-retainwise-worker": "FARGATE_SPOT",
    }


def test_container_definitions_are_canonical(graphs):
    for task_definition in graphs["prod"].all_of("TaskDefinition").values():
        text = task_definition.inputs["containerDefinitions"]
        assert text == json.dumps(json.loads(text), sort_keys=True, separators=(",", ":"))
        [definition] = json.loads(text)
        for part in ("environment", "secrets"):
            names = [one["name"] for one in definition.get(part, ())]
            assert names == sorted(names)


def test_nobody_outside_the_account_reads_the_recovery_copies(graphs):
    for name, document in graphs["prod"].policies():
        for statement in document["Statement"]:
            principal = statement.get("Principal")
            if statement["Effect"] == "Allow" and principal == "*":
                assert name.startswith("VpcEndpoint "), name  # there it is who comes from inside
