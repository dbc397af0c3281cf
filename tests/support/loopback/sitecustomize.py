"""Refuses every connection off the loopback, in this process and in each Python child of it.

Python imports a module of this name at its start when it is on PYTHONPATH, where tests/conftest.py
puts it. An audit hook cannot be removed again and sees what libraries do beneath any patch.
"""

import ipaddress
import sys


class OffTheLoopback(Exception):
    """A test, or something that it started, wanted to talk to another machine."""


def _is_loopback(host: object) -> bool:
    if isinstance(host, bytes):
        host = host.decode("ascii", "replace")
    if host is None or host in ("", "localhost"):  # "" and None resolve to this machine
        return True
    try:
        return ipaddress.ip_address(str(host).split("%")[0]).is_loopback
    except ValueError:
        return False


def _refuse(event: str, args: tuple[object, ...]) -> None:
    if event in ("socket.connect", "socket.sendto", "socket.sendmsg"):
        address = args[1]
        if isinstance(address, tuple) and not _is_loopback(address[0]):
            raise OffTheLoopback(f"{event} to {address}")
    elif event in ("socket.getaddrinfo", "socket.gethostbyname"):
        if not _is_loopback(args[0]):
            raise OffTheLoopback(f"{event} of {args[0]!r}")
    elif event == "socket.bind":
        address = args[1]
        if isinstance(address, tuple) and not (address[0] and _is_loopback(address[0])):
            raise OffTheLoopback(f"{event} to {address}: others could connect")


sys.addaudithook(_refuse)
