"""How a deploy ends that is told to, or that loses what it needs midway; what that leaves, and what
the next one makes of it."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Callable, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import psutil
import pytest
from botocore.exceptions import ClientError

from engine.healing.ten import EMPTY, NAME, STACK
from engine.healing.trials import LENGTH_S
from localcloud.cloud import ACCOUNT_ID
from operations.lease import DeployLease, table_name

IN_ORDER = "what it had begun was ended and is noted; the next deploy goes on from there"
LONG_S = 24.0  # a lease of which the second half is time enough for the engine's last step
WAITED = "waiting to see whether that is at work still"
LEFT = "when the last run was killed"


@pytest.fixture
def deploy(there):
    """A deploy that has stopped before its third change, of a version that is not there yet."""
    version = there.next_version()
    deploy = there.start(version, stop=there.stop_at("before", 3))
    assert deploy.wait_for_stop(), deploy.said()
    there.version = version
    return deploy


def lease_of(there):
    return DeployLease(there.project.emulator.client("dynamodb"), table_name(NAME), STACK).last()


def ended(deploy, code=1):
    said = deploy.said()
    assert deploy.process.returncode == code, said
    assert "Traceback" not in said
    return said


def test_told_once_it_ends_what_it_has_begun(there, deploy):
    """Ctrl-C, the first signal of a cancelled job, or a closed terminal."""
    deploy.process.send_signal(signal.SIGINT)
    time.sleep(0.5)
    deploy.let_go_on()
    assert IN_ORDER in ended(deploy)
    assert there.pending() == []
    assert lease_of(there).released is not None
    said = there.deploy(there.version)
    assert WAITED not in said
    assert LEFT not in said
    there.check(there.version)


@pytest.mark.parametrize("second", [signal.SIGINT, signal.SIGTERM])
def test_told_twice_it_kills_what_runs_and_does_not_give_the_lease_back(there, deploy, second):
    """As CI does that has no more patience: the second comes while the first is obeyed."""
    deploy.process.send_signal(signal.SIGINT)
    time.sleep(0.5)
    deploy.process.send_signal(second)
    said = ended(deploy)
    assert "it was killed in the middle of something, which the next deploy looks at" in said
    assert there.pending()
    assert lease_of(there).released is None
    deploy.let_go_on()
    said = there.deploy(there.version)
    assert WAITED in said
    assert LEFT in said
    there.check(there.version)


def test_told_twice_at_once_nothing_of_it_outlives_its_lease(there, deploy):
    """The second signal may come before anything was done about the first."""
    for number in (signal.SIGINT, signal.SIGTERM):
        deploy.process.send_signal(number)
    said = ended(deploy)
    assert lease_of(there).released is None, said
    deploy.let_go_on()
    assert LEFT in there.deploy(there.version)
    there.check(there.version)


def test_an_engine_that_something_else_kills_is_not_put_back_in_the_dark(there, deploy):
    """Such as for want of memory: what it was in the middle of may have a call under way."""
    [engine] = [
        one
        for one in psutil.Process(deploy.process.pid).children()
        if one.name().startswith("pulumi")
    ]
    engine.kill()
    said = ended(deploy)
    assert "something killed Pulumi in the middle of its work" in said
    assert lease_of(there).released is None
    deploy.let_go_on()
    assert LEFT in there.deploy(there.version)
    there.check(there.version)


def test_a_provider_that_something_else_kills_leaves_what_the_next_one_settles(there):
    """Pulumi itself takes the lost answer for a refusal, and forgets what was being made."""
    there.deploy(EMPTY)
    version = there.next_version()
    deploy = there.start(version, stop=there.stop_at("after", 1))
    assert deploy.wait_for_stop(), deploy.said()
    deploy.kill("provider")
    said = ended(deploy)
    assert "something killed Pulumi in the middle of its work" in said
    assert there.pending()
    assert lease_of(there).released is None
    assert "it is there: taken over" in there.deploy(version)
    there.check(version)


def test_told_and_then_killed_it_leaves_what_the_next_one_settles(there, deploy):
    deploy.process.send_signal(signal.SIGTERM)
    time.sleep(0.5)
    deploy.kill("all")
    assert LEFT in there.deploy(there.version)
    there.check(there.version)


@pytest.fixture
def person(there):
    """A person who may deploy, as the SDK has it; `end` takes the credentials away."""
    iam = there.project.emulator.client("iam")
    statement = {"Effect": "Allow", "Action": "*", "Resource": "*"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    iam.create_user(UserName="ana")
    iam.put_user_policy(UserName="ana", PolicyName="everything", PolicyDocument=policy)
    key = iam.create_access_key(UserName="ana")["AccessKey"]
    yield Person(
        {"AWS_ACCESS_KEY_ID": key["AccessKeyId"], "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"]},
        lambda: iam.update_access_key(
            UserName="ana", AccessKeyId=key["AccessKeyId"], Status="Inactive"
        ),
    )
    iam.delete_access_key(UserName="ana", AccessKeyId=key["AccessKeyId"])
    iam.delete_user_policy(UserName="ana", PolicyName="everything")
    iam.delete_user(UserName="ana")


@dataclass(frozen=True)
class Person:
    environment: Mapping[str, str]
    end: Callable[[], object]


def test_credentials_that_end_midway_end_it_in_order(there, person):
    """They cannot renew the lease, but what the engine has goes on for a while."""
    version = there.next_version()
    stop = there.stop_at("before", 3)
    deploy = there.start(version, stop=stop, environment=person.environment, length_s=2 * LENGTH_S)
    assert deploy.wait_for_stop(), deploy.said()
    person.end()
    time.sleep(LENGTH_S * 7 / 6)  # from the half of the lease on it is ended
    deploy.let_go_on()
    said = ended(deploy)
    assert "the deploy lease could not be renewed" in said
    assert "InvalidClientTokenId" in said or "UnrecognizedClientException" in said
    assert there.pending() == []
    assert WAITED in there.deploy(version)
    there.check(version)


def test_who_may_not_take_the_role_is_told_who_may(there, person):
    iam = there.project.emulator.client("iam")
    trust = {"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT_ID}:user/somebody"}}
    role = f"{NAME}-deploy"
    before = iam.get_role(RoleName=role)["Role"]["AssumeRolePolicyDocument"]
    document = {"Version": "2012-10-17", "Statement": [trust | {"Action": "sts:AssumeRole"}]}
    iam.update_assume_role_policy(RoleName=role, PolicyDocument=json.dumps(document))
    snapshot = there.snapshot()
    try:
        said = ended(there.start(there.next_version(), environment=person.environment))
    finally:
        iam.update_assume_role_policy(RoleName=role, PolicyDocument=json.dumps(before))
    assert "retainwise-bootstrap:deploy.people of Pulumi.dev.yaml" in said
    assert there.snapshot() == snapshot
    assert lease_of(there).released is not None


@contextmanager
def nobody_may(there, *actions):
    """Have the state's bucket refuse these to all, for the block."""
    s3, bucket = there.project.emulator.client("s3"), there.project.account(STACK).state_bucket
    before = s3.get_bucket_policy(Bucket=bucket)["Policy"]
    refusal = {
        "Effect": "Deny",
        "Principal": "*",
        "Action": actions,
        "Resource": [f"arn:aws:s3:::{bucket}/*"],
    }
    document = json.loads(before)
    policy = json.dumps(document | {"Statement": [*document["Statement"], refusal]})
    s3.put_bucket_policy(Bucket=bucket, Policy=policy)
    try:
        yield
    finally:
        s3.put_bucket_policy(Bucket=bucket, Policy=before)


