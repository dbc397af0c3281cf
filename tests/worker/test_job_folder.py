"""No file of a customer's outlives its job."""

import subprocess
import sys
from contextlib import suppress

from worker.job_folder import JobFolder


def test_it_is_empty_after_each_job_however_that_ended():
    folder = JobFolder()
    with suppress(ZeroDivisionError), folder.for_a_job() as first:
        (first / "input.csv").write_text("a customer's")
        (first / ".retainwise-half").mkdir()  # of a job process that was killed while it scored
        (first / ".retainwise-half" / "result.csv").write_text("a customer's")
        raise ZeroDivisionError
    with folder.for_a_job() as second:
        assert list(second.iterdir()) == []
        assert second.stat().st_mode & 0o777 == 0o700


def test_it_is_made_again_where_somebody_tidied_it_away():
    folder = JobFolder()
    with folder.for_a_job() as path:
        pass
    path.rmdir()
    with folder.for_a_job() as again:
        assert again.stat().st_mode & 0o777 == 0o700


def test_it_goes_with_its_process(tmp_path):
    code = "from worker.job_folder import JobFolder\nfolder = JobFolder()"
    subprocess.run([sys.executable, "-c", code], env={"TMPDIR": str(tmp_path)}, check=True)
    assert list(tmp_path.iterdir()) == []
