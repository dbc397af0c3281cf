"""Trains a model on any labelled CSV, measures it on rows that it has not seen and writes it down.

Leaves to `dataset` what the columns are, to `leaks` which of them know the answer, to `fitting` how
trees are chosen and to `cross_validation` how good that is.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Collection
from pathlib import Path

import numpy as np
import pandas as pd
import sklearn
import xgboost

from model.artifact import RiskBand, Schema, Training, check_can_save, save
from model.training.card import model_card
from model.training.cross_validation import Measured, measured, train_and_cross_validate
from model.training.dataset import Dataset, part, read_dataset
from model.training.fitting import SEED, Fitted, plan_of
from model.training.leaks import honest
from model.training.pictures import pictures

READ, ASKED = 0.2, 0.25
"""Share of the progress when the file is read, and when its columns have been asked for leaks."""
THRESHOLD = 0.5
BANDS = (
    RiskBand(name="Low", from_probability=0.0),
    RiskBand(name="Medium", from_probability=0.3),
    RiskBand(name="High", from_probability=0.6),
)


def train(
    path: Path,
    *,
    label: str,
    positive: str | None = None,
    id_column: str | None = None,
    revenue_column: str | None = None,
    left_out: Collection[str] = (),
    kept: Collection[str] = (),
    out: Path,
    progress: Callable[[float], None],
) -> Schema:
    """Train on the labelled CSV and write the artifact and its card to the folder `out`.

    The same file gives the same bytes, on the same library versions.
    left_out: columns that are not to be features. kept: columns that are, though they seem to know
        the label.
    progress: called often with the share of the work that is done, in [0, 1].
    Raises BadCustomerFile when the file cannot be trained on; OSError, before any work, when `out`
    cannot be written to.
    """
    check_can_save(out)
    data = read_dataset(
        path,
        label=label,
        positive=positive,
        id_column=id_column,
        revenue_column=revenue_column,
        left_out=left_out,
        kept=kept,
        progress=part(progress, 0, READ),
    )
    known = honest(data, kept, part(progress, READ, ASKED))
    fitted, held_out = train_and_cross_validate(data, SEED, part(progress, ASKED, 1))
    result = measured([held_out], THRESHOLD)
    warnings = (*data.warnings, *known.warnings(result.metrics.auc))
    raw = bytes(fitted.booster.save_raw("ubj"))
    schema = Schema(
        version="",
        columns=fitted.columns,
        id_column=id_column,
        revenue_column=revenue_column,
        label=label,
        positive=data.positive,
        negative=data.negative,
        threshold=THRESHOLD,
        bands=BANDS,
        booster_sha256=hashlib.sha256(raw).hexdigest(),
        calibration=fitted.calibration,
        metrics=result.metrics,
        training=_training(data, fitted, result, warnings),
    ).with_version(re.sub(r"[^a-z0-9]+", "-", path.stem.lower()).strip("-") or "model")
    drawings = pictures(data, fitted, held_out)
    card = model_card(schema, {name: drawing.description for name, drawing in drawings.items()})
    save(out, schema, raw, card, {name: drawing.svg for name, drawing in drawings.items()})
    progress(1.0)
    return schema


def _training(
    data: Dataset, fitted: Fitted, result: Measured, warnings: tuple[str, ...]
) -> Training:
    return Training(
        data_sha256=data.sha256,
        rows=len(data.left),
        positive_rows=int(data.left.sum()),
        duplicate_rows=data.duplicate_rows,
        unlabelled_rows=data.unlabelled_rows,
        dropped_columns=data.dropped_columns,
        warnings=warnings,
        seed=SEED,
        folds=plan_of(*data.matrix.shape).outer_folds,
        standard_errors=result.standard_errors,
        parameters=fitted.parameters,
        rounds=fitted.rounds,
        libraries={library.__name__: library.__version__ for library in (np, pd, sklearn, xgboost)},
    )
