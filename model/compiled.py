"""How the functions of `kernel` are compiled: once, when an image or a virtualenv is made.

Numba compiles a function when it is first called and keeps what comes out beside the source. It
refuses to do so where that place cannot be written to, as in a container that may not change its
own files, even if all is there already: so the place is named here without that condition.
"""

from __future__ import annotations

import numba
from numba.core import config
from numba.core.caching import InTreeCacheLocator

# What was compiled on one machine runs on every other one of its kind, whatever its processor.
config.CPU_NAME = "generic"  # type: ignore[attr-defined]
config.CPU_FEATURES = ""  # type: ignore[attr-defined]


class BesideTheSource(InTreeCacheLocator):
    """The folder `__pycache__` beside the source, writable or not."""

    def ensure_cache_path(self) -> None:
        """Ask nothing of the folder."""


config.CACHE_LOCATOR_CLASSES = f"{__name__}.{BesideTheSource.__name__}"  # type: ignore[attr-defined]
compiled = numba.njit(cache=True, nogil=True, error_model="numpy")
