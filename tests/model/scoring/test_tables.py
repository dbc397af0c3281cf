"""The tables say of every row what XGBoost says of it: scores and SHAP values, on any model."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pytest
import xgboost
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from model.scoring import kernel, tables, ubjson
from model.scoring.tables import bins_of, tabulate
from model.scoring.trees import Ensemble, read_booster
from predictions.schema import Column

KINDS = ("numeric", "categorical", "boolean")
UNSEEN = (-math.inf, math.inf, math.nan, 0.0, -1e30, 1e30)


@dataclass(frozen=True)
class Trained:
    """A booster of random trees, and rows of which it has seen a part."""

    columns: list[Column]
    booster: xgboost.Booster
    matrix: np.ndarray
    new: np.ndarray


@st.composite
def trained(draw: st.DrawFn) -> Trained:
    kinds = draw(st.lists(st.sampled_from(KINDS), min_size=1, max_size=5))
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    rows = 300
    columns, cells = [], []
    for number, kind in enumerate(kinds):
        categories = tuple("abcdefgh"[: draw(st.integers(1, 8))])
        if kind == "numeric":
            values = np.round(random.normal(0, 10, rows), draw(st.integers(0, 3)))
            average, lowest, highest = values.mean(), values.min(), values.max()
            columns.append(
                Column(name=f"{number}", kind=kind, average=average, lowest=lowest, highest=highest)
            )
        elif kind == "categorical":
            values = random.integers(0, len(categories), rows).astype(float)
            columns.append(Column(name=f"{number}", kind=kind, categories=categories))
        else:
            values = random.integers(0, 2, rows).astype(float)
            columns.append(Column(name=f"{number}", kind=kind, categories=("no", "yes")))
        values[random.random(rows) < draw(st.sampled_from([0, 0.2]))] = np.nan
        cells.append(values)
    matrix = np.column_stack(cells).astype(np.float32)
    signal = np.nan_to_num(matrix).sum(axis=1) + random.normal(0, 5, rows)
    half = slice(0, rows // 2)  # with categories and numbers that the other half does not have
    booster = xgboost.train(
        {
            "objective": "binary:logistic",
            "max_depth": draw(st.integers(1, 5)),
            "learning_rate": draw(st.sampled_from([0.1, 1.0])),
            "min_child_weight": 0.1,
            "subsample": draw(st.sampled_from([0.5, 1.0])),
            "max_cat_to_onehot": draw(st.sampled_from([1, 4, 100])),
            "nthread": 1,
        },
        data_of(columns, matrix[half], signal[half] > np.median(signal[half])),
        num_boost_round=draw(st.integers(1, 12)),
    )
    new = np.zeros(matrix.shape, dtype=np.bool_)
    for position, column in enumerate(columns):
        if column.kind == "numeric":
            matrix[-len(UNSEEN) :, position] = random.permutation(UNSEEN)
        else:
            new[-4:, position] = True
            matrix[-4:, position] = np.nan
    return Trained(columns, booster, matrix, new)


def data_of(
    columns: list[Column], matrix: np.ndarray, label: np.ndarray | None = None
) -> xgboost.DMatrix:
    types = ["c" if column.kind == "categorical" else "q" for column in columns]
    return xgboost.DMatrix(matrix, label, feature_types=types, enable_categorical=True, nthread=1)


def sums_and_effects(model: Trained) -> tuple[np.ndarray, np.ndarray, float]:
    ensemble = read_booster(bytes(model.booster.save_raw("ubj")))
    bins = bins_of(ensemble, model.columns)
    made = tabulate(ensemble, bins)
    found = bins.of(model.matrix, model.new)
    log_odds, effects = np.empty(len(model.matrix)), np.empty(found.shape)
    kernel.add_sums(made, found, log_odds)
    kernel.add_effects(made, found, effects)
    return log_odds, effects, made.base


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(model=trained())
def test_any_row_of_any_model_has_the_score_and_the_shap_values_of_xgboost(model):
    log_odds, effects, base = sums_and_effects(model)

    expected = model.booster.inplace_predict(model.matrix)
    assert np.abs(1 / (1 + np.exp(-log_odds)) - expected).max() <= 1e-6
    assert np.abs(base + effects.sum(axis=0) - log_odds).max() <= 1e-9

    finite = ~np.isinf(model.matrix).any(axis=1)  # XGBoost explains no others
    contributions = model.booster.predict(
        data_of(model.columns, model.matrix[finite]), pred_contribs=True
    )
    scale = max(1.0, float(np.abs(contributions).max()))
    found = np.vstack([effects[:, finite], np.full(finite.sum(), base)]).T
    assert np.abs(found - contributions).max() <= 1e-6 * scale


@settings(max_examples=10, deadline=None, suppress_health_check=list(HealthCheck))
@given(model=trained(), most_cells=st.sampled_from([1, 4, 30]))
def test_small_tables_say_the_same_as_large_ones(model, most_cells):
    expected = sums_and_effects(model)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tables, "MOST_CELLS", most_cells)
        found = sums_and_effects(model)
    for one, other in zip(found, expected, strict=True):
        assert np.allclose(one, other, rtol=0, atol=1e-9)


@pytest.mark.parametrize("kind", ["numeric", "date"])
def test_values_outside_those_of_training_have_bins_of_their_own(kind):
    column = Column(name="fee", kind=kind, average=3.0, lowest=0.1, highest=90.7)
    bins = bins_of(Ensemble(trees=[], base_margin=0.0), [column])
    matrix = np.float32([[0.1], [90.7], [3], [0], [91], [math.nan]])
    (found,) = bins.of(matrix, np.zeros(matrix.shape, dtype=np.bool_))
    assert [bin_ in bins.unseen[0] for bin_ in found] == [False, False, False, True, True, False]


def test_the_effects_of_a_leaf_are_shapley_values_by_their_definition():
    value, shares = 3.0, np.array([0.2, 0.7, 0.5])
    effects = kernel.leaf_effects(value, shares)
    takes = np.array([True, False, True])

    def worth(known: set[int]) -> float:
        return value * math.prod(float(takes[c]) if c in known else shares[c] for c in range(3))

    for column in range(3):
        others = [c for c in range(3) if c != column]
        expected = 0.0
        for chosen in range(4):
            known = {c for bit, c in enumerate(others) if chosen >> bit & 1}
            size = len(known)
            weight = math.factorial(size) * math.factorial(2 - size) / math.factorial(3)
            expected += weight * (worth(known | {column}) - worth(known))
        assert effects[0b101, column] == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (b"", "it ends at byte 0"),
        (b"{L\x00\x00", "it ends at byte 4"),
        (b"!", "b'!' at byte 0"),
        (b"[$S#U\x01", "an array of b'S'"),
        (b"{i\xff", "a length of -1"),
        (b"{U\x01\xff", "not UBJSON"),
    ],
)
def test_what_is_not_ubjson_is_refused(raw, said):
    with pytest.raises(ValueError, match="UBJSON") as caught:
        ubjson.loads(raw)
    assert said in str(caught.value)


def test_another_kind_of_booster_is_refused():
    random = np.random.default_rng(0)
    data = xgboost.DMatrix(random.random((20, 2)), random.random(20))
    regression = xgboost.train({"objective": "reg:squarederror", "nthread": 1}, data, 1)
    linear = xgboost.train(
        {"booster": "gblinear", "objective": "binary:logistic", "nthread": 1}, data, 1
    )
    for booster, said in ((regression, "reg:squarederror"), (linear, "gblinear")):
        with pytest.raises(ValueError, match=said):
            read_booster(bytes(booster.save_raw("ubj")))
    with pytest.raises(ValueError, match="not a booster of trees"):
        read_booster(b"{}")
