"""What the bootstrap declares, asked in words; each question is also asked of a broken graph."""

from __future__ import annotations

import dataclasses
import json
import time

import pulumi_aws as aws
import pytest

from infra.tags import takes_tags

ACCOUNT_ID = "111122223333"
BUCKET = f"prod-retainwise-state-{ACCOUNT_ID}"
COPY = f"prod-retainwise-state-recovery-{ACCOUNT_ID}"
KEY = f"arn:aws:kms:eu-west-1:{ACCOUNT_ID}:key/mrk-1"
KEY_COPY = f"arn:aws:kms:eu-central-1:{ACCOUNT_ID}:key/mrk-1"
KEY_TO_ALL = json.dumps({"Statement": [{"Principal": "*", "Action": ["kms:*"]}]})
STATEFUL = ("Bucket", "Key", "ReplicaKey", "Repository", "Table")
LONGEST_WINDOW_DAYS = 30  # docs.aws.amazon.com/kms/latest/APIReference/API_ScheduleKeyDeletion.html
# GitHub's action asks for an hour if nothing else is said: github.com/aws-actions/
# configure-aws-credentials. What is stolen from a run is of use to the end of its session.
SHORTEST_SESSION_S, LONGEST_SESSION_S = 60 * 60, 2 * 60 * 60
NAMED_BY = ("bucket", "roleName", "role", "repository", "name")


def name_of(resource):
    for key in NAMED_BY:
        if key in resource.inputs:
            return resource.inputs[key].removeprefix("alias/")
    return None


def of_each_bucket(graph, kind):
    """The settings of one kind, by the bucket that they are of."""
    settings = {one.inputs["bucket"]: one.inputs for one in graph.of(kind).values()}
    return {name: settings.get(name, {}) for name in graph.of("Bucket")}


def named_outside_the_environment(graph):
    return {
        name
        for one in graph.resources
        if (name := name_of(one)) and not name.startswith("prod-retainwise-")
    }


def of_the_stateful(graph):
    return [one for kind in STATEFUL for one in graph.of(kind).values()]


def lost_by_a_wrong_destroy(graph):
    return {one.name for one in of_the_stateful(graph) if not one.protect}


def deleted_after_its_successor_is_made(graph):
    # A key has no name of its own.
    stateful = [one for one in of_the_stateful(graph) if "Key" not in one.type]
    return {one.name for one in stateful if not one.delete_before_replace}


def emptied_when_deleted(graph):
    return {
        one.name
        for one in of_the_stateful(graph)
        if one.inputs.get("forceDestroy") or one.inputs.get("forceDelete")
    }


def deletable_in_aws(graph):
    return {
        name
        for name, one in graph.of("Table").items()
        if not one.inputs["deletionProtectionEnabled"]
    }


def buckets_without_versions(graph):
    versioning = of_each_bucket(graph, "BucketVersioning")
    enabled = {"status": "Enabled"}
    return {
        name for name, one in versioning.items() if one.get("versioningConfiguration") != enabled
    }


def buckets_that_answer_plain_http(graph):
    def refuses(bucket, text):
        return json.loads(text)["Statement"] == [
            {
                "Sid": "OnlyByTls",
                "Effect": "Deny",
                "Principal": "*",
                "Action": "s3:*",
                "Resource": [f"arn:aws:s3:::{bucket}", f"arn:aws:s3:::{bucket}/*"],
                "Condition": {"Bool": {"aws:SecureTransport": "false"}},
            }
        ]

    policies = of_each_bucket(graph, "BucketPolicy")
    return {name for name, one in policies.items() if not one or not refuses(name, one["policy"])}


def buckets_readable_without_our_key(graph):
    def key(inputs):
        [rule] = inputs.get("rules", [{}])
        default = rule.get("applyServerSideEncryptionByDefault", {})
        return default.get("sseAlgorithm") == "aws:kms" and default["kmsMasterKeyId"]

    encryption = of_each_bucket(graph, "BucketServerSideEncryptionConfiguration")
    keys = {name: KEY_COPY if "recovery" in name else KEY for name in encryption}
    return {name for name, inputs in encryption.items() if key(inputs) != keys[name]}


def buckets_that_could_become_public(graph):
    blocks = of_each_bucket(graph, "BucketPublicAccessBlock")
    flags = ("blockPublicAcls", "blockPublicPolicy", "ignorePublicAcls", "restrictPublicBuckets")
    return {name for name, one in blocks.items() if not all(one.get(flag) for flag in flags)}


