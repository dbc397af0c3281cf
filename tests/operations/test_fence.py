"""Sessions that end with the lease, as the emulator's IAM judges them."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from botocore.exceptions import ClientError

from emulator import REGION
from infra.lease_item import Holder
from localcloud.cloud import ACCOUNT_ID
from operations import fence as fencing
from operations.account import StackAccount
from operations.fence import Fence, MayNotDeploy

LENGTH = timedelta(seconds=6)
LONG = timedelta(minutes=1)
STATE = f"local-retainwise-state-{ACCOUNT_ID}"


@pytest.fixture
def account(bootstrapped, monkeypatch):
    bootstrapped.as_root(monkeypatch)
    return StackAccount("local", REGION, ACCOUNT_ID, bootstrapped.cloud.session(REGION))


@pytest.fixture
def fence(account, tmp_path):
    return Fence(account, tmp_path, LENGTH)


@pytest.fixture
def long(account, tmp_path):
    return Fence(account, tmp_path, LONG)


def holder(owner="ana@laptop", ago_s=0.0):
    now = datetime.now(UTC) - timedelta(seconds=ago_s)
    return Holder("1", owner, "deploy", now, now, now + LENGTH)


def put(account):
    account.session.client("s3").put_object(
        Bucket=STATE, Key=".pulumi/stacks/retainwise/probe.json", Body=b"{}"
    )


def test_a_session_changes_the_state_until_its_end_and_nothing_afterwards(fence):
    fence.renew(holder())
    account = fence.account
    put(account)
    time.sleep(LENGTH.total_seconds())
    with pytest.raises(ClientError, match="explicit deny"):
        put(account)
    fence.renew(holder())
    put(account)


def test_a_call_that_was_signed_before_the_end_and_is_sent_after_it_is_refused(fence):
    fence.renew(holder())
    account = fence.account
    account.session.events.register("before-send.s3.PutObject", lambda **_: time.sleep(6))
    with pytest.raises(ClientError, match="explicit deny"):
        put(account)


def test_without_the_denial_it_would_not_be(fence, monkeypatch):
    everything = {"Effect": "Allow", "Action": "*", "Resource": "*"}
    policy = {"Version": "2012-10-17", "Statement": [everything]}
    monkeypatch.setattr(fencing, "_until", lambda _end: policy)
    fence.renew(holder(ago_s=60))
    put(fence.account)


def test_it_ends_before_the_lease_does_and_leaves_services_to_what_they_have_begun():
    end = datetime(2026, 3, 3, 2, 30, tzinfo=UTC)
    [_, denial, _] = fencing._until(end)["Statement"]
    assert denial["Effect"] == "Deny"
    assert denial["Condition"] == {
        "DateGreaterThanEquals": {"aws:CurrentTime": "2026-03-03T02:30:00Z"},
        "BoolIfExists": {"aws:ViaAWSService": "false"},
    }
    assert len(json.dumps(fencing._until(end))) < 2_048  # AWS's limit


def test_it_opens_no_other_session(long, account):
    long.renew(holder())
    with pytest.raises(ClientError, match="explicit deny"):
        long.account.session.client("sts").assume_role(
            RoleArn=account.deploy_role_arn, RoleSessionName="endless"
        )


def test_another_process_has_it_and_none_of_ours(long, tmp_path, monkeypatch):
    long.renew(holder())
    monkeypatch.setenv("AWS_PROFILE", "somebody")
    given = {**os.environ, **long.environment()}
    environment = {name: value for name, value in given.items() if value is not None}
    ask = "import boto3; print(boto3.client('sts').get_caller_identity()['Arn'])"
    done = subprocess.run(
        [sys.executable, "-c", ask], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip().endswith(":assumed-role/local-retainwise-deploy/ana@laptop")
    file = tmp_path / "credentials.json"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    said = json.loads(file.read_text("utf-8"))
    # It is asked for again well before its end, and used to it where no newer one is to be had.
    early = datetime.fromisoformat(said["Expiration"])
    long.use_to_the_end()
    assert early < datetime.fromisoformat(json.loads(file.read_text("utf-8"))["Expiration"])


@pytest.mark.parametrize("owner", ["ana in run 81204", "ä", "x" * 100])
def test_whatever_the_holder_is_called_the_session_has_a_name(long, owner):
    long.renew(holder(owner))
    put(long.account)


def test_who_may_not_take_the_role_is_told_who_may(fence, account, bootstrapped, tmp_path):
    other = replace(account, session=bootstrapped.as_twin_of("local-retainwise-preview"))
    with pytest.raises(MayNotDeploy, match=r"retainwise-bootstrap:deploy\.people of Pulumi\.local"):
        Fence(other, tmp_path, LENGTH).renew(holder())
