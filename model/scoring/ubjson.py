"""Reads UBJSON as XGBoost writes it: objects, arrays, strings and big-endian numbers.

XGBoost reads its own files, but importing it takes over a second and 100 MiB, which scoring has no
other use for. The format: https://ubjson.org, and XGBoost's document "Introduction to Model IO".
"""

from __future__ import annotations

from struct import Struct
from typing import Any

import numpy as np

_NUMBERS = {b"U": ">B", b"i": ">b", b"I": ">h", b"l": ">i", b"L": ">q", b"d": ">f", b"D": ">d"}
_SCALARS = {mark: Struct(kind) for mark, kind in _NUMBERS.items()}
_WORDS = {b"T": True, b"F": False, b"Z": None}


def loads(raw: bytes) -> Any:  # noqa: ANN401 - whatever the bytes hold
    """Return what the bytes hold: dicts, lists, texts, numbers; an array of one type from numpy.

    Raises ValueError where they are not UBJSON of this kind.
    """
    try:
        return _Reader(raw).value()
    except (UnicodeDecodeError, OverflowError, RecursionError) as exc:
        raise ValueError(f"not UBJSON: {exc}") from exc


class _Reader:
    def __init__(self, raw: bytes) -> None:
        self._raw, self._at = raw, 0

    def value(self) -> Any:  # noqa: ANN401 - see loads
        mark = self._take(1)
        if mark in _NUMBERS:
            scalar = _SCALARS[mark]
            (number,) = scalar.unpack(self._take(scalar.size))
            return number
        if mark == b"S":
            return self._text()
        if mark == b"{":
            content = {}
            while not self._skips(b"}"):
                name = self._text()
                content[name] = self.value()
            return content
        if mark == b"[":
            return self._array()
        if mark in _WORDS:
            return _WORDS[mark]
        raise ValueError(f"not UBJSON: {mark!r} at byte {self._at - 1}")

    def _array(self) -> Any:  # noqa: ANN401 - see loads
        if self._skips(b"$"):  # all of one type, without a mark each
            mark = self._take(1)
            if mark not in _NUMBERS or not self._skips(b"#"):
                raise ValueError(f"not UBJSON: an array of {mark!r} at byte {self._at - 1}")
            return self._numbers(mark, self._count())
        if self._skips(b"#"):
            return [self.value() for _ in range(self._count())]
        items = []
        while not self._skips(b"]"):
            items.append(self.value())
        return items

    def _text(self) -> str:
        return self._take(self._count()).decode()

    def _count(self) -> int:
        count = self.value()
        if not isinstance(count, int) or count < 0:
            raise ValueError(f"not UBJSON: a length of {count!r} at byte {self._at}")
        return count

    def _numbers(self, mark: bytes, count: int) -> np.ndarray[Any, Any]:
        kind = np.dtype(_NUMBERS[mark])
        return np.frombuffer(self._take(count * kind.itemsize), kind).astype(kind.newbyteorder("="))

    def _take(self, count: int) -> bytes:
        taken = self._raw[self._at : self._at + count]
        if len(taken) < count:
            raise ValueError(f"not UBJSON: it ends at byte {len(self._raw)}, in the middle")
        self._at += count
        return taken

    def _skips(self, mark: bytes) -> bool:
        found = self._raw[self._at : self._at + 1] == mark
        self._at += found
        return found
