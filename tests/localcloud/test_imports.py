"""What is there, seen by its id alone or by what it is, and told as a program would declare it."""

from __future__ import annotations

import importlib
import inspect
import json
import re
from collections import defaultdict
from contextlib import suppress
from dataclasses import dataclass

import pytest
from botocore.exceptions import BotoCoreError, ClientError

from emulator import REGION
from localcloud import apply as applying
from localcloud.cloud import ACCOUNT_ID
from localcloud.kinds import all_kinds
from localcloud.kinds.base import Clients, Found, Kind, Unapplicable
from localcloud.kinds.not_told import NOT_TOLD
from localcloud.program import Declared
from operations.account import StackAccount
from operations.inventory import existing
from operations.pending import Look

NAME = "prod-retainwise"
DENIED = {"AccessDenied", "AccessDeniedException", "AuthorizationError", "UnauthorizedOperation"}
# How a kind says that something cannot be done to it, and AWS that it is not allowed.
NOT_DONE = (NotImplementedError, KeyError, Unapplicable, BotoCoreError, ClientError)
# AWS's provider imports none of them.
NOT_IMPORTED = "aws:acm/certificateValidation:CertificateValidation"


@dataclass
class There:
    """A resource of production or its bootstrap, as it was found."""

    kind: Kind
    declared: Declared
    found: Found

    def __str__(self) -> str:
        return f"{self.kind.type} {self.declared.name}"

    def seen_by(self, clients: Clients) -> Kind:
        """The kind, as somebody sees it to whom none of the tags mean anything."""
        return all_kinds(clients.of(self.kind.aws.region), "somebody/else")[self.kind.type]


@pytest.fixture(scope="module")
def there(prod):
    """Every resource that the two programs declare."""
    resources = []

    class Noting(applying._LocalProvider):
        def _converge(self, kind, declared):
            found = super()._converge(kind, declared)
            resources.append(There(kind, declared, found))
            return found

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(applying, "_LocalProvider", Noting)
        prod.bootstrap("prod")
        prod.apply("prod")
    assert len(resources) > 200
    return resources


@pytest.fixture(scope="module")
def preview(prod):
    """A session with the policies of a pull request's preview."""
    return prod.as_twin_of(f"{NAME}-preview")


def told(kind, properties):
    """Leave out what the emulator does not tell."""
    return {k: v for k, v in properties.items() if k not in NOT_TOLD.get(kind.type, {})}


def test_every_resource_is_got_by_its_id(there):
    for one in there:
        assert one.kind.get(one.found.id) == one.found, one


def test_a_preview_may_get_every_resource_of_the_service(prod, preview, there):
    clients = Clients(preview, prod.endpoint)
    service = [one for one in there if one.kind.stack == "retainwise/prod"]
    assert len(service) > 100
    for one in service:
        assert one.seen_by(clients).get(one.found.id) == one.found, one


def test_a_deploy_finds_whatever_another_was_making_when_it_was_killed(prod, there):
    """Under its own policies, with nothing of it in the state yet."""
    session = prod.as_twin_of(f"{NAME}-deploy")
    look = Look(Clients(session, prod.endpoint), "retainwise/prod")
    for one in there:
        if one.kind.stack != "retainwise/prod" or one.kind.type == NOT_IMPORTED:
            continue
        noted = {
            "type": one.kind.type,
            "urn": f"urn:pulumi:prod::retainwise::{one.kind.type}::{one.declared.name}",
            "custom": True,
            "inputs": {**one.declared.inputs, "__defaults": []},
        }
        region = one.declared.inputs.get("region")
        found = f"{one.found.id}@{region}" if region else one.found.id
        assert look.found_id(noted, []) == found, one
        # What is in the state already is not what was being made.
        id_ = one.found.outputs.get("id", one.found.id)
        known = {"type": one.kind.type, "inputs": one.declared.inputs, "id": id_}
        assert look.found_id(noted, [known]) is None, one


def test_a_preview_may_list_what_exists(prod, preview, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", prod.endpoint)
    listed = existing(StackAccount("prod", REGION, ACCOUNT_ID, preview))
    assert listed == existing(StackAccount("prod", REGION, ACCOUNT_ID, prod.session))
    assert len(listed) > 30


def test_a_preview_may_change_nothing(prod, preview, there):
    answers = defaultdict(set)

    def note(parsed, model, **_):
        if not model.name.startswith(("Get", "List", "Describe", "Head")):
            answers[model.service_model.service_name, model.name].add(
                parsed.get("Error", {}).get("Code")
            )

    preview.events.register("after-call.*", note)
    clients = Clients(preview, prod.endpoint)
    for one in there:
        kind, found, tags = one.seen_by(clients), one.found, {"mine": "yes"}
        for write, *arguments in (
            (kind.create, one.declared.inputs, tags),
            *((kind.change, found, {key: value}) for key, value in found.properties.items()),
            (kind.tag, found, tags),
            (kind.delete, found),
        ):
            with suppress(*NOT_DONE):
                write(*arguments)
    assert len(answers) > 100
    assert set().union(*answers.values()) == DENIED


def test_what_is_there_is_told_as_a_program_would_declare_it(there):
    for one in there:
        wanted = told(one.kind, one.kind.wanted(one.kind.inputs_of(one.kind.get(one.found.id))))
        assert wanted == {key: one.found.properties.get(key) for key in wanted}, one


def test_it_is_told_as_it_was_declared(there):
    for one in there:
        inputs, declared = one.kind.inputs_of(one.found), one.declared.inputs
        assert inputs.keys() <= declared.keys(), one
        assert inputs.get("tags") == declared.get("tags"), one
        for key in one.kind.documents & inputs.keys():
            said = json.loads(declared[key])
            assert inputs[key] == json.dumps(said, sort_keys=True, separators=(",", ":")), one


def test_it_is_found_by_what_it_is_without_a_tag_of_ours(prod, there):
    for one in there:
        found = one.seen_by(prod.clients).look_for(one.declared.name, one.declared.inputs)
        assert found == (None if one.kind.type == NOT_IMPORTED else one.found), one


def test_in_an_empty_account_there_is_none_of_it(emulator, there):
    for one in there:
        kind = one.seen_by(emulator.clients)
        assert kind.get(one.found.id) is None, one
        assert kind.look_for(one.declared.name, one.declared.inputs) is None, one


def test_what_replaces_a_resource_are_inputs_of_its_type(there):
    for kind in {type(one.kind) for one in there}:
        _, module, name = kind.type.split(":")
        resource = importlib.import_module(f"pulumi_aws.{module.partition('/')[0]}")
        inputs = inspect.signature(getattr(resource, name)._internal_init).parameters
        snakes = {re.sub("[A-Z]", lambda a: f"_{a[0].lower()}", key) for key in kind.replaced_for}
        assert snakes <= inputs.keys(), kind
