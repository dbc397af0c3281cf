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


def texts(svg: str) -> list[str]:
    return [one.text for one in ET.fromstring(svg).iter(f"{SVG}text")]


def lines(svg: str) -> list[ET.Element]:
    return list(ET.fromstring(svg).iter(f"{SVG}polyline"))


def dots_of(svg: str) -> list[tuple[float, float]]:
    circles = ET.fromstring(svg).iter(f"{SVG}circle")
    return [(float(one.get("cx")), float(one.get("cy"))) for one in circles]


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


def test_reliability_shows_the_range_that_the_customers_have():
    random = np.random.default_rng(0)
    probability = random.uniform(0.005, 0.06, 5_000)
    svg = reliability(held_out(random.random(5_000) < probability, probability)).svg
    words, dots = texts(svg), dots_of(svg)
    assert [words.count(share) for share in ("0%", "5%", "10%", "50%", "100%")] == [2, 2, 2, 0, 0]
    assert max(x for x, _ in dots) - min(x for x, _ in dots) > 100  # of 240 pixels
    assert all(60 <= x <= 300 and 54 <= y <= 294 for x, y in dots)


def test_reliability_goes_to_one_where_customers_do():
    random = np.random.default_rng(0)
    probability = random.uniform(0, 0.9, 5_000)
    words = texts(reliability(held_out(random.random(5_000) < probability, probability)).svg)
    assert [words.count(share) for share in ("0%", "50%", "100%")] == [2, 2, 2]


def test_precision_begins_with_the_customer_at_highest_risk_and_not_at_a_made_up_point():
    """Who is at highest risk stayed: no choice of customers is right to 100 %."""
    left = np.array([True] * 30 + [False] * 71)
    svg = ranking(held_out(left, np.linspace(0, 0.9, 101))).svg
    curves = [one.get("points") for one in lines(svg) if one.get("class") == "line"]
    assert len(curves) == 2
    first_x, first_y = map(float, curves[1].split()[0].split(","))
    assert (first_x, first_y) == (400, 54 + 240)


def test_a_range_of_dates_is_not_cut():
    dates = "01.02.2019 to 31.12.2020"
    long = "a category that is much too long"
    words = texts(drawn([Effect("since", [(dates, 0.5), (long, 0.5)])]).svg)
    assert dates in words
    assert "a category that is mu…" in words


def test_effects_go_to_their_side_of_zero_and_odd_names_are_escaped():
    svg = drawn([Effect("a < b & c", [("x", 0.5), ("y", -0.25), ("missing", 0.0)])]).svg
    root = ET.fromstring(svg)
    assert "a < b & c" in [text.text for text in root.iter(f"{SVG}text")]
    bars = [(float(bar.get("x")), float(bar.get("width"))) for bar in root.iter(f"{SVG}rect")]
    assert bars == [(280, 105), (280 - 52.5, 52.5), (280, 0)]
    assert [bar.get("class") for bar in root.iter(f"{SVG}rect")] == ["more", "less", "less"]
