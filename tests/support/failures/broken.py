"""The product broken on purpose: what guards against each failure taken out, one at a time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from unittest import mock

from boto3.dynamodb.conditions import Attr

from predictions.store import Store
from worker.consumer import Consumer
from worker.lease import Lease


def without_a_fence() -> Any:
    """Whoever has once claimed a record may write to it."""

    def unfenced(self: Store, claim: Any, *, to: Any, put: Any, add: Any = None, beat: Any = None):
        key = {"account": claim.account, "id": claim.id}
        is_there = Attr("id").exists()
        return self._step(key, leaving=is_there, to=to, put=put, add=add, refused=AssertionError)

    return mock.patch.object(Store, "_leave_processing", unfenced)


def without_renewals() -> Any:
    """A lease is never renewed, however long its job takes."""
    return mock.patch.object(Lease, "keep", return_value=None)


def with_early_acknowledgements() -> Any:
    """The message is deleted before its job runs."""
    as_it_was = Consumer._process_claimed

    def early(self: Consumer, received: Any, prediction: Any) -> None:
        self._queue.delete(received)
        as_it_was(self, received, prediction)

    return mock.patch.object(Consumer, "_process_claimed", early)


MUTATIONS: dict[str, Callable[[], Any]] = {
    "the fence is broken": without_a_fence,
    "renewals are skipped": without_renewals,
    "messages are acknowledged early": with_early_acknowledgements,
}
