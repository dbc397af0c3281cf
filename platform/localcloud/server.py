"""The emulator's process: MiniStack on the loopback, its state on disk.

    python -m localcloud.server DATA_DIR

Runs in the virtualenv `.venv-localcloud`, whose packages the product does not share. Prints its
port once it can serve; ends on SIGTERM, and when its standard input ends, which is how it learns
that whoever started it is gone. MiniStack by itself writes its state only when it ends in peace,
and starts empty when it cannot read it; here it is written while it changes, and what cannot be
read is refused with exit code 2.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import sys
import time
from pathlib import Path
from types import ModuleType

from localcloud.guard import Guard

_SNAPSHOT_EVERY_S = 1.0
# A snapshot stalls every call, so it may take a tenth of the time.
_SNAPSHOT_SHARE = 0.1
# Closed earlier, a connection may go just when its SDK sends into it again.
_KEEPALIVE_S = 3600
# Long polls that are still open when it ends.
_GRACE_S = 0.5


class Damaged(Exception):
    """A file of the state cannot be read; the message says which, why and what to do."""

    def __init__(self, path: Path, why: object, data_dir: Path) -> None:
        super().__init__(
            f"{path} is damaged ({why}). Put that file back from a copy, or remove {data_dir} to "
            "start with an empty cloud."
        )


def main(data_dir: Path) -> None:
    """Serve until told to end. Raises Damaged before anything is served or written."""
    _configure(data_dir)
    # Only now: MiniStack reads its settings when it is imported.
    from localcloud import mends, queries

    mends.mend()
    queries.mend()
    asyncio.run(_serve(data_dir, _listen(data_dir / "port")))


def _configure(data_dir: Path) -> None:
    scratch = data_dir / "tmp"
    scratch.mkdir(parents=True, exist_ok=True)
    os.environ |= {
        "AUTH": "true",
        "PERSIST_STATE": "1",
        "STATE_DIR": str(data_dir / "state"),
        "S3_PERSIST": "1",
        "S3_DATA_DIR": str(data_dir / "objects"),
        "TMPDIR": str(scratch),
        "IOT_MTLS_ENABLED": "0",
        "SFTP_ENABLED": "0",
        "LOG_LEVEL": "WARNING",
    }


def _listen(remembered: Path) -> socket.socket:
    """Listen on the port of the last time if it is free: it is part of every queue's URL."""
    try:
        listener = socket.create_server(("127.0.0.1", int(remembered.read_text())))
    except (OSError, ValueError):
        listener = socket.create_server(("127.0.0.1", 0))
    remembered.write_text(str(listener.getsockname()[1]))
    return listener


async def _serve(data_dir: Path, listener: socket.socket) -> None:
    from hypercorn.asyncio import serve
    from hypercorn.config import Config
    from ministack import app as emulator

    _load_state(emulator, data_dir)
    port = listener.getsockname()[1]
    guard = Guard(emulator.app, port)
    config = Config()
    config.bind = [f"fd://{listener.detach()}"]
    config.loglevel = "WARNING"
    config.graceful_timeout = _GRACE_S
    config.keep_alive_timeout = _KEEPALIVE_S
    stop = _told_to_end()
    snapshots = asyncio.create_task(_keep_snapshots(emulator, guard))
    print(port, flush=True)  # noqa: T201 - how the one who started it learns the port
    try:
        await serve(guard, config, shutdown_trigger=stop.wait)  # writes the state as it ends
    finally:
        snapshots.cancel()


def _load_state(emulator: ModuleType, data_dir: Path) -> None:
    """Load what was saved, all of it or nothing.

    Raises Damaged.
    """
    from ministack.core import persistence

    # Killed while writing; the file itself is whole. Those of objects it passes over by itself.
    for unfinished in (data_dir / "state").glob("*.tmp"):
        unfinished.unlink()
    for name, module in emulator._state_map.items():
        path = data_dir / "state" / f"{name}.json"
        if not path.exists():
            continue
        _check_json(path, data_dir)
        state = persistence.load_state(name)
        if state is None:
            raise Damaged(path, "not in a form that this emulator reads", data_dir)
        try:
            emulator._get_module(module).load_persisted_state(state)
        except Exception as exc:
            raise Damaged(path, exc, data_dir) from exc
    for path in (data_dir / "objects").rglob("*.meta.json"):
        _check_json(path, data_dir)
    # Done; its own would start empty on an error.
    vars(emulator)["_load_persisted_state"] = lambda: None


def _check_json(path: Path, data_dir: Path) -> None:
    try:
        json.loads(path.read_bytes())
    except ValueError as exc:
        raise Damaged(path, exc, data_dir) from exc


def _told_to_end() -> asyncio.Event:
    """Return the event that SIGTERM, SIGINT and the end of standard input set."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for signal_number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(signal_number, stop.set)

    def read_stdin() -> None:
        if not os.read(sys.stdin.fileno(), 1024):
            loop.remove_reader(sys.stdin)
            stop.set()

    loop.add_reader(sys.stdin, read_stdin)
    return stop


async def _keep_snapshots(emulator: ModuleType, guard: Guard) -> None:
    """Write the state soon after it changed, so that being killed costs about a second.

    In the event loop, where nothing else can change it meanwhile.
    """
    from ministack.core import persistence

    pause_s = _SNAPSHOT_EVERY_S
    while True:
        await asyncio.sleep(pause_s)
        if not guard.changed:
            continue
        guard.changed = False
        started = time.monotonic()
        persistence.save_all(emulator._build_persistence_save_dict())
        pause_s = max(_SNAPSHOT_EVERY_S, (time.monotonic() - started) / _SNAPSHOT_SHARE)


if __name__ == "__main__":
    try:
        main(Path(sys.argv[1]))
    except Damaged as exc:
        sys.stderr.write(f"{exc}\n")
        sys.exit(2)
