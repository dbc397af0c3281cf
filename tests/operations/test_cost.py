"""What a stack costs comes from its graph, the price table and the example load, to the cent."""

from __future__ import annotations

import re
from dataclasses import replace
from decimal import ROUND_HALF_UP, Decimal

import pytest

from localcloud.program import Declared, stack_config
from operations import cost_document
from operations.cost import HOURS, UnpricedType, lines_of, priced_types, total
from operations.cost_document import (
    DOCUMENT,
    SETTINGS,
    STACKS,
    Setting,
    default_of,
    difference,
)
from operations.example_load import LOADS, Load
from operations.graph import Graph
from operations.prices import UnknownPrice, read_prices

PRICES = read_prices()
NOTHING = Load(predictions=Decimal(0), people=Decimal(0))


@pytest.fixture(scope="module")
def bill(prod):
    return lines_of(prod, PRICES, LOADS["prod"])


@pytest.fixture(scope="module")
def document():
    return cost_document.document()


def cents(amount: Decimal) -> Decimal:
    return amount.quantize(Decimal("0.01"), ROUND_HALF_UP)


def usd(key: str, region: str = "eu-west-1") -> Decimal:
    return PRICES.of(key, region).usd


def month(lines, service, what):
    [line] = [one for one in lines if (one.service, one.what) == (service, what)]
    return line.month


def repriced(key: str, amount: str):
    """The table with another price in one row."""
    table = PRICES.regions["eu-west-1"]
    row = table[key].model_copy(update={"usd": Decimal(amount)})
    regions = {**PRICES.regions, "eu-west-1": {**table, key: row}}
    return PRICES.model_copy(update={"regions": regions})


# ---- the document ----------------------------------------------------------------------------


def test_the_document_is_what_make_cost_writes(document):
    assert DOCUMENT.read_text("utf-8") == document, "run `make cost`"


def test_writing_it_puts_it_there(monkeypatch, tmp_path):
    monkeypatch.setattr(cost_document, "document", lambda: "a bill\n")
    cost_document.write(tmp_path / "cost.md")
    assert (tmp_path / "cost.md").read_text() == "a bill\n"


def test_no_number_is_noise(document):
    """A sum of binary fractions would show as 0.30000000000000004, a small price as 1.4E-7."""
    assert not re.search(r"\d\.\d{8,}|\dE[+-]?\d", document)


def test_the_rows_of_each_table_add_up_to_its_total(document):
    tables = re.findall(r"^### (\w+: [\w ]+)\n\n((?:\|.*\n)+)", document, re.MULTILINE)
    assert len(tables) == 2 * len(STACKS)
    for title, table in tables:
        _, _, *rows, last = table.splitlines()
        months = [Decimal(row.split("|")[-2].strip().replace(",", "")) for row in rows]
        assert sum(months) == Decimal(last.split("|")[-2].strip(" *").replace(",", "")), title


def test_each_row_is_its_quantity_at_its_price(bill):
    for line in bill:
        assert line.month == cents(line.quantity * line.price.usd)


def test_what_was_not_verified_is_marked_where_it_is_used(document):
    rows = [row for row in document.splitlines() if row.startswith("| WAF | Web ACL |")]
    assert rows
    assert all(r"5.00\*" in row for row in rows)
    assert "| 0.04048 |" in document


# ---- nothing is forgotten --------------------------------------------------------------------


@pytest.mark.parametrize("stack", ["prod", "dev", "local"])
def test_every_type_of_every_stack_is_priced_or_free(graphs, stack):
    types = {one.type for one in graphs[stack].resources}
    assert types <= priced_types() | set(PRICES.free)


def test_no_type_is_both():
    assert priced_types().isdisjoint(PRICES.free)


def test_every_row_that_says_free_says_of_what(prod):
    assert set(PRICES.free) <= {one.type for one in prod.resources}


def test_a_type_that_nobody_priced_is_an_error(prod):
    new = Declared("aws:ec2/natGateway:NatGateway", "way-out", {}, protect=False)
    with pytest.raises(UnpricedType, match="NatGateway"):
        lines_of(Graph("prod", prod.region, [*prod.resources, new]), PRICES, NOTHING)


def test_so_is_one_in_a_template(prod, altered):
    more = altered(
        prod,
        "Stack",
        lambda one: one.update(
            templateBody=one["templateBody"].replace("SecretsManager::Secret", "RDS::DBInstance")
        ),
    )
    with pytest.raises(UnpricedType, match="RDS::DBInstance"):
        lines_of(more, PRICES, NOTHING)


def test_so_is_a_bucket_that_the_load_knows_nothing_of(prod):
    bucket = next(iter(prod.all_of("Bucket").values()))
    new = replace(bucket, name="prod-retainwise-reports-111122223333")
    with pytest.raises(UnpricedType, match="reports"):
        lines_of(Graph("prod", prod.region, [*prod.resources, new]), PRICES, NOTHING)


def test_a_region_without_prices_is_an_error(prod):
    with pytest.raises(UnknownPrice, match="us-east-1"):
        lines_of(Graph("prod", "us-east-1", prod.resources), PRICES, NOTHING)


# ---- a change moves the total by what it costs ------------------------------------------------


