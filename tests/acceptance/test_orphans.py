"""A worker process whose supervisor is gone ends, however early that went, and with no Redis there."""

from __future__ import annotations

import subprocess
import sys

import pytest
from service import environment
from workers import CHILDREN

#: Starts a worker process and is gone before that has loaded anything. Says its number.
SUPERVISOR = """
import os, subprocess, sys
command = [sys.executable, "-m", "corral.worker.process", "ledger_jobs:queue"]
subprocess.Popen([*command, "--supervisor", str(os.getpid())])
os._exit(0)
"""


@pytest.mark.timeout(180)
def test_a_supervisor_that_died_before_its_process_had_started_is_missed() -> None:
    nobody = "redis://127.0.0.1:1"
    env = environment(REDIS_URL=nobody, LEDGER_URL=f"{nobody}/1")
    # The worker inherits the pipe: reading ends when the worker has ended, not when its supervisor has.
    done = subprocess.run(
        [sys.executable, "-c", SUPERVISOR],
        cwd=CHILDREN,
        env=env,
        capture_output=True,
        timeout=120,
        check=False,
    )
    assert b"supervisor_gone" in done.stdout + done.stderr
