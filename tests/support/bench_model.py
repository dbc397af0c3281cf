"""The model beside other ways to score the same file with the same trees: `make bench-model`.

Seconds depend on the machine, so what was asked for is a ratio within one round wherever it can be:
in each round every contender has its turn. Scorers that stay warm are processes of their own, and
so are commands, from their start to their end. A process says itself how much memory it took at
most. The figures go into docs/performance.md. `--rows` makes a short trial, which writes nothing.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
from argparse import ArgumentParser
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from localcloud.program import CHECKOUT
from model.artifact import BOOSTER_FILE, SHIPPED, Schema
from model.sample import sample
from predictions.schema import read_schema
from scorers import ours
from scorers.fargate import WorkerPrice, worker_price
from scorers.growth import first_rows, growth, in_words
from scorers.plot import drawn
from scorers.running import OFFLINE, PRODUCT, Run, Warm, compiled, one_pass, run_command
from scorers.tuned import read_typed
from scorers.usual import types_of
from written import with_written

DOCUMENT = CHECKOUT / "docs" / "performance.md"
PLOT = CHECKOUT / "docs" / "images" / "growth.svg"
THEIRS = CHECKOUT / ".venv-bench" / "bin"

SEED = 1
MANY_ROWS = 1_000_000
MORE = 5
SOME_ROWS, FEW_ROWS = 7_043, 100
ROUNDS = 5
TRIES = 5
"""Of a short run: the best counts, what else the machine does can only slow one down."""
MIB = 1024 * 1024

ALONE, REASONS = "RetainWise, score only", "RetainWise, with reasons"
SCRIPT, TUNED = "the usual script", "the usual script, tuned"
IN_C = "one pass over the bytes in C"
PREDICT, MLFLOW = "`retainwise predict`", "`mlflow models predict`"
PREDICT_ALONE = "`retainwise predict`, score only"

Runs = Mapping[str, Sequence[Run]]


@dataclass(frozen=True)
class Files:
    """The customers that are scored."""

    many: Path
    more: Path
    some: Path
    """As many as the Telco file has. That one has a blank in a number that MLflow cannot read."""
    few: Path
    folder: Path

    @classmethod
    def made(cls, folder: Path, rows: int) -> Files:
        """Make them."""
        many, more = folder / "many.csv", folder / "more.csv"
        for path, count in ((many, rows), (more, MORE * rows)):
            with path.open("wb") as file:
                sample(count, SEED, file, lambda _: None)
        some = first_rows(many, SOME_ROWS, folder / "some.csv")
        return cls(many, more, some, first_rows(many, FEW_ROWS, folder / "few.csv"), folder)


@dataclass(frozen=True)
class Asked:
    """Something that was asked for, and what came out, for each round."""

    what: str
    figures: Sequence[float]
    unit: str
    least: float | None = None
    most: float | None = None
    reach: float | None = None

    @property
    def is_met(self) -> bool:
        """Whether the median is what was asked for."""
        median = statistics.median(self.figures)
        return median >= self.least if self.least is not None else median <= self.most

    def row(self) -> list[str]:
        """Write it as cells: what, least and median, asked, met."""
        bound = "≤" if self.least is None else "≥"
        asked = f"{bound} {short(self.most if self.least is None else self.least)}"
        reach = "" if self.reach is None else f"; reach for {self.reach:g}"
        figures = (min(self.figures), statistics.median(self.figures))
        text = ", ".join(short(figure) for figure in figures)
        met = "yes" if self.is_met else "**no**"
        return [self.what, f"{text} {self.unit}".strip(), f"{asked}{reach}", met]


# ---- what is measured ------------------------------------------------------------------------


def in_turn(contenders: Mapping[str, Callable[[], Run]], rounds: int, tries: int = 1) -> Runs:
    """Give each contender its turn in each round; of several tries the best counts."""
    runs: dict[str, list[Run]] = {name: [] for name in contenders}
    for _ in range(rounds):
        for name, run in contenders.items():
            runs[name].append(min((run() for _ in range(tries)), key=lambda one: one.took_s))
            tell(name, runs[name][-1])
    return runs


def warm(files: Files, rounds: int) -> tuple[Runs, Runs]:
    """Score in processes that have done it before: many rows and some."""
    program = compiled(files.folder)
    modules = {ALONE: "ours", REASONS: "ours", SCRIPT: "usual", TUNED: "tuned"}
    with ExitStack() as all_warm:
        scorers = {}
        for number, (name, module) in enumerate(modules.items()):
            target = files.folder / f"warm-{number}.csv"
            scorers[name] = all_warm.enter_context(Warm(module, SHIPPED, target))

        def contenders(source: Path) -> dict[str, Callable[[], Run]]:
            found: dict[str, Callable[[], Run]] = {
                name: partial(scorer.score, source, reasons=name == REASONS)
                for name, scorer in scorers.items()
            }
            if program is not None:
                found[IN_C] = partial(one_pass, program, source, SHIPPED)
            return found

        in_turn(contenders(files.some), 1)
        small = in_turn(contenders(files.some), rounds, TRIES)
        in_turn(contenders(files.many), 1)
        return in_turn(contenders(files.many), rounds), small


def cold(files: Files, rounds: int) -> dict[str, Runs]:
    """Run whole commands, by what they score."""
    mlflow_model = saved_for_mlflow(files)

    def contenders(source: Path) -> dict[str, Callable[[], Run]]:
        return {
            PREDICT: lambda: predict(source, reasons=True),
            PREDICT_ALONE: lambda: predict(source, reasons=False),
            MLFLOW: lambda: with_mlflow(source, mlflow_model),
        }

    def predict(source: Path, *, reasons: bool) -> Run:
        command = ours.command(source, result_of(source), SHIPPED, reasons=reasons)
        return run_command(sys.executable, command, PRODUCT, files.folder / "peak")

    def with_mlflow(source: Path, model: Path) -> Run:
        command = [THEIRS / "mlflow", "models", "predict", "--env-manager", "local"]
        command += ["-t", "csv", "-m", model, "-i", source, "-o", source.with_suffix(".json")]
        return run_command(THEIRS / "python", command, (OFFLINE,), files.folder / "peak")

    def result_of(source: Path) -> Path:
        return files.folder / f"{source.stem}-scored.csv"

    few = {PREDICT: lambda: predict(files.few, reasons=True)}
    more = {PREDICT: lambda: predict(files.more, reasons=True)}
    return {
        "few": in_turn(few, rounds),
        "some": in_turn(contenders(files.some), rounds),
        "many": in_turn(contenders(files.many), rounds),
        "more": in_turn(more, 1),  # its peak is what counts
    }


def saved_for_mlflow(files: Files) -> Path:
    """Save the shipped model's trees for MLflow."""
    out = files.folder / "mlflow"
    columns = [
        {
            "name": column.name,
            "categories": [] if column.categories == ("0", "1") else column.categories,
        }
        for column in read_schema(SHIPPED, Schema).columns
    ]
    program = CHECKOUT / "tests" / "support" / "scorers" / "with_mlflow.py"
    booster = SHIPPED / BOOSTER_FILE
    subprocess.run(
        [THEIRS / "python", program, booster, json.dumps(columns), files.few, out],
        env={**os.environ, "PYTHONPATH": OFFLINE, "MLFLOW_DISABLE_TELEMETRY": "true"},
        cwd=files.folder,
        check=True,
    )
    return out


