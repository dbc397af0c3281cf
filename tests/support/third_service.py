"""Production with a made-up third service: one new call in the program, one block in the stack."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from localcloud.program import SERVICE, stack_config
from operations.graph import Graph

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


def with_third_service(folder: Path) -> Graph:
    """Run the program with the call at its end; `folder` is where the changed one is put."""
    program = (SERVICE.main / "__main__.py").read_text()
    (folder / "__main__.py").write_text(f"from infra.identity import allow\n{program}{CALL}")
    config = stack_config("prod")
    config["retainwise:services"] = config["retainwise:services"] | {"reports": BLOCK}
    return Graph.of("prod", config, replace(SERVICE, main=folder))
