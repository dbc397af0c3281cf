"""An account that people made by hand is brought under management, and goes on from there."""

from __future__ import annotations

import json

import pytest

from engine import hand_made
from engine.hand_made import build, strangers, terraform_state
from localcloud.apply import apply
from localcloud.program import BOOTSTRAP, stack_config

LIVE = "live-retainwise"


@pytest.fixture(scope="module")
def made(project):
    """The account, with what the bootstrap makes beside it, and an empty state."""
    made = build(project.emulator.endpoint)
    apply(project.emulator.clients, "live", stack_config("local", BOOTSTRAP), BOOTSTRAP)
    project.new_stack("live", like="local")
    return made


@pytest.fixture(scope="module")
def files(made, tmp_path_factory):
    folder = tmp_path_factory.mktemp("left-behind")
    (folder / "terraform.tfstate").write_text(json.dumps(terraform_state(made)))
    (folder / "records.csv").write_text(made.export)
    return folder


def test_it_is_adopted(project, run, files, made):
    before = strangers(project.emulator.endpoint)
    said = run("adopt", "live", "--yes", "--terraform", str(files / "terraform.tfstate")).output
    assert "found 93 resources of 93" in said
    assert "to create" not in said
    assert "to replace" not in said
    assert "to delete" not in said
    assert "visibilityTimeoutSeconds" in said
    assert f"role {LIVE}-web-task: the inline policy temp-fix-s3 is not declared" in said
    assert f"role {LIVE}-web-task: the attached policy arn:aws:iam::aws:policy/Amazon" in said
    assert strangers(project.emulator.endpoint) == before
    found = json.loads(run("drift", "live", "--json", code=7).output)
    assert found["coverage"] == 1
    assert {one["what"] for one in found["resources"]} == {"change"}


def test_the_next_deploy_takes_away_what_was_put_in_by_hand(project, run, deploy):
    before = strangers(project.emulator.endpoint)
    deploy("live")
    iam = project.emulator.client("iam")
    for role in hand_made.ROLES:
        assert iam.list_attached_role_policies(RoleName=role)["AttachedPolicies"] == []
        assert iam.list_role_policies(RoleName=role)["PolicyNames"] == ["may"]
    assert "no drift" in run("drift", "live").output
    assert strangers(project.emulator.endpoint) == before


def test_the_predictions_are_taken_over(project, run, files):
    records = ("adopt", "live", "--yes", "--records", str(files / "records.csv"))
    said = run(*records).output
    assert "imported 0" in said
    assert "6 queued, 2 completed, 1 scored anew, 1 failed" in said
