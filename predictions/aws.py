"""The one place where AWS clients are made.

Region, endpoint and credentials come from the SDK's own configuration (AWS_REGION,
AWS_ENDPOINT_URL, the default credential chain), so the same code talks to AWS and to the local
cloud. Clients are safe to share between threads, and so is the table: calling an action on it
reads nothing but its name.
"""

from __future__ import annotations

import os
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import boto3
from boto3.exceptions import S3UploadFailedError
from botocore.config import Config
from botocore.exceptions import ClientError, HTTPClientError
from botocore.exceptions import ConnectionError as NoConnection
from pydantic_core import from_json, to_json
from s3transfer.exceptions import RetriesExceededError

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.service_resource import Table
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_sqs import SQSClient

LONGEST_POLL_S = 20  # SQS's own limit on WaitTimeSeconds
_CONNECT_TIMEOUT_S = 3
_THROTTLED = frozenset(
    {
        "PriorRequestNotComplete",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "RequestThrottled",
        "RequestThrottledException",
        "RequestTimeout",
        "RequestTimeoutException",
        "SlowDown",
        "ThrottledException",
        "Throttling",
        "ThrottlingException",
        "TooManyRequestsException",
        "TransactionInProgressException",
    }
)
"""Codes after which the SDK, too, tries again (botocore/retries/standard.py)."""
_READ_TIMEOUT_S = 15


def _config(
    read_timeout_s: int, *, signature: str = "v4", checks_parameters: bool = True
) -> Config:
    return Config(
        # ECS and the other SDKs say AWS_REGION; boto3 by itself reads AWS_DEFAULT_REGION only.
        region_name=os.environ.get("AWS_REGION") or None,
        signature_version=signature,
        connect_timeout=_CONNECT_TIMEOUT_S,
        read_timeout=read_timeout_s,
        retries={"mode": "standard", "total_max_attempts": 4},
        max_pool_connections=32,
        parameter_validation=checks_parameters,
    )


def s3_client() -> S3Client:
    """Make the S3 client (SigV4: a SigV2 signature in a URL never expires)."""
    return boto3.client("s3", config=_config(_READ_TIMEOUT_S, signature="s3v4"))


def sqs_client() -> SQSClient:
    """Make the SQS client; it reads for longer than the longest poll waits."""
    # mypy checks the calls of the product; for the SDK to do it too takes a tenth of each.
    config = _config(LONGEST_POLL_S + _READ_TIMEOUT_S, checks_parameters=False)
    return boto3.client("sqs", config=config)


def dynamodb_table(name: str) -> Table:
    """Make the table resource, which takes and gives plain Python values."""
    table = boto3.resource("dynamodb", config=_config(_READ_TIMEOUT_S)).Table(name)
    table.meta.client.meta.events.register("before-parse.dynamodb.Query", _read_items)
    return table


def may_pass(error: BaseException | None) -> bool:
    """Whether the same call may succeed later: it was throttled, found nobody, or AWS is unwell.

    A refusal, such as a right that is missing, does not pass by waiting.
    """
    if isinstance(error, S3UploadFailedError):  # says in words only what went wrong
        error = error.__context__
    if isinstance(error, ClientError):
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        is_unwell = status >= HTTPStatus.INTERNAL_SERVER_ERROR
        return is_unwell or error.response["Error"]["Code"] in _THROTTLED
    return isinstance(error, HTTPClientError | NoConnection | RetriesExceededError)


def _read_items(
    response_dict: dict[str, Any], customized_response_dict: dict[str, Any], **_: object
) -> None:
    """Read the items of an answer as they are written.

    The SDK's parser walks through each value by the service's model and ends with the same, but for
    binaries, which we have none of. That takes it half of the time of a query for a page.
    """
    if response_dict["status_code"] == HTTPStatus.OK:
        try:
            answer = from_json(response_dict["body"])
        except ValueError:
            return  # the SDK says what it makes of it
        if "Items" in answer:  # none where only counted
            customized_response_dict["Items"] = answer.pop("Items")
        response_dict["body"] = to_json(answer)
