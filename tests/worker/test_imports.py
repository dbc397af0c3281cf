"""The worker's own process is small: what scores is in the job process alone."""

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
HEAVY = {"xgboost", "pandas", "numpy", "numba", "scipy", "sklearn"}
PARENT = """
import json, sys
from pathlib import Path
import worker.commands, worker.service
from worker.job import JobSettings
from worker.job_process import JobProcess

if __name__ == "__main__":
    process = JobProcess(JobSettings(Path("model/artifacts/telco"), 1, "uploads", "results"))
    process.wait_ready()
    process.stop()
    print(json.dumps(sorted(sys.modules)))
"""


def test_the_parent_imports_nothing_that_scores_though_its_job_process_does():
    parent = subprocess.run(
        [sys.executable, "-c", PARENT],
        stdout=subprocess.PIPE,
        env=os.environ | {"AWS_REGION": "eu-central-1"},
        cwd=ROOT,
        check=True,
    )
    imported = set(json.loads(parent.stdout))
    assert "worker.consumer" in imported
    assert not HEAVY & imported
