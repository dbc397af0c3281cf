"""What can go wrong with a stack, in words for a person, and how a command then ends."""

from __future__ import annotations

from enum import IntEnum
from typing import ClassVar


class Exit(IntEnum):
    """How a command ends."""

    DONE = 0
    FAILED = 1
    WRONG = 2
    """What was given is wrong."""
    HELD = 3
    """Somebody else holds the lease."""
    DRIFT = 7


class OperationError(Exception):
    """An operation did not do what was asked; the message says what, where and what helps."""

    code: ClassVar[Exit] = Exit.FAILED


class WrongInput(OperationError):
    """What was given, in a file or on the command line, cannot be used."""

    code = Exit.WRONG
