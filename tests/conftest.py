"""What the tests of every package share."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

# No test here is timed: the machine may be busy with something else.
settings.register_profile("unhurried", deadline=None)
settings.load_profile("unhurried")

SUPPORT = Path(__file__).parent / "support"

# Here and in every Python process that a test starts: no connection leaves the loopback. A
# sitecustomize of the distribution's own may be loaded already, so ours is loaded by its path.
os.environ["PYTHONPATH"] = str(SUPPORT / "loopback")
sys.modules.pop("sitecustomize", None)
sys.path.insert(0, os.environ["PYTHONPATH"])
import sitecustomize  # noqa: E402, F401

from memory_cloud import Cloud, memory_cloud  # noqa: E402

# The SDK asks an address of the machine's own cloud for credentials when it finds none.
os.environ["AWS_EC2_METADATA_DISABLED"] = "true"


@pytest.fixture
def cloud() -> Iterator[Cloud]:
    """An emulated AWS account with the product's resources, new for each test."""
    with memory_cloud() as cloud:
        yield cloud