def test_one_more_web_task_costs_its_size(bill):
    fixed, used, _ = difference(Setting("prod", "services.web.tasks", 4), PRICES, bill)

    def of(tasks: int) -> Decimal:
        return (
            cents(tasks * HOURS * Decimal("0.5") * usd("fargate-vcpu"))
            + cents(tasks * HOURS * 1 * usd("fargate-gb"))
            + cents(tasks * HOURS * 1 * usd("fargate-disk"))
        )

    assert fixed == of(4) - of(3)
    assert used == 0


def test_one_zone_less_saves_six_endpoints(bill):
    fixed, used, both = difference(Setting("prod", "network.zones", ["a", "b"]), PRICES, bill)
    assert fixed == both == -cents(6 * HOURS * usd("endpoint"))
    assert used == 0


def test_spot_moves_the_workers_lines_and_no_other(bill):
    fixed, _, _ = difference(Setting("prod", "services.worker.spot", True), PRICES, bill)
    vcpu_hours, gb_hours = 2 * HOURS, 4 * HOURS
    now = cents(vcpu_hours * usd("fargate-vcpu")) + cents(gb_hours * usd("fargate-gb"))
    spot = cents(vcpu_hours * usd("fargate-spot-vcpu")) + cents(gb_hours * usd("fargate-spot-gb"))
    assert fixed == spot - now < 0


def test_each_setting_that_is_priced_is_another_than_the_stack_s():
    for one in SETTINGS:
        _, before = one.in_config(stack_config(one.stack))
        assert before != one.value, one


def test_without_a_recovery_region_nothing_is_paid_there(prod, bill):
    setting = Setting("prod", "data.recovery_region", None)
    fixed, used, _ = difference(setting, PRICES, bill)
    there = [line for line in bill if "eu-central-1" in line.what]
    between = [line for line in bill if line.key == "between-regions"]
    assert total(there, is_fixed=True) == usd("kms-key")
    measured = 2 * (4 * usd("custom-metric") + usd("alarm-metric"))  # the copies of two buckets
    assert fixed == -usd("kms-key") - measured
    assert used == -total([*there, *between], is_fixed=False)


@pytest.mark.parametrize("key", ["fargate-vcpu", "endpoint", "load-balancer"])
def test_a_price_moves_the_total_by_its_own_lines(prod, bill, key):
    after = lines_of(prod, repriced(key, "1"), LOADS["prod"])
    moved = sum(cents(line.quantity) - line.month for line in bill if line.key == key)
    assert moved > 0
    assert total(after) - total(bill) == moved


def test_with_nobody_there_only_what_is_fixed_is_paid(prod, bill):
    idle = lines_of(prod, PRICES, NOTHING)
    assert total(idle, is_fixed=False) == 0
    assert total(idle) == total(bill, is_fixed=True)


def test_an_alarm_on_an_expression_costs_each_metric_in_it(prod, altered, bill):
    def one_metric(inputs):
        inputs["metricQueries"] = [query for query in inputs["metricQueries"] if "metric" in query][
            :1
        ]

    alarms = len(prod.all_of("MetricAlarm"))
    simple = lines_of(altered(prod, "MetricAlarm", one_metric), PRICES, NOTHING)
    what = "Metrics that alarms look at"
    assert month(simple, "CloudWatch", what) == alarms * usd("alarm-metric")
    assert month(bill, "CloudWatch", what) > month(simple, "CloudWatch", what)


def test_the_firewall_s_log_costs_less_than_a_service_s(prod, altered, bill):
    def as_of_a_service(inputs):
        inputs["name"] = inputs["name"].removeprefix("aws-waf-logs-")

    lines = lines_of(altered(prod, "LogGroup", as_of_a_service), PRICES, LOADS["prod"])
    assert month(lines, "CloudWatch", "Log written") > month(bill, "CloudWatch", "Log written")
    what = "Data through interface endpoints"  # AWS writes it, from outside the network
    assert month(lines, "VPC endpoints", what) == month(bill, "VPC endpoints", what)


def test_a_third_service_is_on_the_bill(with_reports, bill):
    lines = lines_of(with_reports, PRICES, LOADS["prod"])
    assert month(lines, "Fargate", "reports: vCPU") == cents(HOURS / 4 * usd("fargate-vcpu"))
    assert total(lines, is_fixed=True) > total(bill, is_fixed=True)


# ---- the table -------------------------------------------------------------------------------


def test_every_verified_price_names_aws_and_those_of_the_list_their_day():
    rows = [*PRICES.everywhere.items()]
    rows += [row for table in PRICES.regions.values() for row in table.items()]
    for key, price in rows:
        if price.is_verified:
            assert re.match(
                r"https://(aws|pricing\.us-east-1)\.amazon(aws)?\.com/", price.source
            ), key
        if price.seen == "price-list":
            assert price.dated is not None, key
            assert price.dated <= PRICES.read


def test_every_price_is_used(graphs):
    used = {line.key for stack in STACKS for line in lines_of(graphs[stack], PRICES, LOADS[stack])}
    keys = {key for table in PRICES.regions.values() for key in table} | set(PRICES.everywhere)
    assert keys == used


def test_a_setting_that_no_stack_names_is_shown_with_its_default():
    assert default_of("services.worker.spot") is False
    assert default_of("network.public_zones") == ("a", "b", "c")
    assert default_of("data.recovery_region") is None


def test_each_budget_leaves_room_for_the_example_load(graphs):
    for stack in STACKS:
        [budget] = graphs[stack].all_of("Budget").values()
        bill = lines_of(graphs[stack], PRICES, LOADS[stack])
        assert total(bill) < Decimal(budget.inputs["limitAmount"]), stack
