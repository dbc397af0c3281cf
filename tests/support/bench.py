"""Speed and memory of the whole product on this machine: `make bench`.

Times of one run depend on the machine, so each stands beside a yardstick measured in the same run:
scoring the same file with no cloud at all, in one warm process; reading a page's records with the
SDK alone. Several rounds; the least and the median are printed. `bench.py list` measures the list
page alone, `bench.py engine` the Pulumi CLI on production.
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from boto3.dynamodb.conditions import Key

from emulator import running_emulator
from engine.workspace import workspace
from history import fill, look
from joined import Joined
from model.artifact import load
from model.sample import sample
from model.scoring.predict import score_file
from operations.graph import Graph
from product import TELCO, Product, peak_rss_bytes, wait_for

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.service_resource import Table

ROUNDS = 7
MIB = 1024 * 1024
BIG_UPLOAD_BYTES = 500 * 1024 * 1024
MANY_ROWS = 1_000_000
HISTORIES = (1_000, 10_000, 100_000)
LOOKS_PER_S = 50
LOOKS_S = 20
LOOKS_ALONE = 200


def main() -> None:
    """Print one line a figure, each with what was asked of it."""
    program()
    if sys.argv[1:] != ["list"]:
        engine()
    if sys.argv[1:] == ["engine"]:
        return
    with tempfile.TemporaryDirectory(prefix="retainwise-bench-") as folder:
        product = Product(Path(folder) / "local")
        tell("processors", f"{os.cpu_count()}")
        tell("start, warm virtualenv", f"{product.start():.1f} s", "10 s or less")
        try:
            if sys.argv[1:] != ["list"]:
                small_file(product, Path(folder))
                million_rows(product, Path(folder))
                big_upload(product, Path(folder))
            list_page(product)
        finally:
            product.stop(timeout_s=180)


def program() -> None:
    """Run the whole Pulumi program of production in this process, as the graph tests do."""
    took = [timed(lambda: Graph.of("prod")) for _ in range(ROUNDS)]
    tell("the program of prod, as a graph", least_and_median(took), "2 s or less")


def engine() -> None:
    """Make all of production with the real CLI, and preview it without changes."""
    with (
        tempfile.TemporaryDirectory(prefix="retainwise-bench-") as folder,
        running_emulator(Path(folder) / "cloud") as emulator,
        workspace(Path(folder) / "engine", emulator) as project,
    ):
        emulator.bootstrap("prod")
        project.new_stack("prod")
        project.change("prod", "operations", under_lease=False)
        up = timed(lambda: project.pulumi("prod", "up", "--yes", "--skip-preview"))
        tell("pulumi up of all of prod", f"{up:.1f} s", "60 s or less")
        for options in ([], ["--refresh"]):
            command = ["preview", *options, "--expect-no-changes"]
            took = [
                timed(lambda: project.pulumi("prod", *command).check_returncode())  # noqa: B023 - called at once
                for _ in range(ROUNDS)
            ]
            tell(f"pulumi {' '.join(command)}", least_and_median(took), "5 s or less")


def small_file(product: Product, folder: Path) -> None:
    """Upload the Telco file again and again; compare with scoring it in this process."""
    model = load(Path("model/artifacts/telco"))
    product.wait_until(product.upload(TELCO), "COMPLETED")  # warms both sides

    def whole_job() -> None:
        product.wait_until(product.upload(TELCO), "COMPLETED")

    def score_alone() -> None:
        score_file(TELCO, folder / "out.csv", model, threads=1, progress=lambda _r, _f: None)

    score_alone()
    jobs, alone = [], []
    for _ in range(ROUNDS):  # in turn, so that a busy moment of the machine meets both
        jobs.append(timed(whole_job))
        alone.append(timed(score_alone))
    tell("7,043 rows, upload to COMPLETED", least_and_median(jobs), "2 s or less; reach for 1 s")
    tell("7,043 rows, scored with no cloud", least_and_median(alone))
    ratio = statistics.median(a / b for a, b in zip(jobs, alone, strict=True))
    tell("whole job / scoring alone", f"{ratio:.1f}")


def million_rows(product: Product, folder: Path) -> None:
    """Score a million rows; what counts is the job process's peak memory."""
    path = folder / "million.csv"
    with path.open("wb") as file:
        sample(MANY_ROWS, 1, file, lambda _fraction: None)
    began = time.monotonic()
    done = product.wait_until(product.upload(path), "COMPLETED", timeout_s=600)
    took = time.monotonic() - began
    if done["rows"] != MANY_ROWS:
        sys.exit(f"{MANY_ROWS} rows went in, {done['rows']} came out")
    tell("1,000,000 rows, upload to COMPLETED", f"{took:.1f} s")
    peak = peak_rss_bytes(product.job_process())
    tell("its job process, peak memory", f"{peak / MIB:.0f} MiB", "under 600 MiB")
    tell("its worker process, peak memory", f"{peak_rss_bytes(product.worker()) / MIB:.0f} MiB")


