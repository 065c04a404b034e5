"""Workers that die: the other side takes their jobs over. Workers that live: the other side takes nothing."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from node_process import BOTH_VERSIONS, Node, Workers
from redis.asyncio import Redis

from corral import Dedup, JobContext, Queue, Retry
from eventually import eventually

pytestmark = BOTH_VERSIONS

CHILD = Path(__file__).parent / "corral_child.py"

#: A stock worker that is killed: its job's lock runs out soon, and so does its turn to sweep.
SHORT_LIVED = json.dumps({"lockDuration": 1_000, "stalledInterval": 1_000})

#: A stock worker that only looks for stalled jobs, every 2 s.
SWEEPER = json.dumps({"autorun": False, "stalledInterval": 2_000})

Child = Callable[..., Awaitable[asyncio.subprocess.Process]]


@pytest.fixture
async def child(redis_url: str) -> AsyncIterator[Child]:
    """Start a Corral worker that has started its job; CORRAL_* as given."""
    async with AsyncExitStack() as stack:

        async def start(job_id: str, **environment: str) -> asyncio.subprocess.Process:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                str(CHILD),
                redis_url,
                "killed",
                stdout=asyncio.subprocess.PIPE,
                env={**os.environ, **environment},
            )

            async def kill() -> None:
                if process.returncode is None:
                    process.kill()
                await process.communicate()

            stack.push_async_callback(kill)
            assert process.stdout
            async with asyncio.timeout(20):
                while b"started " + job_id.encode() not in await process.stdout.readline():
                    assert not process.stdout.at_eof()
            return process

        yield start


@pytest.mark.parametrize("kind", ["plain", "retried", "dedup"])
async def test_corral_takes_over_from_a_killed_node_worker(
    redis_url: str, node: Node, workers: Workers, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.setenv("CORRAL_LOCK_SECONDS", "1")
    monkeypatch.setenv("CORRAL_STALLED_SECONDS", "1")
    queue = Queue("killed", redis_url=redis_url, retry=Retry(attempts=1))

    @queue.job("x")
    async def run(job: JobContext, data: Any) -> str:
        return f"corral, attempt {job.attempt} of {job.attempts}"

    client = await node("client.mjs", redis_url, "killed")
    theirs = await node("worker.mjs", redis_url, "killed", "1", SHORT_LIVED)
    kinds: dict[str, dict[str, Any]] = {
        "plain": {},
        "retried": {"attempts": 3, "priority": 2},
        "dedup": {"deduplication": {"id": "d"}},
    }
    options = kinds[kind]
    job_id = await client.call("add", "x", {"ms": 60_000}, options)
    await theirs.event("active", jobId=job_id)
    theirs.kill()
    await workers(queue)
    done = await client.event("completed", jobId=job_id)
    assert await client.event("stalled", jobId=job_id)
    attempts = options.get("attempts", 1)
    assert done["returnvalue"] == f"corral, attempt 1 of {attempts}"
    job = await client.call("job", job_id)
    assert (job["attemptsMade"], job["attemptsStarted"], job["stalledCounter"]) == (1, 2, 1)
    if kind == "dedup":
        assert await client.call("dedupJobId", "d") is None


@pytest.mark.parametrize("locked", [False, True], ids=["young", "locked"])
async def test_node_takes_over_from_a_killed_corral_worker(
    redis_url: str, node: Node, child: Child, locked: bool
) -> None:
    client = await node("client.mjs", redis_url, "killed")
    queue = Queue("killed", redis_url=redis_url)
    job = await queue.add("x", {"n": 1}, retry=None)
    process = await child(job.id, CORRAL_LOCK_SECONDS="2", CORRAL_STALLED_SECONDS="30")
    async with Redis.from_url(redis_url) as redis:

        async def has_lock() -> bool:
            return bool(await redis.exists(f"bull:killed:{job.id}:lock"))

        if locked:
            await eventually(has_lock)
        process.kill()
        await process.wait()
        assert locked or not await has_lock()
        # The child held the turn to sweep for 30 s; here its time is over.
        await redis.delete("bull:killed:stalled-check")
    await node("worker.mjs", redis_url, "killed", "1", json.dumps({"stalledInterval": 500}))
    assert await job.result(timeout=20) == {"echo": {"n": 1}, "by": "node"}
    assert await client.event("stalled", jobId=job.id)
    stored = await client.call("job", job.id)
    assert (stored["attemptsMade"], stored["attemptsStarted"], stored["stalledCounter"]) == (1, 2, 1)


async def test_a_stock_sweep_takes_no_job_of_a_live_corral_worker(
    redis_url: str, node: Node, workers: Workers
) -> None:
    """Jobs of all ages, some with a lock and some too young for one, over three sweeps of 2 s."""
    queue = Queue("living", redis_url=redis_url)
    ran: Counter[str] = Counter()

    @queue.job("x")
    async def run(job: JobContext, data: float) -> None:
        ran[job.id] += 1
        await asyncio.sleep(data)

    client = await node("client.mjs", redis_url, "living")
    sweeper = await node("worker.mjs", redis_url, "living", "1", SWEEPER)
    await workers(queue, concurrency=60)
    # The longest outlives two sweeps; the short ones, one after the other, are young at each of them.
    lasting = [n * 0.1 for n in range(5, 60)]
    jobs = await queue.add_many("x", lasting)
    jobs += await queue.add_many("x", [0.3] * 80)
    jobs.append(await queue.add("x", 3.0, dedup=Dedup.simple("d")))
    marked: set[str] = set()
    unlocked: set[str] = set()
    async with Redis.from_url(redis_url, decode_responses=True) as redis:

        async def swept() -> bool:
            return bool(await redis.exists("bull:living:stalled-check"))

        # By Corral itself, whose turn is 30 s. From now on it is the stock worker's, which begins afresh:
        # what keeps young jobs safe is the time between two sweeps, and that was cut short here.
        await eventually(swept)
        await redis.delete("bull:living:stalled-check", "bull:living:stalled")
        await sweeper.call("sweep")

        async def over() -> bool:
            names: Any = await redis.smembers("bull:living:stalled")
            marked.update(names)
            if names:
                locks = await redis.mget([f"bull:living:{name}:lock" for name in names])
                unlocked.update(name for name, lock in zip(names, locks, strict=True) if lock is None)
            return bool((await queue.counts())["completed"] == len(jobs))

        await eventually(over, within=30)
    assert marked, "no sweep looked at a running job"
    assert unlocked, "no job was marked before it had its lock"
    assert not [e for e in client.events if e["event"] == "stalled"]
    assert set(ran.values()) == {1}
    assert len(ran) == len(jobs)


async def test_a_corral_sweep_takes_no_job_of_a_live_node_worker(
    redis_url: str, node: Node, workers: Workers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CORRAL_LOCK_SECONDS", "0.5")
    monkeypatch.setenv("CORRAL_STALLED_SECONDS", "0.5")
    queue = Queue("living", redis_url=redis_url)

    @queue.job("other")
    async def run(job: JobContext) -> None:
        raise AssertionError("not for this worker")

    client = await node("client.mjs", redis_url, "living")
    theirs = await node("worker.mjs", redis_url, "living", "10")
    ids = await client.call("addBulk", [{"name": "x", "data": {"ms": 2_500}, "opts": {}}] * 10)
    await theirs.until(lambda: theirs.jobs["active"] >= set(ids), "start of all")
    await workers(queue)
    await client.until(lambda: client.jobs["completed"] >= set(ids), "end of all")
    assert not client.jobs["stalled"]
    assert {(await client.call("job", job_id))["attemptsStarted"] for job_id in ids} == {1}
