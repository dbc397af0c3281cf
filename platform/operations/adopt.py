"""Brings an account that was built by hand under management, without making or losing anything.

The program runs in this process with a provider that makes nothing: it looks for what plays each
part already, by name, by what it is, or by a Terraform state that was left behind. What is found
is imported with the CLI; what differs is shown, and the next deploy changes it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from botocore.exceptions import ClientError

from localcloud.kinds import all_kinds
from localcloud.kinds.base import Ambiguous, Clients, Found, Kind
from localcloud.kinds.unsupported import UNSUPPORTED
from localcloud.program import SERVICE, Declared, Program, run_program
from operations.account import StackAccount
from operations.changes import Change, changes_of
from operations.engine import Engine, OnEvent
from operations.errors import OperationError, WrongInput
from operations.graph import outputs_of, resource_id
from operations.terraform import snake, type_of

Named = tuple[str, str]
"""A resource of the program: its type and its name."""

_NOT_IMPORTED = {"aws:acm/certificateValidation:CertificateValidation"}
"""The provider has no import for these, and to create one changes nothing in AWS."""
_EXCLUSIVE = {
    "aws:iam/rolePoliciesExclusive:RolePoliciesExclusive": ("policyNames", "the inline policy"),
    "aws:iam/rolePolicyAttachmentsExclusive:RolePolicyAttachmentsExclusive": (
        "policyArns",
        "the attached policy",
    ),
}


class CannotAdopt(OperationError):
    """Something in the account is not clear; nothing was changed. The message says what."""


class WrongTerraformState(WrongInput):
    """The file is no Terraform state of a version that is known."""


@dataclass(frozen=True)
class Search:
    """What was found of a program's resources.

    ids: by which each is imported.
    missing: what is declared and does not exist: the next deploy makes it.
    """

    ids: Mapping[Named, str]
    missing: Sequence[Named] = ()


@dataclass(frozen=True)
class TerraformState:
    """The resources of a Terraform state: by Terraform's type, the attributes of each."""

    resources: Mapping[str, Sequence[Mapping[str, Any]]] = field(default_factory=dict)

    @classmethod
    def read(cls, file: Path) -> TerraformState:
        """Read a state file. Raises WrongTerraformState."""
        try:
            document = json.loads(file.read_text("utf-8"))
            if document["version"] != 4:
                raise WrongTerraformState(
                    f"{file} is a Terraform state of version {document['version']}, and only 4 "
                    "is known: Terraform 0.12 and later write it"
                )
            found: dict[str, list[Mapping[str, Any]]] = {}
            for one in document["resources"]:
                if one.get("mode") == "managed":
                    there = [dict(instance["attributes"]) for instance in one["instances"]]
                    if not all(isinstance(attributes["id"], str) for attributes in there):
                        raise TypeError(f"an id of {one['type']} is no text")
                    found.setdefault(one["type"], []).extend(there)
        except (
            *(OSError, ValueError, KeyError, TypeError, AttributeError),
            RecursionError,
        ) as exc:
            raise WrongTerraformState(f"{file} is no Terraform state: {exc!r}") from exc
        return cls(found)

    def look_for(self, kind: Kind, inputs: Mapping[str, Any]) -> Found | None:
        """Return the one that a resource was, if it still exists; only if no other fits as well."""
        fixed = {
            snake(key): inputs[key]
            for key in kind.replaced_for
            if isinstance(inputs.get(key), str | int | bool)
        }
        ids = {
            one["id"]
            for one in self.resources.get(type_of(kind.type), ())
            if fixed and all(one.get(key) == value for key, value in fixed.items())
        }
        return kind.get(ids.pop()) if len(ids) == 1 else None


def search(
    account: StackAccount,
    terraform: TerraformState,
    program: Program = SERVICE,
) -> Search:
    """Look for everything that the program declares.

    Raises CannotAdopt when several resources could be one, pulumi.RunError for a wrong setting, and
    the SDK's errors.
    """
    finder = _Finder(account, terraform, program)
    run_program(finder, account.stack, None, program, is_preview=True)
    if finder.unclear:
        raise CannotAdopt(
            "\n".join(
                [
                    "several resources could be the one that is meant, so nothing was changed:",
                    *(f"  {line}" for line in finder.unclear),
                    "A Terraform state that knows it decides (--terraform); or delete or rename "
                    "what is not the service's",
                ]
            )
        )
    return Search(finder.ids, finder.missing)


