"""How everything stands, and which workers live, as read from Redis."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest
from running_worker import MakeQueue, Redis, StartWorker

from corral import JobContext, Priority, Queue, Retry, Snooze
from corral.breakers import Breakers
from corral.observe.stand import read_standing, read_workers
from corral.observe.standing import QueueStanding
from corral.worker import reporting
from eventually import eventually


async def of(queue: Queue) -> QueueStanding:
    return (await read_standing([queue], server=False)).queues[queue.name]


async def test_a_worker_is_listed_while_it_runs_and_gone_when_it_ends(
    make_queue: MakeQueue, start_worker: StartWorker, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reporting, "BEAT_SECONDS", 0.05)
    queue, go = make_queue(), asyncio.Event()

    @queue.job("held")
    async def held(job: Any, data: None) -> None:
        await go.wait()

    jobs = await queue.add_many("held", [None] * 30)
    running = await start_worker(queue, concurrency=25, name="mails").ready()

    async def busy() -> Any:
        found = await read_workers(queue.client(), "bull")
        return found if found and len(found[0].jobs) == 20 else None

    (worker,) = await eventually(busy)
    assert worker.name.startswith("mails@")
    assert (worker.queues, worker.slots, worker.busy, worker.quiet) == ((queue.name,), 25, 25, False)
    assert len(worker.jobs) == 20
    assert {job.id for job in worker.jobs} <= {job.id for job in jobs}
    assert {(job.queue, job.name) for job in worker.jobs} == {(queue.name, "held")}
    assert abs(worker.jobs[0].started_at - time.time()) < 60
    assert worker.memory_bytes > 10_000_000
    assert 0 < worker.started_at <= worker.beat_at
    ttl = await redis.pttl(f"corral:bull::worker:{worker.name}")
    assert 0 < ttl <= 30_000  # so soon is one gone that was killed
    go.set()
    await running.stop()
    assert await read_workers(queue.client(), "bull") == ()
    assert await redis.keys("corral:bull::worker*") == []


async def test_a_beat_tells_how_many_attempts_ended(
    make_queue: MakeQueue, start_worker: StartWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reporting, "BEAT_SECONDS", 0.05)
    queue, put_back = make_queue(retry=Retry(attempts=2, delay=0.01)), set[str]()

    @queue.job("ends")
    async def ends(job: JobContext, data: str) -> None:
        if data == "fails":
            raise ValueError(data)
        if data == "snoozes" and job.id not in put_back:
            put_back.add(job.id)
            raise Snooze(0.01)

    await queue.add_many("ends", ["well"] * 5 + ["fails"] * 2 + ["snoozes"])
    await start_worker(queue).ready()

    async def told() -> Any:
        workers = await read_workers(queue.client(), "bull")
        return workers[0] if workers and workers[0].done == 10 else None

    # Five, two that failed and were tried again, and one: putting it back was no end.
    worker = await eventually(told)
    assert worker.done_per_second is not None
    assert worker.done_per_second >= 0


async def test_the_list_of_workers_heals_itself(queue: Queue, redis: Redis) -> None:
    await redis.sadd("corral:bull::workers", "gone-1", "gone-2", "torn")
    await redis.set("corral:bull::worker:torn", "{")
    assert await read_workers(queue.client(), "bull") == ()
    assert await redis.smembers("corral:bull::workers") == {"torn"}


async def test_workers_of_one_name_are_told_apart(make_queue: MakeQueue, start_worker: StartWorker) -> None:
    one, other = make_queue(), make_queue()
    for queue in (one, other):
        await start_worker(queue, name="twin").ready()
    found = await eventually(lambda: _two(one))
    assert len({worker.name for worker in found}) == 2


async def _two(queue: Queue) -> Any:
    found = await read_workers(queue.client(), "bull")
    return found if len(found) == 2 else None


async def test_a_queue_with_nothing_waits_for_nothing(queue: Queue) -> None:
    standing = await of(queue)
    assert standing.oldest_waiting_seconds is None
    assert standing.waiting == 0
    assert standing.drain_seconds == 0.0
    assert not standing.paused


async def backdate(redis: Redis, queue: Queue, job_id: str, seconds: float, **fields: Any) -> None:
    """Make a job one that was added so long ago."""
    key = queue.keys().job(job_id)
    added = float(await redis.hget(key, "timestamp"))
    await redis.hset(key, mapping={"timestamp": f"{added - seconds * 1000:.0f}", **fields})


@pytest.mark.parametrize("v5", [False, True])
async def test_the_oldest_of_the_waiting_list_counts_from_when_it_was_due(
    queue: Queue, redis: Redis, v5: bool
) -> None:
    old = await queue.add("build", 1)
    await queue.add("build", 2)
    await backdate(redis, queue, old.id, 500, opts='{"delay":100000}')
    if v5:
        await redis.rename(queue.keys().wait, queue.keys().paused)
    age = (await of(queue)).oldest_waiting_seconds
    assert age is not None
    assert 400 <= age < 420


async def test_a_queue_filled_in_front_shows_the_one_that_came_first(queue: Queue, redis: Redis) -> None:
    first = await queue.add("build", 1, lifo=True)
    for number in range(20):
        await queue.add("build", number, lifo=True)
    await backdate(redis, queue, first.id, 300)
    assert 300 <= ((await of(queue)).oldest_waiting_seconds or 0) < 320


async def test_a_low_priority_that_starves_shows(queue: Queue, redis: Redis) -> None:
    low = await queue.add("build", 1, priority=Priority.LOW)
    for number in range(10):
        await queue.add("build", number, priority=Priority.LOW)
        await queue.add("build", number, priority=Priority.HIGH)
    await backdate(redis, queue, low.id, 900)
    assert 900 <= ((await of(queue)).oldest_waiting_seconds or 0) < 920


async def test_what_is_parked_in_a_group_and_what_is_due_wait_too(queue: Queue, redis: Redis) -> None:
    now = time.time() * 1000
    await redis.zadd(queue.keys().waiting_children, {"parked": -(now - 70_000), "parent": now})
    assert 70 <= ((await of(queue)).oldest_waiting_seconds or 0) < 90
    await redis.zadd(queue.keys().delayed, {"due": (now - 90_000) * 4096, "later": (now + 90_000) * 4096})
    assert 90 <= ((await of(queue)).oldest_waiting_seconds or 0) < 110


async def test_a_job_that_ran_before_counts_only_where_no_fresh_one_tells(queue: Queue, redis: Redis) -> None:
    retried = await queue.add("build", 1)
    fresh = await queue.add("build", 2)
    started = (time.time() - 600) * 1000
    await backdate(redis, queue, retried.id, 3_600, processedOn=f"{started:.0f}")
    assert ((await of(queue)).oldest_waiting_seconds or 0) < 60
    await redis.lrem(queue.keys().wait, 1, fresh.id)
    assert 600 <= ((await of(queue)).oldest_waiting_seconds or 0) < 660


async def test_odd_entries_harm_nothing(queue: Queue, redis: Redis) -> None:
    await redis.rpush(queue.keys().wait, "0:123", "meta", "no-such", "list")
    await redis.rpush(queue.keys().base + "list", "no hash")
    await redis.hset(queue.keys().job("no-such"), "timestamp", "soon")
    assert (await of(queue)).oldest_waiting_seconds is None


async def test_late_schedules_unknown_names_pause_and_held_jobs(queue: Queue, redis: Redis) -> None:
    now = time.time() * 1000
    await redis.zadd(queue.keys().repeat, {"late": now - 65_000, "next": now + 60_000})
    await redis.hset(queue.keys().unknown_names(), mapping={"new": int(now), "old": int(now - 600_000)})
    await queue.admin.pause()
    await Breakers(queue.address().url).hold("onfido", "by hand")
    held = {f"{queue.name}:{number}": now for number in range(7)} | {"another:1": now}
    await redis.zadd("corral:bull::breaker:onfido:held", held)
    standing = await read_standing([queue])
    one = standing.queues[queue.name]
    assert one.late_schedules.keys() == {"late"}
    assert 65 <= one.late_schedules["late"] < 80
    assert one.unknown_names == ("new",)
    assert one.paused
    assert one.held == {"onfido": 7}
    (breaker,) = standing.breakers
    assert (breaker.name, breaker.state, breaker.held, breaker.reason) == ("onfido", "open", 8, "by hand")
    assert standing.server is not None
    assert standing.server.memory_bytes > 0
    assert standing.server.version
    assert not standing.server.append_only
    assert not standing.server.persistence_failing


async def test_a_server_that_may_not_be_asked_is_none(
    make_queue: MakeQueue, redis: Redis, redis_url: str
) -> None:
    await redis.execute_command("ACL", "SETUSER", "watcher", "on", ">secret", "allkeys", "+@all", "-info")
    limited = Queue("limited", redis_url=redis_url.replace("redis://", "redis://watcher:secret@"))
    make_queue()  # closes the clients
    try:
        standing = await read_standing([limited])
        assert standing.server is None
        assert standing.queues["limited"].counts["waiting"] == 0
    finally:
        await limited.close()
        await redis.execute_command("ACL", "DELUSER", "watcher")


async def test_no_queues_stand_nowhere() -> None:
    assert (await read_standing([])).queues == {}
