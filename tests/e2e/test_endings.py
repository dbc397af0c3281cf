"""Stops, restarts and kills: whatever ends, the prediction completes, once."""

from __future__ import annotations

import csv
import signal
import time

import pytest

from product import TELCO, Product, alive, wait_for

pytestmark = pytest.mark.timeout(300)
HALF = 0.5
ROWS = 7043 * 100


@pytest.fixture(scope="module")
def big_file(tmp_path_factory):
    """Give a file that takes some seconds: the Telco customers, a hundred times."""
    path = tmp_path_factory.mktemp("files") / "big.csv"
    header, rows = TELCO.read_bytes().split(b"\n", 1)
    path.write_bytes(header + b"\n" + rows * (ROWS // 7043))
    return path


@pytest.fixture
def own(tmp_path):
    """Give a product that the test may end as it likes."""
    with Product(tmp_path / "local") as product:
        yield product


def assert_completed_once(product, prediction_id):
    done = product.wait_until(prediction_id, "COMPLETED", timeout_s=120)
    assert done["rows"] == ROWS
    ids = [row["customerID"] for row in product.result(prediction_id)]
    with TELCO.open(newline="") as file:
        assert ids == [row["customerID"] for row in csv.DictReader(file)] * (ROWS // 7043)
    completions = (product.data_dir / "log" / "worker.log").read_text().splitlines()
    mine = [line for line in completions if '"job_completed"' in line and prediction_id in line]
    assert len(mine) == 1, mine
    return done


def test_its_job_process_is_killed(product, big_file):
    prediction_id = product.upload(big_file)
    product.wait_for_progress(prediction_id, HALF)
    product.job_process().kill()
    assert assert_completed_once(product, prediction_id)["attempt"] == 2


def test_its_worker_is_killed(product, big_file):
    prediction_id = product.upload(big_file)
    product.wait_for_progress(prediction_id, HALF)
    worker, job_process = product.worker(), product.job_process()
    worker.kill()
    wait_for(lambda: not alive(job_process), timeout_s=1, what="the orphaned job process is gone")
    assert assert_completed_once(product, prediction_id)["attempt"] == 2


def test_everything_is_killed(own, big_file):
    prediction_id = own.upload(big_file)
    own.wait_for_progress(prediction_id, HALF)
    own.job_process().suspend()  # it would be done before the emulator, unlike AWS, has saved it
    began, state = time.time(), own.data_dir / "cloud" / "state" / "dynamodb.json"
    wait_for(lambda: state.stat().st_mtime > began, timeout_s=60, what="the record on disk")
    processes = own.processes()
    own.kill_everything()
    wait_for(lambda: not any(map(alive, processes)), timeout_s=5, what="all of it is gone")
    own.start()
    assert_completed_once(own, prediction_id)
    assert own.stop() == 0


def test_a_second_start_finds_yesterdays_predictions_and_files(own):
    prediction_id = own.upload(TELCO)
    own.wait_until(prediction_id, "COMPLETED")
    before = own.result(prediction_id)
    assert own.stop() == 0
    assert not (own.data_dir / "env").exists()
    own.start()
    assert own.show(prediction_id)["status"] == "COMPLETED"
    assert own.result(prediction_id) == before
    assert own.stop() == 0


def test_ctrl_c_lets_the_job_finish(own, big_file):
    prediction_id = own.upload(big_file)
    own.wait_for_progress(prediction_id, 0.1)
    assert own.stop() == 0
    own.start()
    assert own.show(prediction_id)["status"] == "COMPLETED"
    assert own.stop() == 0


def test_nothing_outlives_a_killed_up(own):
    processes = own.processes()
    own.process.send_signal(signal.SIGKILL)
    own.process.wait()
    wait_for(lambda: not any(map(alive, processes)), timeout_s=15, what="its children are gone")
    own.start()
    assert own.stop() == 0
