"""The failure matrix: `make matrix` plays it, and writes what the whole of it saw into docs/.

    python -m failures.matrix [--seed 7]                all runs, written into docs/
    python -m failures.matrix --runs 6 --real 2         a few, only printed
    python -m failures.matrix --seed 7 --replay 17      one simulated run again, with its history

The figures are those of docs/failure-matrix.json, which docs/reliability.md shows.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from failures import steps
from failures.audit import Outcome
from failures.broken import MUTATIONS
from failures.plan import MAINS, Fault, Planned, plan
from failures.real import real_runs
from failures.world import play
from written import with_written

REAL = len(MAINS)  # one round: each fault at each step
RUNS = 5 * REAL
DOCS = Path(__file__).parents[3] / "docs"
EVIDENCE = DOCS / "failure-matrix.json"
DOCUMENT = DOCS / "reliability.md"
KINDS = ("lost", "stranded", "committed_twice", "illegal")
LANES = 3
_TELL_EVERY_S = 5.0


@dataclass(frozen=True)
class Seen:
    """What is kept of a run."""

    number: int
    is_real: bool
    struck: tuple[Planned, ...]
    wrong: dict[str, int]
    told: tuple[str, ...]
    calls: int
    took_s: float

    @classmethod
    def of(cls, outcome: Outcome, *, is_real: bool) -> Seen:
        told = outcome.found.all()
        return cls(
            outcome.plan.number,
            is_real,
            outcome.struck,
            outcome.found.counts(),
            tuple([*told, *outcome.history] if told else ()),
            outcome.calls,
            outcome.took_s,
        )


def simulated(seed: int, number: int, mutation: str | None = None) -> Seen:
    """Play one run in simulated time."""
    broken = [MUTATIONS[mutation]()] if mutation else []
    with tempfile.TemporaryDirectory(prefix="retainwise-matrix-") as folder:
        return Seen.of(play(plan(seed, number), Path(folder), *broken), is_real=False)


def real(seed: int, numbers: Iterable[int], mutation: str | None = None) -> Iterator[Seen]:
    """Play runs with real processes, one after the other."""
    with (
        tempfile.TemporaryDirectory(prefix="retainwise-matrix-") as folder,
        real_runs(Path(folder), mutation) as runs,
    ):
        for number in numbers:
            yield Seen.of(runs.run(plan(seed, number)), is_real=True)


def numbers_of(*faults: Fault, at: Collection[str] | None = None) -> list[int]:
    """The runs of the first round whose main fault is one of these; `at`: at one of these steps."""
    return [
        number
        for number, main in enumerate(MAINS)
        if main.fault in faults and (at is None or main.step in at)
    ]


def main() -> None:
    """Play the matrix; exit 1 when anything was lost, stranded, committed twice or illegal."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--seed", type=int, default=time.time_ns() % 1_000_000)
    parser.add_argument("--runs", type=int, default=RUNS, help="all of them together")
    parser.add_argument("--real", type=int, default=REAL, help="of these with real processes")
    parser.add_argument("--replay", type=int, metavar="NUMBER", help="one simulated run")
    given = parser.parse_args()
    if given.replay is not None:
        sys.exit(_replay(given.seed, given.replay))
    seen = [*_simulate(given.seed, given.runs - given.real), *_really(given.seed, given.real)]
    evidence = summary(given.seed, seen) | {"mutations": _mutations(given.seed)}
    if given.runs >= RUNS and given.real >= REAL:  # fewer are no evidence
        EVIDENCE.write_text(json.dumps(evidence, indent=1) + "\n")
        DOCUMENT.write_text(with_table(DOCUMENT.read_text(), evidence))
    tell(table(evidence))
    failed = [one for one in seen if one.told]
    for one in failed:
        kind = "real" if one.is_real else "simulated"
        tell(f"\n{kind} run {one.number} of seed {given.seed}:", *one.told, sep="\n  ")
    not_caught = [one["broken"] for one in evidence["mutations"] if not one["caught"]]
    for name in not_caught:
        tell(f"nothing was found although {name}")
    sys.exit(bool(failed or not_caught))


def _replay(seed: int, number: int) -> int:
    with tempfile.TemporaryDirectory(prefix="retainwise-matrix-") as folder:
        outcome = play(plan(seed, number), Path(folder))
    tell(*outcome.plan.faults, *outcome.plan.uploads, *outcome.history, sep="\n")
    tell(*outcome.found.all(), sep="\n")
    return bool(outcome.found.all())


def _pool(size: int | None) -> ProcessPoolExecutor:
    """Spawned, not forked: what a run leaves in the SDK's memory is no other's."""
    return ProcessPoolExecutor(size, mp_context=multiprocessing.get_context("spawn"))


def _simulate(seed: int, count: int) -> Iterator[Seen]:
    teller = _Teller("simulated", count)
    with _pool(os.cpu_count()) as pool:
        for one in pool.map(simulated, [seed] * count, range(count)):
            teller.one_more(one)
            yield one


def _really(seed: int, count: int) -> Iterator[Seen]:
    teller = _Teller("real", count)
    with _pool(LANES) as pool:
        # A few at a time, so that progress is shown.
        chunks = [range(begin, min(begin + 20, count)) for begin in range(0, count, 20)]
        for chunk in pool.map(_real_chunk, [seed] * len(chunks), chunks):
            for one in chunk:
                teller.one_more(one)
                yield one


