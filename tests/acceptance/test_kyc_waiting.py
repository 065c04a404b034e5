"""Many verifications wait on their providers at once in one process: the checks of the bench, smaller."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from service import environment

ROOT = Path(__file__).parents[2]
JOBS = 30


def test_all_verifications_that_wait_in_one_process_come_to_their_end() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "bench.kyc_waiting", "--jobs", str(JOBS)],
        cwd=ROOT,
        env=environment(PYTHONPATH=f"{ROOT}:{ROOT / 'src'}"),
        capture_output=True,
        text=True,
        timeout=150,
        check=False,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    # It was not over before all had gone to sleep, and paid each once: else it ends with an error.
    assert json.loads(done.stdout)["jobs"] == JOBS
