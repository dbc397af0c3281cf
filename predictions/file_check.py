"""An upload on its way into the store, read as a customer file while it passes.

What cannot be scored at all is refused before it is stored: the reader pulls the bytes, and what it
has pulled goes on to whoever stores it, so nothing is held and nothing is read twice.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Mapping
from typing import IO, TYPE_CHECKING, cast

from predictions.customer_file import CustomerFile
from predictions.errors import BadCustomerFile
from predictions.record import FileFacts
from predictions.schema import CustomerSchema

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer


TOLD_BY_THE_HEAD = frozenset(
    {
        "not-text",
        "not-a-csv",
        "too-many-columns",
        "duplicate-columns",
        "missing-columns",
        "header-not-first",
    }
)


def check_head(head: bytes, schema: CustomerSchema, matches: Mapping[str, str]) -> None:
    """Raise BadCustomerFile when a file's first bytes tell that it cannot be scored.

    head: as much of the file as `file_text.HEAD`, or all of it. What only its being cut off makes
    wrong with it is not told.
    """
    try:
        # A header whose end is not in the head is left out, and what is wrong then is not told.
        _opened([head], schema, matches, is_cut_off=True)
    except BadCustomerFile as exc:
        if exc.failure.code in TOLD_BY_THE_HEAD:
            raise


class FileCheck:
    """Passes the chunks of one file on, unchanged, and finds out what it is."""

    def __init__(
        self, chunks: Iterable[bytes], schema: CustomerSchema, matches: Mapping[str, str]
    ) -> None:
        """matches: what the account may call the columns of the model."""
        self._chunks = chunks
        self._schema = schema
        self._matches = matches
        self._pulled: list[bytes] = []
        self._facts: FileFacts | None = None

    @property
    def facts(self) -> FileFacts:
        """What the file is. Raises ValueError before all of it has passed."""
        if self._facts is None:
            raise ValueError("the file has not passed to its end")
        return self._facts

    def stream(self) -> IO[bytes]:
        """Return the file as a stream; reading it raises what `passed_on` does.

        Raises BadCustomerFile at once when nothing but the file's head is needed to tell.
        """
        stream = io.BufferedReader(_Stream(self.passed_on()))
        stream.peek(1)
        return cast("IO[bytes]", stream)

    def passed_on(self) -> Iterator[bytes]:
        """Yield the file's bytes.

        Raises BadCustomerFile where it turns out that the file cannot be scored; then its last
        bytes have not been passed on.
        """
        customers = _opened(self._remembered(), self._schema, self._matches)
        yield from self._taken()
        for _ in customers.count_rows():
            yield from self._taken()
        self._facts = customers.facts.model_copy(update={"model": self._schema.version})
        yield from self._taken()

    def _remembered(self) -> Iterator[bytes]:
        for chunk in self._chunks:
            self._pulled.append(chunk)
            yield chunk

    def _taken(self) -> list[bytes]:
        pulled, self._pulled = self._pulled, []
        return pulled


def _opened(
    chunks: Iterable[bytes],
    schema: CustomerSchema,
    matches: Mapping[str, str],
    *,
    is_cut_off: bool = False,
) -> CustomerFile:
    return CustomerFile(
        chunks,
        schema.needed_columns,
        optional=schema.optional_columns,
        matches=matches,
        is_cut_off=is_cut_off,
    )


class _Stream(io.RawIOBase):
    """An iterator of chunks as a raw stream."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._rest = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        if not self._rest:
            self._rest = memoryview(next(self._chunks, b""))
        target = memoryview(buffer)
        taken = min(len(target), len(self._rest))
        target[:taken] = self._rest[:taken]
        self._rest = self._rest[taken:]
        return taken
