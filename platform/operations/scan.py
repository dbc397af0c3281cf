"""The policy scan: checkov judges what the stacks declare, and all that it finds has an answer.

A finding is mended in the program, or it stands in `EXCEPTIONS` with the reason. The table cannot
rot: what it does not list fails the scan, and so does a row that nothing needs any more. Checkov
has its own virtualenv, for it holds back versions that the product must not be held to. What it
cannot see is told in docs/decisions/0007-a-policy-scan.md.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import click

from localcloud.program import BOOTSTRAP, CHECKOUT
from operations.graph import Graph, kind_of
from operations.terraform import address_of, plan_of

PYTHON = CHECKOUT / ".venv-scan" / "bin" / "python"
TIMEOUT_S = 300  # it takes 15 on two cores
# Keys and settings that somebody has for other repositories; a key would send the findings away.
_NOT_OURS = ("BC_", "CHECKOV_", "CKV_", "PRISMA_", "LOG_LEVEL", "PYTHONWARNINGS")


class ScanBroken(Exception):
    """Checkov did not judge all that it was given; the message says what it said."""


@dataclass(frozen=True, order=True)
class Judgement:
    """What one check says of one resource, such as `prod Bucket prod-retainwise-uploads-…`."""

    check: str
    resource: str
    title: str = field(compare=False)


@dataclass(frozen=True)
class Report:
    """What checkov said, and Terraform's types of the resources that it said something about."""

    passed: frozenset[Judgement]
    failed: frozenset[Judgement]
    types: frozenset[str]


@dataclass(frozen=True)
class Allowed:
    """A finding that stays. `resource` may have wildcards, and begins with what was scanned."""

    check: str
    resource: str
    reason: str

    def covers(self, one: Judgement) -> bool:
        """Tell whether a finding is this one."""
        return one.check == self.check and fnmatchcase(one.resource, self.resource)


EXCEPTIONS = (
    Allowed(
        "CKV_AWS_18",
        "prod Bucket *-recovery-*",
        "A copy, which replication writes and a recovery reads; a log must be in the region of its "
        "bucket, so there would have to be a bucket of logs there too.",
    ),
    Allowed(
        "CKV_AWS_18",
        "bootstrap Bucket *-state-*",
        "Nothing with customers' data. It is opened with the state's key, whose uses CloudTrail "
        "keeps (not one for each file: a bucket's key serves for many).",
    ),
    Allowed(
        "CKV_AWS_61",
        "bootstrap Role *-deploy",
        "The account's own, on the condition that they are the role itself or who is named in "
        "deploy.people. A policy can name a role before it is made, and a pattern, only so.",
    ),
    Allowed(
        "CKV_AWS_124",
        "* Stack *-session",
        "Pulumi makes the stack, waits for its end and fails with it: nobody else needs telling.",
    ),
    Allowed(
        "CKV_AWS_144",
        "* Bucket *-access-logs-*",
        "Kept for looking things up, for some days; nothing is restored from it.",
    ),
    Allowed("CKV_AWS_144", "* Bucket *-recovery-*", "It is the copy in the other region."),
    Allowed(
        "CKV_AWS_144",
        "dev Bucket *",
        "Copies are a setting (data.recovery_region), and dev is there to be torn down.",
    ),
    Allowed(
        "CKV_AWS_145",
        "* Bucket *-access-logs-*",
        "The load balancer writes only where S3 encrypts with its own keys (AES256).",
    ),
    Allowed(
        "CKV_AWS_150",
        "dev LoadBalancer *",
        "Protection is a setting (data.protect), and dev is there to be torn down.",
    ),
    Allowed(
        "CKV_AWS_338",
        "* LogGroup *",
        "For operating, not for auditing; they name accounts, and are kept no longer than it takes "
        "to look into a failure (operations.log_days).",
    ),
    Allowed(
        "CKV2_AWS_62",
        "* Bucket *",
        "Nobody would listen: the app writes the record and then sends the message itself, so that "
        "a file without a record starts nothing.",
    ),
    Allowed(
        "CKV2_AWS_76",
        "* LoadBalancer *",
        "The check also wants AWSManagedRulesAnonymousIpList, which refuses VPNs and clouds: the "
        "API's callers are there. The rules against Log4j are held by CKV_AWS_192.",
    ),
)


