"""The account that a stack is in: found by the stack's own file, and refused when it is another.

What every command on a stack begins with: its region, a session of the SDK, and how what went wrong
becomes one line and an exit code.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import botocore.session
import click
import pulumi
import yaml
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError
from botocore.parsers import ResponseParserError

from infra import lease_item
from localcloud.program import CHECKOUT, SERVICE, Program, stack_config
from operations.errors import Exit, OperationError, WrongInput
from operations.lease import DamagedLease

CLIENT_CONFIG = Config(
    signature_version="v4",
    connect_timeout=3,
    read_timeout=15,
    retries={"mode": "standard", "total_max_attempts": 4},
)
"""Of every client: timeouts, and retries as AWS's SDKs have them."""
_ALLOWED = "aws:allowedAccountIds"
# By which the provider would act as somebody else than the command that runs it.
_CREDENTIALS = (
    "aws:accessKey",
    "aws:secretKey",
    "aws:token",
    "aws:profile",
    "aws:sharedConfigFiles",
    "aws:sharedCredentialsFiles",
    "aws:assumeRole",
    "aws:assumeRoles",
    "aws:assumeRoleWithWebIdentity",
)
_ENDPOINTS = frozenset(
    f"AWS_ENDPOINT_URL{service}" for service in ("", "_S3", "_STS", "_DYNAMODB", "_ECS", "_KMS")
)
_SDK_REGIONS = ("AWS_REGION", "AWS_DEFAULT_REGION")

# What the errors mean that people meet, by AWS's codes.
_NOT_THERE = "`retainwise bootstrap` makes it: was it run for this account and region?"
_NOT_DEPLOYED = "was the stack deployed to this account and region?"
_NOT_ALLOWED = "use credentials of the stack's preview or deploy role, or ask for the right"
_JOIN_LOCAL = "start it with `make up`, and join it with `set -a; . .local/env`"
_NOT_VALID = "sign in again, or take other credentials (AWS_PROFILE)"
_ADVICE = {
    "403": _NOT_ALLOWED,  # what is asked for without its body is refused without words
    "AccessDenied": _NOT_ALLOWED,
    "AccessDeniedException": _NOT_ALLOWED,
    "ExpiredToken": _NOT_VALID,
    "ExpiredTokenException": _NOT_VALID,
    "InvalidClientTokenId": _NOT_VALID,
    "NoSuchBucket": _NOT_THERE,
    "QueueDoesNotExist": _NOT_DEPLOYED,
    "AWS.SimpleQueueService.NonExistentQueue": _NOT_DEPLOYED,  # SQS's name of it by the older way
    "ResourceNotFoundException": _NOT_THERE,
    "UnrecognizedClientException": _NOT_VALID,
}


class UnusableStack(WrongInput):
    """There is no file of this stack, or it does not say what is needed."""


class WrongAccount(WrongInput):
    """The credentials or the region are not the stack's."""


@dataclass(frozen=True)
class StackAccount:
    """A stack's region and account, and a session in them.

    session: its clients have timeouts, and retries as AWS's SDKs have them.
    """

    stack: str
    region: str
    account_id: str
    session: boto3.Session

    @classmethod
    def of(cls, stack: str, folder: Path = CHECKOUT) -> StackAccount:
        """Find the account by `Pulumi.<stack>.yaml` in `folder` and the SDK's own configuration.

        Raises UnusableStack, WrongAccount and the SDK's errors.
        """
        config = read_stack(stack, folder)
        region = config["aws:region"]
        for variable in _SDK_REGIONS:
            if (found := os.environ.get(variable) or region) != region:
                raise WrongAccount(
                    f"{stack} is in {region} (aws:region of Pulumi.{stack}.yaml), but {variable} "
                    f"is {found}: set it to {region}, or unset it"
                )
        core = botocore.session.get_session()
        core.set_default_client_config(CLIENT_CONFIG)
        session = boto3.Session(region_name=region, botocore_session=core)
        identity = session.client("sts").get_caller_identity()
        allowed = config.get(_ALLOWED)
        if allowed is not None and identity["Account"] not in allowed:
            raise WrongAccount(
                f"{stack} is in the account {' or '.join(allowed)} ({_ALLOWED} of "
                f"Pulumi.{stack}.yaml), but the credentials are of {identity['Account']} "
                f"({identity['Arn']}): take others (AWS_PROFILE), or correct the file"
            )
        return cls(stack, region, identity["Account"], session)

    @property
    def name(self) -> str:
        """What every name in the environment starts with."""
        return f"{self.stack}-{SERVICE.project}"

    @property
    def lease_table(self) -> str:
        """The table of the deploy lease."""
        return lease_item.table_name(self.name)

    @property
    def deploy_role_arn(self) -> str:
        """ARN of the role under which everything that changes the stack runs."""
        return f"arn:aws:iam::{self.account_id}:role/{self.name}-deploy"

    @property
    def state_bucket(self) -> str:
        """The bucket of the state and the release records."""
        return f"{self.name}-state-{self.account_id}"