class _Finder:
    """Stands where the AWS provider stands, and makes nothing."""

    def __init__(self, account: StackAccount, terraform: TerraformState, program: Program) -> None:
        self._account = account
        self._terraform = terraform
        self._clients = Clients(account.session)
        self._stack = f"{program.project}/{account.stack}"
        self.ids: dict[Named, str] = {}
        self.missing: list[Named] = []
        self.unclear: list[str] = []

    def resource(self, declared: Declared) -> tuple[str, Mapping[str, Any]]:
        """See Provider."""
        made_up = outputs_of(declared, self._account.region)
        if declared.type in UNSUPPORTED or declared.type in _NOT_IMPORTED:
            return resource_id(declared), made_up
        region = declared.inputs.get("region")
        clients = self._clients.of(region or self._account.region)
        kind = all_kinds(clients, self._stack)[declared.type]
        found = self._look_for(kind, declared)
        if found is None:
            self.missing.append((declared.type, declared.name))
            return resource_id(declared), made_up
        self.ids[declared.type, declared.name] = found.imported_by(region)
        return found.id, {**made_up, **found.outputs}

    def invoke(self, function: str, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
        """See Provider."""
        del function, arguments
        return {"accountId": self._account.account_id, "region": self._account.region}

    def _look_for(self, kind: Kind, declared: Declared) -> Found | None:
        try:
            found = kind.look_for(declared.name, declared.inputs)
        except Ambiguous as exc:
            found = self._terraform.look_for(kind, declared.inputs)
            if found is None:
                self.unclear.append(f"{kind.type} {declared.name}: {exc}")
            return found
        except ClientError:
            # What it belongs to is missing, and AWS does not know the id that was made up for it.
            if self._is_whole(declared):
                raise
            return None
        return found or self._terraform.look_for(kind, declared.inputs)

    def _is_whole(self, declared: Declared) -> bool:
        """Whether all that a resource refers to was found."""
        others = {other for several in declared.references.values() for other in several}
        return not others & {*self.missing}


def import_(
    engine: Engine,
    ids: Mapping[Named, str],
    on_event: OnEvent = lambda _event: None,
) -> list[Named]:
    """Import what was found and is not in the state yet; return it.

    Raises EngineFailed, NoStack.
    """
    with TemporaryDirectory() as folder:
        file = Path(folder) / "import.json"
        engine.preview(refresh=False, import_file=file, on_event=on_event)
        document = json.loads(file.read_text("utf-8"))
        wanted = [
            {**one, "id": ids[_named(one)]}
            for one in document.get("resources") or ()
            if _named(one) in ids
        ]
        if wanted:
            parents = [one for one in document["resources"] if one.get("component")]
            file.write_text(json.dumps({**document, "resources": [*parents, *wanted]}), "utf-8")
            engine.import_(file, on_event)
    return [_named(one) for one in wanted]


def _named(entry: Mapping[str, Any]) -> Named:
    return entry["type"], entry.get("logicalName") or entry["name"]


def put_in_by_hand(changes: Iterable[Change]) -> Iterator[str]:
    """Say which policies of roles the program does not know; they go with the next deploy."""
    for one in changes:
        if one.step.type in _EXCLUSIVE:
            key, what = _EXCLUSIVE[one.step.type]
            there, declared = ((side or {}).get(key, ()) for side in (one.step.old, one.step.new))
            for policy in sorted({*there} - {*declared}):
                role = (one.step.old or {}).get("roleName")
                yield f"role {role}: {what} {policy} is not declared; the next deploy takes it away"


def take_over(
    account: StackAccount,
    engine: Engine,
    program: Program,
    on_event: OnEvent = lambda _event: None,
) -> list[Named]:
    """Take what is there of a program into the state; return it.

    Raises what `search` and `import_` raise.
    """
    return import_(engine, search(account, TerraformState(), program).ids, on_event)


def differences(engine: Engine, on_event: OnEvent = lambda _event: None) -> list[Change]:
    """Return what the next deploy would change, after a look at AWS."""
    return changes_of(engine.preview(on_event=on_event))
