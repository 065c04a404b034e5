"""Workers killed at random: as many deliveries as ends of jobs, each job's once. None lost, none invented."""

from __future__ import annotations

import json
import random
import time
from collections import Counter
from pathlib import Path

import pytest
from service import until
from workers import Ledger, counts, workers

from corral import Dedup, NewJob, Queue, Retention
from corral.bullmq.connection import close_shared_clients
from redis_process import RedisProcess

JOBS = 800
DEDUPLICATED = 100
KILLS = 5


async def test_every_end_is_told_once_whenever_a_worker_dies(
    server: RedisProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CORRAL_WEBHOOK_SECRET", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    url = "https://receiver.example.org/in"
    queue = Queue("ledger", redis_url=server.url, prefix="bull", retention=Retention())
    await queue.add_many("work", [{"n": n} for n in range(JOBS - DEDUPLICATED)], webhook=url)
    # These take BullMQ's own script, one call each.
    await queue.add_batch(
        [
            NewJob("work", {"n": n}, webhook=url, dedup=Dedup.simple(str(n)))
            for n in range(JOBS - DEDUPLICATED, JOBS)
        ]
    )
    seed = random.randrange(10_000)
    print(f"seed {seed}")  # noqa: T201  # shown when the test fails
    dice, ledger = random.Random(seed), Ledger(server)
    fast = {"CORRAL_LOCK_SECONDS": "2", "CORRAL_STALLED_SECONDS": "1", "WORK_SECONDS": "0.01"}
    with workers(server, tmp_path, **fast) as group:
        for _ in range(2):
            group.start()
        until(ledger.count, lambda done: done > 0)
        for _ in range(KILLS):
            time.sleep(dice.uniform(0.05, 0.3))
            group.kill(dice.choice(group.running))
            group.start()
        ended = until(lambda: counts(server), lambda c: c["completed"] + c["failed"] == JOBS)
    ids = server.client.lrange("bull:webhooks:wait", 0, -1)
    told: Counter[tuple[str, str]] = Counter()
    for delivery in ids:
        data = json.loads(server.client.hget(f"bull:webhooks:{delivery}", "data") or "{}")
        told[data["event"], data["id"]] += 1
    expected = {
        (event, job_id)
        for event in ("completed", "failed")
        for job_id in server.client.zrange(f"bull:ledger:{event}", 0, -1)
    }
    assert set(told) == expected
    assert set(told.values()) == {1}
    assert len(ids) == ended["completed"] + ended["failed"]
    ledger.close()
    await queue.close()
    await close_shared_clients()
