"""Files of five unlike businesses, trained on as they come, and scored on customers not seen.

The true probabilities are known: what is measured is how much of all there is to know was learned.
"""

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from made_customers import BUSINESSES, Made
from model.artifact import load
from model.scoring.predict import score_file
from model.training import fitting
from model.training.dataset import read_dataset
from model.training.train import train

LEARNED = {"telephone": 0.96, "bank": 0.95, "software": 0.84, "gym": 0.93, "game": 0.78}
"""Share of the fall in log loss, from saying the mean for all to the true probabilities."""
BEHIND = {"telephone": 0.01, "bank": 0.015, "software": 0.04, "gym": 0.01, "game": 0.04}
"""In AUC, of what the true probabilities have."""


def expected_log_loss(truth: np.ndarray, said: np.ndarray) -> float:
    return float(-(truth * np.log(said) + (1 - truth) * np.log(1 - said)).mean())


@pytest.fixture(scope="module", params=BUSINESSES)
def business(request, tmp_path_factory):
    """The name, new customers and what the model says of them."""
    name, folder = request.param, tmp_path_factory.mktemp("business")
    made: Made = BUSINESSES[name]()
    with pytest.MonkeyPatch.context() as patch:
        # Measured once and not five times, and fewer depths: what it is worth is measured here.
        patch.setattr(fitting, "PLANS", (fitting.Plan(1, 3, depths=(2, 4)),))
        train(
            made.write(folder / "training.csv"),
            **made.options,
            out=folder / "model",
            progress=lambda share: None,
        )
    new: Made = BUSINESSES[name](seed=100)
    source, target = new.write(folder / "new.csv"), folder / "scored.csv"
    model = load(folder / "model")
    scored = score_file(source, target, model, threads=1, progress=lambda *_: None)
    assert (scored.rows, scored.rows_failed) == (len(new.rows), 0)
    said = pd.read_csv(target)["churn_probability"].to_numpy()
    return name, new, np.clip(said, 1e-6, 1 - 1e-6)


def test_a_model_knows_nearly_all_that_can_be_known(business):
    name, new, said = business
    nothing = np.full(len(said), new.probability.mean())
    worst, loss, best = (
        expected_log_loss(new.probability, one) for one in (nothing, said, new.probability)
    )
    assert (worst - loss) / (worst - best) >= LEARNED[name]
    assert new.best_auc - roc_auc_score(new.left, said) <= BEHIND[name]
    assert abs(said.mean() - new.probability.mean()) < 0.02, "calibrated"


@pytest.mark.parametrize(
    ("name", "kinds", "left_out"),
    [
        (
            "telephone",
            {"Tenure in  Months": "numeric", "City": "categorical", "Paperless": "boolean"},
            {"Country", "Churn Reason", "Churn Score", "Churn Value"},
        ),
        (
            "bank",
            {"CreditScore": "numeric", "Balance": "numeric", "IsActiveMember": "boolean"},
            {"RowNumber", "CustomerId"},
        ),
        (
            "software",
            {
                "signed_up_at": "date",
                "last_seen": "date",
                "uses_api": "boolean",
                "seats": "numeric",
            },
            {"notes"},
        ),
        ("gym", {"Beitrag": "numeric", "Jahresumsatz": "numeric", "Eintritt": "date"}, set()),
        ("game", {"guild": "categorical", "pvp": "boolean", "spent": "numeric"}, {"player_id"}),
    ],
)
def test_columns_are_found_for_what_they_are(name, kinds, left_out, tmp_path):
    made = BUSINESSES[name]()
    data = read_dataset(made.write(tmp_path / "in.csv"), **made.options)
    found = {column.name: column.kind for column in data.columns}
    assert {column: found[column] for column in kinds} == kinds
    assert set(data.dropped_columns) == left_out
