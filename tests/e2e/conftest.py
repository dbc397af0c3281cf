"""The running product, shared by the tests of a module."""

from __future__ import annotations

import pytest

from product import Product, alive


@pytest.fixture(scope="module")
def product(tmp_path_factory):
    """Start the product in an empty data directory; stop it and see that all of it is gone."""
    with Product(tmp_path_factory.mktemp("product") / "local") as product:
        yield product
        processes = product.processes()
        assert product.stop() == 0, product.said()
        assert not list(filter(alive, processes))
