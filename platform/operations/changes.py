"""What an update would change, in words for the person who lets it happen."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from operations.engine import Step, top_input
from operations.errors import WrongInput

STATEFUL = frozenset(
    {
        "aws:backup/vault:Vault",
        "aws:cloudwatch/logGroup:LogGroup",
        "aws:cloudformation/stack:Stack",  # it holds the session's secret
        "aws:cognito/userPool:UserPool",
        "aws:dynamodb/table:Table",
        "aws:ecr/repository:Repository",
        "aws:kms/key:Key",
        "aws:kms/replicaKey:ReplicaKey",
        "aws:s3/bucket:Bucket",
        "aws:sqs/queue:Queue",
    }
)
"""Types whose deletion loses something that no deploy brings back."""

_WORDS = {"create": "create", "update": "change", "replace": "replace", "delete": "delete"}
DELETED_FOR_ANOTHER = "delete-replaced"
"""The engine's word for deleting what another has come in place of."""
_UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
_MOST_CHARACTERS = 60
_BEFORE = 12  # of what is the same, so that one sees where it is


class NotAllowed(WrongInput):
    """The update would replace or delete what holds data, and nobody said that it may."""


@dataclass(frozen=True)
class Difference:
    """One value that is to change: where, what is there, and what is declared."""

    path: str
    actual: Any
    declared: Any

    def __str__(self) -> str:
        actual, declared = _short(self.actual, self.declared), _short(self.declared, self.actual)
        return f"{self.path}: {actual} → {declared}"


@dataclass(frozen=True)
class Change:
    """What is to happen to one resource.

    what: `create`, `change`, `replace` or `delete`.
    is_left: whether it was replaced before, and not deleted then.
    """

    what: str
    step: Step
    is_left: bool = False

    @property
    def resource(self) -> str:
        """The resource, as people call it."""
        name = f"{self.step.kind} {self.step.name}"
        return f"{name} (replaced: {self.step.id})" if self.is_left else name

    @property
    def loses_data(self) -> bool:
        """Whether something goes that no deploy brings back."""
        return self.what in ("replace", "delete") and self.step.type in STATEFUL

    def differences(self) -> list[Difference]:
        """Say which values change; none where a resource comes or goes as a whole."""
        if self.what not in ("change", "replace"):
            return []
        old, new = self.step.old or {}, self.step.new or {}
        keys = sorted({top_input(path) for path in self.step.changed} or old.keys() | new.keys())
        found = [one for key in keys for one in compare(key, old.get(key), new.get(key))]
        # A value that AWS will give differs, though nobody knows it yet.
        return found or [Difference(key, old.get(key), new.get(key)) for key in keys]


def changes_of(steps: Iterable[Step]) -> list[Change]:
    """Pick out of a preview's steps what would change something in AWS."""
    ours = [step for step in steps if step.is_aws]
    replaced = {step.key: step for step in ours if step.op == DELETED_FOR_ANOTHER}
    changes = []
    for step in ours:
        if step.op not in _WORDS:
            continue
        # What was deleted already by a deploy that was cut off is only to be made.
        is_gone = step.op == "replace" and replaced.pop(step.key, None) is None
        changes.append(Change("create" if is_gone else _WORDS[step.op], step))
    # What is deleted and has no replacement now was left by a deploy before.
    return changes + [Change("delete", step, is_left=True) for step in replaced.values()]


def check(changes: Iterable[Change], allowed: Collection[str]) -> None:
    """Raise NotAllowed unless each loss of data is allowed.

    allowed: names of resources; `Kind:name` where several of these have the name.
    """
    losses = [one for one in changes if one.loses_data]
    names = Counter(name for _kind, name in {(one.step.kind, one.step.name) for one in losses})

    def called(step: Step) -> str:
        return step.name if names[step.name] == 1 else f"{step.kind}:{step.name}"

    refused = [one for one in losses if called(one.step) not in allowed]
    if refused:
        lines = [f"  {one.what} {one.resource}" for one in refused]
        to_name = dict.fromkeys(called(one.step) for one in refused)
        options = " ".join(f"--allow-replace {name}" for name in to_name)
        raise NotAllowed(
            "\n".join(
                [
                    "what these hold would be lost, so nothing in AWS was changed:",
                    *lines,
                    f"If that is meant: {options}",
                ]
            )
        )


def summary(changes: Sequence[Change]) -> Iterator[str]:
    """Write the changes line by line, what is lost first."""
    if not changes:
        yield "nothing to change"
        return
    order = ("delete", "replace", "change", "create")
    counts = [(what, sum(one.what == what for one in changes)) for what in order]
    yield ", ".join(f"{count} to {what}" for what, count in counts if count)
    for one in sorted(changes, key=lambda one: (order.index(one.what), one.resource)):
        mark = "  !" if one.loses_data else "   "
        yield f"{mark}{one.what:8}{one.resource}"
        for difference in one.differences():
            yield f"{'':14}{difference}"


def compare(path: str, actual: Any, declared: Any) -> Iterator[Difference]:  # noqa: ANN401 - any JSON
    """Yield each value in which two differ; JSON in a text is compared by what it says."""
    actual, declared = _read(actual), _read(declared)
    match actual, declared:
        case Mapping(), Mapping():
            for key in sorted(actual.keys() | declared.keys()):
                yield from compare(f"{path}.{key}", actual.get(key), declared.get(key))
        case list(), list() if len(actual) == len(declared):
            for number, pair in enumerate(zip(actual, declared, strict=True)):
                yield from compare(f"{path}[{number}]", *pair)
        case _ if actual != declared:
            yield Difference(path, actual, declared)


def _read(value: Any) -> Any:  # noqa: ANN401 - any JSON
    if isinstance(value, str) and value.startswith(("{", "[")):
        try:
            return json.loads(value)
        except ValueError:
            return value
    return value


def _short(value: Any, other: Any) -> str:  # noqa: ANN401 - any JSON
    """Write a value in a line, of long ones the part in which it differs from the other."""
    text, its = _text(value), _text(other)
    if len(text) <= _MOST_CHARACTERS:
        return text
    pairs = enumerate(zip(text, its, strict=False))
    same = next((at for at, (a, b) in pairs if a != b), len(text))
    start = 0 if same < _MOST_CHARACTERS else same - _BEFORE
    end = start + _MOST_CHARACTERS
    return f"{'…' if start else ''}{text[start:end]}{'…' if end < len(text) else ''}"


def _text(value: Any) -> str:  # noqa: ANN401 - any JSON
    if value is None:
        return "none"
    if value == _UNKNOWN:
        return "known when it is made"
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True)