def big_upload(product: Product, folder: Path) -> None:
    """Upload 500 MB; what counts is each web process's peak memory."""
    path = folder / "big.csv"
    header, rows = (folder / "million.csv").read_bytes().split(b"\n", 1)
    (folder / "million.csv").unlink()
    with path.open("wb") as file:
        file.write(header + b"\n")
        while file.tell() + len(rows) <= BIG_UPLOAD_BYTES:
            file.write(rows)
        rest = BIG_UPLOAD_BYTES - file.tell()
        file.write(rows[: rows.rfind(b"\n", 0, rest) + 1])
    size = path.stat().st_size
    del rows
    began = time.monotonic()
    prediction_id = product.upload(path)
    took = time.monotonic() - began
    tell("500 MB upload", f"{took:.1f} s, {size / MIB / took:.0f} MiB/s")
    for process in product.running("web"):
        peak = peak_rss_bytes(process)
        tell("web process, peak memory", f"{peak / MIB:.0f} MiB", "under 150 MiB")
    address = f"{product.url}/api/predictions/{prediction_id}"
    product.http.delete(address)  # its job stops when it notices
    wait_for(
        lambda: product.http.get(address).status_code == 404, timeout_s=10, what="the end of it"
    )


def list_page(product: Product) -> None:
    """Look at the list at a steady rate while the account's history grows."""
    table, written = Joined(product).table, 0
    for records in HISTORIES:

        def show(number: int, records: int = records) -> None:
            if sys.stderr.isatty():
                print(f"\rwriting record {number:,} of {records:,}", end="\r", file=sys.stderr)  # noqa: T201

        fill(table, range(written, records), show)
        written = records
        wait_until_saved(product)
        alone_ms = 1000 * statistics.median(
            timed(lambda: newest(table)) for _ in range(LOOKS_ALONE)
        )
        tell(f"newest of {records:,} records, read alone", f"{alone_ms:.1f} ms")
        for query in ("", "?status=COMPLETED"):
            address = f"{product.url}/predictions{query}"
            look(address, per_second=LOOKS_PER_S, seconds=3)  # warms both sides
            took = look(address, per_second=LOOKS_PER_S, seconds=LOOKS_S)
            tell(
                f"list{query} of {records:,} records, p95",
                f"{took.p95_ms:.1f} ms (p50 {took.p50_ms:.1f}, p99 {took.p99_ms:.1f})",
                f"20 ms or less at {LOOKS_PER_S} requests a second",
            )
            tell("its p50 / read alone", f"{took.p50_ms / alone_ms:.1f}")


def newest(table: Table) -> None:
    """Read the records of a page with the SDK alone, as its users do: a yardstick."""
    table.query(
        KeyConditionExpression=Key("account").eq("demo") & Key("id").lt("8"),
        ScanIndexForward=False,
        ConsistentRead=True,
        Limit=26,
    )


def wait_until_saved(product: Product) -> None:
    """Wait for the emulator's snapshot: while it writes one it answers nobody, unlike AWS."""
    state, began = product.data_dir / "cloud" / "state" / "dynamodb.json", time.time()
    wait_for(lambda: state.stat().st_mtime > began, timeout_s=300, what="the records on disk")


def timed(run: Callable[[], None]) -> float:
    """Return how long it took, in seconds."""
    began = time.monotonic()
    run()
    return time.monotonic() - began


def least_and_median(times: list[float]) -> str:
    """Give the least and the median in words."""
    return f"{min(times):.2f} s, median {statistics.median(times):.2f} s of {len(times)}"


def tell(what: str, figure: str, asked: str = "") -> None:
    """Print one line at once."""
    print(f"{what:<46} {figure:<36} {asked}", flush=True)  # noqa: T201 - it is what bench is for


if __name__ == "__main__":
    main()
