"""What a job costs on the wire: Redis commands and round trips, counted by the server.

No time is judged. Handlers end together, a hundred at a time, so that the size of a batch does not depend on
how fast the machine is. What a job costs by itself is exact: one command more on the hot path fails here. Who
changes the hot path for a reason changes the number here and says why.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from redis_traffic import Traffic
from running_worker import MakeQueue, Redis, StartWorker

from corral import JobContext, Queue, Retry
from corral.bullmq.connection import shared_line
from eventually import eventually

JOBS = 1_000
CONCURRENCY = 100

#: Calls of scripts for JOBS runs that end in hundreds. Twenty must be, since one call fetches no more than 50
#: jobs; 23 to 25 are seen, the add included. One call a job would be 1,000.
MOST_CALLS = 32

#: Commands that a call of step.lua makes once, however many jobs it carries. 11 to 13 are seen.
PER_CALL = 16

Handler = Callable[..., Awaitable[Any]]
Counted = Callable[..., Awaitable[Traffic]]


def together(handler: Handler) -> Handler:
    """The handler, its runs ending in hundreds."""
    barrier = asyncio.Barrier(CONCURRENCY)

    async def run(job: JobContext, data: dict[str, int]) -> None:
        if data["n"] >= 0:  # else it warms up
            await barrier.wait()
        await handler(job)

    return run


async def succeeds(job: JobContext) -> None:
    pass


async def fails(job: JobContext) -> None:
    raise ValueError("as asked")


async def fails_once(job: JobContext) -> None:
    if job.attempt == 1:
        raise ValueError("as asked")


def items() -> list[dict[str, int]]:
    return [{"n": n} for n in range(JOBS)]


# Adding


async def warm_up(queue: Queue) -> None:
    """Add until all connections are there: signing in is no part of an add."""
    await queue.add("noop", {"n": 0})

    async def has_line() -> bool:
        return shared_line(queue.address()).is_open()

    await eventually(has_line)


async def test_a_batch_costs_three_commands_a_job_and_one_call(queue: Queue, redis: Redis) -> None:
    await warm_up(queue)
    traffic = await Traffic.start(redis)
    await queue.add_many("noop", items())
    await traffic.stop()
    assert traffic.calls == {
        "evalsha": 1, "hset": JOBS, "xadd": 2 * JOBS,
        "time": 1, "hmget": 1, "incrby": 1, "lpush": 1, "zadd": 1, "xtrim": 1,
    }  # fmt: skip


async def test_single_adds_of_one_moment_share_calls(queue: Queue, redis: Redis) -> None:
    await warm_up(queue)
    traffic = await Traffic.start(redis)
    await asyncio.gather(*(queue.add("noop", item) for item in items()))
    await traffic.stop()
    calls = traffic.scripts
    assert 1 <= calls <= 4
    assert traffic.calls == {
        "evalsha": calls, "hset": JOBS, "xadd": 2 * JOBS,
        "time": calls, "hmget": calls, "incrby": calls, "lpush": calls, "zadd": calls, "xtrim": calls,
    }  # fmt: skip


async def test_a_lone_add_is_one_round_trip(queue: Queue, redis: Redis) -> None:
    await warm_up(queue)
    traffic = await Traffic.start(redis)
    await queue.add("noop", {"n": 1})
    await traffic.stop()
    assert traffic.calls == {
        "evalsha": 1, "hset": 1, "xadd": 2, "time": 1, "hmget": 1, "incrby": 1, "lpush": 1, "zadd": 1,
        "xtrim": 1,
    }  # fmt: skip
    assert traffic.reads == 1


# Running


@pytest.fixture
def counted(make_queue: MakeQueue, start_worker: StartWorker, redis: Redis) -> Counted:
    """`await counted(handler)`: the traffic of JOBS jobs, from their add to the last settlement."""

    async def run(handler: Handler, *, attempts: int = 1, **options: Any) -> Traffic:
        queue = make_queue(retry=Retry(attempts=attempts, delays=(0,)))
        queue.job("noop")(together(handler))
        running = await start_worker(queue, concurrency=CONCURRENCY).ready()
        state = running.feeds[0].state
        await queue.add("noop", {"n": -1}, **options)  # connections, scripts
        await eventually(lambda: state.settled == attempts)
        await at_rest(redis)
        traffic = await Traffic.start(redis)
        await queue.add_many("noop", items(), **options)
        await eventually(lambda: state.settled == (JOBS + 1) * attempts, within=60)
        await traffic.stop()
        assert state.faults == state.lost == 0
        return traffic

    return run


async def at_rest(redis: Redis) -> None:
    """Until the worker has nothing to do but wait for a marker."""

    async def waits() -> bool:
        return any(
            client["cmd"] == "bzpopmin" and "b" in client["flags"] for client in await redis.client_list()
        )

    await eventually(waits)


def rest_of(traffic: Traffic, per_job: dict[str, int]) -> int:
    """Commands beyond `per_job`, which may be exceeded only by what calls make once.

    A group that runs empty between two fetches leaves the ring and comes back: hence 100 fewer, 200 more.
    """
    for name, times in per_job.items():
        low, seen = times * JOBS, traffic.calls[name]
        assert low - 100 <= seen <= low + 200, (name, traffic.calls)
    return traffic.commands - sum(per_job.values()) * JOBS


async def test_a_plain_job_costs_ten_commands_and_a_part_of_a_call(counted: Counted) -> None:
    traffic = await counted(succeeds)
    assert traffic.scripts <= MOST_CALLS
    assert traffic.reads <= 2 * MOST_CALLS  # a call that settles a hundred is a few reads
    # Three to add it; HMGET of its stamp, HLEN, two HSET, two XADD and HMGET of its data to run it.
    assert traffic.calls["hset"] == 3 * JOBS
    assert traffic.calls["hlen"] == JOBS
    rest = rest_of(traffic, {"hset": 3, "xadd": 4, "hmget": 2, "hlen": 1})
    assert rest <= PER_CALL * traffic.scripts


async def test_a_failing_job_costs_four_more(counted: Counted) -> None:
    traffic = await counted(fails)
    assert traffic.scripts <= MOST_CALLS
    # The fields that a retry would have left, the event that no attempt is left, and the row of its history.
    rest = rest_of(traffic, {"hset": 4, "xadd": 5, "hmget": 3, "hlen": 1, "hdel": 1})
    assert rest <= PER_CALL * traffic.scripts


async def test_a_job_that_is_tried_again_costs_twice_and_its_lock(counted: Counted) -> None:
    traffic = await counted(fails_once, attempts=2)
    assert traffic.scripts <= 2 * MOST_CALLS
    assert traffic.reads <= 3 * MOST_CALLS
    assert traffic.calls["hset"] == 6 * JOBS
    assert traffic.calls["hlen"] == 3 * JOBS
    # A second run is locked at once (SET, EXISTS) and goes back by LPUSH and a marker. The first is noted.
    rest = rest_of(
        traffic,
        {"hset": 6, "xadd": 6, "hmget": 6, "hlen": 3, "zadd": 1, "lpush": 1, "set": 1, "exists": 1},
    )
    assert rest <= PER_CALL * traffic.scripts


async def test_a_grouped_job_costs_what_its_group_needs(counted: Counted) -> None:
    traffic = await counted(succeeds, group="tenant-7")
    assert traffic.scripts <= MOST_CALLS
    rest = rest_of(
        traffic,
        {
            "hset": 4, "xadd": 4, "zadd": 4, "zpopmin": 2, "hmget": 2, "zcard": 2, "hget": 2, "hlen": 2,
            "exists": 1, "set": 1, "srem": 1, "zrevrangebyscore": 1, "sadd": 1, "zrem": 1,
        },
    )  # fmt: skip
    assert rest <= 2 * PER_CALL * traffic.scripts


# At rest


async def test_an_idle_worker_waits_instead_of_asking(
    queue: Queue, redis: Redis, start_worker: StartWorker
) -> None:
    queue.job("noop")(together(succeeds))
    running = await start_worker(queue, concurrency=CONCURRENCY).ready()
    await at_rest(redis)
    traffic = await Traffic.start(redis)
    # The worker's own clock: the blocking command ends after 5 s and is sent again.
    await eventually(lambda: poll_ended(redis), within=30)
    await traffic.stop()
    assert running.feeds[0].state.fetched == 0
    assert traffic.calls["bzpopmin"] <= 2
    assert traffic.scripts <= 4
    assert traffic.commands <= 40


async def poll_ended(redis: Redis) -> bool:
    stats = await redis.info("commandstats")
    return int(stats.get("cmdstat_bzpopmin", {"calls": 0})["calls"]) >= 1


async def test_a_job_for_an_idle_worker_is_a_handful_of_calls(
    queue: Queue, redis: Redis, start_worker: StartWorker
) -> None:
    queue.job("noop")(together(succeeds))
    running = await start_worker(queue, concurrency=CONCURRENCY).ready()
    state = running.feeds[0].state
    await queue.add("noop", {"n": -1})
    await eventually(lambda: state.settled == 1)
    await at_rest(redis)
    traffic = await Traffic.start(redis)
    await queue.add("noop", {"n": -1})
    await eventually(lambda: state.settled == 2)
    await traffic.stop()
    assert traffic.scripts <= 5
    assert traffic.commands <= 80