def buckets_with_objects_of_others(graph):
    controls = of_each_bucket(graph, "BucketOwnershipControls")
    enforced = {"objectOwnership": "BucketOwnerEnforced"}
    return {name for name, one in controls.items() if one.get("rule") != enforced}


def buckets_that_only_grow(graph):
    def whole(inputs, effect):
        return any(
            rule["filter"] == {"prefix": ""} and rule["status"] == "Enabled" and effect in rule
            for rule in inputs.get("rules", [])
        )

    effects = ("abortIncompleteMultipartUpload", "noncurrentVersionExpiration")
    lifecycles = of_each_bucket(graph, "BucketLifecycleConfiguration")
    return {name for name, one in lifecycles.items() if not all(whole(one, e) for e in effects)}


def buckets_whose_versions_can_be_deleted(graph):
    locks = of_each_bucket(graph, "BucketObjectLockConfiguration")
    retention = {"defaultRetention": {"mode": "GOVERNANCE", "days": 30}}
    return {
        name
        for name, one in locks.items()
        if not graph.of("Bucket")[name].inputs["objectLockEnabled"] or one.get("rule") != retention
    }


def keys_that_are_never_rotated(graph):
    return {name for name, one in graph.of("Key").items() if not one.inputs["enableKeyRotation"]}


def keys_that_go_sooner_than_aws_can_wait(graph):
    return {
        name
        for kind in ("Key", "ReplicaKey")
        for name, one in graph.of(kind).items()
        if one.inputs["deletionWindowInDays"] != LONGEST_WINDOW_DAYS
    }


def keys_that_can_never_be_copied(graph):
    return {name for name, one in graph.of("Key").items() if not one.inputs["multiRegion"]}


def copies_that_open_nothing(graph):
    return {
        name
        for name, one in graph.of("ReplicaKey").items()
        if one.inputs["primaryKeyArn"] != KEY or one.inputs["region"] != "eu-central-1"
    }


def keys_that_allow_anything(graph):
    documents = {
        name: json.loads(one.inputs["policy"])
        for kind in ("Key", "ReplicaKey")
        for name, one in graph.of(kind).items()
    }
    return {
        name
        for name, document in documents.items()
        for statement in document["Statement"]
        if any("*" in action for action in statement["Action"])
        or statement["Principal"] != {"AWS": f"arn:aws:iam::{ACCOUNT_ID}:root"}
    }


def tables_that_cannot_be_had_back(graph):
    return {
        name
        for name, one in graph.of("Table").items()
        if one.inputs["pointInTimeRecovery"] != {"enabled": True}
        or one.inputs["serverSideEncryption"] != {"enabled": True, "kmsKeyArn": KEY}
    }


def images_that_can_change_under_their_tag(graph):
    return {
        name
        for name, one in graph.of("Repository").items()
        if one.inputs["imageTagMutability"] != "IMMUTABLE"
    }


def images_nobody_looks_into(graph):
    return {
        name
        for name, one in graph.of("Repository").items()
        if one.inputs["imageScanningConfiguration"] != {"scanOnPush": True}
    }


def images_readable_without_our_key(graph):
    ours = [{"encryptionType": "KMS", "kmsKey": KEY}]
    return {
        name
        for name, one in graph.of("Repository").items()
        if one.inputs["encryptionConfigurations"] != ours
    }


def repositories_that_only_grow(graph):
    def counts(name):
        policy = graph.of("LifecyclePolicy").get(name)
        rules = json.loads(policy.inputs["policy"])["rules"] if policy else []
        return [(r["selection"]["tagStatus"], r["selection"]["countNumber"]) for r in rules]

    kept = [("untagged", 7), ("tagged", 50)]
    return {name for name in graph.of("Repository") if counts(name) != kept}


def sessions_of_another_length_than_a_deploy_needs(graph):
    return {
        name
        for name, one in graph.of("Role").items()
        if "sts:AssumeRoleWithWebIdentity" in one.inputs["assumeRolePolicy"]
        and not SHORTEST_SESSION_S <= one.inputs.get("maxSessionDuration", 0) <= LONGEST_SESSION_S
    }


def providers_that_vouch_to_others_than_sts(graph):
    return {
        name
        for name, one in graph.of("OpenIdConnectProvider").items()
        if one.inputs["clientIdLists"] != ["sts.amazonaws.com"]
        or one.inputs["url"] != "https://token.actions.githubusercontent.com"
    }


