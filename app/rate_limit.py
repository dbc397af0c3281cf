"""How often one account may call: over any minute, counted in the memory of this process.

It keeps one runaway script from taking every thread. It is no quota: each web task counts for
itself, so that counting needs nobody's help, and behind n tasks an account may get n times as far.
"""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, cast

from flask import Flask, current_app
from limits import RateLimitItem, RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter

from app.problems import Problem

if TYPE_CHECKING:
    from app.settings import WebSettings

RATE_LIMITS = "retainwise.rate_limits"

# At the very moment at which the first call is a minute old, it still counts.
_MOMENT_S = 0.001


class RateLimits:
    """What each account has used up."""

    def __init__(self, *, requests_per_minute: int, uploads_per_minute: int) -> None:
        self._requests = RateLimitItemPerMinute(requests_per_minute, namespace="requests")
        self._uploads = RateLimitItemPerMinute(uploads_per_minute, namespace="uploads")
        # It keeps a time for each call, but no more of them than this process served in a minute.
        self._window = MovingWindowRateLimiter(MemoryStorage())

    def count_request(self, account: str) -> None:
        """Let one more request in. Raises Problem (rate-limited)."""
        self._count(self._requests, account, "requests to the API")

    def count_upload(self, account: str) -> None:
        """Let one more upload in. Raises Problem (rate-limited).

        To be called where the sender of a refused upload is still heard to its end.
        """
        self._count(self._uploads, account, "uploads")

    def _count(self, limit: RateLimitItem, account: str, what: str) -> None:
        if self._window.hit(limit, account):
            return
        free_at = self._window.get_window_stats(limit, account).reset_time
        wait_s = max(1, math.ceil(free_at - time.time() + _MOMENT_S))
        raise Problem(
            "rate-limited",
            f"An account may make {limit.amount:,} {what} a minute. "
            f"Try again in {wait_s} second{'s' if wait_s > 1 else ''}.",
            retry_after_s=wait_s,
        )


def init_app(app: Flask, settings: WebSettings) -> None:
    """Begin to count."""
    app.extensions[RATE_LIMITS] = RateLimits(
        requests_per_minute=settings.requests_per_minute,
        uploads_per_minute=settings.uploads_per_minute,
    )


def rate_limits() -> RateLimits:
    """Return what the accounts of the application that handles this request have used up."""
    return cast("RateLimits", current_app.extensions[RATE_LIMITS])
