"""Sampled customers: seeded, unique, and like the real ones."""

import io

import pandas as pd
import pytest

from model import sample as sample_module
from model.sample import sample
from model.scoring.predict import score_file


def sampled(rows: int, seed: int = 0) -> bytes:
    out = io.BytesIO()
    sample(rows, seed, out, lambda share: None)
    return out.getvalue()


@pytest.fixture(scope="module")
def customers() -> pd.DataFrame:
    return pd.read_csv(io.BytesIO(sampled(60_000)))


def test_the_seed_makes_the_file():
    assert sampled(50, seed=1) == sampled(50, seed=1) != sampled(50, seed=2)


def test_columns_are_those_of_the_telco_file_without_the_label(customers, telco):
    expected = [name for name in pd.read_csv(telco).columns if name != "Churn"]
    assert list(customers.columns) == expected


def test_ids_are_unique_over_blocks_and_look_like_the_real_ones(customers):
    assert customers["customerID"].is_unique
    assert customers["customerID"].str.fullmatch(r"\d{4}-[A-Z]{5}").all()


def test_what_goes_together_stays_together(customers, telco):
    real = pd.read_csv(telco)
    assert set(customers["tenure"]) == set(range(73))
    assert customers["tenure"].mean() == pytest.approx(real["tenure"].mean(), rel=0.03)
    assert (customers["TotalCharges"].isna() == (customers["tenure"] == 0)).all()
    ratio = customers["TotalCharges"] / (customers["tenure"] * customers["MonthlyCharges"])
    assert ratio.quantile(0.01) > 0.7
    assert ratio.quantile(0.99) < 1.4
    without = customers["InternetService"] == "No"
    assert (customers.loc[without, "StreamingTV"] == "No internet service").all()


def test_progress_tells_each_block(monkeypatch):
    monkeypatch.setattr(sample_module, "BLOCK_ROWS", 40)
    told: list[float] = []
    sample(100, 0, io.BytesIO(), told.append)
    assert told == [0.4, 0.8, 1.0]


def test_they_score_like_the_real_ones(model, telco, tmp_path):
    path = tmp_path / "in.csv"
    path.write_bytes(sampled(5_000))
    scored = score_file(
        path, tmp_path / "out.csv", model, threads=1, progress=lambda rows, share: None
    )
    assert scored.rows_failed == 0
    assert scored.summary.expected_churners / 5_000 == pytest.approx(0.2654, abs=0.03)
