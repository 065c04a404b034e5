"""Worker processes killed at random: no job is lost, none is left, and only jobs in flight run twice."""

from __future__ import annotations

import random
import time
from collections import Counter
from pathlib import Path

from service import until
from workers import Ledger, Workers, counts, workers

from corral import Queue, Retention
from corral.bullmq.connection import close_shared_clients
from redis_process import RedisProcess

JOBS = 5_000
KILLS = 8

#: As children/ledger_jobs.py declares it.
CONCURRENCY = 20


async def test_five_thousand_jobs_survive_killed_workers(server: RedisProcess, tmp_path: Path) -> None:
    seed = random.randrange(10_000)
    print(f"seed {seed}")  # noqa: T201  # shown when the test fails
    dice = random.Random(seed)
    queue = Queue("ledger", redis_url=server.url, prefix="bull", retention=Retention())
    await queue.add_many("work", [{"n": n} for n in range(JOBS)], remove_on_complete=False)
    ledger = Ledger(server)

    with workers(server, tmp_path, CORRAL_LOCK_SECONDS="2", CORRAL_STALLED_SECONDS="1") as group:
        for _ in range(3):
            group.start()
        killed = _kill_at_random(group, ledger, dice)
        ended = until(lambda: counts(server), lambda c: c["completed"] + c["failed"] == JOBS)

    assert {place: ended[place] for place in ("wait", "active", "delayed", "prioritized")} == {
        "wait": 0,
        "active": 0,
        "delayed": 0,
        "prioritized": 0,
    }
    # A job that happened to be in flight at two kills is in the dead letters, with that as its reason.
    for job_id in server.client.zrange("bull:ledger:failed", 0, -1):
        assert "died or stalled" in str(server.client.hget(f"bull:ledger:{job_id}", "failedReason"))
    assert server.client.exists("bull:ledger:stalled") == 0
    assert list(server.client.scan_iter("bull:ledger:*:lock")) == []
    done = ledger.done()
    assert len(done) >= JOBS - ended["failed"]
    cut_off: Counter[int] = Counter()
    for number in range(JOBS):
        runs = ledger.runs(number)
        # Each run but the last was cut off by a kill: nothing else may run a job again.
        assert set(runs[:-1]) <= killed, f"job {number} ran in {runs}; killed were {sorted(killed)}"
        assert done.get(number, 0) <= len(runs)
        cut_off.update(runs[:-1])
    # In flight: what ran, and what had ended and was not yet told to Redis.
    assert all(cut_off[pid] <= 2 * CONCURRENCY for pid in killed), cut_off
    assert len(killed) == KILLS
    ledger.close()
    await queue.close()
    await close_shared_clients()


def _kill_at_random(group: Workers, ledger: Ledger, dice: random.Random) -> set[int]:
    """Kill and replace, each time after some further jobs were done, so that there is something in flight."""
    killed: set[int] = set()
    for _ in range(KILLS):
        goal = ledger.count() + dice.randrange(50, 300)
        until(ledger.count, lambda count, goal=goal: count >= goal)  # type: ignore[misc]  # bound now
        time.sleep(dice.random() * 0.05)  # a random moment within a job's run, not a wait for anything
        killed.add(group.kill(dice.choice(group.running)))
        group.start()
    return killed