def test_a_state_that_cannot_be_written_for_a_while_is_waited_for(there, deploy):
    emulator, bucket = there.project.emulator, there.project.account(STACK).state_bucket
    deployer = emulator.client("s3", emulator.as_role(f"{NAME}-deploy"))
    with nobody_may(there, "s3:PutObject"):
        with pytest.raises(ClientError, match="AccessDenied"):
            deployer.put_object(Bucket=bucket, Key=".pulumi/stacks/retainwise/probe", Body=b"")
        deploy.let_go_on()
        time.sleep(4)
    ended(deploy, code=0)
    there.check(there.version)


@pytest.mark.timeout(600)
def test_a_state_that_cannot_be_written_for_long_ends_it(there, deploy):
    with nobody_may(there, "s3:PutObject"):
        deploy.let_go_on()
        deploy.process.wait(400)  # Pulumi tries for a minute or two
        said = ended(deploy)
    assert "failed to save snapshot" in said
    assert "AccessDenied" in said
    assert LEFT in there.deploy(there.version)
    there.check(there.version)


@contextmanager
def standing_still(there):
    """Have all of the emulated AWS answer nothing, for the block."""
    process = psutil.Process(there.project.emulator.cloud.process.pid)
    process.suspend()
    try:
        yield
    finally:
        process.resume()


def test_when_aws_does_not_answer_it_ends_before_others_may_begin(there, deploy):
    with standing_still(there):
        deploy.let_go_on()
        said = ended(deploy)
        assert "the deploy lease could not be renewed" in said
    there.deploy(there.version)
    there.check(there.version)


@pytest.mark.parametrize("service", ["DYNAMODB", "S3", "STS"])
def test_what_cannot_be_reached_at_the_start_is_named_and_nothing_is_changed(there, service):
    before = there.snapshot()
    nobody = {f"AWS_ENDPOINT_URL_{service}": "http://127.0.0.1:9"}
    said = ended(there.start(there.next_version(), environment=nobody))
    assert "http://127.0.0.1:9" in said
    assert there.snapshot() == before
