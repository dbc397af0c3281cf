"""The guard itself: neither a test nor a process that it starts reaches another machine."""

import socket
import subprocess
import sys

import pytest

ELSEWHERE = "192.0.2.1"  # TEST-NET-1: nobody is there
TRIES = {
    "connect": f"with socket.socket() as s: s.connect(('{ELSEWHERE}', 80))",
    "resolve": "socket.getaddrinfo('example.org', 80)",
    "send": f"with socket.socket(type=socket.SOCK_DGRAM) as s: s.sendto(b'x', ('{ELSEWHERE}', 53))",
    "listen": "with socket.socket() as s: s.bind(('0.0.0.0', 0))",
}


@pytest.mark.parametrize("code", TRIES.values(), ids=TRIES.keys())
def test_this_process_is_refused(code):
    with pytest.raises(Exception, match="socket") as refused:
        exec(code, {"socket": socket})
    assert type(refused.value).__name__ == "OffTheLoopback"


@pytest.mark.parametrize("code", TRIES.values(), ids=TRIES.keys())
def test_a_child_process_is_refused(code):
    child = subprocess.run(
        [sys.executable, "-c", f"import socket\n{code}"], capture_output=True, text=True
    )
    assert child.returncode == 1
    assert "OffTheLoopback" in child.stderr


def test_the_loopback_is_allowed():
    server = socket.create_server(("127.0.0.1", 0))
    with server, socket.create_connection(server.getsockname()):
        pass
