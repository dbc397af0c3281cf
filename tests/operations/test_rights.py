"""The lease and the release records under CI's own roles, with IAM enforced."""

from __future__ import annotations

import json

import pytest
from botocore.exceptions import ClientError

from localcloud.cloud import ACCOUNT_ID
from operations.lease import DeployLease
from operations.releases import Releases

TABLE = "local-retainwise-deploy-lease"
BUCKET = f"local-retainwise-state-{ACCOUNT_ID}"
RELEASE = {
    "revision": None,
    "dirty": False,
    "images": {},
    "configuration": {},
    "who": "ci",
    "what": "deploy",
}


@pytest.fixture
def under(bootstrapped):
    """The lease and the records of a stack, with the policies of one of CI's roles.

    Only GitHub may take the role itself, so a twin has them that the account's root may take.
    """
    iam, twins = bootstrapped.client("iam"), []
    root = {"AWS": f"arn:aws:iam::{ACCOUNT_ID}:root"}
    trust = {"Effect": "Allow", "Principal": root, "Action": "sts:AssumeRole"}

    def act(role):
        twin = f"twin-of-{role}"
        document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
        iam.create_role(RoleName=twin, AssumeRolePolicyDocument=document)
        answer = iam.list_attached_role_policies(RoleName=f"local-retainwise-{role}")
        arns = [one["PolicyArn"] for one in answer["AttachedPolicies"]]
        twins.append((twin, arns))
        for arn in arns:
            iam.attach_role_policy(RoleName=twin, PolicyArn=arn)
        session = bootstrapped.as_role(twin)
        dynamodb, s3 = (bootstrapped.client(name, session) for name in ("dynamodb", "s3"))
        return DeployLease(dynamodb, TABLE, "rights"), Releases(s3, BUCKET, "rights")

    yield act
    for twin, arns in twins:
        for arn in arns:
            iam.detach_role_policy(RoleName=twin, PolicyArn=arn)
        iam.delete_role(RoleName=twin)


def test_a_deploy_leases_and_records_and_a_preview_looks_at_both(under):
    lease, releases = under("deploy")
    held = lease.renew(lease.take("ci", "deploy 1a2b3c4"))
    release = releases.finish(releases.start(**RELEASE), "good")

    seen_lease, seen_releases = under("preview")
    assert seen_lease.holder().token == held.token
    assert [*seen_releases.newest_first()] == [release]
    for write in (
        lambda: seen_lease.take("ci", "preview"),
        lambda: seen_lease.renew(held),
        lambda: seen_lease.release(held),
        lambda: seen_releases.start(**RELEASE),
    ):
        with pytest.raises(ClientError, match="AccessDenied"):
            write()

    lease.release(held)
    assert seen_lease.holder() is None