def differences(files: Files) -> dict[str, float]:
    """Compare every row's churn probability with XGBoost's own, as it is printed.

    A printed figure is rounded to six digits, which is half of what may differ.
    """
    import xgboost

    booster = xgboost.Booster(model_file=SHIPPED / BOOSTER_FILE)
    schema = read_schema(SHIPPED, Schema)

    def own(source: Path) -> np.ndarray:
        features = read_typed(source, schema)[list(types_of(schema))]
        codes = {
            name: column.cat.codes.where(column.cat.codes >= 0)
            for name, column in features.items()
            if column.dtype == "category"
        }
        return booster.inplace_predict(
            features.assign(**codes).to_numpy(np.float32), predict_type="margin"
        ).astype(float)

    def calibrated(margin: np.ndarray) -> np.ndarray:
        return 1 / (1 + np.exp(-schema.calibration.slope * margin - schema.calibration.intercept))

    printed = pd.read_csv(files.folder / "many-scored.csv", usecols=["churn_probability"])
    theirs = json.loads((files.folder / "some.json").read_bytes())["predictions"]
    return {
        PREDICT: float(np.abs(printed.to_numpy()[:, 0] - calibrated(own(files.many))).max()),
        MLFLOW: float(np.abs(np.array(theirs)[:, 1] - 1 / (1 + np.exp(-own(files.some)))).max()),
    }


# ---- how it is told --------------------------------------------------------------------------


def ratios(runs: Runs, slow: str, fast: str) -> list[float]:
    """Return how many times as long one took as the other, for each round."""
    return [a.took_s / b.took_s for a, b in zip(runs[slow], runs[fast], strict=True)]


def asked(
    rows: int, many: Runs, small: Runs, cold_runs: Mapping[str, Runs], off: float
) -> list[Asked]:
    """Hold the figures against what was asked for; `rows` is how many the many are."""
    peak = [run.peak_bytes / MIB for run in cold_runs["many"][PREDICT]]
    more = [run.peak_bytes / MIB / max(peak) for run in cold_runs["more"][PREDICT]]
    small_ms = [run.took_s * 1000 for run in small[REASONS]]
    few_s = [run.took_s for run in cold_runs["few"][PREDICT]]
    most = f"{rows:,} rows"
    found = [
        Asked(f"{SOME_ROWS:,} rows with reasons, warm", small_ms, "ms", most=50, reach=20),
        Asked(f"{most}, warm: {SCRIPT} / RetainWise", ratios(many, SCRIPT, ALONE), "", least=5),
        Asked(f"{most}, warm: with reasons / without", ratios(many, REASONS, ALONE), "", most=2),
    ]
    if IN_C in many:
        in_c = f"{most}, warm: RetainWise / {IN_C}"
        found.append(Asked(in_c, ratios(many, ALONE, IN_C), "", most=4))
    what = f"{most}, cold: {MLFLOW} / {PREDICT_ALONE}"
    times = ratios(cold_runs["many"], MLFLOW, PREDICT_ALONE)
    found.append(Asked(what, times, "", least=8, reach=10))
    return [
        *found,
        Asked(f"{FEW_ROWS} rows, cold: {PREDICT}", few_s, "s", most=1.5),
        Asked(f"{most}: peak memory", peak, "MiB", most=256),
        Asked(f"{MORE * rows:,} rows: peak memory / that", more, "", most=1.1),
        Asked("largest difference to `inplace_predict`", [off], "", most=1e-6),
    ]


