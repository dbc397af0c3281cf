"""What the parts of a worker outlive."""

from structlog.testing import capture_logs

from predictions.sweeper import Sweeper
from worker import service
from worker.liveness import Liveness
from worker.settings import WorkerSettings
from worker.shutdown import Shutdown


def test_an_error_that_nobody_foresaw_ends_no_sweeper(cloud, monkeypatch, tmp_path):
    for name, value in cloud.environment().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("MODEL_DIR", str(tmp_path))
    monkeypatch.setenv("SWEEP_EVERY_S", "0.01")
    shutdown = Shutdown(10)
    sweeps = []

    def sweep(_):
        sweeps.append(1)
        if len(sweeps) == 2:
            shutdown.request()
        raise ValueError("what a record holds")

    monkeypatch.setattr(Sweeper, "sweep", sweep)
    liveness = Liveness(tmp_path / "file", loop_limit_s=60, job_limit_s=60, stop_budget_s=60)
    with capture_logs() as lines:
        service._parts(WorkerSettings(), [], shutdown, liveness)["sweeper"]()
    assert [(line["event"], line["error"]) for line in lines] == [
        ("sweep_failed", "ValueError")
    ] * 2
