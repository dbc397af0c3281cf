"""Is this a command that the AWS CLI has: judged by botocore's models, which the CLI is made from.

Nothing is called. What the CLI adds by hand stands in `_BY_HAND`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from itertools import takewhile
from typing import Any

import botocore.session
import jmespath
from botocore import xform_name
from botocore.exceptions import BotoCoreError, UnknownServiceError
from botocore.model import OperationModel, Shape

_EVERYWHERE = {"--region", "--query", "--output", "--profile", "--endpoint-url"}
_EVERYWHERE_ALONE = {"--no-cli-pager", "--no-paginate"}
_OF_PAGES = {"--max-items", "--page-size", "--starting-token"}
_OUTPUTS = {"json", "table", "text", "yaml"}
_BY_HAND = {
    ("logs", "tail"): {"--since", "--format", "--filter-pattern"},
    ("s3", "ls"): {"--recursive"},
    ("s3", "cp"): {"--recursive", "--source-region", "--storage-class", "--only-show-errors"},
}
_RENAMED = {"s3api": "s3"}
_DEEPEST = 6  # DynamoDB's values hold values


def wrong_with(arguments: Sequence[str]) -> list[str]:
    """Say what the CLI, or the answer, does not have of `aws` with these arguments."""
    (service, name), rest = arguments[:2], arguments[2:]
    if (service, name) in _BY_HAND:
        known = _BY_HAND[service, name] | _EVERYWHERE | _EVERYWHERE_ALONE
        return [f"no option {one}" for one in _options(rest) if one not in known]
    try:
        operation, pages = _operation(_RENAMED.get(service, service), name, rest)
    except (UnknownServiceError, LookupError) as exc:
        return [f"no such command: {service} {name} ({exc})"]
    return list(_wrong_options(operation, _options(rest), pages))


@cache
def _session() -> botocore.session.Session:
    return botocore.session.Session()


def _operation(service: str, name: str, rest: Sequence[str]) -> tuple[OperationModel, bool]:
    model = _session().get_service_model(service)
    if name == "wait":
        waiters = _session().get_waiter_model(service)
        by_name = {xform_name(one, "-"): one for one in waiters.waiter_names}
        return model.operation_model(waiters.get_waiter(by_name[rest[0]]).operation), False
    by_name = {xform_name(one, "-"): one for one in model.operation_names}
    operation = by_name[name]
    try:
        _session().get_paginator_model(service).get_paginator(operation)
    except (BotoCoreError, ValueError):
        return model.operation_model(operation), False
    return model.operation_model(operation), True


def _options(arguments: Sequence[str]) -> dict[str, list[str]]:
    """Each option with the values that follow it."""
    return {
        one: [*takewhile(lambda value: not value.startswith("--"), arguments[place + 1 :])]
        for place, one in enumerate(arguments)
        if one.startswith("--")
    }


def _wrong_options(
    operation: OperationModel, options: Mapping[str, list[str]], pages: bool
) -> Iterator[str]:
    shape = operation.input_shape
    booleans = {
        f"--no-{xform_name(name, '-')}": f"--{xform_name(name, '-')}"
        for name, one in shape.members.items()
        if one.type_name == "boolean"
    }
    options = {booleans.get(option, option): values for option, values in options.items()}
    members = {f"--{xform_name(name, '-')}": one for name, one in shape.members.items()}
    required = {f"--{xform_name(name, '-')}" for name in shape.required_members}
    yield from (f"{one} is missing" for one in sorted(required - options.keys()))
    for option, values in options.items():
        member = members.get(option)
        if member is not None:
            yield from (f"{option} {value}" for value in values if not _is_allowed(member, value))
        elif option == "--query":
            yield from _wrong_query(operation, values[0])
        elif option == "--output":
            yield from (f"--output {one}" for one in values if one not in _OUTPUTS)
        elif option not in _EVERYWHERE | _EVERYWHERE_ALONE | (_OF_PAGES if pages else set()):
            yield f"no option {option}"


def _is_allowed(shape: Shape, value: str) -> bool:
    if shape.type_name == "list":
        return _is_allowed(shape.member, value)
    if shape.type_name in ("integer", "long"):
        return value.isdigit()
    allowed = getattr(shape, "enum", None)
    return not allowed or value in allowed


def _wrong_query(operation: OperationModel, query: str) -> Iterator[str]:
    """Ask an answer that has everything: what is null in what comes out is not in any answer."""
    found = jmespath.search(query, _answer(operation.output_shape))
    if found in (None, []) or None in _leaves(found):
        yield f"--query {query}: gives {found}"


class _AnyKey(dict[str, Any]):
    """A map that has every key."""

    def __init__(self, value: object) -> None:
        super().__init__(key=value)

    def get(self, _key: str, _default: object = None) -> Any:
        return self["key"]


def _answer(shape: Shape, depth: int = 0) -> Any:
    if depth > _DEEPEST:
        return "9"
    match shape.type_name:
        case "structure":
            return {name: _answer(one, depth + 1) for name, one in shape.members.items()}
        case "list":
            return [_answer(shape.member, depth + 1)]
        case "map":
            return _AnyKey(_answer(shape.value, depth + 1))
        case "integer" | "long" | "double" | "float":
            return 9
        case "boolean":
            return True
    return "9"


def _leaves(value: object) -> Iterator[object]:
    if isinstance(value, list):
        for one in value:
            yield from _leaves(one)
    elif isinstance(value, dict):
        for one in value.values():
            yield from _leaves(one)
    else:
        yield value
