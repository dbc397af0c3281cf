"""The decimal mark of a customer file: all of its numbers tell it, wherever they stand.

Few files have a cell that cannot be read without it. So nothing is read ahead until one does; then
the file is read to its end once more, and the order of its rows decides nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from functools import cached_property
from threading import Lock

from model.artifact import Model
from model.numbers import decimal_mark, is_any_unclear, marks_of
from model.scoring.lines import LineScorer
from predictions.customer_file import Block, CustomerFile


class FileMark:
    """Tells the decimal mark of one file."""

    def __init__(
        self, opened: Callable[[], AbstractContextManager[CustomerFile]], model: Model
    ) -> None:
        """opened: opens the file from its start, for the columns of this model."""
        self._opened, self._model, self._lock = opened, model, Lock()

    def for_block(self, block: Block) -> str | None:
        """Return the mark by which to read a block; None where none is needed or the file has none.

        Raises BadCustomerFile when the rest of the file cannot be read.
        """
        names = self._model.schema.numbers
        is_needed = any(is_any_unclear(block.columns[name]) for name in names)
        return self.told if is_needed else None

    @property
    def is_told(self) -> bool:
        """Whether the file has been read for it."""
        return "_told" in self.__dict__

    @property
    def told(self) -> str | None:
        """The mark; None where the file has none. Reads the file when it is first asked for.

        Raises BadCustomerFile when the rest of the file cannot be read.
        """
        with self._lock:  # several threads may ask, and one is to read
            return self._told

    @cached_property
    def _told(self) -> str | None:
        with self._opened() as customers:
            return decimal_mark(sum(self._marks_of(customers), Counter()))

    def _marks_of(self, customers: CustomerFile) -> Iterator[Counter[str | None]]:
        lines = LineScorer(self._model, customers, reasons=False)
        for part in lines.parts():
            block: Block | None
            if isinstance(part, Block):
                block = part
            else:
                lines.read(part, None)
                yield lines.marks(part)
                block = lines.odd_rows(part)
            if block is None:
                continue
            for name in self._model.schema.numbers:
                cells = block.columns[name]
                if block.errors:  # there the cells are in the wrong columns
                    cells = [cell for row, cell in enumerate(cells) if row not in block.errors]
                yield marks_of(cells)
