"""Writes docs/cost.md: what dev and prod cost, by service, and what each setting adds.

`make cost` runs it. Every number comes from the graph, the price table or the example load.
"""

from __future__ import annotations

import copy
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import pulumi
from pydantic_core import PydanticUndefined

from infra.settings import Settings
from localcloud.program import CHECKOUT, stack_config
from operations.cost import HOURS, Line, lines_of, total
from operations.example_load import LOADS, Load
from operations.graph import Graph
from operations.prices import Price, Prices, read_prices

DOCUMENT = CHECKOUT / "docs" / "cost.md"
STACKS = ("prod", "dev")
_UNVERIFIED = r"\*"
_SEEN = {
    "price-list": "AWS's price list, in a copy",
    "aws-page": "AWS's page, in a copy",
    "elsewhere": "**not verified**: somebody else's page",
    "nowhere": "**not verified**",
}


@dataclass(frozen=True)
class Setting:
    """Another value of a key of a stack's configuration."""

    stack: str
    path: str
    value: object

    def in_config(self, config: Mapping[str, Any]) -> tuple[dict[str, Any], object]:
        """Return the configuration with this value, and the value that was there."""
        changed = copy.deepcopy(dict(config))
        section, *inner, key = f"retainwise:{self.path}".split(".")
        place = changed[section]
        for name in inner:
            place = place[name]
        before = place.get(key, default_of(self.path))
        place[key] = self.value
        return changed, before


def default_of(path: str) -> object:
    """Return what a setting is when a stack does not name it."""
    kind: Any = Settings
    *sections, key = path.split(".")
    for name in sections:
        kind = kind.model_fields[name].annotation
    default = kind.model_fields[key].default
    return None if default is PydanticUndefined else default


SETTINGS = (
    Setting("prod", "network.zones", ["a", "b"]),
    Setting("prod", "data.recovery_region", None),
    Setting("prod", "data.backup_days", 7),
    Setting("prod", "services.worker.spot", True),
    Setting("prod", "services.worker.tasks", 3),
    Setting("prod", "services.worker.tasks", 20),
    Setting("prod", "services.web.tasks", 4),
    Setting("prod", "services.web.tasks", 12),
    Setting("dev", "network.zones", ["a", "b"]),
    Setting("dev", "network.public_zones", ["a", "b", "c"]),
    Setting("dev", "services.worker.spot", False),
)

_TOP = """\
# Cost

Written by `make cost` from the program's own graph, the prices in
`platform/operations/prices.yaml` and an example load; a test fails when it is out of date.
**Fixed** is what a stack costs with nobody there and the least number of tasks; **by use** is what
the example load adds. USD, AWS's list prices in {region}, {hours} hours in a month, no tax, no
discount, no free allowance.

These are estimates to be checked. The prices were read on {read} in published copies of AWS's
price list and pages, not from AWS itself; those marked {mark} could not be verified at all.
"""
_NOT_COUNTED = """\
## What is not counted

- Tax, a support plan, savings plans; and what AWS gives for free, such as 100 GB to the internet.
- What the bootstrap makes: the bucket of Pulumi's state, its key, the repositories of the images.
- The hosted zone and the domain's name, which are not the stack's.
- More tasks than the least while there is more to do, and both releases while one replaces another.
- A key's rotation: each key costs a dollar more after its first yearly rotation, and its second.
- Data between zones, queries of logs, the log lines of Container Insights, mails of alarms.
- Restoring, and drills.
- Somebody's flood of requests: the firewall counts what it refuses, too.
"""


def document() -> str:
    """Return the text of docs/cost.md."""
    prices = read_prices()
    graphs = {stack: Graph.of(stack) for stack in STACKS}
    bills = {stack: lines_of(graphs[stack], prices, LOADS[stack]) for stack in STACKS}
    region = graphs["prod"].region
    parts = [
        _TOP.format(region=region, hours=HOURS, read=prices.read, mark=_UNVERIFIED),
        _by_service(graphs, bills),
        *(_of_stack(stack, bills[stack]) for stack in STACKS),
        _of_settings(prices, bills),
        _of_loads(),
        _NOT_COUNTED,
        _of_prices(prices),
    ]
    return "\n".join(parts)


def difference(setting: Setting, prices: Prices, before: Sequence[Line]) -> list[Decimal]:
    """Return what a setting adds to a bill: fixed, by use, in all. Negative where it saves."""
    config, _ = setting.in_config(stack_config(setting.stack))
    after = lines_of(Graph.of(setting.stack, config), prices, LOADS[setting.stack])
    return [
        total(after, is_fixed=is_fixed) - total(before, is_fixed=is_fixed)
        for is_fixed in (True, False, None)
    ]


def _by_service(graphs: Mapping[str, Graph], bills: Mapping[str, Sequence[Line]]) -> str:
    services = sorted({line.service for bill in bills.values() for line in bill})
    rows = []
    for service in services:
        cells = [
            cell
            for bill in bills.values()
            for cell in _sums([line for line in bill if line.service == service])
        ]
        rows.append([service, *cells])
    totals = [cell for bill in bills.values() for cell in _sums(bill)]
    rows.append(_bold(["Total", *totals]))
    heads = [f"{stack}, {what}" for stack in bills for what in ("fixed", "by use")]
    return "\n".join(
        [
            "## By service",
            "",
            *_table(["service", *heads], rows, numbers=len(heads)),
            "",
            *(_in_words(stack, graphs[stack], bill) for stack, bill in bills.items()),
            "",
        ]
    )


