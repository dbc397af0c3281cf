"""The bench measures what it says; how fast anything is, no test asks."""

from __future__ import annotations

import csv
import io
import math
import shutil
import sys
from xml.etree import ElementTree

import pytest

from bench_model import (
    ALONE,
    IN_C,
    MIB,
    MLFLOW,
    PREDICT,
    PREDICT_ALONE,
    REASONS,
    SCRIPT,
    TUNED,
    asked,
    bill,
    times,
)
from model.artifact import SHIPPED, Schema
from model.sample import sample
from predictions.schema import read_schema
from scorers import ours, tuned, usual
from scorers.fargate import WorkerPrice, worker_price
from scorers.growth import in_words
from scorers.made import customers, make_model
from scorers.plot import Panel, drawn
from scorers.running import PRODUCT, Run, Warm, compiled, one_pass, run_command

ROWS = 300


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    path = tmp_path_factory.mktemp("made") / "customers.csv"
    with path.open("wb") as file:
        sample(ROWS, 1, file, lambda _: None)
    return path


def rows_of(path):
    return list(csv.reader(io.StringIO(path.read_text("utf-8"))))


@pytest.mark.parametrize("script", [usual, tuned])
def test_the_scripts_give_our_probabilities_in_our_order(made, tmp_path, script):
    for name, module in (("ours", ours), ("theirs", script)):
        module.scorer(SHIPPED)(made, tmp_path / name, reasons=False)
    for mine, theirs in zip(rows_of(tmp_path / "ours"), rows_of(tmp_path / "theirs"), strict=True):
        if mine[0] != "customerID":
            assert mine[0] == theirs[0]
            assert float(mine[1]) == pytest.approx(calibrated(float(theirs[1])), abs=1e-6)


def calibrated(probability: float) -> float:
    """Do with the trees' probability what the scripts leave out."""
    line = read_schema(SHIPPED, Schema).calibration
    log_odds = line.slope * math.log(probability / (1 - probability)) + line.intercept
    return 1 / (1 + math.exp(-log_odds))


@pytest.mark.skipif(shutil.which("cc") is None, reason="there is no C compiler")
def test_the_pass_in_c_writes_a_line_for_each_row(made, tmp_path):
    program = compiled(tmp_path)
    quoted = tmp_path / "quoted.csv"
    header, first, *rest = made.read_text("utf-8").splitlines()
    cells = ",".join(f'"{cell}"' for cell in first.split(","))
    quoted.write_text("\n".join([header, cells, *rest]), "utf-8")  # no line end after the last
    results = []
    for source in (made, quoted):
        assert one_pass(program, source, SHIPPED).took_s > 0
        results.append(rows_of(tmp_path / "onepass.csv"))
    assert results[0] == results[1]
    assert [row[0] for row in results[0]] == [row[0] for row in rows_of(made)[1:]]


@pytest.mark.skipif(sys.platform != "linux", reason="no other kernel tells VmHWM")
def test_a_warm_process_and_a_command_say_what_they_took(made, tmp_path):
    with Warm("ours", SHIPPED, tmp_path / "warm.csv") as warm:
        runs = [warm.score(made, reasons=True) for _ in range(2)]
    command = ours.command(made, tmp_path / "cold.csv", SHIPPED, reasons=True)
    runs.append(run_command(sys.executable, command, PRODUCT, tmp_path / "peak"))
    assert all(run.took_s > 0 and run.peak_bytes > 20 * MIB for run in runs)
    assert runs[-1].cpu_s > 0
    assert (tmp_path / "cold.csv").read_bytes() == (tmp_path / "warm.csv").read_bytes()


def test_made_models_score_made_customers(tmp_path):
    people = customers(400, 10)
    people.to_csv(tmp_path / "made.csv", index=False)
    make_model(people, tmp_path / "model", trees=5, depth=3)
    ours.scorer(tmp_path / "model")(tmp_path / "made.csv", tmp_path / "out.csv", reasons=True)
    _, *rows = rows_of(tmp_path / "out.csv")
    assert [row[0] for row in rows] == people["customer"].tolist()
    assert len({row[1] for row in rows}) > 5


def runs(*seconds, peak=100):
    return [Run(one, peak * MIB, one) for one in seconds]


MANY = {
    ALONE: runs(1, 2, 1),
    REASONS: runs(2, 2, 2),
    SCRIPT: runs(6, 8, 7),
    TUNED: runs(4, 4, 4),
    IN_C: runs(0.5, 0.5, 0.1, peak=0),
}
COLD = {PREDICT: runs(2, 2, 4), PREDICT_ALONE: runs(1, 1, 1), MLFLOW: runs(14, 18, 18, peak=900)}
ALL_COLD = {
    "few": {PREDICT: runs(1, 1.2, 2)},
    "some": COLD,
    "many": COLD,
    "more": {PREDICT: runs(9, peak=120)},
}


def test_ratios_are_of_one_round_and_the_median_decides():
    told = {one.row()[0]: one.row()[1:] for one in asked(10**6, MANY, MANY, ALL_COLD, 6e-7)}
    script = "1,000,000 rows, warm: the usual script / RetainWise"
    assert told[script] == ["4, 6", "≥ 5", "yes"]
    in_c = "1,000,000 rows, warm: RetainWise / one pass over the bytes in C"
    assert told[in_c] == ["2, 4", "≤ 4", "yes"]
    mlflow = f"1,000,000 rows, cold: `mlflow models predict` / {PREDICT_ALONE}"
    assert told[mlflow] == ["14, 18", "≥ 8; reach for 10", "yes"]
    assert told["5,000,000 rows: peak memory / that"] == ["1.2, 1.2", "≤ 1.1", "**no**"]
    difference = told["largest difference to `inplace_predict`"]
    assert difference == ["0.0000006, 0.0000006", "≤ 0.000001", "yes"]


def test_without_a_compiler_the_line_says_so():
    many = {name: one for name, one in MANY.items() if name != IN_C}
    assert not [one for one in asked(10**6, many, many, ALL_COLD, 0) if IN_C in one.what]
    assert [f"{IN_C}: no C compiler here", "–", "–", "–"] in times(many, many, ALL_COLD)


def test_the_bill_is_of_cpu_seconds():
    told = bill(10**6, ALL_COLD, WorkerPrice("eu-west-1", 0.05))
    assert "1,000,000 predictions take 2.0 CPU seconds with reasons, 1.0 without" in told
    assert "0.000028 USD with reasons, 0.000014 USD without" in told
    assert 0.01 < worker_price().usd_per_vcpu_hour < 1


def test_the_plot_is_the_same_each_time_and_its_sentence_tells_the_ends():
    lines = {"score only": (0.1, 0.2, 1.0), "with reasons": (0.1, 0.4, 3.0)}
    panels = [Panel("Rows", "rows", (10, 100, 1000), lines)] * 4
    picture = drawn(panels, "seconds", "how it grows & why")
    assert picture == drawn(panels, "seconds", "how it grows & why")
    assert len(ElementTree.fromstring(picture).findall(".//{*}circle")) == 4 * 2 * 3
    assert "for 100 times the rows 10.0 times (with reasons 30.0)" in in_words(panels)
