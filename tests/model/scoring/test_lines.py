"""A row is worth the same whether it is read from the text as it is or cell by cell."""

from __future__ import annotations

import csv
import io
import os
import random
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import xgboost
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from model.artifact import SHIPPED, Model, load
from model.scoring import kernel, scores
from model.scoring.predict import Scored, score_file
from model.scoring.tables import bins_of, tabulate
from model.scoring.trees import read_booster
from predictions import file_text
from predictions.schema import Column

COLUMNS = (
    Column(
        name="Months", kind="numeric", average=20, lowest=0, highest=60, blank_words=("n/a", "-")
    ),
    Column(name="Plan", kind="categorical", categories=("=basic", "gold", "größer; und | länger")),
    Column(name="is_active", kind="boolean", categories=("no", "yes"), blank_words=("?",)),
    Column(
        name="Since", kind="date", average=18e3, lowest=17e3, highest=19e3, date_format="%d.%m.%Y"
    ),
    Column(name='A "quoted" name', kind="numeric", average=0.5, lowest=-10, highest=1e6),
)
NUMBERS = (
    *(
        "0",
        "-0",
        "12",
        "59.5",
        "61",
        "-3",
        "+4.25",
        ".5",
        "7.",
        "1e3",
        "1,5",
        "12.345",
        "1.234",
        "1,234",
    ),
    *("1.234,5", "1,234.5", "1 234", "00012", "123456789012345", "1234567890123456", "0.1234567"),
    *("-", "N/A", "n/a", "", " ", "  8 ", "abc", "nan", "inf", "1e39", "- 5", "0x10", "٣", "1_000"),
    *("0.", ".", "+", "--1", "1..2", "1,2,3", "99999999999999.5", "0.000000000000000000000000001"),
    *("(12)", "(1,234.50)", "1.234,50-", "1,234-", "(1.234)", "(-5)", "()", "5--", "(5", "-5-"),
)
CELLS = (
    ("a1", "B-2", "", "=1+1", "x;y", "é", "a|b", '"q"', "7\t8", "'", "long" * 30),
    NUMBERS,
    ("gold", "Gold", " gold ", "=basic", "größer; und | länger", "new one", "",
     "gold\N{NO-BREAK SPACE}"),
    ("yes", "No", "TRUE", "0", "1.0", "Y", "?", "maybe", "", "f", "yES"),
    ("01.02.2019", "31.12.2020", "29.02.2020", "29.02.2021", "2020-05-06", "1.2.2019", "",
     "99.99.2020", "05.06.2015 10:30", "x"),
    NUMBERS,
    NUMBERS,
)  # fmt: skip
HEADER = ("id", *(column.name for column in COLUMNS), "fee")


@pytest.fixture(scope="module")
def model() -> Model:
    """A model of columns of every kind, of whatever worth."""
    generator = np.random.default_rng(4)
    matrix = np.column_stack(
        [
            generator.integers(0, 60, 500),
            generator.integers(0, 3, 500),
            generator.integers(0, 2, 500),
            generator.integers(17_000, 19_000, 500),
            generator.normal(0, 2_000, 500),
        ]
    ).astype(np.float32)
    matrix[generator.random(matrix.shape) < 0.1] = np.nan
    types = ["c" if column.kind == "categorical" else "q" for column in COLUMNS]
    data = xgboost.DMatrix(
        matrix,
        generator.random(500) < 0.3 + 0.4 * (matrix[:, 0] > 20),
        feature_types=types,
        enable_categorical=True,
    )
    parameters = {"objective": "binary:logistic", "max_depth": 3, "nthread": 1}
    booster = xgboost.train(parameters, data, 30)
    ensemble = read_booster(bytes(booster.save_raw("ubj")))
    bins = bins_of(ensemble, COLUMNS)
    schema = load(SHIPPED).schema.model_copy(
        update={
            "columns": COLUMNS,
            "id_column": "id",
            "revenue_column": "fee",
            "positive": 'gone; "really"',
        }
    )
    return Model(schema, bins, tabulate(ensemble, bins, 1.1, -0.2))


