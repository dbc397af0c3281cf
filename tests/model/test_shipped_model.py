"""The model that comes with the program: made again to the byte, and as good as the data allows."""

from model.artifact import SHIPPED
from model.training.train import train


def test_training_on_the_telco_file_gives_the_shipped_model_to_the_byte(telco, tmp_path):
    out = tmp_path / "any-name"
    train(
        telco,
        label="Churn",
        positive="Yes",
        id_column="customerID",
        revenue_column="MonthlyCharges",
        out=out,
        progress=lambda share: None,
    )
    for path in SHIPPED.iterdir():
        assert (out / path.name).read_bytes() == path.read_bytes(), path.name


def test_the_shipped_model_is_good_and_not_too_good_to_be_true(model):
    """By cross-validation, as its schema tells it; more would be a leak."""
    metrics = model.schema.metrics
    assert 0.804 <= metrics.accuracy < 0.82
    assert 0.849 <= metrics.auc < 0.86
    assert metrics.log_loss <= 0.412
    assert metrics.brier <= 0.134
    assert metrics.ece <= 0.015
    assert model.schema.training.warnings == ()


def test_columns_of_the_telco_file_are_what_a_person_would_say(model):
    kinds = {column.name: column.kind for column in model.schema.columns}
    assert kinds["SeniorCitizen"] == kinds["Partner"] == "boolean"
    assert kinds["gender"] == kinds["Contract"] == "categorical"
    assert kinds["tenure"] == kinds["TotalCharges"] == "numeric"
