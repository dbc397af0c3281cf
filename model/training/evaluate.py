"""Measures a model on labelled customers."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from model.artifact import Metrics, Model, Schema
from model.scoring.file_mark import FileMark
from model.scoring.scores import score
from model.training.cross_validation import Measured, cross_validate, measured
from model.training.dataset import is_label, part, read_dataset, sha256_of
from model.training.leaks import honest
from model.training.metrics import measure
from model.training.train import ASKED, READ, THRESHOLD
from predictions.customer_file import open_customer_file
from predictions.errors import BadCustomerFile
from predictions.refusals import bad_file, shown

BLOCK_ROWS = 20_000


@dataclass(frozen=True)
class Evaluation:
    """What a model is worth on a file."""

    metrics: Metrics
    rows_failed: int
    """Rows that could not be scored. Neither these nor rows without a label are measured."""
    trained_on_it: bool
    """The model was trained on this very file: the metrics flatter it."""


def evaluate(
    path: Path, label: str, model: Model, *, progress: Callable[[int, float], None]
) -> Evaluation:
    """Compare a model's predictions with the label of a file.

    progress: called after each block with the rows done and the share of bytes read, in [0, 1].
    Raises BadCustomerFile when the file cannot be scored or its label is not the model's.
    """
    schema = model.schema
    left, probability = [], []
    positive = schema.positive.casefold()
    rows = rows_failed = 0
    size_bytes = path.stat().st_size
    opened = partial(open_customer_file, path, [*schema.needed_columns, label])
    mark = FileMark(opened, model)
    with opened() as customers:
        for block in customers.blocks(BLOCK_ROWS):
            scores = score(
                block, model, customers.called, mark=mark.for_block(block), reasons=False
            )
            words = [word.strip() for word in block.columns[label]]
            is_measured = scores.scored & np.array(list(map(is_label, words)))
            is_positive = np.array([word.casefold() == positive for word in words])
            left.append(is_positive[is_measured])
            probability.append(scores.probability[is_measured])
            rows += len(block)
            rows_failed += len(scores.errors)
            progress(rows, customers.bytes_read / size_bytes)
    truth = np.concatenate(left)
    if truth.all() or not truth.any():
        raise _one_answer(label, schema)
    return Evaluation(
        measure(truth, np.concatenate(probability), schema.threshold),
        rows_failed,
        trained_on_it=sha256_of(path) == schema.training.data_sha256,
    )


def evaluate_training(
    path: Path,
    label: str,
    *,
    positive: str | None,
    id_column: str | None,
    left_out: Collection[str],
    kept: Collection[str],
    seeds: Sequence[int],
    progress: Callable[[float], None],
) -> tuple[Measured, tuple[str, ...]]:
    """Measure what `train` makes of a file by cross-validation, 5 folds for each seed.

    Nothing that predicts a row has seen it: see `cross_validation`, also for the standard errors.
    left_out, kept: as for `train`; a column that knows the label is refused as there.
    progress: called often with the share of the work that is done, in [0, 1].
    Returns the figures, and what the person should know of the columns.
    Raises BadCustomerFile when the file cannot be trained on.
    """
    data = read_dataset(
        path,
        label=label,
        positive=positive,
        id_column=id_column,
        left_out=left_out,
        kept=kept,
        progress=part(progress, 0, READ),
    )
    known = honest(data, kept, part(progress, READ, ASKED))
    result = measured(cross_validate(data, seeds, part(progress, ASKED, 1)), THRESHOLD)
    return result, (*data.warnings, *known.warnings(result.metrics.auc))


def _one_answer(label: str, schema: Schema) -> BadCustomerFile:
    return bad_file(
        "one-class",
        f"By the column {shown(label)} either all customers left or none did.",
        f"This model expects {shown(schema.positive)} for those who left only.",
        column=label,
    )
