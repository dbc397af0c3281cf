"""The declared roles end where the service does: the rest is denied, by IAM and not by chance.

That a role allows what its service calls, and nothing that it does not, is in test_permissions.
"""

from __future__ import annotations

import pytest
from botocore.exceptions import ClientError

from localcloud import cloud as local_cloud

ACCOUNT = local_cloud.ACCOUNT_ID
UPLOADS = f"local-retainwise-uploads-{ACCOUNT}"
RESULTS = f"local-retainwise-results-{ACCOUNT}"
TABLE = "local-retainwise-predictions"
QUEUE = f"/{ACCOUNT}/local-retainwise-predictions-queue"
DLQ = f"/{ACCOUNT}/local-retainwise-predictions-dlq"
STATE = f"local-retainwise-state-{ACCOUNT}"
LEASE = "local-retainwise-deploy-lease"
KEY = {"account": {"S": "acme"}, "id": {"S": "01"}}
DENIED = {"AccessDenied", "AccessDeniedException", "403"}


class Service:
    """What a service can do under its role: each call by a short name."""

    def __init__(self, emulator, session):
        self.s3, self.sqs, self.dynamodb, self.iam = (
            emulator.client(name, session) for name in ("s3", "sqs", "dynamodb", "iam")
        )
        self.lease = {"stack": {"S": "local"}}
        self.queue, self.dlq = emulator.endpoint + QUEUE, emulator.endpoint + DLQ

    def query(self, index=None):
        keys = {None: "account", "by-status": "account_status", "by-id": "id"}
        name = keys.get(index, index)
        self.dynamodb.query(
            TableName=TABLE,
            **({"IndexName": index} if index else {}),
            KeyConditionExpression="#k = :v",
            ExpressionAttributeNames={"#k": name},
            ExpressionAttributeValues={":v": {"S": "acme"}},
        )

    def change_lease(self):
        self.dynamodb.put_item(TableName=LEASE, Item=self.lease)

    def put_object(self, bucket, key):
        self.s3.put_object(Bucket=bucket, Key=key, Body=b"x")

    def get_object(self, bucket, key):
        self.s3.get_object(Bucket=bucket, Key=key)


@pytest.fixture
def services(emulator):
    emulator.bootstrap()
    emulator.apply()
    root = emulator.client("s3")
    for bucket, folder in ((UPLOADS, "uploads"), (RESULTS, "results")):
        for key in (f"{folder}/acme/a.csv", "elsewhere/a.csv"):
            root.put_object(Bucket=bucket, Key=key, Body=b"x")
    # What is not the service's, though some of it carries the environment's name.
    root.put_object(Bucket=STATE, Key=".pulumi/local.json", Body=b"x")
    emulator.client("sqs").create_queue(QueueName="another")
    where = {"CreateBucketConfiguration": {"LocationConstraint": emulator.session.region_name}}
    root.create_bucket(Bucket="another-bucket", **where)
    root.put_object(Bucket="another-bucket", Key=UP, Body=b"x")
    emulator.client("dynamodb").create_table(
        TableName="another",
        BillingMode="PAY_PER_REQUEST",
        KeySchema=[
            {"AttributeName": "account", "KeyType": "HASH"},
            {"AttributeName": "id", "KeyType": "RANGE"},
        ],
        AttributeDefinitions=[
            {"AttributeName": "account", "AttributeType": "S"},
            {"AttributeName": "id", "AttributeType": "S"},
        ],
    )
    roles = {
        name: Service(emulator, emulator.as_role(f"local-retainwise-{name}-task"))
        for name in ("web", "worker")
    }
    return {"root": Service(emulator, emulator.session), **roles}


