"""A local cloud of a test's own, and what a test does with it."""

from __future__ import annotations

import copy
import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from unittest import mock

import boto3
import pytest

from localcloud import cloud as local_cloud
from localcloud.apply import Applied, apply
from localcloud.home import Home
from localcloud.kinds.base import Clients
from localcloud.program import BOOTSTRAP, stack_config

REGION = "eu-west-1"


class Emulator:
    """A running local cloud and how to talk to it."""

    def __init__(self, cloud: local_cloud.Cloud) -> None:
        self.cloud = cloud
        self.endpoint = cloud.endpoint
        self.session = cloud.session(REGION)
        self.clients = Clients(self.session, self.endpoint)

    def tell(self, note: Callable[..., None]) -> None:
        """Let `note` know, and stop if it raises, each call by which a program is applied."""
        session = self.cloud.session(REGION)
        session.events.register("before-call.*", note)
        self.clients = Clients(session, self.endpoint)  # those that are made keep their events

    def client(self, service: str, session: boto3.Session | None = None, region: str | None = None):
        return (session or self.session).client(service, region, endpoint_url=self.endpoint)

    def bootstrap(self, stack: str = "local") -> Applied:
        """Make what must be there before the service: its roles' boundary, the state's bucket."""
        return apply(self.clients, stack, bootstrap_config(stack), BOOTSTRAP)

    def apply(
        self, stack: str = "local", changes: Mapping[str, Mapping[str, Any]] | None = None
    ) -> Applied:
        """Apply the service; `changes` are put into its configuration, section by section.

        Outside a deploy lease, unless they say otherwise.
        """
        config = copy.deepcopy(stack_config(stack))
        config["retainwise:operations"]["under_lease"] = False
        for section, values in (changes or {}).items():
            config[f"retainwise:{section}"] |= values
        if edge := config.get("retainwise:edge"):
            edge["hosted_zone_id"] = self.hosted_zone(edge["host"].partition(".")[2])
        return apply(self.clients, stack, config)

    def hosted_zone(self, domain: str) -> str:
        """The account's own zone, which no program makes."""
        route53 = self.client("route53")
        zones = route53.list_hosted_zones()["HostedZones"]
        if not zones:
            route53.create_hosted_zone(Name=domain, CallerReference="test")
            zones = route53.list_hosted_zones()["HostedZones"]
        return zones[0]["Id"].rpartition("/")[2]

    def as_root(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Give the SDK's own configuration as somebody has it who is the account's root."""
        for variable in ("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE", "AWS_SESSION_TOKEN"):
            monkeypatch.delenv(variable, raising=False)
        monkeypatch.setenv("AWS_CONFIG_FILE", "/dev/null")
        monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
        monkeypatch.setenv("AWS_ENDPOINT_URL", self.endpoint)
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", local_cloud.ACCOUNT_ID)
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", local_cloud.SECRET)

    def as_role(self, name: str) -> boto3.Session:
        """A session of the role with this name."""
        role = f"arn:aws:iam::{local_cloud.ACCOUNT_ID}:role/{name}"
        answer = self.client("sts").assume_role(RoleArn=role, RoleSessionName="test")
        given = answer["Credentials"]
        return boto3.Session(
            given["AccessKeyId"],
            given["SecretAccessKey"],
            given["SessionToken"],
            region_name=REGION,
        )

    def as_twin_of(self, name: str) -> boto3.Session:
        """A session with the policies of a role of CI's.

        Only GitHub may take the role itself, so a twin has them that the account's root may take.
        """
        iam, twin = self.client("iam"), f"twin-of-{name}"
        root = {"AWS": f"arn:aws:iam::{local_cloud.ACCOUNT_ID}:root"}
        trust = {"Effect": "Allow", "Principal": root, "Action": "sts:AssumeRole"}
        document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
        with suppress(iam.exceptions.EntityAlreadyExistsException):  # of another test
            iam.create_role(RoleName=twin, AssumeRolePolicyDocument=document)
        for one in iam.list_attached_role_policies(RoleName=name)["AttachedPolicies"]:
            iam.attach_role_policy(RoleName=twin, PolicyArn=one["PolicyArn"])
        return self.as_role(twin)


def bootstrap_config(stack: str) -> dict[str, Any]:
    """The bootstrap's configuration of a stack, with the people that a test's account has."""
    config = stack_config(stack, BOOTSTRAP)
    deploy = config.get("retainwise-bootstrap:deploy", {})
    return config | {"retainwise-bootstrap:deploy": deploy | {"people": ["root", "user/*"]}}


def of_this_machine(endpoint: str) -> Mapping[str, str]:
    """The environment of a process that works in a cloud of this machine, as its root.

    Nothing that the developer has set for the SDK holds there.
    """
    others = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    return others | {
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_REGION": REGION,
        "AWS_ACCESS_KEY_ID": local_cloud.ACCOUNT_ID,
        "AWS_SECRET_ACCESS_KEY": local_cloud.SECRET,
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    }


@contextmanager
def acting_in(environment: Mapping[str, str]) -> Iterator[None]:
    """Take on an environment for the block; the SDK's default session begins anew with it."""
    with (
        mock.patch.dict(os.environ, environment, clear=True),
        mock.patch("boto3.DEFAULT_SESSION", None),
    ):
        yield


@contextmanager
def running_emulator(folder: Path) -> Iterator[Emulator]:
    """Run a local cloud for the block; `folder` is where it keeps its state."""
    home = Home(folder)
    with home.held("a test") as lock, local_cloud.running(home, lock) as cloud:
        yield Emulator(cloud)
