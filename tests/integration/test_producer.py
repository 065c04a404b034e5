"""How adds travel: many in few calls, in order, answered when Redis has them, and healing by themselves."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from running_worker import MakeQueue, Redis

from corral import Queue
from corral.bullmq import connection, producer
from corral.errors import RedisUnavailable
from corral.worker.worker import Worker
from eventually import eventually


async def calls(redis: Redis) -> int:
    """EVALSHA calls since the last CONFIG RESETSTAT."""
    stats = await redis.info("commandstats")
    return int(stats.get("cmdstat_evalsha", {}).get("calls", 0))


@pytest.fixture
async def warm_queue(queue: Queue, redis: Redis) -> Queue:
    """A queue that has added before: its layout is checked, its script is known."""
    await queue.add("build", "first")
    await redis.config_resetstat()
    return queue


async def test_concurrent_adds_join_into_few_calls(warm_queue: Queue, redis: Redis) -> None:
    jobs = await asyncio.gather(*(warm_queue.add("build", number) for number in range(500)))
    assert await calls(redis) == 2  # of ENOUGH_JOBS each
    assert [job.id for job in jobs] == [str(number) for number in range(2, 502)]
    assert await redis.hget(warm_queue.keys().job(jobs[499].id), "data") == "499"


async def test_adds_that_come_while_calls_are_under_way_gather_for_the_next(
    warm_queue: Queue, redis: Redis
) -> None:
    async def trickle(start: int) -> None:
        for number in range(start, start + 20):
            await warm_queue.add("build", number)

    await asyncio.gather(*(trickle(100 * k) for k in range(50)))
    assert (await warm_queue.counts())["waiting"] == 1_001
    # 20 rounds of 50 concurrent adds; a call for each add would be 1,000.
    assert await calls(redis) < 150


async def test_a_quiet_add_waits_for_nobody(warm_queue: Queue, redis: Redis) -> None:
    for number in range(5):
        await warm_queue.add("build", number)
    assert await calls(redis) == 5


async def test_different_options_share_a_call_and_stay_apart(warm_queue: Queue, redis: Redis) -> None:
    keys = warm_queue.keys()
    jobs = await asyncio.gather(
        warm_queue.add("a", 1),
        warm_queue.add("b", 2, delay=60),
        warm_queue.add("c", 3, priority=7),
        warm_queue.add("d", 4, lifo=True, job_id="own"),
        warm_queue.add("e", 5, timeout=9),
        warm_queue.add_many("f", [6, 7], timeout=9),
    )
    assert await calls(redis) == 1
    assert [job.id for job in jobs[:5]] == ["2", "3", "4", "own", "6"]
    assert [job.id for job in jobs[5]] == ["7", "8"]
    assert await redis.lrange(keys.wait, 0, -1) == ["8", "7", "6", "2", "1", "own"]
    assert await redis.zrange(keys.delayed, 0, -1) == ["3"]
    assert await redis.zrange(keys.prioritized, 0, -1) == ["4"]
    assert "timeout" not in str(await redis.hget(keys.job("2"), "opts"))
    assert "9000" in str(await redis.hget(keys.job("8"), "opts"))


async def test_more_than_one_call_can_hold(warm_queue: Queue, redis: Redis) -> None:
    count = 2 * producer.MAX_BATCH_JOBS + 500
    jobs = await warm_queue.add_many("build", range(count))
    assert await calls(redis) == 3
    assert [job.id for job in jobs] == [str(number) for number in range(2, count + 2)]
    waiting = await redis.lrange(warm_queue.keys().wait, 0, -1)
    assert waiting == [str(number) for number in range(count + 1, 0, -1)]
    for job, number in ((jobs[0], 0), (jobs[1_000], 1_000), (jobs[-1], count - 1)):
        assert await redis.hget(warm_queue.keys().job(job.id), "data") == str(number)


async def test_more_than_four_megabytes(warm_queue: Queue, redis: Redis) -> None:
    texts = [str(number) * (500_000 // len(str(number))) for number in range(100, 124)]
    jobs = await warm_queue.add_many("build", texts)
    assert 3 <= await calls(redis) <= 4
    assert [job.id for job in jobs] == [str(number) for number in range(2, 26)]
    for job, text in zip(jobs, texts, strict=True):
        assert await redis.hget(warm_queue.keys().job(job.id), "data") == f'"{text}"'


async def test_no_jobs_at_all(warm_queue: Queue, redis: Redis) -> None:
    assert await warm_queue.add_many("build", []) == []
    assert await calls(redis) == 0


async def test_delayed_and_prioritized_jobs_in_bulk(warm_queue: Queue, redis: Redis) -> None:
    await warm_queue.add_many("build", range(5_000), delay=3600)
    await warm_queue.add_many("build", range(1_500), priority=3)
    counts = await warm_queue.counts()
    assert (counts["delayed"], counts["prioritized"]) == (5_000, 1_500)
    # Jobs that are due in the same millisecond keep their order.
    assert await redis.zrange(warm_queue.keys().delayed, 0, -1) == [str(n) for n in range(2, 5_002)]


async def test_a_caller_that_gives_up_leaves_the_others_alone(warm_queue: Queue) -> None:
    impatient = asyncio.create_task(warm_queue.add("build", "a"))
    patient = asyncio.create_task(warm_queue.add("build", "b"))
    await asyncio.sleep(0)
    impatient.cancel()
    assert (await patient).id == "3"
    # Cancelled too late to be unsent: it may be in, and nobody was told otherwise.
    assert (await warm_queue.counts())["waiting"] in (2, 3)


# Healing


async def test_a_server_that_forgot_its_scripts_is_given_them_again(queue: Queue, redis: Redis) -> None:
    ran: list[int] = []

    @queue.job("build")
    async def build(job: object, data: int) -> None:
        ran.append(data)
        await redis.script_flush()

    await queue.add("build", 1)
    for number in range(2, 5):
        await redis.script_flush()
        await queue.add("build", number)
        await redis.script_flush()
        assert await queue.get(str(number)) is not None
    await redis.script_flush()
    async with asyncio.timeout(20):
        await Worker(queue).run(until_empty=True)
    assert sorted(ran) == [1, 2, 3, 4]
    assert (await queue.counts())["completed"] == 4


async def test_forgotten_scripts_under_concurrent_adds(warm_queue: Queue, redis: Redis) -> None:
    async def forget() -> None:
        for _ in range(20):
            await redis.script_flush()

    async def add(start: int) -> list[str]:
        return [(await warm_queue.add("build", number)).id for number in range(start, start + 20)]

    forgetting = asyncio.create_task(forget())
    ids = await asyncio.gather(*(add(100 * k) for k in range(20)))
    await forgetting
    assert len({job_id for part in ids for job_id in part}) == 400
    assert (await warm_queue.counts())["waiting"] == 401


# Redis away


@pytest.fixture
async def silent_server(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[str]:
    """A server that takes connections and never answers."""
    monkeypatch.setattr(connection, "COMMAND_TIMEOUT_SECONDS", 0.2)
    writers: list[asyncio.StreamWriter] = []

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        await reader.read()

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    yield f"redis://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    server.close()
    for writer in writers:
        writer.close()


async def assert_every_call_says_unavailable(queue: Queue) -> None:
    # The bound is far below any default time-out that would mean a hang.
    async with asyncio.timeout(15):
        for call in (
            lambda: queue.add("build", 1),
            lambda: queue.add_many("build", [1, 2]),
            lambda: queue.add_many("build", range(2_500)),
            lambda: queue.get("1"),
            queue.counts,
            lambda: queue.logs("1"),
            lambda: queue.outcome("1"),
            lambda: queue.signal("s", 1),
        ):
            with pytest.raises(RedisUnavailable, match=queue.name):
                await call()


async def test_no_server_is_said_at_once(make_queue: MakeQueue, unused_tcp_port: int) -> None:
    away = Queue("orders", redis_url=f"redis://127.0.0.1:{unused_tcp_port}")
    await assert_every_call_says_unavailable(away)
    await away.close()


async def test_a_silent_server_is_said_after_the_time_out(make_queue: MakeQueue, silent_server: str) -> None:
    away = Queue("orders", redis_url=silent_server)
    await assert_every_call_says_unavailable(away)
    await away.close()


async def test_a_burst_of_adds_without_a_server_ends_each_with_its_own_error(
    make_queue: MakeQueue, unused_tcp_port: int
) -> None:
    away = Queue("orders", redis_url=f"redis://127.0.0.1:{unused_tcp_port}")
    async with asyncio.timeout(15):
        ends = await asyncio.gather(*(away.add("build", n) for n in range(200)), return_exceptions=True)
    assert {type(end) for end in ends} == {RedisUnavailable}
    await away.close()


async def test_a_full_server_says_so_and_adds_nothing(warm_queue: Queue, redis: Redis) -> None:
    await redis.config_set("maxmemory", "1")
    try:
        with pytest.raises(RedisUnavailable):
            await warm_queue.add("build", 1)
    finally:
        await redis.config_set("maxmemory", "0")
    assert (await warm_queue.counts())["waiting"] == 1
    assert (await warm_queue.add("build", 1)).id == "2"


async def test_adding_goes_on_when_the_server_is_back(warm_queue: Queue, redis: Redis) -> None:
    await redis.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")

    async def added() -> bool:
        try:
            await warm_queue.add("build", 1)
        except RedisUnavailable:
            return False
        return True

    await eventually(added)