def _in_words(stack: str, graph: Graph, bill: Sequence[Line]) -> str:
    [budget] = graph.all_of("Budget").values()
    unsure = total(line for line in bill if not line.price.is_verified)
    return (
        f"- **{stack}**: {_money(total(bill))} a month in all, of which {_money(unsure)} hang on "
        f"prices marked {_UNVERIFIED}. Its budget alarm is set to {budget.inputs['limitAmount']}."
    )


def _of_stack(stack: str, bill: Sequence[Line]) -> str:
    parts = [f"## {stack}", ""]
    for title, is_fixed in (("Fixed", True), ("By use", False)):
        wanted = [line for line in bill if line.is_fixed is is_fixed]
        rows = [
            [
                line.service,
                line.what,
                _quantity(line.quantity),
                line.price.unit,
                _unit_price(line.price),
                _money(line.month),
            ]
            for line in wanted
        ]
        rows.append(_bold(["Total", "", "", "", "", _money(total(wanted))]))
        heads = ["service", "what", "quantity", "unit", "unit price", "per month"]
        parts += [f"### {stack}: {title.lower()}", "", *_table(heads, rows, numbers=4), ""]
    return "\n".join(parts)


def _of_settings(prices: Prices, bills: Mapping[str, Sequence[Line]]) -> str:
    rows = []
    for setting in SETTINGS:
        _, before = setting.in_config(stack_config(setting.stack))
        changes = difference(setting, prices, bills[setting.stack])
        rows.append(
            [
                setting.stack,
                f"`{setting.path}`",
                _value(before),
                _value(setting.value),
                *(_signed(change) for change in changes),
            ]
        )
    heads = ["stack", "setting", "now", "instead", "fixed", "by use", "per month"]
    return "\n".join(
        [
            "## What a setting costs",
            "",
            "Each line is the stack run again with one other value.",
            "",
            *_table(heads, rows, numbers=3),
            "",
        ]
    )


def _of_loads() -> str:
    rows = [
        [name.replace("_", " "), *(f"{getattr(LOADS[one], name):,}" for one in LOADS), why]
        for name, why in (
            (name, field.description or "") for name, field in Load.model_fields.items()
        )
    ]
    lines = _table(["what", *LOADS, "why"], rows, numbers=0)
    return "\n".join(
        [
            "## The example load",
            "",
            "For a month. Sizes of files are measured; the rest is reckoned from the code.",
            "",
            *lines,
            "",
        ]
    )


def _of_prices(prices: Prices) -> str:
    rows = [
        [key, region, _unit_price(price), price.unit, _seen(price), _source(price)]
        for region, table in [("everywhere", prices.everywhere), *prices.regions.items()]
        for key, price in sorted(table.items())
    ]
    heads = ["price", "region", "USD", "per", "seen in", "source"]
    return "\n".join(["## The prices", "", *_table(heads, rows, numbers=0), ""])


# ---- how things are written ------------------------------------------------------------------


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]], numbers: int) -> Iterator[str]:
    """Write a table whose last columns, so many, are numbers."""
    words = len(heads) - numbers
    yield f"| {' | '.join(heads)} |"
    yield f"| {' | '.join(['---'] * words + ['---:'] * numbers)} |"
    for row in rows:
        yield f"| {' | '.join(row)} |"


def _sums(bill: Iterable[Line]) -> list[str]:
    lines = list(bill)
    return [_money(total(lines, is_fixed=is_fixed)) for is_fixed in (True, False)]


def _bold(row: Sequence[str]) -> list[str]:
    return [f"**{cell}**" if cell else "" for cell in row]


def _money(amount: Decimal) -> str:
    return f"{amount:,.2f}"


def _signed(amount: Decimal) -> str:
    return f"{amount:+,.2f}".replace("-", "−")


def _quantity(quantity: Decimal) -> str:
    """Write a quantity with as many decimals as say something, four at most."""
    text = f"{quantity:,.4f}"
    return text.rstrip("0").rstrip(".")


def _unit_price(price: Price) -> str:
    return f"{price.usd:f}" + ("" if price.is_verified else _UNVERIFIED)


def _value(value: object) -> str:
    match value:
        case list() | tuple():
            return ", ".join(value)
        case bool():
            return str(value).lower()
        case None:
            return "none"
    return str(value)


def _seen(price: Price) -> str:
    return _SEEN[price.seen] + (f", {price.dated}" if price.dated else "")


def _source(price: Price) -> str:
    return f"<{price.source}>" if price.source.startswith("https:") else price.source


def write(path: Path = DOCUMENT) -> None:
    """Write the document."""
    path.write_text(document(), "utf-8")


if __name__ == "__main__":
    try:
        write()
    except pulumi.RunError as exc:  # a setting is wrong, and the message says which
        sys.exit(str(exc))
