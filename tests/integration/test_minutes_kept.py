"""What a dashboard keeps of minutes that are over: the same is told as by who reads all of them anew."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import redis.asyncio as aioredis

from corral.bullmq import depths, statistics
from corral.bullmq.depths import Depth
from corral.bullmq.keys import QueueKeys
from corral.bullmq.statistics import MINUTE, Entry
from corral.manage.last_hours import LastHours
from corral.observe.recent_minutes import RecentMinutes

ONE, TWO, LATER = (QueueKeys("bull", name) for name in ("one", "two", "later"))

#: Five minutes before an hour ends, so that what is read is of two hashes.
START = 490_000 * 3_600_000 - 5 * MINUTE.ms


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator[aioredis.Redis]:
    async with aioredis.Redis.from_url(redis_url) as client:
        yield client


class Counting:
    """A worker that counts and somebody who notes depths, at times of the test's own."""

    def __init__(self, redis: aioredis.Redis) -> None:
        self._redis = redis
        self._batch = 0

    async def count(self, keys: QueueKeys, now_ms: int, **names: int) -> None:
        self._batch += 1
        entries = {name: Entry({"completed": done}, {done: 1}, {done: 2}) for name, done in names.items()}
        one = statistics.counted(keys, entries, {}, ())
        await statistics.write(self._redis, "bull", "w", self._batch, [one], now_ms=now_ms)
        await depths.write(self._redis, {keys: Depth(waiting=sum(names.values()))}, now_ms)


@pytest.mark.parametrize("names", [True, False])
async def test_the_last_minutes_are_as_if_read_anew(redis: aioredis.Redis, names: bool) -> None:
    counting, kept = Counting(redis), RecentMinutes()
    for step in range(24):
        now_ms = START + step * 25_000
        await counting.count(ONE, now_ms, **{f"job-{step % 3}": step + 1})
        if step % 4 == 0:
            await counting.count(TWO, now_ms - 2_000, build=1)  # its minute may be over by then
        queues = [ONE, TWO] if step < 12 else [LATER, ONE, TWO]
        fresh = await statistics.read_recent(redis, queues, 5, now_ms, names=names)
        assert await kept.read(redis, queues, 5, now_ms, names=names) == fresh
    earlier = START + 60_000  # the server's clock was set back
    assert await kept.read(redis, [ONE], 5, earlier, names=names) == await statistics.read_recent(
        redis, [ONE], 5, earlier, names=names
    )


async def test_a_minute_that_is_over_is_not_read_again(redis: aioredis.Redis) -> None:
    counting, kept = Counting(redis), RecentMinutes()
    await counting.count(ONE, START, build=7)
    over = START + 2 * MINUTE.ms
    told = await kept.read(redis, [ONE], 5, over, names=True)
    assert told[0].names.keys() == {"build"}
    await redis.flushdb()
    assert await kept.read(redis, [ONE], 5, over, names=True) == told
    assert (await kept.read(redis, [ONE], 5, over + 5 * MINUTE.ms, names=True))[0].whole == ()


async def test_nothing_is_read_of_no_minutes(redis: aioredis.Redis) -> None:
    await Counting(redis).count(ONE, START, build=7)
    assert await RecentMinutes().read(redis, [ONE, TWO], 0, START, names=True) == [((), {})] * 2


async def test_the_last_hour_is_as_if_read_anew(redis: aioredis.Redis) -> None:
    counting, kept = Counting(redis), LastHours()
    for step in (0, 1, 2, 3, 5, 5, 6, 40, 41, 99, 170, 171):
        now_ms = START + step * MINUTE.ms
        await counting.count(ONE, now_ms, build=step + 1)
        if step % 2:
            await counting.count(TWO, now_ms - MINUTE.ms, build=1)  # what waited is noted after its minute
        queues = [ONE, TWO] if step < 6 else [LATER, ONE, TWO]
        told = await kept.read(redis, queues, now_ms)
        assert told == await LastHours().read(redis, queues, now_ms)
        hour = told["one"]
        assert [len(hour.arrived), len(hour.ended), len(hour.waiting)] == [60, 60, 60]
        assert (hour.last, hour.waiting[-1]) == (now_ms // MINUTE.ms, step + 1)
        assert hour.ended[-1] >= step + 1
    earlier = START + 60 * MINUTE.ms
    assert await kept.read(redis, [ONE], earlier) == await LastHours().read(redis, [ONE], earlier)
