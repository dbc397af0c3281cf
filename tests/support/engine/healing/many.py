"""Many deploys that are killed, bereft of their provider, raced and stalled: `make test-engine`.

    python -m engine.healing.many [--seed 7]                all, written into docs/
    python -m engine.healing.many --killed 5 --raced 5 …    a few, only printed
    python -m engine.healing.many --raced 0 --stalled 0     some kinds of them anew

The figures are those of docs/deploys-healed.json, which docs/infrastructure.md shows.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import random
import statistics
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from engine.healing.trials import LENGTH_S, a_field, bereft, killed, raced, stalled
from written import with_written

DOCS = Path(__file__).parents[4] / "docs"
EVIDENCE = DOCS / "deploys-healed.json"
DOCUMENT = DOCS / "infrastructure.md"
TRIALS: Mapping[str, Callable[..., Mapping[str, Any]]] = {
    "killed": killed,
    "bereft": bereft,
    "raced": raced,
    "stalled": stalled,
}
RUNS = {"killed": 50, "bereft": 10, "raced": 50, "stalled": 20}
# Some are killed under the lease that teams have: what they lose is measured with these.
OF_A_TEAM, TEAMS_LENGTH_S = 5, 60.0
AT_ONCE = 3
LEAST_BETWEEN = 10
"""How many are to be killed after the cloud acted and before the state was written."""


@dataclass(frozen=True)
class Lane:
    """Trials of one kind, one after the other in an account of their own."""

    kind: str
    runs: int
    seed: int
    part: int = 0
    teams: int = 0

    def play(self) -> list[Mapping[str, Any]]:
        """Play them all; print one line for each."""
        chance = random.Random(f"{self.seed} {self.kind} {self.part}")
        seen = []
        with a_field() as there:
            for number in range(1, self.runs + 1):
                how: dict[str, Any] = {}
                if self.kind in ("killed", "bereft") and number % 3 == 0:
                    how["where"] = "after"
                if number <= self.teams:
                    how["length_s"] = TEAMS_LENGTH_S
                began = time.monotonic()
                try:
                    told = TRIALS[self.kind](there, chance, **how)
                except AssertionError as exc:  # now: the other lanes go on for long
                    click.echo(f"{self.kind} {number} of {self.runs} is wrong: {exc}")
                    raise
                took_s = time.monotonic() - began
                kept = {key: value for key, value in told.items() if not key.startswith("said")}
                seen.append({"lease_s": how.get("length_s", LENGTH_S), **kept})
                done = f"{self.kind} {number} of {self.runs}"
                click.echo(f"{done}: {took_s:.0f} s, {json.dumps(kept)}")
        return seen


def main(arguments: Sequence[str] | None = None) -> None:
    """Play all; write what was seen into docs/ where it was all of it."""
    parser = argparse.ArgumentParser(prog="make test-engine", description=__doc__.split(":")[0])
    parser.add_argument("--seed", type=int, default=random.randrange(1_000_000))
    for kind, runs in RUNS.items():
        parser.add_argument(f"--{kind}", type=int, default=runs, metavar="RUNS")
    given = vars(parser.parse_args(arguments))
    click.echo(f"seed {given['seed']}")
    whole = {kind: given[kind] >= runs for kind, runs in RUNS.items()}
    teams = OF_A_TEAM if whole["killed"] else 0
    lanes = [lane for lane in _lanes(given, teams) if lane.runs > 0]
    seen: dict[str, list[Mapping[str, Any]]] = {kind: [] for kind in RUNS}
    # Each in a process of its own: the environment of a project is the process's.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(AT_ONCE, mp_context=context) as pool:
        played = [pool.submit(lane.play) for lane in lanes]
        for lane, one in zip(lanes, played, strict=True):
            seen[lane.kind] += one.result()
    evidence: dict[str, Any] = {
        kind: {"seed": given["seed"], "trials": trials} for kind, trials in seen.items()
    }
    if between(evidence) < LEAST_BETWEEN * given["killed"] / RUNS["killed"]:
        sys.exit("too few were killed after the cloud acted and before the state was written")
    if any(whole.values()):
        before = json.loads(EVIDENCE.read_text("utf-8"))
        evidence = {kind: evidence[kind] if whole[kind] else before[kind] for kind in RUNS}
    told = table(evidence)
    click.echo(told)
    if any(whole.values()):
        EVIDENCE.write_text(json.dumps(evidence, indent=1) + "\n", "utf-8")
        document = DOCUMENT.read_text("utf-8")
        DOCUMENT.write_text(with_written(document, "make test-engine", told), "utf-8")


def _lanes(given: Mapping[str, int], teams: int) -> Iterator[Lane]:
    """Share the trials out, the longest first: most of each kind's time is waiting."""
    quarter = given["killed"] // 4  # those of a team take twice as long
    rest = given["killed"] - quarter
    yield Lane("killed", quarter, given["seed"], teams=teams)
    yield Lane("killed", rest - rest // 2, given["seed"], part=1)
    yield Lane("killed", rest // 2, given["seed"], part=2)
    yield Lane("bereft", given["bereft"], given["seed"])
    yield Lane("raced", given["raced"], given["seed"])
    yield Lane("stalled", given["stalled"], given["seed"])


def between(evidence: Mapping[str, Any]) -> int:
    """Count the deploys that were killed after the cloud acted and before the state knew."""
    return sum(
        one["where"] == "after" and bool(one["noted_as_begun"])
        for one in evidence["killed"]["trials"]
    )


def table(evidence: Mapping[str, Any]) -> str:
    """Tell what was seen."""
    all_killed, all_bereft, all_raced, all_stalled = (evidence[kind]["trials"] for kind in RUNS)
    noted = Counter(what for one in all_killed for what in one["noted_as_begun"])
    codes = Counter(tuple(sorted(one["codes"])) for one in all_raced)
    lost = [one["to_next_done_s"] for one in all_killed if one["lease_s"] == TEAMS_LENGTH_S]
    where = Counter(one["where"] for one in all_stalled)
    told_noted = ", ".join(f"{many} {what}" for what, many in sorted(noted.items()))
    rows = [
        (
            "killed with SIGKILL, then deployed again",
            len(all_killed),
            f"each next deploy went on by itself; {between(evidence)} were killed after the cloud "
            f"acted and before the state was written; noted as begun: {told_noted or 'nothing'}",
        ),
        (
            "its provider alone killed with SIGKILL, then deployed again",
            len(all_bereft),
            "each next deploy went on by itself",
        ),
        (
            "two started together",
            len(all_raced),
            f"never both at work; {codes[0, 3]} times one was refused, {codes[0, 0]} times it went "
            "on after the other had ended",
        ),
        (
            "stalled past the lease, then woken",
            len(all_stalled),
            "nothing changed, in the account or in the state; stalled "
            + ", ".join(f"{many} {one}" for one, many in sorted(where.items())),
        ),
    ]
    lines = ["| deploys | times | seen |", "| --- | --- | --- |"]
    lines += [f"| {what} | {many} | {told} |" for what, many, told in rows]
    if lost:
        lines += [
            "",
            f"From the kill to the end of the next deploy, started at once, a team loses "
            f"**{min(lost):.0f} to {max(lost):.0f} s**, median {statistics.median(lost):.0f} s: "
            f"so in {len(lost)} of these, with the lease of {TEAMS_LENGTH_S:.0f} s that deploys "
            f"have. Most of it is the wait for its end. The others had one of {LENGTH_S:.0f} s. "
            f"The seeds were {', '.join(str(evidence[kind]['seed']) for kind in RUNS)}.",
        ]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
