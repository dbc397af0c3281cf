"""Saves our trees as a model of MLflow: `with_mlflow.py BOOSTER COLUMNS SAMPLE OUT` in .venv-bench.

As scikit-learn's flavour: MLflow's own flavour of XGBoost is given the file's cells as text, which
a booster with categories refuses. So the pipeline turns them into the codes it was trained on.
"""

from __future__ import annotations

import json
import logging
import sys

import mlflow.sklearn
import numpy as np
import pandas as pd
from sklearn.compose import ColumnTransformer
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer, OrdinalEncoder
from xgboost import XGBClassifier


def main() -> None:
    """Save it; the sample is some rows of a file, from which the pipeline learns the names."""
    booster, columns, sample, out = sys.argv[1:]
    logging.getLogger("mlflow").setLevel(logging.ERROR)  # it warns of pickles
    categories = {column["name"]: column["categories"] for column in json.loads(columns)}
    words = [name for name, known in categories.items() if known]
    figures = [name for name, known in categories.items() if not known]
    encoder = OrdinalEncoder(
        categories=[categories[name] for name in words],
        handle_unknown="use_encoded_value",
        unknown_value=np.nan,
        encoded_missing_value=np.nan,
    )
    cells = ColumnTransformer([("words", encoder, words), ("figures", "passthrough", figures)])
    trained_order = [(words + figures).index(name) for name in categories]
    order = FunctionTransformer(np.take, kw_args={"indices": trained_order, "axis": 1})
    classifier = XGBClassifier()
    classifier.load_model(booster)
    cells.fit(pd.read_csv(sample))
    mlflow.sklearn.save_model(
        Pipeline([("cells", cells), ("order", order), ("classifier", classifier)]),
        out,
        pyfunc_predict_fn="predict_proba",
        serialization_format="cloudpickle",
        pip_requirements=[],  # it would look for them, and ask an index
    )


if __name__ == "__main__":
    main()
