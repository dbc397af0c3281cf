"""The trees of a booster, read from XGBoost's own format without XGBoost."""

from __future__ import annotations

import json
from dataclasses import dataclass
from math import log
from typing import Any

import numpy as np

from model.scoring import ubjson

CATEGORICAL = 1
"""XGBoost's split type; 0 is numeric."""


@dataclass(frozen=True)
class Split:
    """What a node asks."""

    column: int
    threshold: np.float32
    """Smaller values go left. Numeric only."""
    categories: frozenset[int] | None
    """Codes that go right. None: numeric."""
    missing_left: bool


@dataclass(frozen=True)
class Tree:
    """One tree, its nodes in XGBoost's order: 0 is the root."""

    left: list[int]
    """Each node's left child; -1: a leaf."""
    right: list[int]
    splits: list[Split | None]
    """What each node asks; None: a leaf."""
    values: list[float]
    """Log-odds, of leaves."""
    cover: list[float]
    """Sum of the Hessian over the training rows that came to the node: how TreeSHAP weighs them."""


@dataclass(frozen=True)
class Ensemble:
    """All trees; the margin is the sum of a leaf of each and of `base_margin`."""

    trees: list[Tree]
    base_margin: float


def read_booster(raw: bytes) -> Ensemble:
    """Read a binary classifier of trees from `booster.save_raw("ubj")`.

    Raises ValueError when it is something else.
    """
    try:
        learner = ubjson.loads(raw)["learner"]
        objective = learner["objective"]["name"]
        booster = learner["gradient_booster"]
        if (objective, booster["name"]) != ("binary:logistic", "gbtree"):
            raise ValueError(f"a booster of {booster['name']} for {objective}")
        base = json.loads(learner["learner_model_param"]["base_score"])
        (probability,) = base if isinstance(base, list) else [base]
        return Ensemble(
            trees=[_tree(content) for content in booster["model"]["trees"]],
            base_margin=log(probability / (1 - probability)),
        )
    except (ArithmeticError, AttributeError, KeyError, TypeError, IndexError) as exc:
        raise ValueError(f"not a booster of trees: {exc!r}") from exc


def _tree(content: dict[str, Any]) -> Tree:
    left = content["left_children"].tolist()
    sets = {
        int(node): frozenset(content["categories"][start : start + size].tolist())
        for node, start, size in zip(
            content["categories_nodes"],
            content["categories_segments"],
            content["categories_sizes"],
            strict=True,
        )
    }
    splits = [
        None
        if child < 0
        else Split(
            column=int(content["split_indices"][node]),
            threshold=content["split_conditions"][node],
            categories=sets[node] if content["split_type"][node] == CATEGORICAL else None,
            missing_left=bool(content["default_left"][node]),
        )
        for node, child in enumerate(left)
    ]
    return Tree(
        left=left,
        right=content["right_children"].tolist(),
        splits=splits,
        values=content["split_conditions"].astype(np.float64).tolist(),
        cover=content["sum_hessian"].astype(np.float64).tolist(),
    )
