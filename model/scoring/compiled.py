"""How the functions of `kernel` are compiled: once, when an image or a virtualenv is made.

Numba compiles a function when it is first called and keeps what comes out in the first of some
folders that can be written to. A container may not write to its own files, and need not, if all is
there already: so the folder beside the source is taken then as well.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def _left_out(*modules: str) -> Iterator[None]:
    """Have an import of these modules fail, as if they were not installed."""
    absent = [name for name in modules if name not in sys.modules]
    sys.modules.update(dict.fromkeys(absent))  # type: ignore[arg-type]
    try:
        yield
    finally:
        for name in absent:
            del sys.modules[name]


# Numba takes what it finds installed: a quarter of a second for what nothing here uses.
with _left_out("scipy", "yaml", "cffi", "charset_normalizer"):
    import numba
    from numba.core import config
    from numba.core.caching import InTreeCacheLocator, UserWideCacheLocator
    from numba.np import arraymath  # noqa: F401 - it is what looks for scipy

# What was compiled on one machine runs on every other one of its kind, whatever its processor.
config.CPU_NAME = "generic"  # type: ignore[attr-defined]
config.CPU_FEATURES = ""  # type: ignore[attr-defined]


class BesideTheSource(InTreeCacheLocator):
    """The folder `__pycache__` beside the source, if it holds what was compiled or can hold it."""

    def __init__(self, function: Callable[..., object], source: str) -> None:
        super().__init__(function, source)  # type: ignore[no-untyped-call]
        self._compiled = f"{Path(source).stem}.{function.__name__}-*.nbc"

    def ensure_cache_path(self) -> None:
        """Raise OSError where another folder is to be taken for the function."""
        folder = Path(self.get_cache_path())  # type: ignore[no-untyped-call]
        if not any(folder.glob(self._compiled)):
            super().ensure_cache_path()  # type: ignore[no-untyped-call]


config.CACHE_LOCATOR_CLASSES = ",".join(  # type: ignore[attr-defined]
    f"{locator.__module__}.{locator.__name__}"
    for locator in (BesideTheSource, UserWideCacheLocator)
)
compiled = numba.njit(cache=True, nogil=True, error_model="numpy")
