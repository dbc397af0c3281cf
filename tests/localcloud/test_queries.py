"""The newest items are found among many as they are among few."""

from __future__ import annotations

import random

import pytest
from boto3.dynamodb.conditions import Key

BY_STATUS = "by-status"


@pytest.fixture
def table(emulator):
    def key(**names):
        kinds = (("HASH", names["hash"]), ("RANGE", names["range"]))
        return [{"AttributeName": name, "KeyType": kind} for kind, name in kinds]

    resource = emulator.session.resource("dynamodb", endpoint_url=emulator.endpoint)
    table = resource.create_table(
        TableName="history",
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[
            {"AttributeName": name, "AttributeType": "S"} for name in ("account", "id", "state")
        ],
        KeySchema=key(hash="account", range="id"),
        GlobalSecondaryIndexes=[
            {
                "IndexName": BY_STATUS,
                "KeySchema": key(hash="state", range="id"),
                "Projection": {"ProjectionType": "ALL"},
            }
        ],
    )
    table.wait_until_exists()
    return table


def newest(items, below, limit, **equal):
    found = [
        item
        for item in items.values()
        if item["id"] < below and all(item.get(name) == equal[name] for name in equal)
    ]
    return sorted(found, key=lambda item: item["id"], reverse=True)[:limit]


def test_pages_are_those_of_all_items_whatever_was_written_before(table):
    """Compared with a plain dict, over puts, updates that move between partitions, and deletes."""
    chance = random.Random(7)
    items = {}
    for _step in range(400):
        account, number = chance.choice("ab"), f"{chance.randrange(60):02}"
        match chance.randrange(5):
            case 0 | 1:
                item = {"account": account, "id": number, "state": chance.choice("xyz")}
                if chance.random() < 0.2:
                    del item["state"]
                table.put_item(Item=item)
                items[account, number] = item
            case 2 if (account, number) in items:
                state = chance.choice("xyz")
                table.update_item(
                    Key={"account": account, "id": number},
                    UpdateExpression="SET #s = :s",
                    ExpressionAttributeNames={"#s": "state"},
                    ExpressionAttributeValues={":s": state},
                )
                items[account, number] = items[account, number] | {"state": state}
            case 3:
                table.delete_item(Key={"account": account, "id": number})
                items.pop((account, number), None)
        below, limit = chance.choice(["00", "30", "99"]), chance.choice([1, 3, 100])
        page = table.query(
            KeyConditionExpression=Key("account").eq(account) & Key("id").lt(below),
            ScanIndexForward=False,
            Limit=limit,
        )
        expected = newest(items, below, limit, account=account)
        assert page["Items"] == expected
        assert ("LastEvaluatedKey" in page) == (len(expected) == limit)
        state = chance.choice("xyz")
        page = table.query(
            IndexName=BY_STATUS,
            KeyConditionExpression=Key("state").eq(state) & Key("id").lt(below),
            ScanIndexForward=False,
            Limit=limit,
        )
        ids = [item["id"] for item in page["Items"]]
        assert ids == [item["id"] for item in newest(items, below, limit, state=state)]
        assert all(item == items[item["account"], item["id"]] for item in page["Items"])


def test_other_queries_see_everything(table):
    for number in range(30):
        table.put_item(Item={"account": "a", "id": f"{number:02}", "state": "x"})
    account = Key("account").eq("a")
    table.query(
        KeyConditionExpression=account & Key("id").lt("20"), ScanIndexForward=False, Limit=5
    )

    assert table.query(KeyConditionExpression=account)["Count"] == 30
    assert table.query(KeyConditionExpression=account & Key("id").lte("20"))["Count"] == 21
    between = account & Key("id").between("05", "09")
    assert table.query(KeyConditionExpression=between, ScanIndexForward=False)["Count"] == 5
    assert table.scan()["Count"] == 30
