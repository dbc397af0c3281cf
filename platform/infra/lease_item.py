"""The item of a stack in the table of the deploy lease: who may change the stack, and until when.

`operations.lease` writes it; the program reads it before an update (`deploy_lease`). Times are
seconds since the epoch, by AWS's clock.
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
    host: the machine that it works on, as Pulumi's own lock names it.
    broken_by: who ended it early; it cannot be renewed any more.
    left_since, left_until: in which time something may have been left, such as Pulumi's lock, by
        holders before who did not end in order; none where nothing was.
    left_by: their machines.
    """

    token: str
    owner: str
    what: str
    since: datetime
    renewed: datetime
    expires: datetime
    released: datetime | None = None
    host: str = ""
    broken_by: str | None = None
    left_since: datetime | None = None
    left_until: datetime | None = None
    left_by: frozenset[str] = frozenset()

    def holds(self, now: datetime) -> bool:
        """Tell whether the lease is held still."""
        return self.released is None and now <= self.expires


def table_name(name: str) -> str:
    """Return the table of an environment, whose names start with `name`."""
    return f"{name}-deploy-lease"


def as_item(stack: str, holder: Holder) -> dict[str, Any]:
    """Write the item of a stack. Raises ValueError for texts that could not be shown."""
    texts = {"stack": stack, "token": holder.token, "owner": holder.owner, "what": holder.what}
    texts |= {"host": holder.host} if holder.host else {}
    texts |= {"broken_by": holder.broken_by} if holder.broken_by else {}
    times = {
        name: getattr(holder, name)
        for name in ("since", "renewed", "expires", "released", "left_since", "left_until")
        if getattr(holder, name) is not None
    }
    for name, text in texts.items():
        _check(name, text)
    item: dict[str, Any] = {name: {"S": text} for name, text in texts.items()}
    item |= {name: as_number(time) for name, time in times.items()}
    return item | ({"left_by": {"SS": sorted(holder.left_by)}} if holder.left_by else {})


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
            host=_text(item, "host") if "host" in item else "",
            broken_by=_text(item, "broken_by") if "broken_by" in item else None,
            left_since=_time(item, "left_since") if "left_since" in item else None,
            left_until=_time(item, "left_until") if "left_until" in item else None,
            left_by=frozenset(item.get("left_by", {}).get("SS", ())),
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
