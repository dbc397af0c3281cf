"""Cells become the numbers that were trained on; what is odd about them is marked, cell by cell."""

import numpy as np

from model.features import encode
from predictions.schema import Column

NAN = np.nan


def encoded(column: Column, *cells: str):
    features = encode([column], {column.name: cells})
    return [
        features.matrix[:, 0].tolist(),
        np.flatnonzero(features.new[:, 0]).tolist(),
        sorted(features.errors),
    ]


def same(found, expected):
    np.testing.assert_array_equal(found[0], np.float32(expected[0]))
    assert found[1:] == expected[1:]


def test_any_word_for_yes_and_no_is_understood_and_another_is_new():
    column = Column(name="paperless", kind="boolean", categories=("0", "1"), blank_words=("n/a",))
    cells = ("1", "yes", "TRUE", "1.0", "0", "No", "f", "", "N/A", "perhaps")
    same(encoded(column, *cells), [[1, 1, 1, 1, 0, 0, 0, NAN, NAN, NAN], [9], []])


def test_a_word_for_nothing_is_blank_where_training_had_it_and_an_error_elsewhere():
    plain = Column(name="fee", kind="numeric")
    same(encoded(plain, "1", "N/A"), [[1, NAN], [], [1]])
    taught = plain.model_copy(update={"blank_words": ("n/a",)})
    same(encoded(taught, "1", "N/A", "-"), [[1, NAN, NAN], [], [2]])
    day = Column(name="day", kind="date", date_format="%Y-%m-%d", blank_words=("-",))
    same(encoded(day, "-", "x"), [[NAN, NAN], [], [1]])