@st.composite
def files(draw: st.DrawFn) -> bytes:
    """Customer files, most of whose rows are plain."""
    generator = random.Random(draw(st.integers(0, 2**32)))
    oddness = draw(st.sampled_from([0, 0.05, 0.5]))
    has_ids, delimiter = draw(st.booleans()), draw(st.sampled_from([",", ";", "\t", "|"]))
    quoting = draw(st.sampled_from([csv.QUOTE_ALL, csv.QUOTE_MINIMAL]))
    line_end = draw(st.sampled_from(["\n", "\r\n", "\r"]))
    out = io.StringIO(newline="")
    writer = csv.writer(out, delimiter=delimiter, quoting=quoting, lineterminator=line_end)
    writer.writerow(HEADER[0 if has_ids else 1 :])
    for number in range(draw(st.integers(1, 40))):
        plain = ("a1", str(generator.randrange(70)), "gold", "yes", "01.02.2019", "12.5", "9.99")
        cells = [
            generator.choice(pool) if number and generator.random() < oddness else cell
            for cell, pool in zip(plain, CELLS, strict=True)
        ]
        kind = generator.random() if number else 1  # there is one row at least
        if kind < oddness / 10:
            cells = cells[: generator.randrange(1, len(cells))]
        elif kind < oddness / 5:
            cells = [cell + "\n" + cell for cell in cells]
        elif kind < oddness / 4:
            cells = [""] * len(cells)
        writer.writerow(cells[0 if has_ids else 1 :])
        if generator.random() < oddness / 5:
            out.write(line_end)
    text = out.getvalue()
    if draw(st.booleans()):
        text = text.rstrip("\r\n")
    return text.encode(draw(st.sampled_from(["utf-8", "utf-8-sig", "utf-16"])))


def scored(source: Path, model: Model, **options: object) -> tuple[bytes, Scored]:
    target = source.with_suffix(".out")
    found = score_file(
        source, target, model, **{"threads": 1, "progress": lambda *_: None, **options}
    )
    return target.read_bytes(), found


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(content=files(), reasons=st.booleans())
def test_plain_rows_come_to_what_they_come_to_cell_by_cell(
    model, tmp_path_factory, content, reasons
):
    source = tmp_path_factory.mktemp("lines") / "in.csv"
    source.write_bytes(content)
    result, found = scored(source, model, reasons=reasons)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kernel, "find_cells", lambda *_: (0, 0))
        expected, by_cells = scored(source, model, reasons=reasons)
    assert result == expected
    # Added in another order.
    at_risk = pytest.approx(by_cells.summary.revenue_at_risk, abs=0.011, rel=1e-9)
    assert found.summary.revenue_at_risk == at_risk
    update = {"revenue_at_risk": found.summary.revenue_at_risk}
    assert found.summary == by_cells.summary.model_copy(update=update)
    assert (found.rows, found.row_errors) == (by_cells.rows, by_cells.row_errors)
    assert found.customers_at_risk == by_cells.customers_at_risk
    assert found.new_values == by_cells.new_values


def test_threads_change_nothing(telco, tmp_path):
    source = tmp_path / "in.csv"
    header, *rows = telco.read_text().splitlines()
    rows[40] = rows[40].replace(",", ";")
    source.write_text("\n".join([header, *rows * 3]))
    model = load(SHIPPED)
    assert scored(source, model, threads=4) == scored(source, model)
    assert scored(source, model)[1].rows == 3 * 7_043


def test_plain_rows_are_never_read_cell_by_cell(telco, tmp_path, monkeypatch):
    """Else the file is scored, and slowly, and nobody notices."""
    monkeypatch.setattr("model.scoring.lines.score", lambda *_, **__: pytest.fail("a row was odd"))
    monkeypatch.setattr(
        "model.scoring.predict.score", lambda *_, **__: pytest.fail("a text was left")
    )
    quoted = tmp_path / "quoted.csv"
    with quoted.open("w", newline="") as file, telco.open(newline="") as customers:
        csv.writer(file, quoting=csv.QUOTE_ALL).writerows(csv.reader(customers))
    model = load(SHIPPED)
    expected, _ = scored(quoted, model)
    plain = tmp_path / "plain.csv"
    plain.write_bytes(telco.read_bytes())
    assert scored(plain, model)[0] == expected


