"""A worker that is killed -9 leaves no process behind, whatever its handlers are doing."""

from __future__ import annotations

import os
import subprocess
import sys
from functools import partial
from pathlib import Path

import psutil
from dead_processes import gone
from running_worker import MakeQueue

from eventually import eventually


async def test_no_child_outlives_its_worker(redis_url: str, make_queue: MakeQueue, tmp_path: Path) -> None:
    producer = make_queue("orphans")
    busy, native = tmp_path / "busy", tmp_path / "native"
    await producer.add("busy", str(busy))
    await producer.add("native_loop", str(native))
    worker = subprocess.Popen(
        [sys.executable, "-m", "corral.worker.process", "orphan_target:worker", "--quiet"],
        cwd=Path(__file__).parent,
        env=os.environ | {"REDIS_URL": redis_url, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )
    try:
        await eventually(lambda: busy.exists() and native.exists())
        idle = await (await producer.add("pid")).result(timeout=20)
        pids = [int(pid) for file in (busy, native) for pid in file.read_text().split()] + [idle]
        assert len(set(pids)) == 4
        assert all(psutil.pid_exists(pid) for pid in pids)
    finally:
        worker.kill()
        worker.wait()
    for pid in pids:
        await eventually(partial(gone, pid))
