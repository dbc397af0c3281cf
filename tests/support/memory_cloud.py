"""AWS as far as the product uses it, in memory: moto, in the process of the test."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from unittest import mock

from moto import mock_aws

from made_cloud import TRACEPARENT, Cloud, make_cloud

__all__ = ["REGION", "TABLE", "TRACEPARENT", "Cloud", "memory_cloud"]

REGION = "eu-central-1"
NAME = "test-retainwise"
TABLE = f"{NAME}-predictions"


@contextmanager
def memory_cloud() -> Iterator[Cloud]:
    """Give an empty account. It lives in this process: no child can reach it."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    environment |= {"AWS_REGION": REGION, "AWS_DEFAULT_REGION": REGION}
    with mock.patch.dict(os.environ, environment, clear=True), mock_aws():
        yield make_cloud(NAME)
