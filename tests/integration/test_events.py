"""`queue.events()` on a real Redis, through trimming, lost connections and a server that comes back empty."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing
from typing import Any

import pytest
from running_worker import MakeQueue, Redis, drain

from corral import JobContext, Queue
from corral import events as events_module
from corral.bullmq import stream
from corral.bullmq.connection import close_shared_clients
from corral.errors import InvalidInput, RedisUnavailable
from corral.events import Event
from eventually import eventually
from redis_process import RedisProcess


@pytest.fixture
def server() -> Iterator[RedisProcess]:
    process = RedisProcess()
    process.start()
    yield process
    process.stop()


@pytest.fixture
async def own(server: RedisProcess) -> AsyncIterator[Queue]:
    """A queue on a server that the test may kill."""
    queue = Queue("own", redis_url=server.url)
    yield queue
    await queue.close()
    await close_shared_clients()


async def take(events: AsyncIterator[Event], count: int) -> list[Event]:
    async with asyncio.timeout(15):
        return [await anext(events) for _ in range(count)]


async def test_what_happens_is_told_in_order(make_queue: MakeQueue) -> None:
    queue = make_queue()

    @queue.job("echo")
    async def echo(job: JobContext, data: int) -> int:
        await job.progress(50)
        return data

    job = await queue.add("echo", 7)
    await drain(queue)
    async with aclosing(queue.events("0")) as events:
        seen = await take(events, 5)
    assert [event.name for event in seen] == ["added", "waiting", "active", "progress", "completed"]
    assert {event.job_id for event in seen} == {job.id}
    assert seen[3].fields == {"data": "50"}
    assert seen[4].fields == {"returnvalue": "7", "prev": "active"}
    assert job.enqueued_at is None or abs(seen[0].at - job.enqueued_at) < 60


async def test_one_goes_on_behind_an_event_one_knows(make_queue: MakeQueue) -> None:
    queue = make_queue()
    await queue.add_many("x", list(range(10)))
    async with aclosing(queue.events("0")) as events:
        seen = await take(events, 20)
    async with aclosing(queue.events(seen[14].id)) as events:
        assert await take(events, 5) == seen[15:]
    with pytest.raises(InvalidInput):
        queue.events("yesterday")


async def test_new_events_reach_all_who_listen_over_one_connection(
    make_queue: MakeQueue, redis: Redis
) -> None:
    queue = make_queue()
    await queue.add("x", 0)
    listeners = [queue.events() for _ in range(40)]
    waiting = [asyncio.create_task(take(listener, 2)) for listener in listeners]
    await eventually(lambda: _blocked(redis, 1))

    job = await queue.add("x", 1)
    for seen in await asyncio.gather(*waiting):
        assert [(event.name, event.job_id) for event in seen] == [("added", job.id), ("waiting", job.id)]
    for listener in listeners:
        await listener.aclose()
    await eventually(lambda: _blocked(redis, 0))


async def _blocked(redis: Redis, count: int) -> bool:
    return int((await redis.info("clients"))["blocked_clients"]) == count


async def test_a_listener_that_falls_behind_misses_nothing_that_redis_has(
    make_queue: MakeQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events_module, "KEPT", 10)
    monkeypatch.setattr(stream, "BATCH", 7)
    queue = make_queue()
    async with aclosing(queue.events("0")) as events:
        first = asyncio.create_task(take(events, 1))
        await queue.add("x", 0)
        seen = await first
        for _ in range(5):
            await queue.add_many("x", list(range(20)))
        seen += await take(events, 201)
    ids = [event.id for event in seen]
    assert len(set(ids)) == 202
    assert sorted(ids, key=lambda i: stream.parse(i) or (0, 0)) == ids
    assert "gap" not in {event.name for event in seen}


async def test_a_trimmed_stream_has_a_gap_and_goes_on(make_queue: MakeQueue, redis: Redis) -> None:
    queue = make_queue()
    await queue.add_many("x", list(range(10)))
    async with aclosing(queue.events("0")) as events:
        seen = await take(events, 20)
    await redis.xtrim(queue.keys().events, maxlen=3, approximate=False)
    async with aclosing(queue.events(seen[4].id)) as events:
        onward = await take(events, 4)
    assert [event.name for event in onward] == ["gap", *[event.name for event in seen[17:]]]
    assert onward[0].id == seen[4].id
    assert onward[1:] == seen[17:]


async def test_the_position_survives_a_lost_connection(
    make_queue: MakeQueue, redis: Redis, redis_url: str
) -> None:
    queue = make_queue()
    async with aclosing(queue.events("0")) as events:
        await queue.add("x", 0)
        seen = await take(events, 2)
        next_one: Any = asyncio.create_task(take(events, 2))
        await eventually(lambda: _blocked(redis, 1))
        await redis.client_kill_filter(_type="normal", skipme=True)
        await eventually(lambda: _try_add(queue))
        seen += await next_one
    assert [event.name for event in seen] == ["added", "waiting"] * 2


async def test_nothing_is_lost_or_told_twice_through_many_lost_connections(
    make_queue: MakeQueue, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Against the stream itself, which is long enough here to hold everything."""
    monkeypatch.setattr(stream, "BATCH", 50)
    monkeypatch.setattr(events_module, "KEPT", 30)
    queue = make_queue()
    await redis.hset(queue.keys().meta, "opts.maxLenEvents", 1_000_000)
    seen: list[Event] = []

    async def listen() -> None:
        async with aclosing(queue.events("0")) as events:
            async for event in events:
                seen.append(event)
                if event.fields.get("name") == "last":
                    return

    listening = asyncio.create_task(listen())
    for round_ in range(12):
        await eventually(lambda: _try_add_many(queue, 20))
        if round_ % 3 == 2:
            await redis.client_kill_filter(_type="normal", skipme=True)
    await eventually(lambda: _try_add_many(queue, 1, "last"))
    async with asyncio.timeout(20):
        await listening

    ids = [event_id for event_id, _ in await redis.xrange(queue.keys().events)]
    assert [event.id for event in seen] == ids[: len(seen)]
    assert len(seen) >= len(ids) - 1  # "added" of the last job comes before its "waiting"


