"""The item of a stack in the table of the deploy lease: who may change the stack, and until when.

`operations.lease` writes it; the program reads it before an update (`deploy_lease`). Times are
seconds since the epoch, by the clock of the machine that wrote them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeAlias

Item: TypeAlias = Mapping[str, Any]
"""As DynamoDB gives it: `{"owner": {"S": "alice@host"}, "expires": {"N": "1700000000.0"}}`."""


class DamagedLease(Exception):
    """The item is not one that a lease writes; the message says what is wrong with it."""


@dataclass(frozen=True)
class Holder:
    """Who has the lease, or had it last.

    token: of this taking alone; what it is renewed and released by.
    what: completes "holds the lease to …", such as "deploy 1a2b3c4".
    released: when it was given back; none where it is held, or has ended by itself.
    """

    token: str
    owner: str
    what: str
    since: datetime
    renewed: datetime
    expires: datetime
    released: datetime | None = None

    def holds(self, now: datetime) -> bool:
        """Tell whether the lease is held still."""
        return self.released is None and now <= self.expires


def table_name(name: str) -> str:
    """Return the table of an environment, whose names start with `name`."""
    return f"{name}-deploy-lease"


def as_item(stack: str, holder: Holder) -> dict[str, dict[str, str]]:
    """Write the item of a stack. Raises ValueError for texts that could not be shown."""
    texts = {"stack": stack, "token": holder.token, "owner": holder.owner, "what": holder.what}
    times = {
        name: getattr(holder, name)
        for name in ("since", "renewed", "expires", "released")
        if getattr(holder, name) is not None
    }
    for name, text in texts.items():
        _check(name, text)
    return {name: {"S": text} for name, text in texts.items()} | {
        name: as_number(time) for name, time in times.items()
    }


def as_number(time: datetime) -> dict[str, str]:
    """Write a time as the item has it."""
    return {"N": f"{time.timestamp():.3f}"}


def read_item(stack: str, item: Item) -> Holder:
    """Read the item of a stack. Raises DamagedLease."""
    try:
        return Holder(
            token=_text(item, "token"),
            owner=_text(item, "owner"),
            what=_text(item, "what"),
            since=_time(item, "since"),
            renewed=_time(item, "renewed"),
            expires=_time(item, "expires"),
            released=_time(item, "released") if "released" in item else None,
        )
    except ValueError as exc:
        raise DamagedLease(
            f"the deploy lease of {stack} is damaged: {exc}. Nobody can take it: make sure that no "
            f'deploy runs, then delete the item "{stack}" of the table'
        ) from exc


def _text(item: Item, name: str) -> str:
    text: str = item.get(name, {}).get("S", "")
    _check(name, text)
    return text


def _check(name: str, text: str) -> None:
    # It is shown on terminals, as it stands.
    if not text or not text.isprintable():
        raise ValueError(f"{name} must be a text that can be printed, not {text!r}")


def _time(item: Item, name: str) -> datetime:
    try:
        return datetime.fromtimestamp(float(item[name]["N"]), UTC)
    except (KeyError, ValueError, OverflowError, OSError):
        raise ValueError(
            f"{name} must be a number, seconds since the epoch, not {item.get(name)}"
        ) from None
