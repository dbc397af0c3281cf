"""The whole product as its user starts it, in real processes: for tests and for the bench."""

from __future__ import annotations

import csv
import io
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import requests

ROOT = Path(__file__).parents[2]
TELCO = ROOT / "model" / "data" / "telco.csv"
START_TIMEOUT_S = 60
READY = "RetainWise is ready"
BOUNDARY = "a-boundary-that-no-file-contains"


def wait_for(condition, *, timeout_s, what):
    """Return the first true value of `condition()`; fail by naming `what` after `timeout_s`."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        if value := condition():
            return value
        time.sleep(0.02)
    raise AssertionError(f"not within {timeout_s} s: {what}")


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


def alive(process: psutil.Process) -> bool:
    """Say whether it still runs; one that only waits to be reaped does not."""
    return process.is_running() and process.status() != psutil.STATUS_ZOMBIE


def multipart(path: Path, name: str) -> Iterator[bytes]:
    """Yield the body that a browser's form sends, without holding the file."""
    yield (
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n'
        "Content-Type: text/csv\r\n\r\n"
    ).encode()
    with path.open("rb") as file:
        while chunk := file.read(1 << 20):
            yield chunk
    yield f"\r\n--{BOUNDARY}--\r\n".encode()


class Product:
    """One `retainwise up` with its own data directory and port."""

    def __init__(self, data_dir: Path, port: int | None = None) -> None:
        self.data_dir = data_dir
        self.port = port or free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.output = data_dir.with_suffix(".log")
        self.http = requests.Session()
        self.http.trust_env = False
        self.process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Product:
        """Start it; whatever happens to the test, nothing is left behind."""
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self.process is not None and self.process.poll() is None:
            self.kill_everything()

    def start(self) -> float:
        """Start it and wait until it is ready; return how long that took, in seconds."""
        began = time.monotonic()
        self.output.touch()
        self._starts = self.output.read_text().count(READY) + 1
        with self.output.open("ab") as log:
            self.process = subprocess.Popen(
                [
                    *(sys.executable, "-m", "retainwise", "up"),
                    *("--port", str(self.port), "--data-dir", str(self.data_dir)),
                ],
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        wait_for(self._ready_or_dead, timeout_s=START_TIMEOUT_S, what=f"ready\n{self.said()}")
        assert self.process.poll() is None, f"it did not start:\n{self.said()}"
        return time.monotonic() - began

    def _ready_or_dead(self) -> bool:
        assert self.process is not None
        ready = self.output.read_text().count(READY) == self._starts
        return ready or self.process.poll() is not None

    def said(self) -> str:
        """Give the last lines that it printed."""
        return "\n".join(self.output.read_text(errors="replace").splitlines()[-30:])

    def stop(self, timeout_s: float = 60) -> int:
        """End it as Ctrl-C does; return its exit code."""
        assert self.process is not None
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(timeout_s)

    def kill_everything(self) -> None:
        """Kill -9 every process of it at one moment, as a power cut does."""
        for process in self.processes():
            try:
                process.kill()
            except psutil.NoSuchProcess:
                continue
        assert self.process is not None
        self.process.wait(10)

    # ---- its processes ----

    def processes(self) -> list[psutil.Process]:
        assert self.process is not None
        try:
            up = psutil.Process(self.process.pid)
            return [up, *up.children(recursive=True)]
        except psutil.NoSuchProcess:
            return []

    def running(self, word: str) -> list[psutil.Process]:
        """Give the processes whose command line has this word, parents first."""
        found = []
        for process in self.processes():
            try:
                if word in process.cmdline():
                    found.append(process)
            except (psutil.NoSuchProcess, psutil.AccessDenied):
                continue
        return found

    def worker(self) -> psutil.Process:
        return wait_for(lambda: self.running("worker"), timeout_s=20, what="a worker")[0]

    def job_process(self) -> psutil.Process:
        """Give the worker's child that scores: the one that has the model loaded."""

        def find():
            for child in self.worker().children():
                if "--multiprocessing-fork" in child.cmdline():
                    return child
            return None

        return wait_for(find, timeout_s=20, what="a job process")

    # ---- as a client ----

    def upload(self, path: Path, *, name: str = "customers.csv") -> str:
        """Upload as the page's form does, but through the API; return the prediction's id."""
        answer = self.http.post(
            f"{self.url}/api/predictions",
            data=multipart(path, name),
            headers={"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"},
        )
        assert answer.status_code == 202, answer.text
        return answer.json()["id"]

    def show(self, prediction_id: str) -> dict:
        answer = self.http.get(f"{self.url}/api/predictions/{prediction_id}")
        assert answer.status_code == 200, answer.text
        return answer.json()

    def wait_until(self, prediction_id: str, status: str, timeout_s: float = 60) -> dict:
        def reached():
            shown = self.show(prediction_id)
            if shown["status"] == status:
                return shown
            assert shown["status"] in ("QUEUED", "PROCESSING"), shown
            return None

        return wait_for(reached, timeout_s=timeout_s, what=f"{prediction_id} {status}")

    def wait_for_progress(self, prediction_id: str, fraction: float, timeout_s: float = 60) -> dict:
        """Wait until a job is at least so far, from 0 to 1."""

        def far_enough():
            shown = self.show(prediction_id)
            assert shown["status"] in ("QUEUED", "PROCESSING"), f"ended before {fraction}: {shown}"
            return shown if shown["progress"]["fraction"] >= fraction else None

        return wait_for(far_enough, timeout_s=timeout_s, what=f"{fraction:.0%} of {prediction_id}")

    def result(self, prediction_id: str) -> list[dict[str, str]]:
        answer = self.http.get(f"{self.url}/api/predictions/{prediction_id}/result.csv")
        assert answer.status_code == 200, answer.text
        return list(csv.DictReader(io.StringIO(answer.text, newline="")))

    def environment(self) -> dict[str, str]:
        """Read the local environment file, with which one's own scripts join in."""
        lines = (self.data_dir / "env").read_text().splitlines()
        return dict(line.split("=", 1) for line in lines if "=" in line)


def peak_rss_bytes(process: psutil.Process) -> int:
    """Return the most memory that a process has had so far (Linux: VmHWM)."""
    for line in Path(f"/proc/{process.pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    raise OSError("this kernel does not tell a process's peak memory")
