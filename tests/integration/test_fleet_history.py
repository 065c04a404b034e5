"""The history of the fleet: each minute once, bounded, with gaps where nobody looked; and its page."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest
from http_service import READ, Service, serving
from running_worker import MakeQueue, StartWorker

from corral import JobContext, Queue, RateLimit, Settings
from corral.bullmq import fleets, statistics
from corral.bullmq.clock import server_ms
from corral.bullmq.fleets import Fleet
from corral.bullmq.statistics import HOUR, MINUTE, Entry, counted
from corral.observe.depth_watch import DepthWatch
from corral.observe.rates import with_rates
from corral.observe.stand import read_standing
from corral.observe.standing import WorkerStanding
from eventually import eventually

#: The start of an hour, and of a day.
DAY = 1_700_006_400_000


@pytest.fixture
async def service(redis_url: str) -> AsyncIterator[Service]:
    async with serving(redis_url) as running:
        yield running


async def minutes(queue: Queue, count: int, now_ms: int) -> list[Fleet | None]:
    return await fleets.read_series(queue.client(), "bull", MINUTE, count, now_ms)


async def test_a_minute_is_noted_once_and_an_hour_keeps_the_most(queue: Queue) -> None:
    client = queue.client()
    assert await fleets.write(client, "bull", Fleet(3, 12), DAY)
    assert not await fleets.write(client, "bull", Fleet(9, 99), DAY + 30_000)
    assert await fleets.write(client, "bull", Fleet(5), DAY + 2 * MINUTE.ms)
    assert await minutes(queue, 3, DAY + 2 * MINUTE.ms) == [Fleet(3, 12), None, Fleet(5)]
    # What nobody knew in one minute hides nothing of another.
    assert await fleets.read_series(client, "bull", HOUR, 2, DAY) == [None, Fleet(5, 12)]


async def test_all_of_it_ends_by_itself_and_is_small(queue: Queue) -> None:
    client = queue.client()
    for minute in range(24 * 60):
        await fleets.write(client, "bull", Fleet(12, 118), DAY + minute * MINUTE.ms)
    keys = [key async for key in client.scan_iter("corral:bull::fleet*")]
    assert len(keys) == 25
    for key in keys:
        assert 0 < await client.pttl(key) <= (91 * 24 if b":h:" in key else 25) * HOUR.ms
    assert sum([await client.memory_usage(key, samples=0) or 0 for key in keys]) < 40_000


async def test_what_cannot_be_read_is_a_gap(queue: Queue) -> None:
    await fleets.write(queue.client(), "bull", Fleet(1, 5), DAY)
    await queue.client().hset(f"corral:bull::fleet:m:{DAY // HOUR.ms}", "0", b"\xc1 of another version")
    assert await minutes(queue, 1, DAY) == [None]


async def test_live_limits_are_part_of_how_a_queue_stands(queue: Queue) -> None:
    async def limits() -> tuple[RateLimit | None, int | None]:
        standing = (await read_standing([queue], server=False)).queues[queue.name]
        return standing.rate_limit, standing.concurrency

    assert await limits() == (None, None)
    await queue.limits.set_rate(RateLimit(5, per=2))
    await queue.limits.set_concurrency(7)
    assert await limits() == (RateLimit(5, per=2), 7)


async def test_a_look_notes_the_workers_that_live_and_what_is_needed(
    redis_url: str, make_queue: MakeQueue, start_worker: StartWorker
) -> None:
    queue = make_queue()

    @queue.job("waits")
    async def waits(job: JobContext, data: object) -> None: ...

    await queue.add("waits", 1, delay=600)
    await start_worker(queue).ready()

    async def noted() -> Fleet | None:
        """The beat may come after a look, and a minute is noted once."""
        await queue.client().delete(
            *[key async for key in queue.client().scan_iter("corral:bull::fleet*")] or ["-"]
        )
        await DepthWatch(Settings(REDIS_URL=redis_url, CORRAL_PREFIX="bull")).turn()
        (*_, found) = await minutes(queue, 1, await server_ms(queue.client()))
        return found if found and found.running else None

    assert await eventually(noted) == Fleet(running=1, needed_tenths=10)  # to wake what is delayed


async def test_what_ended_lately_is_read_of_queues_that_are_served(queue: Queue) -> None:
    client = queue.client()
    counts = {"completed": 50, "failed": 5, "cancelled": 5, "retried": 99}
    for number in range(2):  # two queues, of which one has workers
        keys = [queue.keys(), Queue("of-node", redis_url="redis://unused", prefix="bull").keys()][number]
        one = counted(keys, {"job": Entry(counts, {1: 3}, {200: 4})}, {}, ())
        await statistics.write(client, "bull", "w", number + 1, [one])
    standing = await read_standing([queue], server=False, minutes=0)
    assert standing.queues[queue.name].recent.completed == 0
    unserved = await with_rates(client, "bull", standing)
    assert unserved == standing
    worker = WorkerStanding(
        name="w", host="h", pid=1, version="1", queues=(queue.name, "unknown"), slots=1, busy=0
    )
    moving = await with_rates(client, "bull", replace(standing, workers=(worker,)))
    recent = moving.queues[queue.name].recent
    assert (recent.completed, recent.failed, recent.cancelled) == (50, 5, 5)
    whole = (await read_standing([queue], server=False)).queues[queue.name].recent
    assert recent.per_second == pytest.approx(whole.per_second, rel=0.5)


async def test_the_history_is_read_by_minute_and_by_hour(service: Service) -> None:
    client = service.queues["reports"].client()
    now_ms = round(time.time() * 1000)
    await fleets.write(client, "bull", Fleet(5, 32), now_ms - 2 * MINUTE.ms)
    await fleets.write(client, "bull", Fleet(4), now_ms - MINUTE.ms)

    async def page(query: str) -> tuple[int, dict[str, Any]]:
        answer = await service.http.get(f"/api/v1/workers/history{query}", headers=service.as_(READ))
        return answer.status_code, answer.json()

    status, hour = await page("")
    assert (status, hour["seconds"], len(hour["running"]), len(hour["needed"])) == (200, 60, 60, 60)
    known = [pair for pair in zip(hour["running"], hour["needed"], strict=True) if pair[0] is not None]
    assert known == [(5, 3.2), (4, None)]
    assert 0 <= time.time() - hour["first"] - 59 * 60 < 120
    _, week = await page("?hours=168")
    assert (week["seconds"], len(week["running"])) == (3_600, 168)
    assert max(number for number in week["running"] if number is not None) == 5
    assert (await page("?minutes=5&hours=5"))[0] == 422
    assert (await page("?hours=100000"))[0] == 422
