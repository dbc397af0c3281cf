"""Every page in each of its states: axe-core finds nothing, and it fits on a phone."""

from __future__ import annotations

import pytest

from accessible import assert_accessible
from scenes import LOOKS, SCENES, Stage


@pytest.fixture(scope="module")
def stage(product, joined):
    return Stage(product, joined)


@pytest.mark.parametrize("scripts", [True], ids=["with JavaScript"])  # axe is a script
@pytest.mark.parametrize("scene", SCENES)
def test_axe_finds_nothing_and_nothing_is_cut_off(page, watch, stage, scene):
    watch.refusals |= {404, 422}
    SCENES[scene](stage, page)
    for look in LOOKS:
        look.at(page)
        assert_accessible(page)
        assert page.evaluate("document.documentElement.scrollWidth") <= look.width, look
