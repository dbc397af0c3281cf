"""A local cloud of one's own."""

from __future__ import annotations

import copy
import textwrap
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import boto3
import pytest

from localcloud import cloud as local_cloud
from localcloud.apply import Applied, apply
from localcloud.home import Home
from localcloud.kinds.base import Clients
from localcloud.program import BOOTSTRAP, Program, stack_config

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
        return apply(self.clients, stack, program=BOOTSTRAP)

    def apply(
        self, stack: str = "local", changes: Mapping[str, Mapping[str, Any]] | None = None
    ) -> Applied:
        """Apply the service; `changes` are put into its configuration, section by section."""
        config = copy.deepcopy(stack_config(stack))
        for section, values in (changes or {}).items():
            config[f"retainwise:{section}"] |= values
        if edge := config.get("retainwise:edge"):
            edge["hosted_zone_id"] = self._hosted_zone(edge["host"].partition(".")[2])
        return apply(self.clients, stack, config)

    def _hosted_zone(self, domain: str) -> str:
        """The account's own zone, which no program makes."""
        route53 = self.client("route53")
        zones = route53.list_hosted_zones()["HostedZones"]
        if not zones:
            route53.create_hosted_zone(Name=domain, CallerReference="test")
            zones = route53.list_hosted_zones()["HostedZones"]
        return zones[0]["Id"].rpartition("/")[2]

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


@pytest.fixture(autouse=True)
def _no_profile_of_the_developer(monkeypatch):
    monkeypatch.setenv("AWS_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[[], Emulator]]:
    """Start the local cloud in one folder; again after it was ended."""
    home = Home(tmp_path)
    with ExitStack() as stack:
        lock = stack.enter_context(home.held("a test"))

        def run() -> Emulator:
            return Emulator(stack.enter_context(local_cloud.running(home, lock)))

        yield run


@pytest.fixture
def emulator(start: Callable[[], Emulator]) -> Emulator:
    return start()


@pytest.fixture
def small(tmp_path: Path, emulator: Emulator) -> Callable[[str], Applied]:
    """Apply a program of a few lines; the next one is the same program after a change."""
    folder = tmp_path / "small"
    folder.mkdir()
    program = Program("small", folder, folder)

    def run(source: str) -> Applied:
        head = "import json, pulumi, pulumi_aws as aws\n"
        (folder / "__main__.py").write_text(head + textwrap.dedent(source))
        config = {"aws:region": REGION}
        return apply(emulator.clients, "test", config, program)

    return run


@pytest.fixture(scope="module")
def prod(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    """A local cloud to which production was applied, for all tests of a module.

    What one of them changes is put back by applying again, or it is not production's.
    """
    home = Home(tmp_path_factory.mktemp("prod"))
    with home.held("a test") as lock, local_cloud.running(home, lock) as cloud:
        emulator = Emulator(cloud)
        emulator.bootstrap("prod")
        emulator.apply("prod")
        yield emulator
