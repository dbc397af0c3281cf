"""The measures that are ours, against figures worked out by hand."""

import numpy as np
import pytest

from model.training.metrics import measure


def test_figures_worked_out_by_hand():
    left = np.array([True, True, False, False, False, False, False, False, False, True])
    probability = np.array([0.9, 0.8, 0.2, 0.2, 0.1, 0.1, 0.1, 0.0, 0.6, 1.0])
    metrics = measure(left, probability, threshold=0.5)
    assert metrics.accuracy == 0.9
    assert metrics.auc == 1.0
    assert metrics.top_decile_precision == 1.0
    # Bins of a tenth: |.9 + 1 - 2|, |.8 - 1|, |.4|, |.3|, 0 and |.6| over ten rows.
    assert metrics.ece == pytest.approx((0.1 + 0.2 + 0.4 + 0.3 + 0.6) / 10)
    assert metrics.brier == pytest.approx((0.01 + 0.04 + 0.08 + 0.03 + 0.36) / 10)


def test_a_right_base_rate_is_calibrated():
    left = np.array([True, False, False, False])
    assert measure(left, np.full(4, 0.25), threshold=0.5).ece == 0
