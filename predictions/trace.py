"""W3C trace context: one trace from an upload to its result, with a span for each hop.

    the caller's span, if it sent one
    └── the request that takes the file: on the record, in each message
        └── an attempt at work: in the worker's log lines, in the metadata of what it stores

Spans are sent to nobody: they tie log lines and files together. A caller's `tracestate` is not
kept: it may hold anything.
"""

from __future__ import annotations

import re
import secrets

_TRACEPARENT = re.compile(
    r"00-(?P<trace>(?!0{32})[0-9a-f]{32})-(?P<span>(?!0{16})[0-9a-f]{16})-(?P<flags>[0-9a-f]{2})"
)
_SAMPLED = 1


def child_of(traceparent: str | None) -> str:
    """Begin a span in the same trace; in a new one when there is none, or none that is valid."""
    found = _TRACEPARENT.fullmatch(traceparent or "")
    trace_id = found["trace"] if found else secrets.token_hex(16)
    # The other flags are not ours to hand on.
    flags = int(found["flags"], 16) & _SAMPLED if found else _SAMPLED
    return f"00-{trace_id}-{secrets.token_hex(8)}-{flags:02x}"


def trace_id(traceparent: str) -> str | None:
    """Return the id of the trace, 32 hexadecimal digits; None where it is not a valid context."""
    found = _TRACEPARENT.fullmatch(traceparent)
    return found and found["trace"]


def span_id(traceparent: str) -> str | None:
    """Return the id of the span, 16 hexadecimal digits; None where it is not a valid context."""
    found = _TRACEPARENT.fullmatch(traceparent)
    return found and found["span"]
