"""What the settings of the two programs must agree on, for each stack that has both."""

from __future__ import annotations

import pytest

from localcloud.program import BOOTSTRAP, stack_config


@pytest.fixture(params=["prod", "dev"])
def both(request):
    return stack_config(request.param), stack_config(request.param, BOOTSTRAP)


def test_a_deploy_may_write_into_the_zone_of_the_edge(both):
    service, bootstrap = both
    zone = service["retainwise:edge"]["hosted_zone_id"]
    assert zone in bootstrap["retainwise-bootstrap:deploy"]["hosted_zone_ids"]


def test_the_region_and_the_recovery_region_are_the_same(both):
    service, bootstrap = both
    assert service["aws:region"] == bootstrap["aws:region"]
    away = service["retainwise:data"].get("recovery_region")
    assert away == bootstrap["retainwise-bootstrap:state"].get("recovery_region")
