"""Decides as IAM does whether policies allow a call: a denial wins, and silence is a denial.

Knows the conditions that our policies use, and fails on any other.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from typing import Any

_OPERATORS = ("StringEquals", "StringEqualsIfExists", "ArnEquals", "Bool")


def allowed(
    documents: Iterable[Mapping[str, Any]],
    action: str,
    resource: str,
    context: Mapping[str, str] | None = None,
) -> bool:
    """Tell whether these policies together allow an action on a resource.

    context: the request's condition keys and their values.
    """
    effects = {
        statement["Effect"]
        for document in documents
        for statement in document["Statement"]
        if action in statement["Action"]
        and any(fnmatchcase(resource, one) for one in statement["Resource"])
        and _holds(statement.get("Condition", {}), context or {})
    }
    return effects == {"Allow"}


def _holds(condition: Mapping[str, Mapping[str, Any]], context: Mapping[str, str]) -> bool:
    for operator, keys in condition.items():
        if operator not in _OPERATORS:
            raise NotImplementedError(operator)
        for key, values in keys.items():
            wanted = [values] if isinstance(values, str) else values
            if key not in context:
                if not operator.endswith("IfExists"):
                    return False
            elif context[key] not in wanted:
                return False
    return True
