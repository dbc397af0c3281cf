"""The SDK as this product makes it."""

from __future__ import annotations

from decimal import Decimal

import boto3
import pytest
from boto3.dynamodb.conditions import Key
from botocore.exceptions import ClientError
from botocore.parsers import JSONParser

from memory_cloud import REGION, TABLE

ITEM = {
    "account": "demo",
    "id": "01JD0000000000000000000000",
    "text": 'Zoë ☃ \N{GRINNING FACE} "quoted" \\ \u2028',
    "whole": Decimal(7),
    "long": Decimal("1234567890123456789012345678901234567"),
    "part": Decimal("0.10"),
    "yes": True,
    "nothing": None,
    "list": ["a", Decimal(1), {"deep": ["b"]}],
    "map": {"Items": "a name of the answer's own", "empty": {}},
    "set": {"a", "b"},
    "numbers": {Decimal(1), Decimal("2.5")},
}


def test_items_are_read_as_the_sdk_reads_them(cloud):
    cloud.table.put_item(Item=ITEM)
    query = {"KeyConditionExpression": Key("account").eq("demo"), "ReturnConsumedCapacity": "TOTAL"}
    ours = cloud.table.query(**query)
    plain = boto3.resource("dynamodb", region_name=REGION).Table(TABLE).query(**query)
    assert ours["Items"] == plain["Items"] == [ITEM]
    assert repr(ours["Items"][0]["part"]) == repr(plain["Items"][0]["part"])
    assert {*ours} == {*plain}
    assert ours["Count"] == 1
    assert ours["ConsumedCapacity"] == plain["ConsumedCapacity"]


def test_the_sdk_s_own_parser_has_no_items_to_walk_through(cloud, monkeypatch):
    cloud.table.put_item(Item=ITEM)
    bodies = []
    parse = JSONParser.parse
    monkeypatch.setattr(
        JSONParser,
        "parse",
        lambda self, response, shape: (
            bodies.append(response["body"]) or parse(self, response, shape)
        ),
    )
    answer = cloud.table.query(KeyConditionExpression=Key("account").eq("demo"))
    assert answer["Items"] == [ITEM]
    assert len(bodies) == 1
    assert b"Items" not in bodies[0]


def test_a_page_says_where_the_next_one_starts(cloud):
    cloud.table.put_item(Item=ITEM)
    cloud.table.put_item(Item=ITEM | {"id": ITEM["id"].replace("1", "2")})
    condition = Key("account").eq("demo")
    page = cloud.table.query(KeyConditionExpression=condition, Limit=1)
    assert page["LastEvaluatedKey"] == {"account": "demo", "id": ITEM["id"]}
    start = page["LastEvaluatedKey"]
    rest = cloud.table.query(KeyConditionExpression=condition, ExclusiveStartKey=start)
    assert [one["id"] for one in rest["Items"]] == [ITEM["id"].replace("1", "2")]


def test_a_query_that_only_counts_has_no_items(cloud):
    cloud.table.put_item(Item=ITEM)
    answer = cloud.table.query(KeyConditionExpression=Key("account").eq("demo"), Select="COUNT")
    assert answer["Count"] == 1
    assert "Items" not in answer


def test_a_refused_query_is_an_error_as_ever(cloud):
    with pytest.raises(ClientError) as refused:
        cloud.table.query(KeyConditionExpression=Key("id").eq("x"))
    assert refused.value.response["Error"]["Code"] == "ValidationException"