def regions_where_no_plan_backs_a_table_up(graph):
    # Without the second there is no copy into another region:
    # docs.aws.amazon.com/aws-backup/latest/devguide/advanced-ddb-backup.html
    consents = ("resourceTypeOptInPreference", "resourceTypeManagementPreference")
    settings = graph.of("RegionSettings") or {"none": None}
    return {
        name
        for name, one in settings.items()
        if one is None or not all(one.inputs.get(key, {}).get("DynamoDB") for key in consents)
    }


def without_tags(graph):
    tags = {"project": "retainwise", "environment": "prod", "managed-by": "pulumi"}
    return {
        one.name
        for one in graph.resources
        if takes_tags(class_of(one.type)) and one.inputs.get("tags") != tags
    }


def class_of(kind):
    _, path, name = kind.split(":")
    return getattr(getattr(aws, path.split("/")[0]), name)


# Each question, and what to do to a declared resource to be told of it; None takes it away.
QUESTIONS = [
    (named_outside_the_environment, "Table", {"name": "prod-lease"}),
    (lost_by_a_wrong_destroy, "Bucket", {"protect": False}),
    (deleted_after_its_successor_is_made, "Bucket", {"delete_before_replace": False}),
    (emptied_when_deleted, "Bucket", {"forceDestroy": True}),
    (deletable_in_aws, "Table", {"deletionProtectionEnabled": False}),
    (buckets_without_versions, "BucketVersioning", None),
    (buckets_that_answer_plain_http, "BucketPolicy", None),
    (buckets_that_answer_plain_http, "BucketPolicy", {"policy": '{"Statement": []}'}),
    (buckets_readable_without_our_key, "BucketServerSideEncryptionConfiguration", None),
    (buckets_that_could_become_public, "BucketPublicAccessBlock", None),
    (buckets_that_could_become_public, "BucketPublicAccessBlock", {"ignorePublicAcls": False}),
    (buckets_with_objects_of_others, "BucketOwnershipControls", None),
    (buckets_that_only_grow, "BucketLifecycleConfiguration", None),
    (buckets_whose_versions_can_be_deleted, "Bucket", {"objectLockEnabled": False}),
    (buckets_whose_versions_can_be_deleted, "BucketObjectLockConfiguration", None),
    (keys_that_are_never_rotated, "Key", {"enableKeyRotation": False}),
    (keys_that_go_sooner_than_aws_can_wait, "Key", {"deletionWindowInDays": 7}),
    (keys_that_go_sooner_than_aws_can_wait, "ReplicaKey", {"deletionWindowInDays": 7}),
    (keys_that_can_never_be_copied, "Key", {"multiRegion": False}),
    (copies_that_open_nothing, "ReplicaKey", {"primaryKeyArn": KEY.replace("mrk-1", "mrk-2")}),
    (keys_that_allow_anything, "Key", {"policy": KEY_TO_ALL}),
    (tables_that_cannot_be_had_back, "Table", {"pointInTimeRecovery": None}),
    (images_that_can_change_under_their_tag, "Repository", {"imageTagMutability": "MUTABLE"}),
    (images_nobody_looks_into, "Repository", {"imageScanningConfiguration": None}),
    (images_readable_without_our_key, "Repository", {"encryptionConfigurations": []}),
    (repositories_that_only_grow, "LifecyclePolicy", None),
    (sessions_of_another_length_than_a_deploy_needs, "Role", {"maxSessionDuration": 12 * 60 * 60}),
    (sessions_of_another_length_than_a_deploy_needs, "Role", {"maxSessionDuration": 15 * 60}),
    (providers_that_vouch_to_others_than_sts, "OpenIdConnectProvider", {"clientIdLists": ["x"]}),
    (providers_that_vouch_to_others_than_sts, "OpenIdConnectProvider", {"url": "https://x"}),
    (regions_where_no_plan_backs_a_table_up, "RegionSettings", {"resourceTypeOptInPreference": {}}),
    (
        regions_where_no_plan_backs_a_table_up,
        "RegionSettings",
        {"resourceTypeManagementPreference": {"DynamoDB": False}},
    ),
    (without_tags, "Role", {"tags": {"project": "retainwise"}}),
]


@pytest.mark.parametrize("question", dict.fromkeys(one[0] for one in QUESTIONS))
def test_there_is_nothing(prod, question):
    assert question(prod) == set()


@pytest.mark.parametrize(("question", "kind", "changes"), QUESTIONS)
def test_if_there_were_it_would_be_told(prod, question, kind, changes):
    _, broken = min(prod.of(kind).items())
    prod.resources.remove(broken)
    if changes is not None:
        guards = {
            key: changes[key] for key in changes.keys() & {"protect", "delete_before_replace"}
        }
        inputs = {**broken.inputs, **{key: changes[key] for key in changes.keys() - guards.keys()}}
        prod.resources.append(dataclasses.replace(broken, inputs=inputs, **guards))
    assert question(prod) == {(changes or {}).get("name", broken.name)}