def subjects() -> dict[str, Graph]:
    """Return what is scanned: the service's stacks that reach AWS, and the bootstrap."""
    return {
        "prod": Graph.of("prod"),
        "dev": Graph.of("dev"),
        "bootstrap": Graph.of("prod", program=BOOTSTRAP),
    }


def scan(graphs: Mapping[str, Graph]) -> Report:
    """Have checkov judge graphs, in one run; their names begin the names of resources.

    Raises ScanBroken when it did not judge all of them.
    """
    with tempfile.TemporaryDirectory() as folder:
        for name, graph in graphs.items():
            (Path(folder) / f"{name}.json").write_text(json.dumps(plan_of(graph)), "utf-8")
        answer = _checkov(Path(folder), [f"{name}.json" for name in graphs])
    summary = answer.get("summary", answer)
    there = sum(len(graph.resources) for graph in graphs.values())
    if summary["parsing_errors"] or summary["resource_count"] != there:
        raise ScanBroken(f"{there} resources were to be judged: {summary}")
    words = {
        (f"/{name}.json", address_of(one.type, one.name)): f"{name} {kind_of(one)} {one.name}"
        for name, graph in graphs.items()
        for one in graph.resources
    }
    results = [answer["results"][part] for part in ("passed_checks", "failed_checks")]
    passed, failed = (
        frozenset(
            Judgement(one["check_id"], words[one["file_path"], one["resource"]], one["check_name"])
            for one in part
        )
        for part in results
    )
    types = {one["resource"].partition(".")[0] for part in results for one in part}
    return Report(passed, failed, frozenset(types))


def complaints(report: Report, exceptions: tuple[Allowed, ...] = EXCEPTIONS) -> list[str]:
    """Say what has no answer: findings that no exception covers, exceptions that nothing needs."""
    found = [
        f"{one.resource}: {one.title} ({one.check})"
        for one in sorted(report.failed)
        if not any(allowed.covers(one) for allowed in exceptions)
    ]
    idle = [
        f"nothing needs this exception any more: {allowed.check} for {allowed.resource}"
        for allowed in exceptions
        if not any(allowed.covers(one) for one in report.failed)
    ]
    return found + idle


def main() -> int:
    """Scan, say what came of it, and return the exit code."""
    if not PYTHON.exists():
        click.echo("policy scan: checkov is not installed; `make scan` does that", err=True)
        return 2
    graphs = subjects()
    sizes = ", ".join(f"{name} ({len(graph.resources)})" for name, graph in graphs.items())
    click.echo(f"policy scan: checkov judges the resources of {sizes}")
    try:
        report = scan(graphs)
    except ScanBroken as exc:
        click.echo(f"policy scan: {exc}", err=True)
        return 1
    wrong = complaints(report)
    for line in wrong:
        click.echo(f"  {line}", err=True)
    click.echo(
        f"policy scan: {len(report.passed)} passed, {len(report.failed)} failed; "
        f"{len(EXCEPTIONS)} exceptions say why, {len(wrong)} things have no answer"
    )
    return 1 if wrong else 0


def _checkov(folder: Path, names: list[str]) -> dict[str, Any]:
    """Run checkov where nothing is but the plans: no settings and no policies of anybody else's."""
    ours = {key: value for key, value in os.environ.items() if not key.startswith(_NOT_OURS)}
    command = [
        str(PYTHON),
        "-m",
        "checkov.main",
        "--framework",
        "terraform_plan",
        "--output",
        "json",
    ]
    command += ["--skip-download", "--compact", "--soft-fail", "--file", *names]
    run = subprocess.run(
        command,
        cwd=folder,
        env={**ours, "HOME": str(folder), "PYTHONWARNINGS": "ignore"},
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    # A check that crashed, or wanted the network, is told there and nowhere else.
    if run.returncode or run.stderr.strip():
        raise ScanBroken(f"checkov ended with {run.returncode}:\n{run.stderr.strip()[-2_000:]}")
    answer: dict[str, Any] = json.loads(run.stdout)
    return answer


if __name__ == "__main__":
    sys.exit(main())
