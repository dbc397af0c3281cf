"""Which account a stack is in, and what is refused before anything is asked of it."""

from __future__ import annotations

from datetime import UTC, datetime

import click
import pytest
from botocore.exceptions import ClientError, NoCredentialsError

from localcloud.cloud import ACCOUNT_ID
from localcloud.program import CHECKOUT
from operations.account import StackAccount, UnusableStack, WrongAccount, explained, read_stack
from operations.lease import Holder, LeaseLost, LeaseTaken

pytestmark = pytest.mark.usefixtures("sdk_of_the_emulator")


@pytest.fixture
def stacks(tmp_path):
    """Write a stack's file; returns the folder."""

    def write(text, stack="prod"):
        (tmp_path / f"Pulumi.{stack}.yaml").write_text(text)
        return tmp_path

    return write


def test_a_stack_is_found_by_its_file(stacks):
    folder = stacks(
        f'config: {{aws:region: eu-central-1, aws:allowedAccountIds: ["{ACCOUNT_ID}"]}}'
    )
    account = StackAccount.of("prod", folder)
    assert (account.stack, account.region, account.account_id) == (
        "prod",
        "eu-central-1",
        ACCOUNT_ID,
    )
    assert account.lease_table == "prod-retainwise-deploy-lease"
    assert account.state_bucket == f"prod-retainwise-state-{ACCOUNT_ID}"
    assert account.session.client("ecs").meta.region_name == "eu-central-1"


def test_each_client_of_a_session_has_timeouts_and_retries(stacks):
    account = StackAccount.of("prod", stacks("config: {aws:region: eu-west-1}"))
    for service in ("ecs", "s3", "dynamodb"):
        config = account.session.client(service).meta.config
        assert config.read_timeout == 15
        assert config.connect_timeout == 3
        assert config.retries["mode"] == "standard"


@pytest.mark.parametrize("stack", ["prod", "dev", "local"])
def test_the_checkout_s_own_stacks_can_be_read(stack):
    assert read_stack(stack)["aws:region"] == "eu-west-1"


def test_names_agree_with_what_the_bootstrap_made(bootstrapped):
    account = StackAccount.of("local")
    assert account.lease_table in bootstrapped.client("dynamodb").list_tables()["TableNames"]
    buckets = bootstrapped.client("s3").list_buckets()["Buckets"]
    assert account.state_bucket in {one["Name"] for one in buckets}


def test_another_account_is_refused_and_both_are_named(stacks):
    folder = stacks('config:\n  aws:region: eu-west-1\n  aws:allowedAccountIds: ["111122223333"]')
    with pytest.raises(WrongAccount) as refused:
        StackAccount.of("prod", folder)
    said = str(refused.value)
    assert "prod is in the account 111122223333 (aws:allowedAccountIds of Pulumi.prod.yaml)" in said
    assert f"the credentials are of {ACCOUNT_ID} (arn:aws:iam::{ACCOUNT_ID}:root)" in said
    assert "AWS_PROFILE" in said


@pytest.mark.parametrize("variable", ["AWS_REGION", "AWS_DEFAULT_REGION"])
def test_another_region_is_refused_and_both_are_named(stacks, monkeypatch, variable):
    folder = stacks("config: {aws:region: eu-west-1}")
    monkeypatch.setenv(variable, "eu-west-1")
    StackAccount.of("prod", folder)
    monkeypatch.setenv(variable, "us-east-1")
    with pytest.raises(WrongAccount, match=f"prod is in eu-west-1 .* {variable} is us-east-1"):
        StackAccount.of("prod", folder)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("config: {}", "must have aws:region"),
        ("config: {aws:region: [eu-west-1]}", "must have aws:region"),
        ("config: [", r"Pulumi\.prod\.yaml cannot be read"),
        ("- config", r"Pulumi\.prod\.yaml cannot be read"),
        ("", r"Pulumi\.prod\.yaml cannot be read"),
        ("config:", r"Pulumi\.prod\.yaml cannot be read"),
        # Without quotes YAML reads a number, and 0123 as one with eight digits.
        (
            "config: {aws:region: eu-west-1, aws:allowedAccountIds: [111122223333]}",
            "must be a list such as",
        ),
        ("config: {aws:region: eu-west-1, aws:profile: ana}", "may not have aws:profile"),
        ("config: {aws:region: eu-west-1, aws:assumeRoles: []}", "may not have aws:assumeRoles"),
    ],
)
def test_a_file_that_does_not_say_where_its_stack_is_is_refused(stacks, text, said):
    with pytest.raises(UnusableStack, match=said) as refused:
        StackAccount.of("prod", stacks(text))
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("name", ["prdo", "../prod", ""])
def test_a_stack_without_a_file_is_told_with_those_that_there_are(stacks, name):
    folder = stacks("config: {aws:region: eu-west-1}")
    stacks("config: {aws:region: eu-west-1}", "dev")
    with pytest.raises(UnusableStack, match=f"no stack {name}: .* has dev, prod"):
        StackAccount.of(name, folder)


def test_the_file_of_a_stack_is_looked_for_in_the_checkout(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert read_stack("local") == read_stack("local", CHECKOUT)


def ended(error, stack="prod"):
    with pytest.raises(click.ClickException) as found, explained(stack):
        raise error
    return found.value.exit_code, found.value.message


def refusal(code, message):
    return ClientError({"Error": {"Code": code, "Message": message}}, "GetItem")


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (
            refusal("AccessDeniedException", "User alice\nis not authorized."),
            "prod in eu-west-1: AWS refused GetItem: AccessDeniedException, User alice is not "
            "authorized; use credentials of the stack's preview or deploy role, or ask for the "
            "right",
        ),
        (refusal("Odd", "It is odd."), "prod in eu-west-1: AWS refused GetItem: Odd, It is odd."),
        (
            NoCredentialsError(),
            "prod in eu-west-1: no AWS credentials were found: sign in, or set AWS_PROFILE",
        ),
    ],
)
def test_an_error_of_the_sdk_is_one_line_with_what_would_be_right(error, line):
    assert ended(error) == (1, line)


def test_without_credentials_it_is_said_how_to_join_what_runs_on_this_machine():
    assert "`set -a; . .local/env`" in ended(NoCredentialsError(), "local")[1]


def test_a_lease_that_is_held_and_one_that_was_lost_end_differently():
    now = datetime.now(UTC)
    holder = Holder("1", "alice@host", "deploy 1a2b3c4", now, now, now)
    code, line = ended(LeaseTaken("prod", holder, now))
    assert code == 3
    assert "alice@host holds the deploy lease" in line
    assert ended(LeaseLost("prod: it was lost")) == (1, "prod: it was lost")