def test_names_are_those_that_others_lean_on(prod):
    assert set(prod.of("Bucket")) == {BUCKET, COPY}
    assert set(prod.of("Table")) == {"prod-retainwise-deploy-lease"}
    assert set(prod.of("Repository")) == {"prod-retainwise-web", "prod-retainwise-worker"}
    assert {one.inputs["name"] for one in prod.of("Alias").values()} == {
        "alias/prod-retainwise-state"
    }
    assert set(prod.of("Role")) == {
        "prod-retainwise-preview",
        "prod-retainwise-deploy",
        "prod-retainwise-state-replication",
    }
    assert "prod-retainwise-boundary" in prod.of("Policy")


def test_the_lease_is_one_item_for_each_stack_and_none_expires(prod):
    [table] = prod.of("Table").values()
    assert table.inputs["hashKey"] == "stack"
    assert table.inputs["attributes"] == [{"name": "stack", "type": "S"}]
    assert table.inputs["billingMode"] == "PAY_PER_REQUEST"
    assert "ttl" not in table.inputs


def test_all_of_the_state_is_copied_to_the_recovery_region(prod):
    [replication] = prod.of("BucketReplicationConfig").values()
    [rule] = replication.inputs["rules"]
    assert replication.inputs["bucket"] == BUCKET
    assert rule["filter"] == {"prefix": ""}
    assert rule["destination"] == {
        "bucket": f"arn:aws:s3:::{COPY}",
        "storageClass": "STANDARD",
        "encryptionConfiguration": {"replicaKmsKeyId": KEY_COPY},
    }
    of_the_copy = [one for one in prod.resources if one.name == COPY]
    assert len(of_the_copy) == 8
    assert {one.inputs["region"] for one in of_the_copy} == {"eu-central-1"}


def test_s3_alone_takes_the_role_that_copies_which_names_both_buckets(prod):
    role = prod.of("Role")["prod-retainwise-state-replication"]
    [trust] = json.loads(role.inputs["assumeRolePolicy"])["Statement"]
    assert trust["Principal"] == {"Service": "s3.amazonaws.com"}
    assert "Condition" not in trust  # S3 does not say for whom it replicates
    policy = json.loads(prod.of("RolePolicy")["prod-retainwise-state-replication"].inputs["policy"])
    buckets = {
        resource.removesuffix("/*")
        for statement in policy["Statement"]
        for resource in statement["Resource"]
        if ":s3:::" in resource
    }
    assert buckets == {f"arn:aws:s3:::{BUCKET}", f"arn:aws:s3:::{COPY}"}


def test_a_stack_that_may_be_torn_down_is_not_guarded(declare):
    graph = declare("dev")
    assert lost_by_a_wrong_destroy(graph) == {one.name for one in of_the_stateful(graph)}
    assert deletable_in_aws(graph) == {"dev-retainwise-deploy-lease"}
    assert len(emptied_when_deleted(graph)) == 3  # the bucket and the images


def test_without_a_recovery_region_or_a_lock_there_is_neither(declare):
    graph = declare("dev")
    assert set(graph.of("Bucket")) == {f"dev-retainwise-state-{ACCOUNT_ID}"}
    for kind in ("BucketReplicationConfig", "BucketObjectLockConfiguration", "ReplicaKey"):
        assert graph.of(kind) == {}
    assert not any(one.inputs["objectLockEnabled"] for one in graph.of("Bucket").values())
    assert set(graph.of("Role")) == {"dev-retainwise-preview", "dev-retainwise-deploy"}


def test_a_provider_that_the_account_has_already_is_used_and_not_declared(declare):
    graph = declare("prod", {"github": {"provider_exists": True}})
    assert graph.of("OpenIdConnectProvider") == {}
    [trust, _] = json.loads(graph.of("Role")["prod-retainwise-deploy"].inputs["assumeRolePolicy"])[
        "Statement"
    ]
    assert trust["Principal"] == {
        "Federated": f"arn:aws:iam::{ACCOUNT_ID}:oidc-provider/token.actions.githubusercontent.com"
    }


def test_a_run_takes_less_than_a_second(declare):
    def seconds():
        started = time.process_time()  # of our own: the machine may be busy with other things
        declare("prod")
        return time.process_time() - started

    assert min(seconds() for _ in range(3)) < 1
