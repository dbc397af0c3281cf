"""What the emulator cannot create at all. `apply` leaves it out, and says so.

A test attempts each row and fails once it works: then the type gets a description instead.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from localcloud.kinds.base import Clients, Inputs


def _none(_inputs: Inputs) -> Mapping[str, Any]:
    return {}


@dataclass(frozen=True)
class Unsupported:
    """Why there is no such thing in the local cloud.

    attempt: the call that would create it, which the emulator refuses.
    outputs: what the program may refer to, made up from the inputs.
    """

    reason: str
    attempt: Callable[[Clients], object]
    outputs: Callable[[Inputs], Mapping[str, Any]] = _none


UNSUPPORTED: Mapping[str, Unsupported] = {}
