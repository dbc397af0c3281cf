"""What a CPU second of a worker costs on Fargate, from the price table that docs/cost.md shows."""

from __future__ import annotations

from dataclasses import dataclass

from operations.cost import lines_of
from operations.example_load import LOADS
from operations.graph import Graph
from operations.prices import read_prices

STACK = "prod"


@dataclass(frozen=True)
class WorkerPrice:
    """List price of a vCPU of a worker's task with the memory and the disk that come with it."""

    region: str
    usd_per_vcpu_hour: float

    def of(self, cpu_s: float) -> float:
        """Return the price in USD of so many CPU seconds."""
        return cpu_s / 3600 * self.usd_per_vcpu_hour


def worker_price() -> WorkerPrice:
    """Read it off the bill of the stack in production."""
    graph = Graph.of(STACK)
    lines = {
        line.what: line
        for line in lines_of(graph, read_prices(), LOADS[STACK])
        if line.service == "Fargate" and line.what.startswith("worker: ")
    }
    month = sum(line.month for line in lines.values())
    return WorkerPrice(graph.region, float(month / lines["worker: vCPU"].quantity))
