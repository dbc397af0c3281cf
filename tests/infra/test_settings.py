"""A wrong setting ends the run with its key and what is allowed, before anything is declared."""

from __future__ import annotations

import copy

import pulumi
import pytest

from localcloud.program import run_program, stack_config


@pytest.mark.parametrize(
    ("section", "values", "said"),
    [
        ("predictions", {"lease_s": 5}, "retainwise:predictions.lease_s = 5: Input should be grea"),
        ("predictions", {"lease_s": 5}, "how long a dead worker can hide a message".capitalize()),
        ("predictions", {"lease": 30}, "retainwise:predictions.lease = 30: no such key; there are"),
        ("network", {"cidr": "10.0.0.0/8"}, "the prefix must be from /16 to /24"),
        ("network", {"zones": ["a"]}, "retainwise:network.zones = ['a']: Tuple should have at lea"),
        ("web", {"image_digest": "latest"}, "retainwise:web.image_digest = latest"),
        ("web", {"cpu": 256, "memory_mib": 4096}, "with cpu 256, memory_mib must be one of [512"),
        ("web", {"identity_provider": "anyone"}, "Input should be 'demo'"),
        ("worker", {"stop_budget_s": 120}, "retainwise:worker.stop_budget_s = 120"),
    ],
)
def test_a_wrong_value_is_named_with_what_is_allowed(declare, section, values, said):
    with pytest.raises(pulumi.RunError) as refused:
        declare("prod", {section: values})
    assert "Pulumi.prod.yaml is not usable" in str(refused.value)
    assert said in str(refused.value)


def test_nothing_is_declared_with_a_wrong_setting(recorder):
    config = stack_config("prod") | {"retainwise:worker": {"tasks": -1}}
    with pytest.raises(pulumi.RunError) as refused:
        run_program(recorder, "prod", config)
    assert recorder.resources == []
    # All of it at once, not one at a time.
    assert "retainwise:worker.tasks = -1" in str(refused.value)
    assert "retainwise:worker.cpu: Field required" in str(refused.value)


def test_a_missing_section_is_named(recorder):
    config = copy.deepcopy(stack_config("prod"))
    del config["retainwise:network"]
    with pytest.raises(pulumi.RunError, match="retainwise:network: Field required"):
        run_program(recorder, "prod", config)


def test_a_stack_whose_name_would_make_bad_names_is_refused(recorder):
    with pytest.raises(pulumi.RunError, match="the stack's name = Prod_EU"):
        run_program(recorder, "Prod_EU", stack_config("prod"))
