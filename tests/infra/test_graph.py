"""What the program declares, examined as a graph: no cloud, no engine."""

from __future__ import annotations

import json

import pytest

ACCOUNT_ID = "111122223333"
STATEFUL = ("Bucket", "Table", "Queue")


@pytest.fixture
def prod(declare):
    return declare("prod")


def container(graph, service, stack="prod"):
    task_definition = graph.of("TaskDefinition")[f"{stack}-retainwise-{service}"]
    [definition] = json.loads(task_definition.inputs["containerDefinitions"])
    return definition


def environment(graph, service, stack="prod"):
    return {one["name"]: one["value"] for one in container(graph, service, stack)["environment"]}


def test_names_are_those_that_others_lean_on(prod):
    assert set(prod.of("Queue")) == {
        "prod-retainwise-predictions-queue",
        "prod-retainwise-predictions-dlq",
    }
    assert set(prod.of("Table")) == {"prod-retainwise-predictions"}
    assert set(prod.of("Bucket")) == {
        f"prod-retainwise-uploads-{ACCOUNT_ID}",
        f"prod-retainwise-results-{ACCOUNT_ID}",
    }


def test_what_must_not_be_lost_is_protected_and_can_be_restored(prod):
    stateful = [one for kind in STATEFUL for one in prod.of(kind).values()]
    assert len(stateful) == 5
    assert all(one.protect for one in stateful)
    table = prod.of("Table")["prod-retainwise-predictions"].inputs
    assert table["pointInTimeRecovery"] == {"enabled": True}
    assert table["deletionProtectionEnabled"] is True
    versioned = {one.inputs["bucket"] for one in prod.of("BucketVersioning").values()}
    assert versioned == set(prod.of("Bucket"))


def test_the_parts_of_an_upload_that_was_killed_do_not_stay(prod):
    lifecycles = prod.of("BucketLifecycleConfiguration")
    assert {one.inputs["bucket"] for one in lifecycles.values()} == set(prod.of("Bucket"))
    for lifecycle in lifecycles.values():
        [rule] = lifecycle.inputs["rules"]
        assert rule["status"] == "Enabled"
        assert rule["filter"] == {"prefix": ""}  # the whole bucket
        assert rule["abortIncompleteMultipartUpload"] == {"daysAfterInitiation": 1}


def test_no_bucket_can_become_public(prod):
    blocks = prod.of("BucketPublicAccessBlock")
    assert set(blocks) == set(prod.of("Bucket"))
    for block in blocks.values():
        assert all(value is True for key, value in block.inputs.items() if key != "bucket")


def test_a_message_is_hidden_for_the_lease_and_never_expires_by_moving(declare):
    graph = declare("prod", {"predictions": {"lease_s": 45}})
    queue = graph.of("Queue")["prod-retainwise-predictions-queue"].inputs
    dlq = graph.of("Queue")["prod-retainwise-predictions-dlq"].inputs
    assert queue["visibilityTimeoutSeconds"] == 45
    assert environment(graph, "worker")["LEASE_S"] == "45"
    assert dlq["messageRetentionSeconds"] == 14 * 24 * 3600 > queue["messageRetentionSeconds"]
    assert json.loads(queue["redrivePolicy"])["maxReceiveCount"] == 50
    [allowed] = graph.of("RedriveAllowPolicy").values()
    assert json.loads(allowed.inputs["redriveAllowPolicy"])["redrivePermission"] == "byQueue"


def test_each_service_gets_exactly_its_environment(prod, declare):
    shared = {
        "RETAINWISE_ENV",
        "PREDICTIONS_QUEUE_URL",
        "PREDICTIONS_TABLE",
        "UPLOADS_BUCKET",
        "RESULTS_BUCKET",
        "MODEL_DIR",
        "RESEND_AFTER_S",
    }
    worker = {
        "PREDICTIONS_DLQ_URL",
        "LEASE_S",
        "MAX_ATTEMPTS",
        "JOB_PROCESSES",
        "JOB_THREADS",
        "STOP_BUDGET_S",
        "POLL_WAIT_S",
        "SWEEP_EVERY_S",
    }
    # Nobody signs in to production yet: the app refuses to start without a provider.
    assert set(environment(prod, "web")) == shared | {
        "MAX_UPLOAD_BYTES",
        "REQUESTS_PER_MINUTE",
        "UPLOADS_PER_MINUTE",
    }
    assert set(environment(prod, "worker")) == shared | worker
    assert environment(declare("local"), "web", "local")["IDENTITY_PROVIDER"] == "demo"


def test_container_definitions_are_canonical(prod):
    for task_definition in prod.of("TaskDefinition").values():
        text = task_definition.inputs["containerDefinitions"]
        assert text == json.dumps(json.loads(text), sort_keys=True, separators=(",", ":"))
        [definition] = json.loads(text)
        names = [one["name"] for one in definition["environment"]]
        assert names == sorted(names)


@pytest.mark.parametrize("service", ["web", "worker"])
def test_a_task_stops_in_its_own_time_and_writes_only_to_scratch(prod, service):
    definition = container(prod, service)
    assert definition["command"][:2] == ["retainwise", service]
    assert definition["stopTimeout"] == 120
    assert definition["readonlyRootFilesystem"] is True
    assert definition["linuxParameters"] == {"initProcessEnabled": True}
    assert [one["containerPath"] for one in definition["mountPoints"]] == ["/tmp"]
    assert "@sha256:" in definition["image"]


def test_tasks_are_private_and_nothing_lets_anybody_in(prod):
    assert len(prod.of("Subnet")) == 2
    assert not any(one.inputs["mapPublicIpOnLaunch"] for one in prod.of("Subnet").values())
    groups = prod.of("SecurityGroup")
    assert len(groups) == 2
    for group in groups.values():
        assert group.inputs["ingress"] == []
        [egress] = group.inputs["egress"]
        assert egress["cidrBlocks"] == ["10.20.0.0/16"]
        assert (egress["fromPort"], egress["toPort"]) == (443, 443)
    for service in prod.of("Service").values():
        assert service.inputs["networkConfiguration"]["assignPublicIp"] is False


def statements(graph):
    for policy in graph.of("RolePolicy").values():
        for statement in json.loads(policy.inputs["policy"])["Statement"]:
            yield policy.name, statement


def test_no_action_is_a_wildcard(prod):
    for name, statement in statements(prod):
        assert not [action for action in statement["Action"] if "*" in action], name


def test_resources_are_exact_but_for_objects_and_log_streams(prod):
    for name, statement in statements(prod):
        for resource in statement["Resource"]:
            if resource == "*":  # AWS takes nothing narrower for this one
                assert statement["Action"] == ["ecr:GetAuthorizationToken"], name
            elif "*" in resource:
                assert resource.endswith(("/uploads/*", "/results/*", ":log-stream:*")), name


def test_only_ecs_acting_for_this_account_may_take_a_role(prod):
    roles = prod.of("Role")
    assert len(roles) == 4
    for role in roles.values():
        [trust] = json.loads(role.inputs["assumeRolePolicy"])["Statement"]
        assert trust["Principal"] == {"Service": "ecs-tasks.amazonaws.com"}
        assert trust["Condition"]["StringEquals"] == {"aws:SourceAccount": ACCOUNT_ID}


def test_the_program_is_the_same_in_every_stack(prod, declare):
    local = declare("local")
    assert sorted(one.type for one in local.resources) == sorted(one.type for one in prod.resources)
