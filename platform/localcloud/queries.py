"""Makes the emulator's queries for the newest items as flat as DynamoDB's.

For each query the emulator looks at every item of the partition; DynamoDB reads a page. So for the
one kind of query that a long history makes slow (backwards, below a sort key, with a limit) it is
shown only those items that can be on the page. Whatever else it is asked, it answers as before.
"""

from __future__ import annotations

import re
from bisect import bisect_left, insort
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from ministack.services import dynamodb

Table = dict[str, Any]

# Beside the members of each index, which the emulator forgets whenever it must count anew.
_ORDERS = "orders of sort keys"
_BELOW = r"{name}\s*<\s*(:\w+)"


def mend() -> None:
    """Put it right, once, before the emulator serves."""
    query, index_item = dynamodb._query, dynamodb._index_item

    def query_page(request: dict[str, Any]) -> object:
        table: Table | None = dynamodb._tables.get(
            dynamodb._normalize_table_name(request.get("TableName"))
        )
        page = _page(table, request) if table else None
        if table is None or page is None:
            return query(request)
        with _swapped(table, page):
            return query(request)

    def index_item_in_order(table: Table, pk: str, sk: str, item: object, add: bool) -> None:
        index_item(table, pk, sk, item, add)
        orders = table.get(dynamodb._INDEX_MEMBERS, {}).get(_ORDERS, {})
        for index, partition in _partitions_of(table, pk, item):
            if (order := orders.get((index, partition))) is None:
                continue
            if add:
                insort(order, (sk, pk))
            else:
                order.remove((sk, pk))

    dynamodb._query = query_page
    dynamodb._index_item = index_item_in_order


def _page(table: Table, request: Mapping[str, Any]) -> Table | None:
    """Return what the emulator's query must see of a table; None when that may be all of it."""
    index, sort_key, limit = request.get("IndexName"), table["sk_name"], request.get("Limit")
    if request.get("ScanIndexForward") is not False or "ExclusiveStartKey" in request:
        return None
    if index is None:
        hashes, ranges = [table["pk_name"]], [sort_key]
    else:
        definition = dynamodb._index_def(table, index)
        hashes, ranges = dynamodb._index_key_lists(definition) if definition else ([], [])
    is_text = sort_key is not None and dynamodb._get_attr_type(table, sort_key) == "S"
    if len(hashes) != 1 or ranges != [sort_key] or not is_text or not isinstance(limit, int):
        return None
    condition = request.get("KeyConditionExpression", "")
    values = request.get("ExpressionAttributeValues", {})
    names = request.get("ExpressionAttributeNames", {})
    partition = dynamodb._extract_pk_from_condition(condition, values, names, hashes[0])
    below = _below(condition, values, names, sort_key)
    if partition is None or below is None or limit < 1:
        return None
    order = _order(table, index, partition)
    end = bisect_left(order, (below, ""))
    items: dict[str, dict[str, object]] = {}
    for sk, pk in order[max(0, end - limit) : end]:
        items.setdefault(pk, {})[sk] = table["items"][pk][sk]
    members = {index: {partition: [(pk, sk) for pk in items for sk in items[pk]]}}
    return {"items": items, dynamodb._INDEX_MEMBERS: members}


def _below(
    condition: str, values: Mapping[str, Any], names: Mapping[str, str], sort_key: str
) -> str | None:
    aliases = (alias for alias, name in names.items() if name == sort_key)
    for name in (sort_key, *aliases):
        if found := re.search(_BELOW.format(name=re.escape(name)), condition):
            bound: str | None = values.get(found[1], {}).get("S")
            return bound
    return None


def _order(table: Table, index: str | None, partition: object) -> list[tuple[str, str]]:
    """Return the keys of a partition, (sort key, partition key), in order; kept from now on."""
    members = dynamodb._index_members(table)
    orders = members.setdefault(_ORDERS, {})
    order: list[tuple[str, str]] | None = orders.get((index, partition))
    if order is None:
        if index is None:
            order = sorted((sk, str(partition)) for sk in table["items"].get(partition, ()))
        else:
            order = sorted((sk, pk) for pk, sk in members[index].get(partition, ()))
        orders[index, partition] = order
    return order


def _partitions_of(table: Table, pk: str, item: object) -> Iterator[tuple[str | None, object]]:
    yield None, pk
    for index, hashes, ranges in dynamodb._index_key_schemas(table):
        partition = dynamodb._index_partition(item, hashes, ranges)
        if partition is not None:
            yield index, partition


@contextmanager
def _swapped(table: Table, page: Table) -> Iterator[None]:
    """Let the table be the page for the block."""
    whole = {name: table[name] for name in page}
    table.update(page)
    try:
        yield
    finally:
        table.update(whole)
