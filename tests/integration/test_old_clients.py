"""BullMQ 5's `paused` list, as a worker of ours finds and empties it, and the warning that goes with it."""

from __future__ import annotations

from typing import Any

import pytest
from running_worker import MakeQueue, Redis, StartWorker
from structlog.testing import capture_logs

from corral import JobContext, Queue
from corral.bullmq.old_clients import PAUSED_LIST, merge_paused
from corral.worker.old_clients import mind_old_clients
from eventually import eventually


@pytest.fixture
def work(make_queue: MakeQueue) -> Queue:
    queue = make_queue("work")

    @queue.job("x")
    async def run(job: JobContext, data: int) -> int:
        return data

    return queue


async def _mind(queue: Queue) -> list[Any]:
    with capture_logs() as lines:
        await mind_old_clients(queue.client(), queue.keys())
    return [line["event"] for line in lines]


async def test_the_list_goes_in_front_in_its_order_however_long_it_is(work: Queue, redis: Redis) -> None:
    keys = work.keys()
    old = [job.id for job in await work.add_many("x", list(range(2_500)))]
    await redis.rename(keys.wait, keys.paused)
    new = [job.id for job in await work.add_many("x", [-1, -2])]
    merged = await merge_paused(work.client(), keys)
    assert (merged.moved, merged.version) == (2_500, "")
    assert await redis.exists(keys.paused) == 0
    assert (await redis.lrange(keys.wait, 0, -1))[::-1] == old + new  # taken from the end


@pytest.mark.parametrize(
    ("meta", "marked"), [({}, 1), ({"paused": 1}, 0), ({"concurrency": 1}, 0), ({"concurrency": 2}, 1)]
)
async def test_workers_are_woken_only_where_they_may_run_something(
    work: Queue, redis: Redis, meta: dict[str, int], marked: int
) -> None:
    keys = work.keys()
    await redis.rpush(keys.paused, "7")
    await redis.rpush(keys.active, "6")
    if meta:
        await redis.hset(keys.meta, mapping=meta)
    assert (await merge_paused(work.client(), keys)).moved == 1
    assert await redis.zcard(keys.marker) == marked
    assert await redis.hget(keys.meta, "paused") == (str(meta["paused"]) if "paused" in meta else None)


async def test_nothing_is_said_or_written_where_there_is_no_old_client(work: Queue, redis: Redis) -> None:
    keys = work.keys()
    await redis.hset(keys.meta, "version", "bullmq:6.7.0")
    before = await redis.keys()
    assert await _mind(work) == []
    assert await redis.keys() == before
    assert (await work.admin.meta()).old_clients is None


async def test_it_is_told_once_and_remembered_for_a_day(work: Queue, redis: Redis) -> None:
    keys = work.keys()
    await redis.hset(keys.meta, "version", "bullmq:5.81.3")
    assert (await work.admin.meta()).old_clients == "bullmq:5.81.3"
    assert await _mind(work) == ["old_clients_on_queue"]
    assert await _mind(work) == []

    await redis.hset(keys.meta, "version", "bullmq:6.7.0")
    assert (await work.admin.meta()).old_clients == "bullmq:5.81.3"
    assert 86_000 < await redis.ttl(keys.old_clients) <= 86_400
    await redis.delete(keys.old_clients)
    assert (await work.admin.meta()).old_clients is None

    await redis.rpush(keys.paused, "7")
    assert (await work.admin.meta()).old_clients == PAUSED_LIST
    assert await _mind(work) == ["paused_jobs_merged", "old_clients_on_queue"]
    assert (await work.admin.meta()).old_clients == PAUSED_LIST


async def test_a_worker_runs_what_was_stranded(
    work: Queue, redis: Redis, start_worker: StartWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CORRAL_LOCK_SECONDS", "1")
    monkeypatch.setenv("CORRAL_STALLED_SECONDS", "1")
    await start_worker(work).ready()
    jobs = await work.add_many("x", list(range(20)), delay=3600)
    # As a BullMQ 5 that crashed in the middle of something leaves it: not paused, and not in `wait`.
    await redis.delete(work.keys().delayed)
    await redis.lpush(work.keys().paused, *[job.id for job in jobs])

    async def done() -> bool:
        return bool((await work.counts())["completed"] == 20)

    await eventually(done)


async def test_obliterate_forgets_the_old_clients(work: Queue, redis: Redis) -> None:
    await work.add("x", 1)
    await redis.hset(work.keys().meta, "version", "bullmq:5.81.3")
    await _mind(work)
    await work.admin.obliterate()
    assert await redis.keys() == []
