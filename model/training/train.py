"""Trains a model on any labelled CSV, measures it on rows that it has not seen and writes it down.

Leaves to `dataset` what the columns are, to `leaks` which of them know the answer, to `fitting` how
trees are chosen and to `cross_validation` how good that is.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Collection
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import sklearn
import xgboost
from numpy.typing import NDArray

from model.artifact import RiskBand, Schema, Training, check_can_save, save
from model.training.card import model_card
from model.training.cross_validation import HeldOut, Measured, measured, train_and_cross_validate
from model.training.dataset import Dataset, part, read_dataset
from model.training.fitting import SEED, Fitted, plan_of
from model.training.leaks import honest
from model.training.pictures import pictures

READ, ASKED = 0.2, 0.25
"""Share of the progress when the file is read, and when its columns have been asked for leaks."""
THRESHOLD = 0.5
BANDS = (("Medium", 0.3, 1, 0.3), ("High", 0.6, 2, 0.1))
"""Above `Low`: from which probability. Where hardly anybody reaches it: from how many times the
average one, and for which share of the customers at most."""
FEW_PREDICTED = 0.25
"""Of those who left: the prediction says little if no more than so many reach the threshold."""


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
    warnings = (
        *data.warnings,
        *known.warnings(result.metrics.auc),
        *_warnings_of_few(held_out),
    )
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
        bands=bands(held_out.probability),
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


def bands(probability: NDArray[np.float64]) -> tuple[RiskBand, ...]:
    """Choose where risk bands begin by predictions of customers that the model has not seen."""
    average = float(probability.mean())
    bounds = []
    for _, usual, times, share in BANDS:
        reached = max(times * average, float(np.quantile(probability, 1 - share)))
        bounds.append(min(usual, _two_digits(reached)))
    lowest = _two_digits(float(probability.min()))
    # Of customers who are as good as alike none is at a higher risk.
    if not all(below < above for below, above in pairwise((lowest, *bounds))):
        bounds = [usual for _, usual, _, _ in BANDS]
    named = zip((name for name, *_ in BANDS), bounds, strict=True)
    return (
        RiskBand(name="Low", from_probability=0.0),
        *(RiskBand(name=name, from_probability=bound) for name, bound in named),
    )


def _two_digits(probability: float) -> float:
    return float(f"{probability:.2g}")


def _warnings_of_few(held_out: HeldOut) -> tuple[str, ...]:
    left, predicted = int(held_out.left.sum()), int((held_out.probability >= THRESHOLD).sum())
    if predicted > FEW_PREDICTED * left:
        return ()
    return (
        f"{predicted:,} of {len(held_out.left):,} customers are predicted to leave, and {left:,} "
        f"did: few reach a probability of {THRESHOLD:g}. Choose by risk band or probability.",
    )


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
