"""A third service takes one new call in the program and one block in the stack's settings."""

from __future__ import annotations

from dataclasses import replace

import pytest

from localcloud.program import SERVICE, stack_config
from operations.graph import Graph
from questions import ALL

CALL = """
Service(
    "reports",
    settings.services.reports,
    place,
    command=["retainwise", "reports"],
    environment={"PREDICTIONS_TABLE": storage.table.name},
    may=[allow("dynamodb:Query", on=storage.table.arn)],
)
"""
BLOCK = {"image_digest": f"sha256:{'1' * 64}", "cpu": 256, "memory_mib": 512, "tasks": 1}


@pytest.fixture(scope="module")
def with_reports(tmp_path_factory):
    """Production with the made-up service in it."""
    program, tmp_path = (SERVICE.main / "__main__.py").read_text(), tmp_path_factory.mktemp("main")
    (tmp_path / "__main__.py").write_text(f"from infra.identity import allow\n{program}{CALL}")
    config = stack_config("prod")
    config["retainwise:services"] = config["retainwise:services"] | {"reports": BLOCK}
    return Graph.of("prod", config, replace(SERVICE, main=tmp_path))


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
