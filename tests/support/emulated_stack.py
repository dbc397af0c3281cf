"""What a stack keeps its predictions in, in memory, as the commands on a stack find it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from unittest import mock

from moto import mock_aws
from moto.core import DEFAULT_ACCOUNT_ID

from made_cloud import Cloud, make_cloud

REGION = "eu-west-1"


@contextmanager
def emulated_stack(stack: str) -> Iterator[Cloud]:
    """Give the cloud of a stack of `Pulumi.<stack>.yaml`; it lives in this process alone."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    environment |= {"AWS_REGION": REGION, "AWS_CONFIG_FILE": os.devnull}
    with mock.patch.dict(os.environ, environment, clear=True), mock_aws():
        yield make_cloud(f"{stack}-retainwise", buckets_end=f"-{DEFAULT_ACCOUNT_ID}")
