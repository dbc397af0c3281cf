"""Makes the pictures in docs/images from the running product: `make screenshot`."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import browser as chromium
from joined import Joined
from product import ROOT, Product
from scenes import LOOKS, PICTURED, Stage

PICTURES = ROOT / "docs" / "images"
MOST_PIXELS = 1600
"""A picture's greatest height: a page with a long table tells nothing more further down."""


def main() -> None:
    """Show each scene in each look, and take its picture."""
    path = chromium.find()
    if path is None:
        sys.exit("no Chromium on this machine: `make browser` says why")
    PICTURES.mkdir(exist_ok=True)
    with (
        tempfile.TemporaryDirectory() as folder,
        Product(Path(folder) / "local") as product,
        chromium.running(path) as browser,
    ):
        stage = Stage(product, Joined(product))
        for name, scene in PICTURED.items():
            page = browser.new_page()
            scene(stage, page)
            for look in LOOKS:
                look.at(page)
                picture = PICTURES / f"{name}{look.suffix}.png"
                height = page.evaluate("document.documentElement.scrollHeight")
                shown = {"x": 0, "y": 0, "width": look.width, "height": min(height, MOST_PIXELS)}
                page.screenshot(path=picture, full_page=True, clip=shown, animations="disabled")
            page.close()


if __name__ == "__main__":
    main()
