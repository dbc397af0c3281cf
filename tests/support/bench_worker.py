"""The worker beside other SQS workers, and at rest: `make bench-worker`.

Rates depend on the machine and on the emulator, so each is divided by that of a bare loop of the
SDK's receive(10) and delete(10) in the same round, and the contenders take turns. Each finds its
backlog when it starts; its rate is that between the first job and the last. In each round the
better of two tries counts: what else a shared machine does can only slow one down. The figures go
into docs/performance.md.
"""

from __future__ import annotations

import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from argparse import ArgumentParser
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import psutil

from emulator import REGION, acting_in, of_this_machine, running_emulator
from localcloud.program import CHECKOUT
from made_cloud import Cloud, make_cloud
from model.artifact import SHIPPED
from peers.stamps import Stamps
from product import wait_for
from worker import heartbeat
from written import with_written

SUPPORT = Path(__file__).parent
DOCUMENT = CHECKOUT / "docs" / "performance.md"

ROUNDS = 3
TRIES = 2  # one of them without the machine's other work, mostly
BACKLOG = 1000
STOPS = 3
STOP_BACKLOG, STOP_AFTER, STOP_JOB_S = 300, 50, 0.02
STOP_TIMEOUT_S = 60
VISIBILITY_S = 2
LONG_JOB_S = 10 * VISIBILITY_S
WATCHED_S = 1.5 * LONG_JOB_S
SETTLE_S = 5
IDLE_S = 60
MIB = 1024 * 1024

CORES = str(os.cpu_count())
OURS = Path(sys.executable)
THEIRS = CHECKOUT / ".venv-bench" / "bin" / "python"


@dataclass(frozen=True)
class Contender:
    """A worker in `peers`, how it is told to work, and in whose virtualenv."""

    name: str
    module: str
    how: tuple[str, ...] = ()
    python: Path = THEIRS
    is_whole: bool = True
    """Whether it is a worker that somebody could run, and not a part of one."""


BARE = Contender("a bare receive(10) + delete(10)", "bare", python=OURS)
SINGLE = Contender(
    "RetainWise, its loop alone, one job at a time", "ours", ("loop", "1"), OURS, is_whole=False
)
LOOP = Contender("RetainWise, its loop alone", "ours", ("loop", CORES), OURS, is_whole=False)
JOBS = Contender(
    "RetainWise, with its job processes", "ours", ("jobs", CORES), OURS, is_whole=False
)
WHOLE = Contender("RetainWise, with its records too", "ours", ("records", CORES), OURS)
OTHERS = (
    Contender("sqs-workers", "with_sqs_workers"),
    Contender("dramatiq-sqs, 8 threads", "with_dramatiq"),
    Contender("Celery, solo", "with_celery", ("solo",)),
    Contender("Celery, prefork", "with_celery", ("prefork",)),
    Contender("PyQS", "with_pyqs"),
)
CONTENDERS = (BARE, SINGLE, LOOP, JOBS, WHOLE, *OTHERS)


class Trial:
    """One contender with queues of its own, and what its jobs say of themselves."""

    def __init__(
        self,
        contender: Contender,
        cloud: Cloud,
        folder: Path,
        *,
        job_s: float = 0,
        visibility_s: int = 30,
    ) -> None:
        name = f"bench-{uuid4().hex[:8]}"
        self._contender = contender
        self._cloud = cloud.with_queues(name, visibility_s=visibility_s)
        self._log = folder / f"{name}.log"
        stamps, scratch = folder / f"{name}.stamps", folder / name
        scratch.mkdir()
        stamps.touch()
        self.stamps = Stamps(stamps)
        self._environment = {
            **os.environ,
            **self._cloud.environment(),
            "PYTHONPATH": os.pathsep.join(map(str, (SUPPORT, SUPPORT / "loopback"))),
            "TMPDIR": str(scratch),
            "MODEL_DIR": str(SHIPPED),
            "LEASE_S": str(visibility_s),
            "BENCH_JOB_S": str(job_s),
            "BENCH_STAMPS": str(stamps),
        }

    def send(self, count: int) -> None:
        """Queue so many jobs with the contender's own client."""
        command = self._command("send", str(count))
        subprocess.run(command, env=self._environment, cwd=CHECKOUT, check=True)

    @contextmanager
    def working(self) -> Iterator[subprocess.Popen[bytes]]:
        """Run its worker for the block; nothing of it is left behind."""
        command = self._command("work", *self._contender.how)
        with self._log.open("ab") as log:
            worker = subprocess.Popen(
                command, env=self._environment, cwd=CHECKOUT, stdout=log, stderr=log
            )
        try:
            yield worker
        finally:
            kill_all(worker)

    def wait_until_begun(self, count: int, timeout_s: float = 180) -> list[float]:
        """Wait until so many jobs have begun; return when each did, in seconds."""
        what = f"{count} jobs of {self._contender.name}; see {self._log}"
        wait_for(lambda: len(self.stamps) >= count, timeout_s=timeout_s, what=what)
        return self.stamps.read()

    def messages(self) -> tuple[int, int]:
        """Count those that a worker may receive, and those that are hidden from all."""
        return self._cloud.messages()

    def _command(self, *what: str) -> list[str | Path]:
        return [self._contender.python, "-m", "peers", self._contender.module, *what]


def kill_all(parent: subprocess.Popen[bytes]) -> None:
    """Kill a process with all that it has started, and wait for it."""
    family = []
    with suppress(psutil.NoSuchProcess):  # it ended by itself
        family = [parent, *psutil.Process(parent.pid).children(recursive=True)]
    for process in family:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    parent.wait()


