"""A third service takes one new call in the program and one block in the stack's settings."""

from __future__ import annotations

import pytest

from localcloud.program import stack_config
from operations.graph import Graph
from questions import ALL
from third_service import BLOCK, with_third_service


@pytest.fixture(scope="module")
def with_reports(tmp_path_factory):
    return with_third_service(tmp_path_factory.mktemp("main"))


def test_it_gets_all_that_a_service_has(with_reports, graphs):
    added = {(one.type, one.name) for one in with_reports.resources} - {
        (one.type, one.name) for one in graphs["prod"].resources
    }
    kinds = sorted(kind.rpartition(":")[2] for kind, _ in added)
    assert {"LogGroup", "Role", "SecurityGroup", "Service", "TaskDefinition"} <= set(kinds)
    assert kinds.count("Role") == 2
    assert all("reports" in name for _, name in added)


@pytest.mark.parametrize("asked", ALL, ids=lambda asked: asked.name)
def test_it_is_held_to_what_the_others_are(with_reports, asked):
    assert [*asked.answer(with_reports)] == []


def test_a_wrong_block_is_named():
    config = stack_config("prod")
    bad = BLOCK | {"cpu": 300}
    config["retainwise:services"] = config["retainwise:services"] | {"reports": bad}
    with pytest.raises(Exception, match=r"retainwise:services\.reports\.cpu = 300"):
        Graph.of("prod", config)
