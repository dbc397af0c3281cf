"""The decimal mark of a customer file: all of its numbers tell it, wherever they stand.

Few files have a cell that cannot be read without it. So nothing is read ahead until one does; then
the file is read to its end once more, and the order of its rows decides nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from functools import cached_property

from model.numbers import decimal_mark, is_any_unclear
from predictions.customer_file import Block, CustomerFile
from predictions.schema import CustomerSchema

BLOCK_ROWS = 20_000


class FileMark:
    """Tells the decimal mark of one file."""

    def __init__(
        self, opened: Callable[[], AbstractContextManager[CustomerFile]], schema: CustomerSchema
    ) -> None:
        """opened: opens the file from its start, for the columns of this schema."""
        self._opened = opened
        names = [column.name for column in schema.columns if column.kind == "numeric"]
        revenue = [] if schema.revenue_column is None else [schema.revenue_column]
        self._names = dict.fromkeys([*names, *revenue])

    def for_block(self, block: Block) -> str | None:
        """Return the mark by which to read a block; None where none is needed or the file has none.

        Raises BadCustomerFile when the rest of the file cannot be read.
        """
        is_needed = any(is_any_unclear(block.columns[name]) for name in self._names)
        return self.told if is_needed else None

    @property
    def is_told(self) -> bool:
        """Whether the file has been read for it."""
        return "told" in self.__dict__

    @cached_property
    def told(self) -> str | None:
        """The mark; None where the file has none. Reads the file when it is first asked for.

        Raises BadCustomerFile when the rest of the file cannot be read.
        """
        with self._opened() as customers:
            return decimal_mark(self._numbers_of(customers))

    def _numbers_of(self, customers: CustomerFile) -> Iterator[Sequence[str]]:
        for block in customers.blocks(BLOCK_ROWS):
            for name in self._names:
                cells = block.columns[name]
                if block.errors:  # a row of the wrong shape has its cells in the wrong columns
                    cells = [cell for row, cell in enumerate(cells) if row not in block.errors]
                yield cells
