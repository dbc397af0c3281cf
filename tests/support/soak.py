"""Ten thousand predictions while workers are killed: `make soak`.

Real workers, as their image starts them, share one emulated cloud. Every few seconds one of them is
killed, or told to stop, and replaced; one is left alone, to see whether its memory grows. In the
end every prediction must be there, once and whole. The figures go into docs/soak.json, and from
there into docs/reliability.md.
"""

from __future__ import annotations

import argparse
import csv
import io
import json
import os
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import psutil

from emulator import acting_in, of_this_machine, running_emulator
from localcloud.program import CHECKOUT
from made_cloud import Cloud, make_cloud
from model.artifact import SHIPPED
from predictions.record import Prediction, Status
from product import TELCO, wait_for
from worker import heartbeat
from written import with_written

FIGURES = CHECKOUT / "docs" / "soak.json"
DOCUMENT = CHECKOUT / "docs" / "reliability.md"
MIB = 1024 * 1024
SAMPLE_EVERY_S = 2.0
TELL_EVERY_S = 15.0
START_S = 120
STOP_S = 120
FLAT_MIB = 8
"""The most that the memory of a process may grow, from its first tenth of samples on."""

FEWEST_JOBS = 1000
"""A shorter life says nothing about memory."""


@dataclass(frozen=True)
class Plan:
    """What is to happen; the same seed kills the same workers after the same pauses."""

    seed: int
    predictions: int = 10_000
    workers: int = 6
    accounts: int = 8
    kill_after_s: tuple[float, float] = (3.0, 7.0)
    most_kills: int = 1_000_000
    sigterm_share: float = 0.25
    most_waiting: int = 300
    """Messages; more would wait for longer than the worker's resend time."""
    timeout_s: float = 3600
    settings: dict[str, str] = field(default_factory=dict)
    """Variables of the worker that differ from production's."""


@dataclass(frozen=True)
class Memory:
    """Of the worker that is never killed, in MiB: medians of the second and the last tenth."""

    jobs: int
    parent_before: float
    parent_after: float
    job_process_before: float
    job_process_after: float

    @property
    def is_flat(self) -> bool:
        """Whether neither process grew by more than is stated."""
        return (
            self.parent_after - self.parent_before <= FLAT_MIB
            and self.job_process_after - self.job_process_before <= FLAT_MIB
        )


@dataclass
class Figures:
    """What came of it."""

    seed: int
    predictions: int
    workers: int
    accounts: int
    took_s: float = 0
    sigkills: int = 0
    sigterms: int = 0
    statuses: dict[str, int] = field(default_factory=dict)
    attempts: dict[str, int] = field(default_factory=dict)
    committed_twice: int = 0
    not_whole: int = 0
    bad_exits: list[int] = field(default_factory=list)
    messages_left: int = 0
    dead_letters: int = 0
    memory: Memory | None = None

    @property
    def faults(self) -> list[str]:
        """What must not be, in words."""
        found = {
            "not COMPLETED": self.predictions - self.statuses.get(Status.COMPLETED, 0),
            "committed twice": self.committed_twice,
            "without all of their rows": self.not_whole,
            f"workers that ended otherwise, {self.bad_exits}": len(self.bad_exits),
            "messages left": self.messages_left,
            "dead letters": self.dead_letters,
            "worker whose memory grew": self.memory is not None and not self.memory.is_flat,
        }
        return [f"{int(count)} {what}" for what, count in found.items() if count]


