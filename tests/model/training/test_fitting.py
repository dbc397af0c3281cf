"""What is chosen from the rows, within counted work, and the same wherever it runs."""

import os

import numpy as np
import pytest

from made_customers import Table, software, telephone
from model.training import cross_validation, fitting
from model.training.cross_validation import (
    HeldOut,
    cross_validate,
    measured,
    train_and_cross_validate,
)
from model.training.dataset import read_dataset
from model.training.fitting import CELLS, ROW_CELLS, fit, plan_of
from predictions.schema import Column

NUMBERS = tuple(Column(name=name, kind="numeric") for name in "abc")


def ignored(share: float) -> None:
    pass


def made(rows: int, seed: int = 0):
    """Three columns of noise, the first of which says who leaves, but not surely."""
    random = np.random.default_rng(seed)
    matrix = random.normal(size=(rows, 3)).astype(np.float32)
    return matrix, random.random(rows) < 1 / (1 + np.exp(-2 * matrix[:, 0]))


@pytest.mark.parametrize("rows", [100, 7_043, 10_000, 50_000, 200_000])
@pytest.mark.parametrize("columns", [1, 20, 200])
def test_the_work_is_bounded_whatever_the_size(rows, columns):
    plan = plan_of(rows, columns)
    work = rows * (columns + ROW_CELLS) * plan.levels * plan.boosters * (plan.outer_folds + 1)
    assert work <= CELLS or plan.levels == fitting.FEWEST_LEVELS_OF_ALL
    assert all(plan.rounds(depth) * depth <= plan.levels for depth in plan.depths)
    assert all(0.03 <= plan.learning_rate(depth) <= 0.3 for depth in plan.depths)


@pytest.mark.parametrize("columns", [3_000, 16_000])
def test_the_work_is_bounded_where_columns_are_more_than_rows(columns):
    plan = plan_of(2_000, columns)
    levels = plan.levels * plan.boosters * (plan.outer_folds + 1)
    assert 2_000 * (columns + ROW_CELLS) * levels <= CELLS
    assert plan.levels >= fitting.FEWEST_LEVELS_OF_ALL


def test_the_larger_the_file_the_less_is_tried():
    plans = [plan_of(rows, 20) for rows in (10_000, 30_000, 100_000, 1_000_000)]
    boosters = [plan.boosters * (plan.outer_folds + 1) for plan in plans]
    assert boosters == sorted(boosters, reverse=True)
    assert (plans[0].outer_folds, plans[0].inner_folds) == (5, 5)
    assert (plans[-1].outer_folds, plans[-1].inner_folds) == (1, 1)


@pytest.mark.parametrize(("business", "is_deep"), [(telephone, False), (software, True)])
def test_depth_is_chosen_by_what_the_columns_do_together(business, is_deep, tmp_path):
    one = business(rows=3_000)
    data = read_dataset(one.write(tmp_path / "in.csv"), **one.options)
    fitted = fit(data.columns, data.matrix, data.left, plan_of(3_000, 7), ignored)
    assert (fitted.depth > 2) == is_deep
    assert fitted.parameters["max_depth"] == fitted.depth


def test_what_cannot_be_told_is_the_mean_for_all():
    matrix, _ = made(1_000)
    left = np.random.default_rng(1).random(1_000) < 0.3
    fitted = fit(NUMBERS, matrix, left, plan_of(1_000, 3), ignored)
    said = fitted.probability(NUMBERS, made(1_000, seed=2)[0])
    assert np.abs(said - left.mean()).max() < 0.1


def test_a_rare_category_is_as_good_as_none():
    random = np.random.default_rng(0)
    column = Column(name="plan", kind="categorical", categories=("0", "a", "b"))
    codes = random.integers(1, 3, 500).astype(np.float32)
    left = random.random(500) < np.where(codes == 1, 0.8, 0.1)
    codes[:4], left[:4] = 0, True
    matrix = codes.reshape(-1, 1)
    fitted = fit([column], matrix, left, plan_of(500, 1), ignored)
    assert fitted.columns[0].categories == ("a", "b")
    rare, missing, a, b = fitted.probability([column], np.float32([[0], [np.nan], [1], [2]]))
    assert rare == missing
    assert a > 0.7
    assert b < 0.3


def test_calibration_mends_what_trees_are_too_sure_or_unsure_of():
    matrix, left = made(4_000)
    fitted = fit(NUMBERS, matrix, left, plan_of(4_000, 3), ignored)
    new, later = made(20_000, seed=5)
    said = fitted.probability(NUMBERS, new)
    for group in np.array_split(np.argsort(said), 5):
        assert abs(said[group].mean() - later[group].mean()) < 0.03


def data_of(rows: int, tmp_path):
    table = Table(np.random.default_rng(0), rows)
    matrix, _ = made(rows)
    for name, values in zip("abc", matrix.T, strict=True):
        table.add(name, [f"{value:.3f}" for value in values])
    one = table.made(2 * matrix[:, 0].astype(float), "left", ("yes", "no"), rate=0.4)
    return read_dataset(one.write(tmp_path / "in.csv"), **one.options)


@pytest.mark.usefixtures("quick")
def test_how_many_fits_run_at_once_changes_nothing(tmp_path, monkeypatch):
    data = data_of(600, tmp_path)
    found = []
    for processors in (1, 4):
        monkeypatch.setattr(os, "cpu_count", lambda processors=processors: processors)
        fitted, held_out = train_and_cross_validate(data, 0, ignored)
        found.append((bytes(fitted.booster.save_raw("ubj")), held_out.probability.tolist()))
    assert found[0] == found[1]


@pytest.mark.usefixtures("quick")
def test_no_row_is_seen_by_the_fit_that_predicts_it(tmp_path, monkeypatch):
    data = data_of(400, tmp_path)
    seen = []

    def watched(columns, matrix, left, plan, progress):
        seen.append({row.tobytes() for row in matrix})
        return fit(columns, matrix, left, plan, progress)

    monkeypatch.setattr(cross_validation, "fit", watched)
    monkeypatch.setattr(os, "cpu_count", lambda: 1)
    (held_out,) = cross_validate(data, [3], ignored)
    assert sorted(held_out.rows.tolist()) == list(range(400))
    folds = np.array_split(held_out.rows, 5)
    for rows, known in zip(folds, seen, strict=True):
        assert not known & {row.tobytes() for row in data.matrix[rows]}


@pytest.mark.usefixtures("quick")
def test_a_fit_that_fails_stops_the_others(tmp_path, monkeypatch):
    data, ticks = data_of(400, tmp_path), []

    def failing(columns, matrix, left, plan, progress):
        if len(left) == 400:
            raise ZeroDivisionError
        for _ in range(10**6):
            progress(0.0)
            ticks.append(1)

    monkeypatch.setattr(cross_validation, "fit", failing)
    with pytest.raises(ZeroDivisionError):
        train_and_cross_validate(data, 0, ignored)
    assert len(ticks) < 10**6


def test_standard_errors_are_those_of_the_rows_drawn():
    """Drawn again and again, the figures scatter as far as one draw says they will."""

    def drawn(seed: int) -> HeldOut:
        random = np.random.default_rng(seed)
        probability = random.uniform(0.05, 0.95, 1_000)
        return HeldOut(np.arange(1_000), random.random(1_000) < probability, probability)

    draws = [measured([drawn(seed)], 0.5) for seed in range(30)]
    for name in ("accuracy", "auc", "log_loss", "brier"):
        scatter = np.std([getattr(draw.metrics, name) for draw in draws])
        told = np.mean([draw.standard_errors[name] for draw in draws])
        assert 0.6 < told / scatter < 1.6, name
