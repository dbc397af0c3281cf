"""Services as processes: started, started again, stopped in their time, never left behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import psutil
import pytest

from localcloud import supervisor
from localcloud.apply import Task
from localcloud.home import Home, Unusable
from localcloud.supervisor import Failed, Service
from localcloud.tasks import Keeper, TaskProcess

READY = "import os, pathlib; (pathlib.Path(os.environ['TMPDIR']) / 'ready').touch(); "
WORKS = READY + "import time; time.sleep(60)"
# A job process of its own, as the worker has.
WITH_CHILD = (
    "import subprocess, sys; "
    "subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)']); " + WORKS
)
DRAINS = (
    "import signal, sys; "
    "signal.signal(signal.SIGTERM, lambda *_: (print('drained', flush=True), sys.exit(0))); "
) + WORKS
IGNORES_SIGTERM = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); " + WORKS
FAILS = "import sys; print('no such bucket', flush=True); sys.exit(3)"


@pytest.fixture
def home(tmp_path):
    return Home(tmp_path)


@pytest.fixture
def service(home):
    """Make a service that runs a line of Python; all of them end with the test."""
    made = []
    with home.held("a test") as lock, Keeper(home, lock) as keeper:

        def make(code, stop_timeout_s=20.0):
            task = Task("web", ("retainwise", "web"), {"NAME": "value"}, "role", 120)
            command = [sys.executable, "-c", code]
            one = Service(
                "web",
                home.log("web"),
                stop_timeout_s,
                start=lambda: TaskProcess(task, command, {"ADDED": "too"}, home, keeper),
                ready=lambda scratch: (scratch / "ready").exists(),
            )
            made.append(one)
            return one

        yield make
        for one in made:
            one.kill()


def nothing():
    """The cloud is well; and nobody interrupts."""
    return 0


def children():
    me = psutil.Process()
    return [one for one in me.children(recursive=True) if "sleep(60)" in " ".join(one.cmdline())]


def test_started_means_ready(service, home):
    assert supervisor.start([service(WORKS)], nothing, nothing)
    assert (home.root / "tmp" / "web" / "ready").exists()


def test_an_interrupt_ends_the_waiting(service):
    never_ready = service("import time; time.sleep(60)")
    assert not supervisor.start([never_ready], lambda: 1, nothing)


def test_one_that_cannot_start_is_told_with_what_it_said(service):
    with pytest.raises(Failed, match=r"(?s)web ended with 3.*no such bucket"):
        supervisor.start([service(FAILS)], nothing, nothing)


def test_one_that_is_never_ready_is_told(service, monkeypatch):
    monkeypatch.setattr(supervisor, "_READY_S", 0.3)
    with pytest.raises(Failed, match="web is not ready after"):
        supervisor.start([service("import time; time.sleep(60)")], nothing, nothing)


def test_one_that_dies_is_started_again(service):
    one = service(WORKS)
    supervisor.start([one], nothing, nothing)
    [process] = children()
    process.kill()
    said = []
    supervisor.watch([one], lambda: said and children(), nothing, said.append)
    assert len(said) == 1
    assert said[0].startswith("web ended with -9; starting it again in 1 s")


def test_one_that_keeps_dying_is_given_up(service, monkeypatch):
    monkeypatch.setattr(supervisor, "_BACK_OFF_S", 0.001)
    said = []
    one = service(FAILS)
    one.start()
    with pytest.raises(Failed, match="web died 5 times in a row"):
        supervisor.watch([one], nothing, nothing, said.append)
    assert len(said) == 4


def test_stopping_waits_for_the_drain(service, home):
    one = service(DRAINS)
    supervisor.start([one], nothing, nothing)
    supervisor.stop([one], hurry=lambda: False)
    assert home.log("web").read_text() == "drained\n"
    assert children() == []


def test_stopping_goes_on_without_the_keeper(service):
    both = [service(WORKS), service(WORKS)]
    supervisor.start(both, nothing, nothing)
    [keeper] = [c for c in psutil.Process().children() if "keeper.py" in " ".join(c.cmdline())]
    keeper.kill()
    keeper.wait()
    supervisor.stop(both, hurry=lambda: False)
    assert children() == []


@pytest.mark.parametrize(("timeout_s", "hurry"), [(0.3, False), (60.0, True)])
def test_one_that_does_not_stop_is_killed(service, timeout_s, hurry):
    one = service(IGNORES_SIGTERM, timeout_s)
    supervisor.start([one], nothing, nothing)
    supervisor.stop([one], hurry=lambda: hurry)
    assert children() == []


def test_a_service_s_own_processes_end_with_it(service):
    one = service(WITH_CHILD)
    supervisor.start([one], nothing, nothing)
    assert len(children()) == 2
    [parent] = [c for c in children() if "Popen" in " ".join(c.cmdline())]
    parent.kill()
    while not one.has_ended():
        time.sleep(0.05)
    assert children() == []


def test_a_service_sees_its_declared_environment_and_no_more(service, home, monkeypatch):
    monkeypatch.setenv("AWS_PROFILE", "of-the-developer")
    one = service("import os, json; print(json.dumps(dict(os.environ)), flush=True); " + WORKS)
    supervisor.start([one], nothing, nothing)
    seen = set(json.loads(home.log("web").read_text()))
    inherited = {"PATH", "HOME", "LANG", "PYTHONPATH", "LC_CTYPE"}
    assert seen - inherited == {
        "NAME",
        "ADDED",
        "TMPDIR",
        "AWS_CONFIG_FILE",
        "AWS_SHARED_CREDENTIALS_FILE",
    }


def test_a_second_one_is_told_who_holds_the_folder(home):
    with (
        home.held("http://127.0.0.1:8000"),
        pytest.raises(Unusable) as refused,
        home.held("another"),
    ):
        pass
    said = str(refused.value)
    assert f"in use by process {os.getpid()} (http://127.0.0.1:8000)" in said


def test_a_folder_that_cannot_be_written_is_told(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(Unusable, match="cannot write to"), Home(tmp_path / "file").held("x"):
        pass


def test_the_keeper_kills_what_a_killed_one_left(home):
    home.root.joinpath("env").touch()
    left = subprocess.Popen(
        [sys.executable, "-c", WITH_CHILD],
        start_new_session=True,
        env=os.environ | {"TMPDIR": str(home.root)},
    )
    while len(psutil.Process(left.pid).children()) < 1:
        time.sleep(0.05)
    [child] = psutil.Process(left.pid).children()
    with home.held("x") as lock:
        keeper = Keeper(home, lock)
        keeper.started(left.pid)
        keeper.__exit__()  # its input ends with the group still on the list
    assert left.wait(timeout=20) == -signal.SIGKILL
    psutil.wait_procs([child], timeout=20)
    assert not child.is_running()
    assert not home.env.exists()


def test_the_keeper_leaves_alone_what_ended(home):
    survivor = subprocess.Popen(
        [sys.executable, "-c", "import time; time.sleep(60)"], start_new_session=True
    )
    with home.held("x") as lock, Keeper(home, lock) as keeper:
        keeper.started(survivor.pid)
        keeper.ended(survivor.pid)
    assert survivor.poll() is None
    survivor.kill()
    survivor.wait()