def _real_chunk(seed: int, numbers: Sequence[int], mutation: str | None = None) -> list[Seen]:
    return list(real(seed, numbers, mutation))


def _mutations(seed: int) -> list[dict[str, Any]]:
    """Break the product in each way, and count the runs that notice."""
    numbers = numbers_of(Fault.NONE, Fault.STALL)
    really = numbers_of(Fault.STALL, at=(steps.FETCH, steps.SCORE, steps.RENEW, steps.HIDE))
    found = []
    for name in MUTATIONS:
        with _pool(os.cpu_count()) as pool:
            count = len(numbers)
            real_runs_of_it = pool.submit(_real_chunk, seed, really, name)
            played = list(pool.map(simulated, [seed] * count, numbers, [name] * count))
            played += real_runs_of_it.result()
        caught = Counter(one.is_real for one in played if one.told)
        tell(
            f"{name}: {caught[False]} of {count} simulated runs and "
            f"{caught[True]} of {len(really)} real ones"
        )
        found.append(
            {
                "broken": name,
                "simulated": count,
                "caught": caught[False],
                "real": len(really),
                "really_caught": caught[True],
            }
        )
    return found


def tell(*lines: object, sep: str = "\n") -> None:
    """Print at once."""
    print(*lines, sep=sep, flush=True)  # noqa: T201 - it is what a run is for


class _Teller:
    """Says now and then how far it is."""

    def __init__(self, what: str, count: int) -> None:
        self._what, self._count, self._done, self._wrong = what, count, 0, 0
        self._told_at = time.monotonic()

    def one_more(self, one: Seen) -> None:
        self._done += 1
        self._wrong += bool(one.told)
        if one.told:
            tell(f"{self._what} run {one.number}: {one.told[0]}")
        if time.monotonic() - self._told_at >= _TELL_EVERY_S or self._done == self._count:
            self._told_at = time.monotonic()
            tell(f"{self._done} of {self._count} {self._what} runs, {self._wrong} wrong")


# ---- what is written ----


def summary(seed: int, seen: Sequence[Seen]) -> dict[str, Any]:
    """Count what struck, at which step, and what came of it."""
    struck: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    for one in seen:
        faults = {(str(planned.fault), planned.step) for planned in one.struck}
        for fault in faults or {(str(Fault.NONE), "")}:
            struck[fault].update({"real" if one.is_real else "simulated": 1, **one.wrong})
    order = [str(fault) for fault in Fault]
    simulated_runs = [one for one in seen if not one.is_real]
    return {
        "seed": seed,
        "played": datetime.now(UTC).date().isoformat(),
        "runs": len(seen),
        "real": len(seen) - len(simulated_runs),
        "calls": sum(one.calls for one in seen),
        "simulated_hours": round(sum(one.took_s for one in simulated_runs) / 3600, 1),
        **_totals(one.wrong for one in seen),
        "faults": [
            {
                "fault": fault,
                "step": step,
                "simulated": count["simulated"],
                "real": count["real"],
                **{kind: count[kind] for kind in KINDS},
            }
            for (fault, step), count in sorted(
                struck.items(), key=lambda one: (order.index(one[0][0]), one[0][1])
            )
        ],
    }


def _totals(rows: Iterable[dict[str, int]]) -> dict[str, int]:
    total: Counter[str] = Counter()
    for row in rows:
        total.update(row)
    return {kind: total[kind] for kind in KINDS}


def table(evidence: dict[str, Any]) -> str:
    """What docs/reliability.md shows of it."""
    by_fault: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in evidence["faults"]:
        by_fault[row["fault"]].append(row)
    lines = [
        f"Seed {evidence['seed']}, {evidence['played']}: {evidence['runs']:,} runs, "
        f"{evidence['real']} of them with real processes and real signals; "
        f"{evidence['calls']:,} calls to AWS; "
        f"{evidence['simulated_hours']:g} hours of simulated time.",
        "",
        "| what goes wrong | at | simulated | real | lost | stranded | committed twice | illegal |",
        "| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for fault, rows in by_fault.items():
        places = sum(bool(row["step"]) for row in rows)
        at = f"{places} step{'s' if places > 1 else ''}" if places else ""
        counts = (sum(row[name] for row in rows) for name in ("simulated", "real", *KINDS))
        lines.append(f"| {fault} | {at} | {' | '.join(map(str, counts))} |")
    simulated_runs = evidence["runs"] - evidence["real"]
    whole = (simulated_runs, evidence["real"], *(evidence[kind] for kind in KINDS))
    lines.append(f"| **all runs** | | {' | '.join(f'**{count}**' for count in whole)} |")
    lines += ["", "| broken on purpose | simulated runs that notice | real runs that notice |"]
    lines += ["| --- | ---: | ---: |"]
    lines += [
        f"| {one['broken']} | {one['caught']} of {one['simulated']} "
        f"| {one['really_caught']} of {one['real']} |"
        for one in evidence["mutations"]
    ]
    return "\n".join(lines)


def with_table(document: str, evidence: dict[str, Any]) -> str:
    """Put the table of a run where the document shows it."""
    return with_written(document, "make matrix", table(evidence))


if __name__ == "__main__":
    main()
