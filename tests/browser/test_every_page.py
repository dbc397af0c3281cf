"""Every page in each of its states: axe-core finds nothing, it fits on a phone, nothing jumps."""

from __future__ import annotations

import pytest

from accessible import assert_accessible
from scenes import LOOKS, SCENES, Stage

# axe and the measure of jumps are scripts.
pytestmark = pytest.mark.parametrize("scripts", [True], ids=["with JavaScript"])

_MEASURE_JUMPS = """
window.jumped = 0;
new PerformanceObserver(list => {
  for (const jump of list.getEntries()) window.jumped += jump.value;
}).observe({type: "layout-shift", buffered: true});
"""
_AFTER_THE_NEXT_FRAME = "new Promise(done => requestAnimationFrame(() => setTimeout(done)))"


@pytest.fixture(scope="module")
def stage(product, joined):
    return Stage(product, joined)


@pytest.mark.parametrize("scene", SCENES)
def test_axe_finds_nothing_and_nothing_is_cut_off(page, watch, stage, scene):
    watch.refusals |= {404, 422}
    SCENES[scene](stage, page)
    for look in LOOKS:
        look.at(page)
        assert_accessible(page)
        assert page.evaluate("document.documentElement.scrollWidth") <= look.width, look


@pytest.mark.parametrize("look", LOOKS, ids=lambda look: f"{look.width} {look.color_scheme}")
def test_nothing_jumps_while_a_page_loads(page, stage, look):
    page.add_init_script(_MEASURE_JUMPS)
    look.at(page)
    for scene in (Stage.upload, Stage.predictions, Stage.prediction, Stage.failed, Stage.delete):
        scene(stage, page)
        page.evaluate(_AFTER_THE_NEXT_FRAME)
        assert page.evaluate("window.jumped") == 0, scene.__name__
