"""Refuses an update that runs outside the deploy lease: two at a time lose each other's state.

Pulumi's own lock keeps them apart only until somebody runs `pulumi cancel`. Previews are free: they
write nothing. The lease is checked once, before anything is declared; what holds it stops the run
when it is lost.
"""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime

import pulumi
import pulumi_aws as aws

from infra.lease_item import DamagedLease, Holder, read_item, table_name
from infra.settings import Settings

TOKEN_VARIABLE = "RETAINWISE_LEASE"  # noqa: S105 - a name
"""The environment variable in which who holds the lease gives its token to Pulumi."""


def require_lease(settings: Settings, name: str) -> None:
    """Let an update go on only under its stack's lease.

    Raises pulumi.RunError, which Pulumi shows without a traceback: what to run instead, and who
    holds the lease, if anyone does.
    """
    if pulumi.runtime.is_dry_run() or not settings.operations.under_lease:
        return
    stack = settings.environment
    instead = (
        f"{stack} is deployed under the deploy lease: run `retainwise deploy {stack}`, not "
        "`pulumi up`"
    )
    try:
        holder = _holder(stack, table_name(name))
    except DamagedLease as exc:
        raise pulumi.RunError(f"{instead}. {exc}") from exc
    except Exception as exc:  # Pulumi's own, of no narrower type
        # AWS's provider makes no difference between an item that is not there and an error.
        raise pulumi.RunError(
            f"{instead}. Nobody has had the lease yet, or it cannot be read: {exc}"
        ) from exc
    if (why := _refusal(os.environ.get(TOKEN_VARIABLE), holder, datetime.now(UTC))) is not None:
        raise pulumi.RunError(f"{instead}. {why}")


def _holder(stack: str, table: str) -> Holder:
    key = json.dumps({"stack": {"S": stack}})
    found = aws.dynamodb.get_table_item(table_name=table, key=key)
    try:
        item = json.loads(found.item)
    except (TypeError, ValueError):
        item = {}
    return read_item(stack, item)


def _refusal(token: str | None, holder: Holder, now: datetime) -> str | None:
    """Say why this is not the holder's own update; none when it is.

    now: by this machine's clock, so it ends no lease: AWS does, by its own (`operations.fence`).
    """
    if token == holder.token and holder.released is None:
        return None
    if not holder.holds(now):
        over = "Nobody holds it now"
        return f"{over}: the one that this update was started under is over" if token else over
    since = f"{holder.since:%Y-%m-%d %H:%M:%S} UTC"
    return f"{holder.owner} holds it since {since} to {holder.what}"
