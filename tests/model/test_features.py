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
        np.flatnonzero(features.out_of_range[:, 0]).tolist(),
        sorted(features.errors),
    ]


def same(found, expected):
    np.testing.assert_array_equal(found[0], np.float32(expected[0]))
    assert found[1:] == expected[1:]


def test_any_word_for_yes_and_no_is_understood_and_another_is_new():
    column = Column(name="paperless", kind="boolean", categories=("0", "1"), blank_words=("n/a",))
    cells = ("1", "yes", "TRUE", "1.0", "0", "No", "f", "", "N/A", "perhaps")
    same(encoded(column, *cells), [[1, 1, 1, 1, 0, 0, 0, NAN, NAN, NAN], [9], [], []])


def test_numbers_and_dates_outside_those_of_training_are_marked():
    fee = Column(name="fee", kind="numeric", lowest=0.1, highest=90.7)
    same(encoded(fee, "0.1", "90.7", "0", "91", ""), [[0.1, 90.7, 0, 91, NAN], [], [2, 3], []])
    since = Column(name="since", kind="date", lowest=1, highest=9, date_format="%d.%m.%Y")
    same(encoded(since, "01.01.1970", "02.01.1970"), [[0, 1], [], [0], []])


def test_a_word_for_nothing_is_blank_where_training_had_it_and_an_error_elsewhere():
    plain = Column(name="fee", kind="numeric")
    same(encoded(plain, "1", "N/A"), [[1, NAN], [], [], [1]])
    taught = plain.model_copy(update={"blank_words": ("n/a",)})
    same(encoded(taught, "1", "N/A", "-"), [[1, NAN, NAN], [], [], [2]])
    day = Column(name="day", kind="date", date_format="%Y-%m-%d", blank_words=("-",))
    same(encoded(day, "-", "x"), [[NAN, NAN], [], [], [1]])
