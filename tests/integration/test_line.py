"""The line: calls leave in the middle of a turn, come back in order, and losing it costs no later add."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest
import redis as blocking
from running_worker import Redis

from corral import Queue
from corral.bullmq.connection import close_shared_clients, shared_line
from corral.bullmq.line import Line
from corral.bullmq.producer import ENOUGH_JOBS, MAX_ON_LINE
from corral.bullmq.scripts import Script
from corral.errors import RedisUnavailable
from eventually import eventually

ECHO = Script("echo", "return {ARGV[1], KEYS[1]}")
BREAKS = Script("breaks", "return redis.error_reply('ERR as asked')")


@pytest.fixture
async def line(queue: Queue, redis: Redis) -> Line:
    """The queue's line, open."""
    line = shared_line(queue.address())
    await eventually(_look(line))
    return line


def _look(line: Line) -> Any:
    async def is_open() -> bool:
        return line.is_open()

    return is_open


async def _kill_others(redis: Redis) -> None:
    own = await redis.client_id()
    for client in await redis.client_list():
        if client["id"] != str(own) and client.get("lib-name", "").startswith("corral"):
            await redis.client_kill_filter(_id=client["id"])


async def test_a_full_call_is_with_redis_before_the_turn_ends(
    queue: Queue, line: Line, redis_url: str
) -> None:
    await queue.add("build", 0)
    bound = await queue.ready()
    jobs = bound.templates.traced("build", {})
    futures = [bound.producer.add_one(jobs, str(n)) for n in range(ENOUGH_JOBS)]
    # No await up to here, nor below: the event loop has had no turn.
    with blocking.Redis.from_url(redis_url) as client:
        deadline = time.monotonic() + 60
        while client.llen(queue.keys().wait) != ENOUGH_JOBS + 1:
            assert time.monotonic() < deadline, "the jobs stayed in the process"
            time.sleep(0.01)
    assert await asyncio.gather(*futures) == [str(n) for n in range(2, ENOUGH_JOBS + 2)]


async def test_many_full_calls_keep_their_order(queue: Queue, line: Line) -> None:
    count = ENOUGH_JOBS * (MAX_ON_LINE + 3) + 7
    jobs = await asyncio.gather(*(queue.add("build", n) for n in range(count)))
    assert [job.id for job in jobs] == [str(n) for n in range(1, count + 1)]


async def test_answers_come_in_order_and_an_error_is_one_callers_own(line: Line) -> None:
    answers: list[Any] = []
    for script, argument in ((ECHO, b"a"), (BREAKS, b""), (ECHO, b"b")):  # the server knows neither
        line.send(script, ["{x}k"], argument, answers.append)

    async def all_there() -> bool:
        return len(answers) == 3

    await eventually(all_there)
    assert answers[0] == [b"a", b"{x}k"]
    assert "as asked" in str(answers[1])
    assert answers[2] == [b"b", b"{x}k"]
    assert line.is_open()


async def test_a_line_that_the_server_closed_costs_no_add_and_opens_again(
    queue: Queue, line: Line, redis: Redis
) -> None:
    await queue.add("build", 1)
    await _kill_others(redis)

    async def noticed() -> bool:
        return not line.is_open()

    await eventually(noticed)
    assert (await queue.add("build", 2)).id == "2"
    await eventually(_look(line))
    assert (await queue.add("build", 3)).id == "3"


async def test_who_waits_on_a_lost_line_is_told(queue: Queue, line: Line, redis: Redis) -> None:
    await queue.add("build", 1)
    await redis.client_pause(60_000, all=False)  # writes wait
    adding = asyncio.create_task(queue.add("build", 2))
    try:
        await asyncio.sleep(0.2)
        await _kill_others(redis)
        with pytest.raises(RedisUnavailable):
            await adding
    finally:
        await redis.client_unpause()


async def test_closing_tells_who_still_waits(queue: Queue, line: Line, redis: Redis) -> None:
    await queue.add("build", 1)
    await redis.client_pause(60_000, all=False)
    adding = asyncio.create_task(queue.add("build", 2))
    try:
        await asyncio.sleep(0.2)
        await close_shared_clients()
        with pytest.raises(RedisUnavailable):
            await adding
    finally:
        await redis.client_unpause()


async def test_a_line_that_cannot_write_fails_the_adds_that_it_was_given(
    queue: Queue, line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any) -> None:
        raise OSError("no way out")

    monkeypatch.setattr(line, "send", broken)
    with pytest.raises(RedisUnavailable):
        async with asyncio.timeout(30):
            await asyncio.gather(*(queue.add("build", n) for n in range(3)))
    monkeypatch.undo()
    assert (await queue.add("build", 4)).id == "1"
