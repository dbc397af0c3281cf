"""A wrong setting ends the run with its key and what is allowed, before anything is declared."""

from __future__ import annotations

import pulumi
import pytest

from localcloud.program import BOOTSTRAP, run_program, stack_config


@pytest.mark.parametrize(
    ("section", "values", "said"),
    [
        ("github", {"repository": "retainwise"}, "github.repository = retainwise"),
        ("github", {"repository": "retain*/wise"}, "github.repository = retain*/wise"),
        ("github", {"repository": "retainwise"}, "Owner and name, as GitHub spells them"),
        ("github", {"repo": "a/b"}, "no such key; there are repository, provider_exists"),
        ("state", {"lock_days": 0}, "state.lock_days = 0: Input should be greater than"),
        ("state", {"recovery_region": "Frankfurt"}, "state.recovery_region = Frankfurt"),
        ("state", {"recovery_region": "eu-west-1"}, "must be another region than aws:region"),
        ("images", {"keep": 0}, "images.keep = 0"),
        ("deploy", {"hosted_zone_ids": ["*"]}, "deploy.hosted_zone_ids.0 = *"),
    ],
)
def test_a_wrong_value_is_named_with_what_is_allowed(declare, section, values, said):
    with pytest.raises(pulumi.RunError) as refused:
        declare("prod", {section: values})
    assert "Pulumi.prod.yaml is not usable" in str(refused.value)
    assert said in str(refused.value)


def test_a_missing_section_is_named_and_nothing_is_declared(recorder):
    config = stack_config("prod", BOOTSTRAP)
    del config["retainwise-bootstrap:github"]
    with pytest.raises(pulumi.RunError, match="retainwise-bootstrap:github: Field required"):
        run_program(recorder, "prod", config, BOOTSTRAP)
    assert recorder.resources == []


def test_a_stack_whose_name_would_make_bad_names_is_refused(recorder):
    with pytest.raises(pulumi.RunError, match="the stack's name = Prod_EU"):
        run_program(recorder, "Prod_EU", stack_config("prod", BOOTSTRAP), BOOTSTRAP)