async def _try_add_many(queue: Queue, count: int, name: str = "x") -> bool:
    try:
        await queue.add_many(name, [None] * count)
    except RedisUnavailable:
        return False
    return True


async def _try_add(queue: Queue) -> bool:
    try:
        await queue.add("x", 1)
    except RedisUnavailable:
        return False
    return True


async def test_a_server_that_comes_back_empty_leaves_a_gap(own: Queue, server: RedisProcess) -> None:
    async with aclosing(own.events("0")) as events:
        await own.add("x", 0)
        await take(events, 2)
        onward: Any = asyncio.create_task(take(events, 3))
        await eventually(lambda: server.client.info("clients")["blocked_clients"] == 1)
        server.kill()
        server.start()
        await eventually(lambda: _try_add(own))
        seen = await onward
    assert seen[0].name == "gap"
    # The add may have come before the look that found the stream empty, or after it.
    assert [event.name for event in seen[1:]] == ["added", "waiting"]


async def test_without_redis_the_first_step_says_so(own: Queue, server: RedisProcess) -> None:
    server.stop()
    with pytest.raises(RedisUnavailable):
        await take(own.events(), 1)


async def test_closing_the_queue_ends_its_iterations(make_queue: MakeQueue, redis: Redis) -> None:
    queue = make_queue()

    async def listen() -> list[Event]:
        return [event async for event in queue.events()]

    listening = asyncio.create_task(listen())
    await eventually(lambda: _blocked(redis, 1))
    await queue.close()
    async with asyncio.timeout(10):
        assert await listening == []
