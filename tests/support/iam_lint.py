"""What parliament, a linter for IAM's policies, finds in a document.

It knows each action with the resources and the conditions that it takes. Its own code leaves files
open and uses deprecated modules, which are not warnings about ours.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Any

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import parliament


def findings(policy_document: Mapping[str, Any]) -> list[str]:
    """One line for each thing found."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        analyzed = parliament.analyze_policy_string(
            json.dumps(policy_document), ignore_private_auditors=True
        )
    return sorted({line for finding in analyzed.findings for line in _lines(finding)})


def _lines(finding: Any) -> Iterator[str]:
    """What fits no resource comes as a list, the rest as a sentence."""
    if isinstance(finding.detail, list):
        for one in finding.detail:
            detail = (
                one if isinstance(one, str) else f"{one['action']} wants {one['required_format']}"
            )
            yield f"{finding.issue}: {detail}"
    else:
        yield f"{finding.issue}: {finding.detail or finding.title}"


@cache
def _actions() -> Mapping[str, Mapping[str, Any]]:
    return {
        f"{service['prefix']}:{action['privilege']}": action
        for service in parliament.iam_definition
        for action in service["privileges"]
    }


def resource_types(action: str) -> Sequence[str]:
    """The kinds of resource that an action can be held to; none: it takes `*` and nothing else."""
    return [
        one["resource_type"] for one in _actions()[action]["resource_types"] if one["resource_type"]
    ]


def access_level(action: str) -> str:
    """AWS's own word for it: Read, List, Write, Tagging or Permissions management."""
    level: str = _actions()[action]["access_level"]
    return level


def dependencies(action: str) -> set[str]:
    """The actions that AWS checks beside this one, for one or the other resource."""
    return {
        other for one in _actions()[action]["resource_types"] for other in one["dependent_actions"]
    }
