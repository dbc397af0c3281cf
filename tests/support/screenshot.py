"""Makes the README's picture from the running product: `make screenshot`."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from product import ROOT, TELCO, Product

PICTURE = ROOT / "docs" / "images" / "prediction.png"
SIZE = "1180,1080"


def main() -> None:
    """Upload the Telco file and take a picture of its page."""
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    if browser is None:
        sys.exit("no Chromium on this machine: apt-get install chromium")
    with tempfile.TemporaryDirectory() as folder, Product(Path(folder) / "local") as product:
        prediction_id = product.upload(TELCO, name="telco.csv")
        product.wait_until(prediction_id, "COMPLETED")
        PICTURE.parent.mkdir(exist_ok=True)
        subprocess.run(
            [
                *(browser, "--headless", "--no-sandbox", "--disable-gpu", "--disable-sync"),
                *("--no-first-run", "--disable-background-networking", "--hide-scrollbars"),
                *(f"--user-data-dir={folder}/browser", f"--window-size={SIZE}"),
                *(f"--screenshot={PICTURE}", f"{product.url}/predictions/{prediction_id}"),
            ],
            check=True,
            capture_output=True,
        )


if __name__ == "__main__":
    main()
