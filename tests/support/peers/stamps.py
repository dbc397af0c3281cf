"""When each job began: a file that all processes of a worker append to, in one write a job."""

import os
import struct
import time
from pathlib import Path

_BEGAN = struct.Struct("=d")


class Stamps:
    """Seconds of the host's monotonic clock, one for each job. The file must be there."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = os.open(path, os.O_RDWR | os.O_APPEND)

    def add(self) -> None:
        """A job begins now."""
        os.write(self._file, _BEGAN.pack(time.monotonic()))

    def __len__(self) -> int:
        return os.fstat(self._file).st_size // _BEGAN.size

    def read(self) -> list[float]:
        """When the jobs began, in the order in which they did."""
        return [began for (began,) in _BEGAN.iter_unpack(self._path.read_bytes())]