def times(many: Runs, small: Runs, cold_runs: Mapping[str, Runs]) -> list[list[str]]:
    """Write what everything took, as cells."""
    rows = []
    for name in (ALONE, REASONS, SCRIPT, TUNED, IN_C):
        if name in many:
            rows.append([f"{name}, warm", *seconds(small[name]), *seconds(many[name], memory=True)])
        else:
            rows.append([f"{name}: no C compiler here", "–", "–", "–"])
    for name in (PREDICT, PREDICT_ALONE, MLFLOW):
        some, most = cold_runs["some"][name], cold_runs["many"][name]
        rows.append([f"{name}, cold", *seconds(some), *seconds(most, memory=True)])
    return rows


def seconds(runs: Sequence[Run], *, memory: bool = False) -> list[str]:
    """Write the least and the median, and the peak memory if asked for."""
    took = [run.took_s for run in runs]
    text = f"{short(min(took))}, {short(statistics.median(took))}"
    peak = max(run.peak_bytes for run in runs) / MIB
    return [text, *([f"{peak:.0f}" if peak else "–"] if memory else [])]


def bill(rows: int, cold_runs: Mapping[str, Runs], price: WorkerPrice) -> str:
    """Say what so many predictions cost."""
    with_reasons, alone = (
        statistics.median(run.cpu_s for run in cold_runs["many"][name])
        for name in (PREDICT, PREDICT_ALONE)
    )
    return (
        f"{rows:,} predictions take {with_reasons:.1f} CPU seconds with reasons, {alone:.1f} "
        "without, start of the command included. On Fargate an hour of a worker's vCPU, with its "
        f"memory and disk, costs {price.usd_per_vcpu_hour:.4f} USD at list price in "
        f"{price.region}: they cost {short(price.of(with_reasons))} USD with reasons, "
        f"{short(price.of(alone))} USD without."
    )


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Write a table."""
    return [f"| {' | '.join(cells)} |" for cells in (heads, ["---"] * len(heads), *rows)]


def short(figure: float) -> str:
    """Write a figure with as many digits as say something."""
    if figure < 0.001:
        return f"{Decimal(f'{figure:.2g}'):f}"
    return f"{figure:.0f}" if figure >= 100 else f"{figure:.3g}"


def tell(what: str, run: Run) -> None:
    """Print one line at once."""
    peak = f"{run.peak_bytes / MIB:.0f} MiB" if run.peak_bytes else ""
    print(f"{what:<46} {run.took_s:8.3f} s   {peak}", flush=True)  # noqa: T201 - it is what bench is for


def main() -> None:
    """Measure all of it, and write it into the document."""
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=MANY_ROWS, help="fewer: a trial")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="retainwise-bench-") as name:
        files = Files.made(Path(name), options.rows)
        many, small = warm(files, options.rounds)
        cold_runs = cold(files, options.rounds)
        off = differences(files)
        if off[MLFLOW] > 1e-6:
            sys.exit(f"MLflow was given other trees: it is off by {off[MLFLOW]}")
        panels = growth(files.many, files.folder, rounds=options.rounds, rows=options.rows)
    written = "\n".join(
        [
            *table(
                ["asked for", "least, median", "asked", "met"],
                [one.row() for one in asked(options.rows, many, small, cold_runs, off[PREDICT])],
            ),
            "",
            *table(
                [
                    "seconds: least, median",
                    f"{SOME_ROWS:,} rows",
                    f"{options.rows:,} rows",
                    "peak memory, MiB",
                ],
                times(many, small, cold_runs),
            ),
            "",
            bill(options.rows, cold_runs, worker_price()),
            "",
            f"![How the time grows]({PLOT.relative_to(DOCUMENT.parent)})",
            "",
            in_words(panels),
        ]
    )
    print(written)  # noqa: T201
    picture = drawn(panels, "seconds", "How the time to score grows with rows and with the model")
    if options.rows != MANY_ROWS:
        Path("growth-trial.svg").write_text(picture, "utf-8")
        return
    PLOT.write_text(picture, "utf-8")
    DOCUMENT.write_text(with_written(DOCUMENT.read_text("utf-8"), "make bench-model", written))


if __name__ == "__main__":
    main()