def unnamed(account: StackAccount, folder: Path = CHECKOUT) -> str | None:
    """Say what to write into a stack's file that names no account; none when it names one.

    Without it, credentials of another account would be taken for the stack's.
    """
    if _ALLOWED in read_stack(account.stack, folder):
        return None
    return (
        f"Pulumi.{account.stack}.yaml names no account, so any that you sign in to is taken for "
        f'its own; if this is the one, add to its config: {_ALLOWED}: ["{account.account_id}"]'
    )


def read_stack(stack: str, folder: Path = CHECKOUT) -> dict[str, Any]:
    """Read the configuration of a stack, as far as it says where the stack is.

    Raises UnusableStack.
    """
    there = sorted(
        path.name.removeprefix("Pulumi.").removesuffix(".yaml")
        for path in folder.glob("Pulumi.*.yaml")
    )
    if stack not in there:
        raise UnusableStack(
            f"there is no stack {stack}: {folder} has "
            f"{', '.join(there) or 'no Pulumi.<stack>.yaml'}"
        )
    file = f"Pulumi.{stack}.yaml"
    try:
        config = stack_config(stack, Program(SERVICE.project, folder, SERVICE.main))
        region, allowed = config.get("aws:region"), config.get(_ALLOWED)
    except (OSError, ValueError, yaml.YAMLError, KeyError, TypeError, AttributeError) as exc:
        raise UnusableStack(
            f"{file} cannot be read: it must be YAML with a section config ({_in_one_line(exc)})"
        ) from exc
    if not isinstance(region, str):
        raise UnusableStack(f"{file} must have aws:region, such as eu-west-1, not {region}")
    if allowed is not None and not _is_texts(allowed):
        raise UnusableStack(f'{file}: {_ALLOWED} must be a list such as ["111122223333"]')
    if others := [key for key in _CREDENTIALS if key in config]:
        raise UnusableStack(
            f"{file} may not have {', '.join(others)}: whatever changes the stack does so in the "
            "sessions of its deploy lease. To work as somebody else, sign in as them (AWS_PROFILE)"
        )
    return config


@contextmanager
def explained(stack: str) -> Iterator[None]:
    """Turn what went wrong with a stack into one line on standard error and an exit code."""
    try:
        with _as_ctrl_c(signal.SIGTERM, signal.SIGHUP):
            yield
    except OperationError as exc:
        raise _ended(str(exc), exc.code) from exc
    except pulumi.RunError as exc:  # a wrong setting in the stack's file
        raise _ended(str(exc), Exit.WRONG) from exc
    except DamagedLease as exc:
        raise _ended(str(exc), Exit.FAILED) from exc
    except (BotoCoreError, ClientError) as exc:
        raise _ended(f"{_where(stack)}: {said_by_sdk(stack, exc)}", Exit.FAILED) from exc
    except ResponseParserError as exc:
        raise _ended(f"{_where(stack)}: what answers is not AWS{_endpoint()}", Exit.FAILED) from exc
    except ValueError as exc:
        if not str(exc).startswith("Invalid endpoint"):
            raise
        raise _ended(f"{stack}: no address of AWS{_endpoint()}", Exit.WRONG) from exc


@contextmanager
def _as_ctrl_c(*signals: signal.Signals) -> Iterator[None]:
    """Let what CI or a closed terminal sends end the block in order, as Ctrl-C does."""
    before = {one: signal.signal(one, signal.default_int_handler) for one in signals}
    try:
        yield
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)


def _endpoint() -> str:
    """Name what leads the SDK elsewhere than to AWS."""
    given = (f"{name}={value}" for name, value in os.environ.items() if name in _ENDPOINTS)
    return "".join(f" ({one})" for one in given)


def _ended(said: str, code: Exit) -> click.ClickException:
    ended = click.ClickException(said)
    ended.exit_code = code  # type: ignore[misc]  # so click's own documentation does it
    return ended


def _is_texts(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(one, str) for one in value)


def _where(stack: str) -> str:
    try:
        return f"{stack} in {read_stack(stack)['aws:region']}"
    except UnusableStack:
        return stack


def said_by_sdk(stack: str, error: BotoCoreError | ClientError) -> str:
    """Say in a line what the SDK met with a stack, and what helps."""
    if isinstance(error, NoCredentialsError):
        remedy = _JOIN_LOCAL if stack == "local" else "sign in, or set AWS_PROFILE"
        return f"no AWS credentials were found: {remedy}"
    if not isinstance(error, ClientError):
        return f"AWS could not be asked: {_in_one_line(error)}"
    code = error.response["Error"]["Code"]
    said = error.response["Error"].get("Message") or "no reason given"
    advice = _ADVICE.get(code)
    line = f"AWS refused {error.operation_name}: {code}, {said}"
    return _in_one_line(line if advice is None else f"{line.rstrip('.')}; {advice}")


def _in_one_line(said: object) -> str:
    return " ".join(str(said).split())
