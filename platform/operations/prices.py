"""What AWS asks for, read from the table beside this file: dated, and honest about its sources."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field

_TABLE = Path(__file__).with_name("prices.yaml")


class UnknownPrice(LookupError):
    """The table has no such row for the region."""


class Price(BaseModel):
    """A row: what one unit costs, in a month where the unit names no time."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    what: str
    unit: str
    usd: Decimal = Field(gt=0)
    source: str = Field(min_length=1)
    seen: Literal["price-list", "aws-page", "elsewhere", "nowhere"]
    dated: date | None = None

    @property
    def is_verified(self) -> bool:
        """Whether AWS itself was seen to say so, for this region."""
        return self.seen in {"price-list", "aws-page"}


class Prices(BaseModel):
    """The table: prices by region, and the types of resource that cost nothing."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    read: date
    everywhere: Mapping[str, Price]
    regions: Mapping[str, Mapping[str, Price]]
    free: Mapping[str, str]

    def of(self, key: str, region: str) -> Price:
        """Return a price. Raises UnknownPrice."""
        found = self.regions.get(region, {}).get(key) or self.everywhere.get(key)
        if found is None:
            raise UnknownPrice(f"{_TABLE.name} has no row {key} for {region}")
        return found


@cache
def read_prices() -> Prices:
    """Read the table."""
    return Prices.model_validate(yaml.safe_load(_TABLE.read_text("utf-8")))
