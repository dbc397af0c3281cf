"""The shipped model, loaded once, and a small file to train on."""

from pathlib import Path

import numpy as np
import pytest

from model.artifact import SHIPPED, Model, load
from model.training import fitting

TELCO = Path(SHIPPED).parents[1] / "data" / "telco.csv"


@pytest.fixture(scope="session")
def model() -> Model:
    return load(SHIPPED)


@pytest.fixture(scope="session")
def telco() -> Path:
    return TELCO


@pytest.fixture
def quick(monkeypatch) -> None:
    """Try little while training: for tests of what it reads and writes, not of how good it is."""
    monkeypatch.setattr(fitting, "PLANS", (fitting.Plan(5, 1, depths=(2, 4)),))
    monkeypatch.setattr(fitting, "MOST_LEVELS", 400)


@pytest.fixture
def labelled(tmp_path: Path) -> Path:
    """400 customers: those on a short plan with high charges tend to leave."""
    random = np.random.default_rng(1)
    lines = ["customer;plan;charges;country;note;left"]
    for number in range(400):
        plan = random.choice(["short", "long"])
        charges = random.gamma(2, 20)
        odds = (plan == "short") * 2 + (charges > 50) * 2 - 2
        left = "gone" if random.random() < 1 / (1 + np.exp(-odds)) else "here"
        lines.append(f"{1000 + number};{plan};{charges:.2f};DE;text {number};{left}")
    path = tmp_path / "Shop customers.csv"
    path.write_text("\n".join(lines) + "\n")
    return path
