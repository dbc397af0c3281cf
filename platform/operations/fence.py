"""Sessions that end with the deploy lease: who has lost it can change nothing any more.

Pulumi does not fence: an update that was stalled goes on when it wakes, in AWS and in the state,
and so does a call that was signed before. So whatever runs under the lease does so in sessions of
the deploy role that AWS itself refuses from a moment on that lies before the lease's end. With each
renewal there is a new session; a woken process, wherever it was stopped, only has old ones.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import threading
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import boto3
import botocore.session
from botocore.config import Config
from botocore.credentials import RefreshableCredentials
from botocore.exceptions import ClientError

from infra.lease_item import Holder
from operations.account import CLIENT_CONFIG, StackAccount
from operations.errors import OperationError
from operations.keeping import GIVE_UP_AT

_SESSION_S = 900  # the shortest that AWS gives
# Asked for anew so early, a session's end is never met by a call of a deploy that is well.
_REFRESH_AT = 1 / 2

PATIENCE = CLIENT_CONFIG.merge(
    Config(connect_timeout=3, read_timeout=5, retries={"mode": "standard", "total_max_attempts": 2})
)
"""Of the calls by which a lease is kept: one that hangs must not cost it."""

# What would be taken for credentials before those of the file.
_OTHER_CREDENTIALS = (
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_ACCESS_KEY",  # so Go's SDK spells them, too
    "AWS_SECRET_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_PROFILE",
    "AWS_DEFAULT_PROFILE",
    "AWS_ROLE_ARN",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
)
_NOT_OF_A_SESSION_NAME = re.compile(r"[^\w+=,.@-]", re.ASCII)
_LONGEST_SESSION_NAME = 64


class MayNotDeploy(OperationError):
    """The caller may not take the deploy role; the message says who may."""


class Fence:
    """The sessions of one taking of a stack's lease.

    folder: private to this process; what runs under the lease finds its credentials there.
    length: of the lease.
    """

    def __init__(self, account: StackAccount, folder: Path, length: timedelta) -> None:
        self._account = account
        # Its own, made here: sessions are not for several threads.
        self._sts = account.session.client("sts", config=PATIENCE)
        self._length = length
        self._file = folder / "credentials.json"
        self._config = folder / "config"
        self._newest: dict[str, str] = {}
        self._end = datetime.now(UTC)
        self._turn = threading.Lock()

    def renew(self, holder: Holder) -> None:
        """Open a session that ends before the lease does, as it stands now.

        Raises MayNotDeploy and the SDK's errors.
        """
        asked = datetime.now(UTC)  # by the clock by which SDKs judge how long credentials last
        role = self._account.deploy_role_arn
        end = holder.renewed + GIVE_UP_AT * self._length
        name = _NOT_OF_A_SESSION_NAME.sub("-", holder.owner)[:_LONGEST_SESSION_NAME]
        try:
            session = self._sts.assume_role(
                RoleArn=role,
                RoleSessionName=name.ljust(2, "-"),
                DurationSeconds=_SESSION_S,
                Policy=json.dumps(_until(end), separators=(",", ":")),
            )["Credentials"]
        except ClientError as exc:
            if exc.response["Error"]["Code"] == "AccessDenied":
                raise MayNotDeploy(_who_may(self._account, exc)) from exc
            raise
        self._newest = {
            "access_key": session["AccessKeyId"],
            "secret_key": session["SecretAccessKey"],
            "token": session["SessionToken"],
            "expiry_time": session["Expiration"].isoformat(),
        }
        self._end = asked + GIVE_UP_AT * self._length
        self._write(asked + _REFRESH_AT * self._length)

    def use_to_the_end(self) -> None:
        """Say of the newest session that it lasts to its end: no newer one is to be had."""
        self._write(self._end)

    def environment(self) -> Mapping[str, str | None]:
        """Give what leads an SDK in another process to the newest session; none: it is unset."""
        self._config.write_text(
            f"[default]\ncredential_process = cat {shlex.quote(str(self._file))}\n", "utf-8"
        )
        return dict.fromkeys(_OTHER_CREDENTIALS) | {
            "AWS_CONFIG_FILE": str(self._config),
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "AWS_REGION": self._account.region,
            "AWS_DEFAULT_REGION": self._account.region,  # an older name, that some SDKs read alone
        }

    @property
    def account(self) -> StackAccount:
        """The account, for this process, in the newest session."""
        core = botocore.session.get_session()
        core.set_default_client_config(CLIENT_CONFIG)
        # Each call asks anew: AWS's shortest session counts as one that is about to end.
        core._credentials = RefreshableCredentials.create_from_metadata(  # type: ignore[attr-defined]
            self._newest, lambda: self._newest, "deploy lease"
        )
        session = boto3.Session(region_name=self._account.region, botocore_session=core)
        return replace(self._account, session=session)

    def _write(self, refresh: datetime) -> None:
        """Put the session where `environment` leads, whole at any time."""
        said = {
            "Version": 1,
            "AccessKeyId": self._newest["access_key"],
            "SecretAccessKey": self._newest["secret_key"],
            "SessionToken": self._newest["token"],
            "Expiration": refresh.isoformat(),
        }
        with self._turn:
            unfinished = self._file.with_suffix(".new")
            unfinished.touch(mode=0o600)
            unfinished.write_text(json.dumps(said), "utf-8")
            unfinished.replace(self._file)


def _until(end: datetime) -> Mapping[str, object]:
    """Give the policy of a session that AWS refuses from then on."""
    everything = {"Action": "*", "Resource": "*"}
    is_over = {
        "DateGreaterThanEquals": {"aws:CurrentTime": f"{end.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"},
        # What services do in its name, such as CloudFormation for a stack, was begun before.
        "BoolIfExists": {"aws:ViaAWSService": "false"},
    }
    return {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", **everything},
            {"Effect": "Deny", **everything, "Condition": is_over},
            # Else it could open one for itself that has no end.
            {"Effect": "Deny", "Action": "sts:AssumeRole", "Resource": "*"},
        ],
    }


def _who_may(account: StackAccount, refusal: ClientError) -> str:
    said = refusal.response["Error"].get("Message") or "no reason given"
    return (
        f"every deploy of {account.stack} runs under the role {account.deploy_role_arn}, and these "
        f"credentials may not take it ({said}). CI's workflows may, and who is named in "
        f"retainwise-bootstrap:deploy.people of Pulumi.{account.stack}.yaml in platform/bootstrap: "
        f"an administrator runs `retainwise bootstrap {account.stack}` after a change there, and "
        "once in an account that was bootstrapped before this was so"
    )