class Worker:
    """One `retainwise worker`, with a temporary folder and a log of its own."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        folder.mkdir()
        self._folder = folder
        self._log = folder / "log"
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "retainwise", "worker"],
                env={**environment, "TMPDIR": str(folder)},
                cwd=CHECKOUT,
                stdout=log,
                stderr=log,
            )
        self.is_stopping = False

    @property
    def is_ready(self) -> bool:
        """Whether it takes jobs."""
        return (self._folder / heartbeat.FILE).exists() and not self.is_stopping

    def completed(self) -> list[str]:
        """Which predictions it said to have completed."""
        lines = self._log.read_text(errors="replace").splitlines()
        return [json.loads(line)["prediction"] for line in lines if '"job_completed"' in line]

    def rss_bytes(self) -> tuple[int, int] | None:
        """What the parent and its job process take now; None while there are not both."""
        try:
            parent = psutil.Process(self.process.pid)
            job = next(c for c in parent.children() if "--multiprocessing-fork" in c.cmdline())
            return parent.memory_info().rss, job.memory_info().rss
        except (psutil.NoSuchProcess, StopIteration):
            return None


class Soak:
    """Runs a plan in a cloud; `folder` is for logs and temporary files."""

    def __init__(self, plan: Plan, cloud: Cloud, folder: Path) -> None:
        self._plan = plan
        self._cloud = cloud
        self._folder = folder
        self._chance = random.Random(plan.seed)
        self._environment = {
            **os.environ,
            **cloud.environment(),
            "MODEL_DIR": str(SHIPPED),
            **plan.settings,
        }
        self._ever: list[Worker] = []
        self._files: dict[str, list[str]] = {}  # prediction → the ids of its customers
        self._samples: list[tuple[int, int]] = []
        self.figures = Figures(plan.seed, plan.predictions, plan.workers, plan.accounts)

    def run(self) -> Figures:
        """Do it all, and judge what is there at the end."""
        with self._crew() as crew:
            wait_for(
                lambda: all(worker.is_ready for worker in crew),
                timeout_s=START_S,
                what="workers that can take jobs",
            )
            began = time.monotonic()
            submitter = threading.Thread(target=self._submit_all, daemon=True)
            submitter.start()
            self._kill_until_done(crew, submitter, began)
            self.figures.took_s = round(time.monotonic() - began, 1)
            self._stop(crew)
        self._judge()
        return self.figures

    # ---- the analysts ----

    def _submit_all(self) -> None:
        table = TELCO.read_text().splitlines()
        header, rows = table[0], table[1:]
        chance = random.Random(self._plan.seed + 1)
        for number in range(self._plan.predictions):
            chosen = chance.sample(rows, chance.randint(5, 40))
            account = f"account-{number % self._plan.accounts}"
            content = "\n".join([header, *chosen, ""]).encode()
            prediction = self._cloud.submit(content, account=account)
            self._cloud.queue.send(prediction)
            self._files[prediction.id] = [row.split(",", 1)[0] for row in chosen]
            while number % 20 == 0 and sum(self._cloud.messages()) > self._plan.most_waiting:
                time.sleep(0.2)

    # ---- the workers ----

    @contextmanager
    def _crew(self) -> Iterator[list[Worker]]:
        crew = [self._hire() for _ in range(self._plan.workers)]
        try:
            yield crew
        finally:
            for worker in self._ever:
                worker.process.kill()  # its job process ends by itself
                worker.process.wait()

    def _hire(self) -> Worker:
        worker = Worker(self._folder / f"worker-{len(self._ever)}", self._environment)
        self._ever.append(worker)
        return worker

    def _kill_until_done(
        self, crew: list[Worker], submitter: threading.Thread, began: float
    ) -> None:
        kill_at = time.monotonic() + self._pause_s()
        tell_at = sample_at = 0.0
        while submitter.is_alive() or not self._is_done():
            now = time.monotonic()
            if now - began > self._plan.timeout_s:
                return  # what is missing is told by the figures
            if now >= kill_at:
                self._kill_one(crew)
                kill_at = now + self._pause_s()
            if now >= sample_at and (sample := crew[0].rss_bytes()):
                self._samples.append(sample)
                sample_at = now + SAMPLE_EVERY_S
            if now >= tell_at:
                tell(self._progress(now - began))
                tell_at = now + TELL_EVERY_S
            self._replace_ended(crew)
            time.sleep(0.2)

    def _kill_one(self, crew: list[Worker]) -> None:
        """The first is left alone."""
        ready = [worker for worker in crew[1:] if worker.is_ready]
        if not ready or self.figures.sigkills + self.figures.sigterms == self._plan.most_kills:
            return
        worker = self._chance.choice(ready)
        if self._chance.random() < self._plan.sigterm_share:
            self.figures.sigterms += 1
            worker.is_stopping = True
            worker.process.send_signal(signal.SIGTERM)
        else:
            self.figures.sigkills += 1
            worker.process.kill()

    def _replace_ended(self, crew: list[Worker]) -> None:
        for place, worker in enumerate(crew):
            code = worker.process.poll()
            if code is not None:
                if code != (0 if worker.is_stopping else -signal.SIGKILL):
                    self.figures.bad_exits.append(code)
                crew[place] = self._hire()

    def _stop(self, crew: list[Worker]) -> None:
        ready = [worker for worker in crew if worker.is_ready]  # before that, it just dies
        for worker in ready:
            worker.process.send_signal(signal.SIGTERM)
        for worker in ready:
            if code := worker.process.wait(STOP_S):
                self.figures.bad_exits.append(code)

    def _pause_s(self) -> float:
        return self._chance.uniform(*self._plan.kill_after_s)

    # ---- what there is ----

    def _accounts(self) -> list[str]:
        return [f"account-{number}" for number in range(self._plan.accounts)]

    def _is_done(self) -> bool:
        return sum(self._cloud.messages()) == 0 and not any(
            self._cloud.store.page(account, status=status, limit=1).predictions
            for account in self._accounts()
            for status in (Status.QUEUED, Status.PROCESSING)
        )

    def _progress(self, seconds: float) -> str:
        kills = self.figures.sigkills + self.figures.sigterms
        return (
            f"{seconds:6.0f} s: {len(self._files):,} of {self._plan.predictions:,} submitted, "
            f"{sum(self._cloud.messages())} messages, {kills} workers ended"
        )

    def _predictions(self) -> Iterator[Prediction]:
        for account in self._accounts():
            cursor: str | None = None
            while True:
                page = self._cloud.store.page(account, cursor=cursor, limit=100)
                yield from page.predictions
                cursor = page.next_cursor
                if cursor is None:
                    break

    def _judge(self) -> None:
        figures = self.figures
        found = list(self._predictions())
        figures.statuses = dict(Counter(str(one.status) for one in found))
        figures.attempts = dict(Counter(str(one.attempt) for one in found))
        said = Counter(name for worker in self._ever for name in worker.completed())
        figures.committed_twice = sum(count > 1 for count in said.values())
        figures.not_whole = sum(
            not self._is_whole(one) for one in found if one.status is Status.COMPLETED
        )
        figures.messages_left = sum(self._cloud.messages())
        figures.dead_letters = sum(self._cloud.messages(self._cloud.dlq_url))
        figures.memory = self._memory()

    def _is_whole(self, prediction: Prediction) -> bool:
        """Whether the one result that the record names has the rows that were uploaded."""
        wanted, result = self._files[prediction.id], prediction.result
        if result is None or prediction.completed_by is None or result.rows != len(wanted):
            return False
        if f"/{prediction.id}/{prediction.attempt}/" not in result.key:
            return False
        chunks, _ = self._cloud.files.open_result(prediction)
        rows = csv.DictReader(io.StringIO(b"".join(chunks).decode(), newline=""))
        return [row["customerID"] for row in rows] == wanted

    def _memory(self) -> Memory | None:
        jobs = len(self._ever[0].completed())
        if jobs < FEWEST_JOBS:
            return None
        tenth = len(self._samples) // 10
        before, after = self._samples[tenth : 2 * tenth], self._samples[-tenth:]

        def mib(samples: list[tuple[int, int]], which: int) -> float:
            return round(statistics.median(sample[which] for sample in samples) / MIB, 1)

        return Memory(jobs, mib(before, 0), mib(after, 0), mib(before, 1), mib(after, 1))


def soak(plan: Plan, folder: Path) -> Figures:
    """Run a plan in an emulated cloud of its own."""
    with (
        running_emulator(folder / "cloud") as emulator,
        acting_in(of_this_machine(emulator.endpoint)),
    ):
        return Soak(plan, make_cloud("soak"), folder).run()


def text(figures: dict[str, Any]) -> str:
    """Say in the document's words what the figures are."""
    attempts = {int(number): count for number, count in figures["attempts"].items()}
    again = sum(count for number, count in attempts.items() if number > 1)
    memory = figures["memory"]
    return "\n".join(
        [
            "| | |",
            "| --- | --- |",
            f"| predictions, of {figures['accounts']} accounts | {figures['predictions']:,} |",
            f"| workers at a time, for {figures['took_s'] / 60:.0f} minutes "
            f"| {figures['workers']} |",
            f"| killed with SIGKILL | {figures['sigkills']} |",
            f"| stopped with SIGTERM | {figures['sigterms']} |",
            f"| COMPLETED | {figures['statuses'].get('COMPLETED', 0):,} |",
            f"| of these at a second attempt or a later one | {again} |",
            f"| committed twice | {figures['committed_twice']} |",
            f"| COMPLETED without each of its rows | {figures['not_whole']} |",
            f"| messages left in the queue, dead letters "
            f"| {figures['messages_left']}, {figures['dead_letters']} |",
            f"| jobs of the worker that was left alone | {memory['jobs']:,} |",
            "| memory of its parent process, early and at the end "
            f"| {memory['parent_before']:.0f} MiB, {memory['parent_after']:.0f} MiB |",
            "| memory of its job process, early and at the end "
            f"| {memory['job_process_before']:.0f} MiB, {memory['job_process_after']:.0f} MiB |",
            "",
            f"Its seed was {figures['seed']}.",
        ]
    )


def tell(line: str) -> None:
    """Print one line at once."""
    print(line, flush=True)  # noqa: T201 - it takes its time


def main() -> None:
    """Run the whole plan, or as many predictions as are asked for; only the whole is written down.

    Exits with 1 when anything is not as it must be.
    """
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("predictions", nargs="?", type=int, default=Plan.predictions)
    plan = Plan(random.SystemRandom().randrange(10**6), parser.parse_args().predictions)
    with tempfile.TemporaryDirectory(prefix="retainwise-soak-") as folder:
        figures = soak(plan, Path(folder))
    as_json = asdict(figures)
    tell(json.dumps(as_json, indent=2))
    if figures.faults:
        sys.exit("; ".join(figures.faults))
    if plan.predictions == Plan.predictions:
        FIGURES.write_text(json.dumps(as_json, indent=2) + "\n")
        DOCUMENT.write_text(with_written(DOCUMENT.read_text(), "make soak", text(as_json)))


if __name__ == "__main__":
    main()
