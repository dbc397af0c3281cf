"""A wrong setting ends the run with its key and what is allowed, before anything is declared."""

from __future__ import annotations

import copy

import pulumi
import pytest

from localcloud.program import CHECKOUT, Program, run_program, stack_config


@pytest.mark.parametrize(
    ("section", "values", "said"),
    [
        ("predictions", {"lease_s": 5}, "retainwise:predictions.lease_s = 5: Input should be grea"),
        ("predictions", {"lease_s": 5}, "how long a dead worker can hide a message".capitalize()),
        ("predictions", {"lease": 30}, "retainwise:predictions.lease: no such key; there are"),
        ("network", {"cidr": "10.0.0.0/8"}, "the prefix must be from /16 to /23"),
        ("network", {"zones": []}, "retainwise:network.zones = []: Tuple should have at least 1"),
        ("network", {"public_zones": ["a"]}, "retainwise:network.public_zones = ['a']: Tuple"),
        ("network", {"zones": ["a", "b", "a"]}, "each zone once; named twice: a"),
        (
            "network",
            {"public_zones": ["a", "a"]},
            "retainwise:network.public_zones = ['a', 'a']: each zone once; named twice: a",
        ),
        ("network", {"zones": ["a", "d"]}, "network.public_zones: must have d too"),
        (
            "predictions",
            {"max_receives": 10, "max_attempts": 6},
            "max_receives must be at least 12",
        ),
        ("operations", {"log_days": "30"}, 'retainwise:operations.log_days = "30": Input should'),
        ("web", {"memory_mib": 999}, "retainwise:services.web = {…}: with cpu 512, memory_mib"),
        ("data", {"recovery_region": "Frankfurt"}, "retainwise:data.recovery_region = Frankfurt"),
        ("data", {"recovery_region": "eu-west-1"}, "must be another region than aws:region"),
        ("web", {"image_digest": "latest"}, "retainwise:services.web.image_digest = latest"),
        ("web", {"image_digest": "latest"}, "a tag can be moved, a digest cannot"),
        ("web", {"cpu": 256, "memory_mib": 4096}, "with cpu 256, memory_mib must be one of [512"),
        ("web", {"max_tasks": 1}, "max_tasks must be at least tasks, which is 3"),
        ("web", {"identity_provider": "anyone"}, "Input should be 'demo'"),
        ("web", {"identity_provider": "demo"}, "production signs people in at its load balancer"),
        ("edge", None, "production signs people in at its load balancer"),
        ("edge", {"host": "https://x"}, "retainwise:edge.host = https://x"),
        ("edge", {"hostname": "x"}, "retainwise:edge.hostname: no such key; there are host,"),
        ("worker", {"stop_budget_s": 120}, "retainwise:services.worker.stop_budget_s = 120"),
        ("worker", {"job_process": 2}, "retainwise:services.worker.job_process: no such key"),
        ("operations", {"alarm_emails": ["me"]}, "retainwise:operations.alarm_emails.0 = me"),
    ],
)
def test_a_wrong_value_is_named_with_what_is_allowed(declare, section, values, said):
    with pytest.raises(pulumi.RunError) as refused:
        declare("prod", {section: values})
    assert "Pulumi.prod.yaml is not usable" in str(refused.value)
    assert said in str(refused.value)


@pytest.fixture
def recorder():
    """What stands where AWS stands, and must not be asked for anything."""

    class Recorder:
        resources = ()

        def resource(self, declared):
            raise AssertionError(f"{declared.name} is declared")

        def invoke(self, function, arguments):
            raise AssertionError(f"{function} is asked")

    return Recorder()


def test_nothing_is_declared_with_a_wrong_setting(recorder):
    config = stack_config("prod")
    config["retainwise:services"] = config["retainwise:services"] | {"worker": {"tasks": -1}}
    with pytest.raises(pulumi.RunError) as refused:
        run_program(recorder, "prod", config)
    # All of it at once, not one at a time.
    assert "retainwise:services.worker.tasks = -1" in str(refused.value)
    assert "retainwise:services.worker.cpu: Field required" in str(refused.value)


def test_a_missing_section_is_named(recorder):
    config = copy.deepcopy(stack_config("prod"))
    del config["retainwise:network"]
    with pytest.raises(pulumi.RunError, match="retainwise:network: Field required"):
        run_program(recorder, "prod", config)


def test_a_section_that_nobody_reads_is_named(recorder):
    config = stack_config("prod") | {"retainwise:alerts": {"emails": []}}
    with pytest.raises(pulumi.RunError, match=r"retainwise:alerts: no such key; there are"):
        run_program(recorder, "prod", config)


def test_a_missing_region_is_named(recorder):
    config = stack_config("prod")
    del config["aws:region"]
    with pytest.raises(pulumi.RunError, match="aws:region: Field required"):
        run_program(recorder, "prod", config)


def test_a_service_without_a_block_is_named(tmp_path):
    reads = "from infra.settings import read_settings\nread_settings().services.reports\n"
    (tmp_path / "__main__.py").write_text(reads)
    program = Program("retainwise", CHECKOUT, tmp_path)
    with pytest.raises(pulumi.RunError, match=r"services\.reports: Field required"):
        run_program(None, "prod", program=program)


def test_a_stack_whose_name_would_make_bad_names_is_refused(recorder):
    with pytest.raises(pulumi.RunError, match="the stack's name = Prod_EU"):
        run_program(recorder, "Prod_EU", stack_config("prod"))


def test_nobody_signs_in_to_a_stack_without_an_edge_or_the_demo_account(declare):
    with pytest.raises(pulumi.RunError, match="give either an edge"):
        declare("dev", {"edge": None})
    with pytest.raises(pulumi.RunError, match="give either an edge"):
        declare("dev", {"web": {"identity_provider": "demo"}})
