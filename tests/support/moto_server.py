"""moto's server, in a process of its own: in this one it would share its state with `mock_aws`.

    python moto_server.py

Prints its port once it can serve; ends when its standard input does.
"""

from __future__ import annotations

import logging
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def running_moto() -> Iterator[str]:
    """Run the server for the block, on the loopback; give its endpoint."""
    server = subprocess.Popen(
        [sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with server:  # closes its standard input, and waits for it
        assert server.stdout is not None
        line = server.stdout.readline()
        assert line, "moto's server did not start; its own output says why"
        yield f"http://127.0.0.1:{int(line)}"


def main() -> None:
    """Serve until the standard input ends."""
    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.ERROR)  # not each request
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    print(server.get_host_and_port()[1], flush=True)  # noqa: T201 - how the test learns the port
    sys.stdin.read()  # its thread ends with the process


if __name__ == "__main__":
    main()
