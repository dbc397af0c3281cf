"""The card's pictures say what is so, to those who see them and to those who do not."""

import xml.etree.ElementTree as ET

import numpy as np
import pytest

from model.artifact import SHIPPED
from model.training.cross_validation import HeldOut
from model.training.pictures import Effect, drawn, ranking, reliability

SVG = "{http://www.w3.org/2000/svg}"


def held_out(left, probability) -> HeldOut:
    return HeldOut(np.arange(len(left)), np.array(left), np.array(probability))


@pytest.mark.parametrize("name", ["reliability.svg", "roc-pr.svg", "effects.svg"])
def test_a_picture_has_a_title_a_description_and_two_sets_of_colours(name):
    text = (SHIPPED / name).read_text()
    root = ET.fromstring(text)
    assert root.find(f"{SVG}title").text
    description = root.find(f"{SVG}desc").text
    assert f"![{description}]({name})" in (SHIPPED / "MODEL_CARD.md").read_text()
    assert "prefers-color-scheme: dark" in text
    width, height = float(root.get("width")), float(root.get("height"))
    for one in root.iter():
        for points in (one.get("points") or "").split():
            x, y = map(float, points.split(","))
            assert 0 <= x <= width
            assert 0 <= y <= height


def test_reliability_compares_tenths():
    probability = np.repeat([0.2, 0.8], 50)
    left = np.array([True] * 10 + [False] * 40 + [True] * 30 + [False] * 20)
    random = np.random.default_rng(0)
    order = np.concatenate([random.permutation(50), 50 + random.permutation(50)])
    told = reliability(held_out(left[order], probability)).description
    assert told.count("20.0% predicted") == told.count("80.0% predicted") == 5


def test_ranking_tells_area_and_precision():
    perfect = ranking(held_out([False] * 6 + [True] * 4, np.linspace(0, 1, 10))).description
    assert "area 1.000" in perfect
    assert "100% of the customers chosen did; of all customers 40% did" in perfect


def test_effects_go_to_their_side_of_zero_and_odd_names_are_escaped():
    svg = drawn([Effect("a < b & c", [("x", 0.5), ("y", -0.25), ("missing", 0.0)])]).svg
    root = ET.fromstring(svg)
    assert "a < b & c" in [text.text for text in root.iter(f"{SVG}text")]
    bars = [(float(bar.get("x")), float(bar.get("width"))) for bar in root.iter(f"{SVG}rect")]
    assert bars == [(280, 105), (280 - 52.5, 52.5), (280, 0)]
    assert [bar.get("class") for bar in root.iter(f"{SVG}rect")] == ["more", "less", "less"]