def rate(contender: Contender, cloud: Cloud, folder: Path) -> float:
    """Return how many jobs that do nothing it does in a second."""
    trial = Trial(contender, cloud, folder)
    trial.send(BACKLOG)
    with trial.working():
        began = trial.wait_until_begun(BACKLOG)
    return (BACKLOG - 1) / (began[BACKLOG - 1] - began[0])


def best_rates(cloud: Cloud, folder: Path) -> dict[Contender, float]:
    """Let the contenders take turns, some times; return the best rate of each."""
    best = dict.fromkeys(CONTENDERS, 0.0)
    for _ in range(TRIES):
        for contender in CONTENDERS:
            best[contender] = max(best[contender], rate(contender, cloud, folder))
    return best


def left_invisible(contender: Contender, cloud: Cloud, folder: Path) -> int:
    """Stop it in the middle of its backlog, and return how many messages stay hidden."""
    trial = Trial(contender, cloud, folder, job_s=STOP_JOB_S)
    trial.send(STOP_BACKLOG)
    with trial.working() as worker:
        trial.wait_until_begun(STOP_AFTER)
        worker.send_signal(signal.SIGTERM)
        worker.wait(STOP_TIMEOUT_S)
    return trial.messages()[1]


def times_run(contenders: Sequence[Contender], cloud: Cloud, folder: Path) -> list[int]:
    """Give each a job of ten visibility timeouts and two workers; return how often it began."""
    with ExitStack() as working:
        trials = []
        for contender in contenders:  # all at one time: their jobs only wait
            trial = Trial(contender, cloud, folder, job_s=LONG_JOB_S, visibility_s=VISIBILITY_S)
            trial.send(1)
            for _ in range(2):
                working.enter_context(trial.working())
            trials.append(trial)
        for trial in trials:
            trial.wait_until_begun(1)
        time.sleep(WATCHED_S)
    began = [trial.stamps.read() for trial in trials]
    return [sum(one <= begins[0] + WATCHED_S for one in begins) for begins in began]


@dataclass(frozen=True)
class Idle:
    """What the parent process of a worker takes while there is nothing to do."""

    of_a_core: float
    rss_bytes: int


def idle(cloud: Cloud, folder: Path) -> Idle:
    """Start the worker as its image does, and let it wait for messages."""
    environment = {**os.environ, **cloud.environment(), "TMPDIR": str(folder)}
    environment["MODEL_DIR"] = str(SHIPPED)
    worker = subprocess.Popen(
        [OURS, "-m", "retainwise", "worker"],
        env=environment,
        cwd=CHECKOUT,
        stdout=subprocess.DEVNULL,
    )
    try:
        file = folder / heartbeat.FILE
        wait_for(file.exists, timeout_s=60, what="a worker that can take jobs")
        time.sleep(SETTLE_S)
        process = psutil.Process(worker.pid)
        before = process.cpu_times()
        time.sleep(IDLE_S)
        after = process.cpu_times()
        took_s = after.user - before.user + after.system - before.system
        return Idle(took_s / IDLE_S, process.memory_info().rss)
    finally:
        kill_all(worker)


def table(
    rates: Mapping[Contender, list[float]],
    left: Mapping[Contender, list[int]],
    runs: Mapping[Contender, int],
    rest: Idle,
) -> str:
    """Write the figures as the document shows them."""
    lines = [
        "| worker | jobs a second | of the bare loop: least, median | "
        f"RetainWise's loop is faster by | left invisible by {STOPS} stops | runs of a long job |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for contender, own in rates.items():
        shares = [one / bare for one, bare in zip(own, rates[BARE], strict=True)]
        ahead = statistics.median(loop / one for loop, one in zip(rates[LOOP], own, strict=True))
        cells = [
            contender.name,
            f"{statistics.median(own):.0f}",
            f"{min(shares):.2f}, {statistics.median(shares):.2f}",
            f"{ahead:.1f}" if contender in OTHERS else "–",
            ", ".join(map(str, left[contender])) if contender in left else "–",
            str(runs.get(contender, "–")),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    at_rest = (
        f"At rest for {IDLE_S} s, the worker's parent process took {rest.of_a_core:.1%} of a core "
        f"and {rest.rss_bytes / MIB:.0f} MiB."
    )
    return "\n".join([*lines, "", at_rest])


def main() -> None:
    """Measure all of it, and write it into the document."""
    ArgumentParser(description=__doc__).parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="retainwise-bench-") as name,
        running_emulator(Path(name) / "cloud") as emulator,
    ):
        folder = Path(name)
        # What is not ours asks for a region by the SDK's older variable.
        environment = {**of_this_machine(emulator.endpoint), "AWS_DEFAULT_REGION": REGION}
        with acting_in(environment):
            cloud = make_cloud("bench")
            rest = idle(cloud, folder)
            tell("at rest", rest)
            rates = {contender: [] for contender in CONTENDERS}
            for _ in range(ROUNDS):
                for contender, best in best_rates(cloud, folder).items():
                    rates[contender].append(best)
                    tell(f"{contender.name}, jobs a second", round(best))
            whole = [contender for contender in CONTENDERS if contender.is_whole]
            left = {}
            for contender in whole:
                left[contender] = [left_invisible(contender, cloud, folder) for _ in range(STOPS)]
                tell(f"{contender.name}, left invisible", left[contender])
            runs = dict(zip(whole, times_run(whole, cloud, folder), strict=True))
    written = table(rates, left, runs, rest)
    print(written)  # noqa: T201
    DOCUMENT.write_text(with_written(DOCUMENT.read_text(), "make bench-worker", written))


def tell(what: str, figure: object) -> None:
    """Print one line at once."""
    print(f"{what:<46} {figure}", flush=True)  # noqa: T201 - it is what bench is for


if __name__ == "__main__":
    main()
