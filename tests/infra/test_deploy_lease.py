"""Whether an update goes on, by what stands in the table of the lease and in the environment."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from typing import Any

import pulumi
import pytest

from infra.lease_item import Holder, as_item, read_item
from localcloud.program import CHECKOUT, FunctionFailed, Program, run_program, stack_config
from operations.graph import ACCOUNT_ID, Graph

INSTEAD = "run `retainwise deploy prod`, not `pulumi up`"
ONLY_THE_GUARD = """
from infra.deploy_lease import require_lease
from infra.settings import read_settings
require_lease(read_settings(), "prod-retainwise")
print("it goes on")
"""


class Table:
    """Stands where AWS stands: a table of leases with one item, and nothing may be declared."""

    def __init__(self, item: object) -> None:
        self.item = item
        self.asked: list[Mapping[str, Any]] = []

    def resource(self, declared):
        raise AssertionError(f"{declared.name} is declared")

    def invoke(self, function: str, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
        assert function == "aws:dynamodb/getTableItem:getTableItem"
        self.asked.append(arguments)
        if self.item is None:
            raise FunctionFailed("reading DynamoDB Table Item: empty result")
        return {"item": self.item if isinstance(self.item, str) else json.dumps(self.item)}


def lease_item(token="1", *, left_s=30.0, **changes):
    now = round(time.time(), 3)  # it is written to the millisecond
    times = {"since": now - 100, "renewed": now, "expires": now + left_s}
    item = {
        "stack": {"S": "prod"},
        "token": {"S": token},
        "owner": {"S": "alice@host"},
        "what": {"S": "deploy 1a2b3c4"},
        **{name: {"N": str(value)} for name, value in times.items()},
    }
    return item | changes


@pytest.fixture
def update(tmp_path, monkeypatch, capsys):
    """Run the guard as an update of prod with an item and a token; whether it goes on."""
    (tmp_path / "__main__.py").write_text(ONLY_THE_GUARD)

    def run(item, token=None, *, is_preview=False, **operations):
        config = stack_config("prod")
        config["retainwise:operations"] = config["retainwise:operations"] | operations
        if token is None:
            monkeypatch.delenv("RETAINWISE_LEASE", raising=False)
        else:
            monkeypatch.setenv("RETAINWISE_LEASE", token)
        table = Table(item)
        program = Program("retainwise", CHECKOUT, tmp_path)
        run_program(table, "prod", config, program, is_preview=is_preview)
        assert capsys.readouterr().out == "it goes on\n"
        return table

    return run


def test_an_update_by_the_holder_goes_on(update):
    [asked] = update(lease_item("1"), "1").asked
    assert asked["tableName"] == "prod-retainwise-deploy-lease"
    assert json.loads(asked["key"]) == {"stack": {"S": "prod"}}


@pytest.mark.parametrize("token", [None, "", "2"])
def test_an_update_beside_the_holder_is_refused_and_told_who_that_is(update, token):
    with pytest.raises(pulumi.RunError) as refused:
        update(lease_item("1"), token)
    assert INSTEAD in str(refused.value)
    assert "alice@host holds it since " in str(refused.value)
    assert str(refused.value).endswith(" UTC to deploy 1a2b3c4")


BACK = {"released": {"N": "1700000000"}}


@pytest.mark.parametrize(
    ("item", "token"),
    [
        (lease_item(left_s=-1), None),
        (lease_item(left_s=-1), "2"),
        (lease_item(**BACK), None),
        (lease_item(**BACK), "1"),
    ],
)
def test_a_lease_that_is_over_lets_nobody_update(update, item, token):
    with pytest.raises(pulumi.RunError, match="Nobody holds it now") as refused:
        update(item, token)
    assert INSTEAD in str(refused.value)
    assert ("started under is over" in str(refused.value)) == (token is not None)


def test_a_clock_that_is_ahead_does_not_end_the_holder_s_lease(update):
    """AWS refuses what comes after its end by a clock of its own."""
    update(lease_item(left_s=-100), "1")


@pytest.mark.parametrize("token", ["1", None])
def test_what_cannot_be_read_lets_nobody_update(update, token):
    with pytest.raises(pulumi.RunError, match=r"Nobody has had the lease yet, or .* empty result"):
        update(None, token)


@pytest.mark.parametrize("item", [lease_item(expires={"N": "soon"}), {}, "", "nothing"])
def test_a_damaged_item_lets_nobody_update(update, item):
    with pytest.raises(pulumi.RunError, match="the deploy lease of prod is damaged") as refused:
        update(item, "1")
    assert INSTEAD in str(refused.value)


def test_a_preview_asks_for_no_lease(update):
    assert update(None, is_preview=True).asked == []


def test_a_stack_that_says_so_asks_for_no_lease(update):
    assert update(None, under_lease=False).asked == []


@pytest.mark.parametrize("stack", ["prod", "dev", "local"])
def test_only_the_stack_of_one_machine_says_so(stack):
    operations = stack_config(stack)["retainwise:operations"]
    assert operations.get("under_lease", True) is (stack != "local")


def test_the_program_declares_nothing_without_the_lease(monkeypatch):
    monkeypatch.delenv("RETAINWISE_LEASE", raising=False)
    with pytest.raises(pulumi.RunError, match="alice@host holds it"):
        run_program(Table(lease_item()), "prod")


def test_a_program_that_declares_before_it_asks_is_found_out(monkeypatch, tmp_path):
    """The twin of the test above: the guard at the end of the program."""
    monkeypatch.delenv("RETAINWISE_LEASE", raising=False)
    program = (CHECKOUT / "platform" / "__main__.py").read_text()
    [guard] = [line for line in program.splitlines() if line.startswith("require_lease")]
    (tmp_path / "__main__.py").write_text(program.replace(guard, "") + guard)

    class Account(Table):
        def invoke(self, function, arguments):
            if function.startswith("aws:index"):
                return {"accountId": ACCOUNT_ID, "region": "eu-west-1"}
            return super().invoke(function, arguments)

    with pytest.raises(AssertionError, match="is declared"):
        run_program(
            Account(lease_item()), "prod", program=Program("retainwise", CHECKOUT, tmp_path)
        )


def test_a_graph_is_made_as_a_preview_is(monkeypatch):
    monkeypatch.delenv("RETAINWISE_LEASE", raising=False)
    assert Graph.of("prod").resources


def test_what_is_written_is_what_is_read():
    item = lease_item(released={"N": "1700000000.125"})
    holder = read_item("prod", item)
    assert isinstance(holder, Holder)
    assert read_item("prod", as_item("prod", holder)) == holder
