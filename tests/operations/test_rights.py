"""The lease and the release records under CI's own roles, with IAM enforced."""

from __future__ import annotations

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
    """The lease and the records of a stack, with the policies of one of CI's roles."""

    def act(role):
        session = bootstrapped.as_twin_of(f"local-retainwise-{role}")
        dynamodb, s3 = (bootstrapped.client(name, session) for name in ("dynamodb", "s3"))
        return DeployLease(dynamodb, TABLE, "rights"), Releases(s3, BUCKET, "rights")

    return act


def test_a_deploy_leases_and_records_and_a_preview_looks_at_both(under):
    lease, releases = under("deploy")
    held = lease.renew(lease.take("ci", "deploy 1a2b3c4"))
    release = releases.finish(releases.start(**RELEASE), "good")

    seen_lease, seen_releases = under("preview")
    assert seen_lease.holder().token == held.token
    assert [*seen_releases.newest_first()] == [release]
    for write in (
        lambda: seen_lease.renew(held),
        lambda: seen_lease.break_(held, "ci"),
        lambda: seen_lease.release(held),
        lambda: seen_releases.start(**RELEASE),
    ):
        with pytest.raises(ClientError, match="AccessDenied"):
            write()

    lease.release(held)
    assert seen_lease.holder() is None
    with pytest.raises(ClientError, match="AccessDenied"):
        seen_lease.take("ci", "preview")
