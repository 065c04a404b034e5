"""Worker processes killed at random: no group runs more jobs at once than it may, and no place is lost."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import redis
from service import environment, until
from workers import CHILDREN

from corral import Queue
from corral.adding import ManyOptions
from corral.bullmq.connection import close_shared_clients
from redis_process import RedisProcess

KILLS = 5
JOBS_EACH = 60
BOUNDS = {"tenant-1": 2, "tenant-2": 2, "lock:user-1": 1, "lock:user-2": 1}


async def test_groups_keep_their_bounds_when_workers_are_killed(server: RedisProcess, tmp_path: Path) -> None:
    seed = random.randrange(10_000)
    print(f"seed {seed}")  # noqa: T201  # shown when the test fails
    dice = random.Random(seed)
    queue = Queue("grouped", redis_url=server.url, prefix="bull")
    for key in BOUNDS:
        options: ManyOptions = {"remove_on_complete": False}
        if key.startswith("lock:"):
            options["lock"] = key.removeprefix("lock:")
        else:
            options["group"] = key
        await queue.add_many("work", [{"key": key}] * JOBS_EACH, **options)
    total = len(BOUNDS) * JOBS_EACH
    ledger: Any = redis.Redis.from_url(f"{server.url}/1", decode_responses=True, socket_timeout=5)

    def start() -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "corral.worker.process", "group_jobs:queue", "--quiet"]
        env = environment(
            REDIS_URL=server.url,
            LEDGER_URL=f"{server.url}/1",
            CORRAL_LOCK_SECONDS="3",
            CORRAL_STALLED_SECONDS="1",
        )
        return subprocess.Popen([*command, "--health-dir", str(tmp_path)], cwd=CHILDREN, env=env)

    running = [start() for _ in range(3)]
    try:
        for kill in range(1, KILLS + 1):
            _wait_for_rows(ledger, kill * total // 8)
            victim = running.pop(dice.randrange(len(running)))
            victim.send_signal(signal.SIGKILL)
            victim.wait(10)
            ledger.rpush("story", json.dumps(["killed", victim.pid, "", ""]))
            running.append(start())
        ended = until(
            lambda: {s: server.client.zcard(f"bull:grouped:{s}") for s in ("completed", "failed")},
            lambda counts: sum(counts.values()) == total,
        )
    finally:
        for process in running:
            process.terminate()
        for process in running:
            process.wait(20)

    story = [json.loads(row) for row in ledger.lrange("story", 0, -1)]
    assert sum(row[0] == "killed" for row in story) == KILLS
    assert most_at_once(story) == BOUNDS
    # Killed twice, a job is in the dead letters, and that is told; every other one was done.
    done = {row[3] for row in story if row[0] == "end"}
    assert ended["completed"] == len(done - failed_jobs(server))
    lasting = [key for key in server.client.scan_iter("corral:*") if server.client.pttl(key) < 0]
    assert set(lasting) <= {"corral:bull::releases", "corral:bull::workers"}
    assert server.client.zcard("bull:grouped:waiting-children") == 0
    ledger.close()
    await queue.close()
    await close_shared_clients()


def most_at_once(story: list[list[Any]]) -> dict[str, int]:
    """The most jobs of each key that ran together, over all processes."""
    inside: Counter[tuple[str, int, str]] = Counter()
    most: Counter[str] = Counter()
    for what, pid, key, job in story:
        if what == "start":
            inside[key, pid, job] = 1
            most[key] = max(most[key], sum(n for (k, _, _), n in inside.items() if k == key))
        elif what == "end":
            inside[key, pid, job] = 0
        else:
            for entry in inside:
                if entry[1] == pid:
                    inside[entry] = 0
    return dict(most)


def failed_jobs(server: RedisProcess) -> set[str]:
    """One of them may have done its work, and was killed a second time before that was said."""
    ids: Any = server.client.zrange("bull:grouped:failed", 0, -1)
    return {job if isinstance(job, str) else job.decode() for job in ids}


def _wait_for_rows(ledger: Any, rows: int) -> None:
    until(lambda: ledger.llen("story"), lambda written: written > rows)