def test_scoring_imports_neither_xgboost_nor_what_only_training_needs(telco, tmp_path):
    code = (
        "import sys; from retainwise.cli import main; sys.argv[0] = 'retainwise'\n"
        "try: main()\n"
        "except SystemExit as exc: assert not exc.code\n"
        "print(sorted({'xgboost', 'pandas', 'sklearn', 'flask', 'pulumi'} & set(sys.modules)))"
    )
    command = [sys.executable, "-c", code, "predict", telco, "-o", tmp_path / "out.csv"]
    ran = subprocess.run(command, capture_output=True, text=True, check=True)
    assert ran.stdout.splitlines()[-1] == "[]"


READ_ONLY = """
import os, sys
def refuse(event, given):
    writes = event == "open" and given[2] & (os.O_WRONLY | os.O_RDWR)
    if writes and str(given[0]).startswith({folder!r}):
        raise OSError(30, "Read-only file system", given[0])
sys.dont_write_bytecode = True
sys.addaudithook(refuse)
from model.scoring import kernel, warm_up
assert kernel.__file__.startswith({folder!r})
warm_up._compile()
functions = [function for function in vars(kernel).values() if hasattr(function, "stats")]
inner = {{"leaf_effects"}}  # called by compiled functions alone, as are those with an underscore
for function in functions:
    assert function.signatures or function.__name__[0] == "_" or function.__name__ in inner
print([function.__name__ for function in functions if function.stats.cache_misses])
"""


@pytest.mark.parametrize("is_compiled", [True, False])
def test_what_was_compiled_serves_at_another_place_whose_files_cannot_be_changed(
    tmp_path, is_compiled
):
    """As in a container, which must not take ten seconds to start; without it, it takes them."""
    subprocess.run([sys.executable, "-m", "model.scoring.warm_up"], check=True)
    package, checkout = tmp_path / "model", Path(kernel.__file__).parents[2]
    left_out = shutil.ignore_patterns(*[] if is_compiled else ["*.nbi", "*.nbc"])
    shutil.copytree(checkout / "model", package, copy_function=shutil.copy2, ignore=left_out)
    environment = os.environ | {
        "PYTHONPATH": f"{tmp_path}:{checkout}",
        "XDG_CACHE_HOME": str(tmp_path / "cache"),
    }
    command = [sys.executable, "-c", READ_ONLY.format(folder=str(package))]
    ran = subprocess.run(
        command, check=True, env=environment, cwd=tmp_path, capture_output=True, text=True
    )
    assert (ran.stdout == "[]\n") == is_compiled


def test_no_index_is_beyond_its_array():
    """Compiled code does not look; run as it is written, NumPy refuses such an index."""
    command = [sys.executable, "-m", "pytest", "-q", "-W", "ignore::RuntimeWarning"]  # it wraps
    test = f"{__file__}::{test_plain_rows_come_to_what_they_come_to_cell_by_cell.__name__}"
    environment = os.environ | {"NUMBA_DISABLE_JIT": "1"}
    ran = subprocess.run([*command, test], env=environment, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stdout


def test_few_odd_rows_leave_the_others_plain(telco, tmp_path, monkeypatch):
    """A quotation mark or a line break in one cell of a thousand makes no file slow."""
    header, *rows = telco.read_text().splitlines()
    for number in range(0, 7_000, 1_000):
        identity, rest = rows[number].split(",", 1)
        rows[number] = f'"{identity} ""A""",{rest}'
        identity, rest = rows[number + 500].split(",", 1)
        rows[number + 500] = f'"{identity}\nB",{rest}'
        rows[number + 700] = f'5" {rows[number + 700]}'
    source = tmp_path / "in.csv"
    source.write_text("\n".join([header, *rows]))
    read = []

    def score(block, *given, **named):
        read.append(len(block))
        return scores.score(block, *given, **named)

    monkeypatch.setattr("model.scoring.lines.score", score)
    monkeypatch.setattr("model.scoring.predict.score", score)
    _, found = scored(source, load(SHIPPED))
    assert (found.rows, found.rows_failed) == (7_043, 0)
    assert sum(read) == 3 * 7


def test_what_is_too_long_is_so_for_both_readers():
    """The kernel has numbers of its own: Numba does not see when another file's change."""
    assert csv.field_size_limit() == kernel.LONGEST_CELL
    assert kernel.LONGEST_ROW == file_text.LONGEST_ROW
