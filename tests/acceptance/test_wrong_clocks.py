"""Clocks that are wrong by an hour, of who adds and of who works: times are told by Redis alone."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from service import environment, until
from workers import CHILDREN, workers

from corral import Queue
from corral.bullmq.connection import close_shared_clients
from redis_process import RedisProcess

HOUR_MS = 3_600_000

#: Far less than what is wrong, far more than a slow machine takes.
NEAR_MS = 600_000

WRONG = pytest.mark.parametrize("wrong", [-3600, 3600], ids=["an hour behind", "an hour ahead"])


@pytest.fixture
async def queue(server: RedisProcess) -> AsyncIterator[Queue]:
    queue = Queue("clocks", redis_url=server.url, prefix="bull")
    yield queue
    await queue.close()
    await close_shared_clients()


def now_ms(server: RedisProcess) -> float:
    seconds, microseconds = server.client.time()
    return float(seconds * 1000 + microseconds / 1000)


@WRONG
def test_a_producer(server: RedisProcess, wrong: int) -> None:
    env = environment(REDIS_URL=server.url, CLOCK_WRONG_BY=str(wrong))
    program = [sys.executable, "wrong_clock_producer.py", str(time.time() + 3600)]
    added = subprocess.run(program, cwd=CHILDREN, env=env, capture_output=True, check=True, timeout=60)
    ids = json.loads(added.stdout)
    now = now_ms(server)
    for kind, job_id in ids.items():
        stored = server.client.hget(f"bull:clocks:{job_id}", "timestamp")
        assert abs(float(stored) - now) < NEAR_MS, kind
    due = dict(server.client.zrange("bull:clocks:delayed", 0, -1, withscores=True))
    for kind in ("delayed", "at", "one of a batch", "deduplicated", "child"):
        assert abs(due[ids[kind]] / 4096 - now - HOUR_MS) < NEAR_MS, kind
    assert abs(server.client.pttl("bull:clocks:de:b") - HOUR_MS) < NEAR_MS
    (next_run,) = (score for _, score in server.client.zrange("bull:clocks:repeat", 0, -1, withscores=True))
    assert -NEAR_MS < next_run - now <= HOUR_MS


@WRONG
async def test_a_worker(server: RedisProcess, queue: Queue, tmp_path: Path, wrong: int) -> None:
    settings = {"CORRAL_LOCK_SECONDS": "2", "CORRAL_STALLED_SECONDS": "2"}
    with workers(server, tmp_path, "wrong_clock_jobs:queue", CLOCK_WRONG_BY=str(wrong), **settings) as group:
        group.start()
        far = await queue.add("build", delay=1800)
        signalled = await queue.add("waiting", 1800.0)
        timed = {
            "plain": await queue.add("build", remove_on_complete=False),
            "delayed": await queue.add("build", delay=1, remove_on_complete=False),
            "retried": await queue.add("flaky"),
            "in time": await queue.add("build", ttl=60),
            "in time, delayed": await queue.add("build", ttl=60, delay=1),
            "short wait": await queue.add("waiting", 1.0),
            "with a time limit": await queue.add("limited", timeout=60),
        }
        grouped = [await queue.add("build", group="tenant") for _ in range(5)]
        results = {kind: await job.result(timeout=60) for kind, job in timed.items()}
        assert results == {
            "plain": "built", "delayed": "built", "retried": 2, "in time": "built",
            "in time, delayed": "built", "short wait": "timed out", "with a time limit": True,
        }  # fmt: skip
        await asyncio.gather(*(job.result(timeout=60) for job in grouped))
        now = now_ms(server)
        for kind, job in timed.items():
            stored = await finished(server, job.id)
            assert abs(stored["finishedOn"] - now) < NEAR_MS, kind
            assert abs(stored["processedOn"] - now) < NEAR_MS, kind
        delayed = await finished(server, timed["delayed"].id)
        assert delayed["processedOn"] - delayed["timestamp"] >= 1000
        # Two of a group each three seconds.
        starts = sorted([(await finished(server, job.id))["processedOn"] for job in grouped])
        assert starts[4] - starts[0] >= 3_000
        # What is to wait still waits; what was kept for half an hour is there.
        assert (await far.refresh()).status == (await signalled.refresh()).status == "delayed"
        assert (await queue.counts())["completed"] == len(timed) + len(grouped)
        await queue.signal("go", "went")
        assert await signalled.result(timeout=30) == "went"
        assert (await queue.counts())["failed"] == 0


@WRONG
async def test_a_wait_that_begins_under_one_clock_and_ends_under_another(
    server: RedisProcess, queue: Queue, tmp_path: Path, wrong: int
) -> None:
    with workers(server, tmp_path, "wrong_clock_jobs:queue") as group:
        first = group.start(CLOCK_WRONG_BY=str(wrong))
        job = await queue.add("waiting", 4.0)
        until(lambda: server.client.zcard("bull:clocks:delayed"), lambda count: count == 1)
        group.kill(first)
        group.start()
        assert await job.result(timeout=60) == "timed out"
        stored = await finished(server, job.id)
        assert stored["finishedOn"] - stored["timestamp"] >= 4_000


@WRONG
async def test_what_is_removed_for_its_age(
    server: RedisProcess, queue: Queue, monkeypatch: pytest.MonkeyPatch, wrong: int
) -> None:
    """The one who cleans has the wrong clock: one that is ahead would remove what is young."""
    await queue.add_many("build", [None] * 3)
    old = await queue.add("build")
    server.client.hset(f"bull:clocks:{old.id}", "timestamp", round(now_ms(server) - 1.5 * HOUR_MS))
    server.client.lrem("bull:clocks:wait", 0, old.id)
    server.client.rpush("bull:clocks:wait", old.id)
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() + wrong)
    assert await queue.admin.clean("waiting", older_than=3600) == 1
    assert (await queue.counts())["waiting"] == 3


@WRONG
async def test_a_job_that_nobody_knows(
    server: RedisProcess, queue: Queue, tmp_path: Path, wrong: int
) -> None:
    """Held for a day by Redis's clock, whoever looks at it."""
    with workers(server, tmp_path, "wrong_clock_jobs:queue", CLOCK_WRONG_BY=str(wrong)) as group:
        group.start()
        job = await queue.add("not deployed yet")
        key = f"bull:clocks:{job.id}"
        since: Any = until(lambda: server.client.hget(key, "corral:unknown"), bool)
        assert abs(float(since) * 1000 - now_ms(server)) < NEAR_MS


async def finished(server: RedisProcess, job_id: str) -> dict[str, float]:
    stored = server.client.hgetall(f"bull:clocks:{job_id}")
    return {name: float(stored[name]) for name in ("timestamp", "processedOn", "finishedOn")}
