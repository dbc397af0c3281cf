"""The script that people write: pandas reads, XGBoost's classifier scores, pandas writes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pandas as pd
from xgboost import XGBClassifier

from model.artifact import BOOSTER_FILE, Schema
from predictions.schema import Column, read_schema


def scorer(folder: Path) -> Callable[..., None]:
    """Return what scores a file with the trees in the folder."""
    return scorer_with(folder, read_plainly)


def scorer_with(folder: Path, read: Callable[[Path, Schema], pd.DataFrame]) -> Callable[..., None]:
    """Return the same with another way to read."""
    schema = read_schema(folder, Schema)
    classifier = XGBClassifier()
    classifier.load_model(folder / BOOSTER_FILE)

    def score(source: Path, target: Path, *, reasons: bool) -> None:
        assert not reasons, "it has none"
        customers = read(source, schema)
        probability = classifier.predict_proba(customers[list(types_of(schema))])[:, 1]
        result = pd.DataFrame({"id": customers[schema.id_column], "probability": probability})
        result.to_csv(target, index=False)

    return score


def read_plainly(source: Path, schema: Schema) -> pd.DataFrame:
    """Read a file as it comes, and tell pandas afterwards what is a category."""
    types = {name: kind for name, kind in types_of(schema).items() if kind not in PLAIN}
    return pd.read_csv(source, **TRUTHS).astype(types)


PLAIN = ("float32", "bool")
"""Types that pandas finds by itself."""
TRUTHS: dict[str, list[str]] = {"true_values": ["Yes"], "false_values": ["No"]}
"""What else than a number is a yes or a no in the Telco file."""


def types_of(schema: Schema) -> dict[str, pd.CategoricalDtype | str]:
    """Return pandas's type of each of the model's columns, in its order."""
    return {column.name: _type_of(column) for column in schema.columns}


def _type_of(column: Column) -> pd.CategoricalDtype | str:
    if column.kind == "categorical":
        return pd.CategoricalDtype(list(column.categories))
    return "bool" if column.categories == ("No", "Yes") else "float32"