# What each may do; what the other one may do and it may not; what nobody may.
UP, RES, OUT = "uploads/acme/a.csv", "results/acme/a.csv", "elsewhere/a.csv"
CALLS = {
    "read uploads": lambda s: s.get_object(UPLOADS, UP),
    "write uploads": lambda s: s.put_object(UPLOADS, UP),
    "read results": lambda s: s.get_object(RESULTS, RES),
    "write results": lambda s: s.put_object(RESULTS, RES),
    "read elsewhere": lambda s: s.get_object(UPLOADS, OUT),
    "write elsewhere": lambda s: s.put_object(RESULTS, OUT),
    "ask whether the buckets are there": lambda s: s.s3.head_bucket(Bucket=UPLOADS),
    "list versions": lambda s: s.s3.list_object_versions(Bucket=RESULTS),
    "hide an object": lambda s: s.s3.delete_object(Bucket=UPLOADS, Key=UP),
    "get a record": lambda s: s.dynamodb.get_item(TableName=TABLE, Key=KEY),
    "put a record": lambda s: s.dynamodb.put_item(TableName=TABLE, Item=KEY),
    "query an account": lambda s: s.query(),
    "query by status": lambda s: s.query("by-status"),
    "query by id": lambda s: s.query("by-id"),
    "query unfinished": lambda s: s.query("unfinished"),
    "scan": lambda s: s.dynamodb.scan(TableName=TABLE),
    "send": lambda s: s.sqs.send_message(QueueUrl=s.queue, MessageBody="x"),
    "send a batch": lambda s: s.sqs.send_message_batch(
        QueueUrl=s.queue, Entries=[{"Id": "1", "MessageBody": "x"}]
    ),
    "receive": lambda s: s.sqs.receive_message(QueueUrl=s.queue),
    "send to the dead-letter queue": lambda s: s.sqs.send_message(QueueUrl=s.dlq, MessageBody="x"),
    "receive from the dead-letter queue": lambda s: s.sqs.receive_message(QueueUrl=s.dlq),
    "send to another queue": lambda s: s.sqs.send_message(
        QueueUrl=s.queue.replace("local-retainwise-predictions-queue", "another"), MessageBody="x"
    ),
    "receive from another queue": lambda s: s.sqs.receive_message(
        QueueUrl=s.queue.replace("local-retainwise-predictions-queue", "another")
    ),
    "read another bucket": lambda s: s.get_object("another-bucket", UP),
    "write another bucket": lambda s: s.put_object("another-bucket", UP),
    "get from another table": lambda s: s.dynamodb.get_item(TableName="another", Key=KEY),
    "put into another table": lambda s: s.dynamodb.put_item(TableName="another", Item=KEY),
    "read the state": lambda s: s.get_object(STATE, ".pulumi/local.json"),
    "write the state": lambda s: s.put_object(STATE, ".pulumi/local.json"),
    "list the state": lambda s: s.s3.list_objects_v2(Bucket=STATE),
    "take the deploy lease": lambda s: s.change_lease(),
    "purge": lambda s: s.sqs.purge_queue(QueueUrl=s.queue),
    "read policies": lambda s: s.iam.list_roles(),
}
MAY = {
    "root": {*CALLS},  # each call works by itself: what denies one is the role
    "web": {
        "read uploads",
        "write uploads",
        "read results",
        "ask whether the buckets are there",
        "get a record",
        "put a record",
        "query an account",
        "query by status",
        "send",
        "send a batch",
    },
    "worker": {
        "write results",
        "ask whether the buckets are there",
        "list versions",
        "hide an object",  # how an erasure reaches the copies in another region
        "get a record",
        "put a record",
        "query by id",
        "query unfinished",
        "send",
        "send a batch",
        "receive",
        "send to the dead-letter queue",
    },
}


@pytest.mark.parametrize("service", ["root", "web", "worker"])
def test_a_role_allows_what_is_the_service_s_own_and_denies_the_rest(services, service):
    allowed = set()
    for name, call in CALLS.items():
        try:
            call(services[service])
        except ClientError as exc:
            if exc.response["Error"]["Code"] not in DENIED:
                raise
        else:
            allowed.add(name)
    assert allowed == MAY[service]


def test_a_forged_secret_is_refused(emulator, services):
    given = emulator.as_role("local-retainwise-web-task").get_credentials()
    forged = type(emulator.session)(
        given.access_key, "forged", given.token, region_name="eu-west-1"
    )
    with pytest.raises(ClientError, match="signature"):
        emulator.client("sqs", forged).list_queues()


def test_nobody_but_ecs_may_take_a_role(emulator, services):
    worker = emulator.as_role("local-retainwise-worker-task")
    with pytest.raises(ClientError, match="AccessDenied"):
        emulator.client("sts", worker).assume_role(
            RoleArn=f"arn:aws:iam::{ACCOUNT}:role/local-retainwise-web-task",
            RoleSessionName="worker",
        )
