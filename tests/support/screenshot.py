"""Makes the pictures in docs/images from the running product: `make screenshot`."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import browser as chromium
import signed_in
from joined import Joined
from product import ROOT, Product
from scenes import LOOKS, PICTURED, Stage

if TYPE_CHECKING:
    from playwright.sync_api import Page

PICTURES = ROOT / "docs" / "images"
MOST_PIXELS = 1600
"""A picture's greatest height: a page with a long table tells nothing more further down."""


def main() -> None:
    """Show each scene in each look, and take its picture."""
    path = chromium.find()
    if path is None:
        sys.exit("no Chromium on this machine: `make browser` says why")
    PICTURES.mkdir(exist_ok=True)
    with chromium.running(path) as browser:
        with tempfile.TemporaryDirectory() as folder, Product(Path(folder) / "local") as product:
            stage = Stage(product, Joined(product))
            for name, scene in PICTURED.items():
                page = browser.new_page()
                scene(stage, page)
                take(page, name)
                page.close()
        with signed_in.running() as address:
            page = browser.new_page(extra_http_headers=signed_in.said())
            page.goto(f"{address}/api-tokens")
            signed_in.make_token(page)
            take(page, "api-token")


def take(page: Page, name: str) -> None:
    """Take an open page's pictures."""
    for look in LOOKS:
        look.at(page)
        height = page.evaluate("document.documentElement.scrollHeight")
        shown = {"x": 0, "y": 0, "width": look.width, "height": min(height, MOST_PIXELS)}
        page.screenshot(
            path=PICTURES / f"{name}{look.suffix}.png",
            full_page=True,
            clip=shown,
            animations="disabled",
        )


if __name__ == "__main__":
    main()
