"""Customers and models of any width and size: for how the cost of scoring grows.

Half of the columns are numbers and half are words; whether a customer left hangs on all of them, so
that trees of any depth and number find something to split. Every number is drawn from one seed.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pandas as pd
import xgboost

from model.artifact import SHIPPED, Schema, feature_types, save
from predictions.schema import Column, read_schema

SEED = 7
WORDS = ("basic", "family", "premium", "student", "trial")
ID = "customer"
ROWS_TRAINED_ON = 20_000


def customers(rows: int, width: int) -> pd.DataFrame:
    """Make so many customers with so many columns beside the id."""
    random = np.random.default_rng(SEED)
    columns: dict[str, object] = {ID: np.char.add("C", np.arange(rows).astype(str))}
    for position in range(width):
        if position % 2:
            column = pd.Categorical.from_codes(random.integers(len(WORDS), size=rows), WORDS)
        else:
            column = np.round(random.gamma(2, 30, rows), 2)
        columns[f"column_{position:03}"] = column
    return pd.DataFrame(columns)


def make_model(made: pd.DataFrame, folder: Path, *, trees: int, depth: int) -> None:
    """Train so many trees on the first of these customers, and write the artifact.

    What the schema says of the training is the shipped model's: nothing here asks for it.
    """
    random = np.random.default_rng(SEED + 1)
    features = made.drop(columns=ID).head(ROWS_TRAINED_ON)
    cells = [v.cat.codes if v.dtype == "category" else v for _, v in features.items()]
    matrix = np.column_stack(cells).astype(np.float32)
    strength = random.normal(size=matrix.shape[1])
    pull = (matrix - matrix.mean(axis=0)) / matrix.std(axis=0) @ strength
    left = pull / pull.std() + random.logistic(size=len(matrix)) > 0
    columns = tuple(
        Column(name=name, kind="categorical", categories=WORDS)
        if values.dtype == "category"
        else Column(name=name, kind="numeric", average=float(values.mean().round(4)))
        for name, values in features.items()
    )
    booster = xgboost.train(
        {
            "objective": "binary:logistic",
            "max_depth": depth,
            "min_child_weight": 0,
            "learning_rate": 0.05,
            "seed": SEED,
            "nthread": 1,
        },
        xgboost.DMatrix(
            matrix, left, feature_types=feature_types(columns), enable_categorical=True
        ),
        trees,
    )
    raw = bytes(booster.save_raw("ubj"))
    schema = read_schema(SHIPPED, Schema).model_copy(
        update={
            "columns": columns,
            "id_column": ID,
            "revenue_column": None,
            "booster_sha256": hashlib.sha256(raw).hexdigest(),
        }
    )
    save(folder, schema.with_version("made"), raw, "", {})
