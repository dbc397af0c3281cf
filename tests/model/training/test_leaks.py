"""A column that knows the answer is found by name, however it spells it; an honest one is not."""

from dataclasses import dataclass

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from made_customers import BUSINESSES, Table, telephone
from model.training.dataset import read_dataset
from model.training.leaks import auc_of, leaks

ROWS = 1_000


@dataclass
class Planted:
    random: np.random.Generator
    left: np.ndarray

    def words(self, yes: str, no: str) -> np.ndarray:
        return np.where(self.left, yes, no)

    def flipped(self, share: float) -> np.ndarray:
        return self.left ^ (self.random.random(len(self.left)) < share)


PLANTS = {
    "copy": lambda at: at.words("Yes", "No"),
    "inverse": lambda at: at.words("0", "1"),
    "code": lambda at: at.words("17", "4"),
    "status": lambda at: np.where(at.left, "Closed", at.random.choice(["A", "B", "C"], ROWS)),
    "nearly": lambda at: at.flipped(0.005).astype(int),
    "number": lambda at: (at.left * 50 + at.random.uniform(0, 40, ROWS)).round(2),
    "date of those who left": lambda at: np.where(at.left, "2024-05-17", ""),
    "reason of some who left": lambda at: np.where(
        at.left & (at.random.random(ROWS) < 0.3), "Price", ""
    ),
    "renewed, of those who stayed": lambda at: np.where(at.left, "", "2025-01-01"),
}


def found(plant, tmp_path, rate=0.25):
    random = np.random.default_rng(4)
    table = Table(random, ROWS)
    fee = random.gamma(2, 20, ROWS)
    table.add("fee", [f"{amount:.2f}" for amount in fee])
    table.add("plan", random.choice(["a", "b"], ROWS))
    made = table.made(fee / 30, "left", ("yes", "no"), rate=rate)
    made.header.append("planted")
    for row, cell in zip(made.rows, plant(Planted(random, made.left)), strict=True):
        row.append(str(cell))
    return leaks(read_dataset(made.write(tmp_path / "in.csv"), **made.options)).found


@pytest.mark.parametrize("name", PLANTS)
def test_a_column_that_knows_the_answer_is_certain(name, tmp_path):
    (leak,) = found(PLANTS[name], tmp_path)
    assert (leak.column, leak.is_certain) == ("planted", True)
    assert str(leak).startswith("“planted” ")


def test_the_area_is_that_of_scikit_learn():
    random = np.random.default_rng(0)
    for rows, different in ((50, 3), (500, 40), (500, 10_000)):
        left, rate = random.random(rows) < 0.3, random.integers(0, different, rows) / different
        assert auc_of(left, rate) == pytest.approx(roc_auc_score(left, rate), abs=1e-12)
    assert auc_of(np.array([False, True]), np.array([0.1, 0.9])) == 1


def test_it_tells_how_far_it_is(tmp_path):
    made, shares = telephone(), []
    leaks(read_dataset(made.write(tmp_path / "in.csv"), **made.options), shares.append)
    assert len(shares) > 5
    assert shares == sorted(shares)


def test_one_that_says_too_much_is_suspicious_only(tmp_path):
    (leak,) = found(lambda at: at.flipped(0.06).astype(int), tmp_path)
    assert (leak.column, leak.is_certain) == ("planted", False)


@pytest.mark.parametrize(
    "plant",
    [
        lambda at: at.flipped(0.25).astype(int),  # strong, and honest
        lambda at: np.where(at.random.random(ROWS) < 0.02, "x", ""),  # of few, whoever they are
        lambda at: np.where(np.cumsum(~at.left) <= 15, np.where(at.left, "", "x"), ""),  # chance
    ],
)
def test_an_honest_column_is_none(plant, tmp_path):
    assert found(plant, tmp_path) == ()


def test_what_is_only_known_by_heart_is_none(tmp_path):
    pairs = [f"pair {n // 2}" if n > 20 else "some" for n in range(ROWS)]
    assert found(lambda _: pairs, tmp_path, rate=0.05) == ()


@pytest.mark.parametrize("name", BUSINESSES)
def test_no_honest_business_has_one(name, tmp_path):
    made = BUSINESSES[name]()
    assert leaks(read_dataset(made.write(tmp_path / "in.csv"), **made.options)).found == ()


def test_those_of_a_usual_file_are_found(tmp_path):
    made = telephone()
    given = made.options | {"left_out": ()}
    data = read_dataset(made.write(tmp_path / "in.csv"), **given)
    sure = {leak.column: leak.is_certain for leak in leaks(data).found}
    assert sure == {"Churn Reason": True, "Churn Score": True, "Churn Value": True}


def test_a_model_that_is_too_good_is_told_with_its_strongest_columns(telco):
    known = leaks(read_dataset(telco, label="Churn", id_column="customerID"))
    assert known.warnings(auc=0.85) == ()
    (warning,) = known.warnings(auc=0.985)
    assert "0.985 is too good to be true" in warning
    assert "“Contract”" in warning
