"""The depth history: each minute once, by one process of many, bounded, with gaps where nobody looked."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import redis.asyncio as aioredis
from http_service import READ, Service, serving

from corral import Objective, Queue, RateLimit, Worker
from corral.bullmq import alerting, depths
from corral.bullmq.connection import close_shared_clients
from corral.bullmq.depths import Depth
from corral.bullmq.statistics import HOUR, MINUTE
from corral.observe import depth_watch
from corral.observe.depth import DepthRecorder
from corral.observe.stand import read_standing
from corral.observe.standing import QueueStanding, Standing
from corral.settings import Settings
from eventually import eventually

#: The start of an hour, and of a day.
DAY = 1_700_006_400_000
HOUR_MS, MINUTE_MS = HOUR.ms, MINUTE.ms


@pytest.fixture
async def queue(redis_url: str) -> AsyncIterator[Queue]:
    made = Queue("kyc", redis_url=redis_url, prefix="bull")
    yield made
    await made.close()
    await close_shared_clients()


async def note(queue: Queue, now_ms: int, **jobs: int) -> int:
    return await depths.write(queue.client(), {queue.keys(): Depth(**jobs)}, now_ms)


async def minutes(queue: Queue, count: int, now_ms: int) -> list[int | None]:
    (found,) = await depths.read_series(queue.client(), [queue.keys()], MINUTE, count, now_ms)
    return [None if one is None else one.waiting for one in found]


async def test_a_minute_is_noted_once_and_one_that_nobody_saw_is_a_gap(queue: Queue) -> None:
    assert await note(queue, DAY + 59 * MINUTE_MS, waiting=5) == 1
    assert await note(queue, DAY + 59 * MINUTE_MS + 30_000, waiting=900) == 0
    assert await note(queue, DAY + 61 * MINUTE_MS, waiting=0) == 1
    assert await minutes(queue, 4, DAY + 61 * MINUTE_MS) == [None, 5, None, 0]


async def test_an_hour_keeps_the_most_of_each(queue: Queue) -> None:
    await note(queue, DAY, waiting=5, failed=9, oldest_ms=100)
    await note(queue, DAY + MINUTE_MS, waiting=70, active=2)
    await note(queue, DAY + MINUTE_MS + 1_000, waiting=9_999)  # the minute was noted already
    await note(queue, DAY + HOUR_MS, waiting=1)
    (found,) = await depths.read_series(queue.client(), [queue.keys()], HOUR, 3, DAY + HOUR_MS)
    assert found == [None, Depth(waiting=70, active=2, failed=9, oldest_ms=100), Depth(waiting=1)]


async def test_all_of_it_ends_by_itself_and_is_bounded(queue: Queue) -> None:
    for minute in range(3 * 60):
        await note(queue, DAY + minute * MINUTE_MS, waiting=minute)
    client = queue.client()
    found = await client.keys("corral:bull:kyc:depth:*")
    keys = sorted(key.decode() for key in found if isinstance(key, bytes))
    assert len(keys) == 4  # three hours of minutes, a day of hours
    for key in keys:
        length, kept = (HOUR_MS, 24 * HOUR_MS) if ":m:" in key else (24 * HOUR_MS, 90 * 24 * HOUR_MS)
        assert kept <= await client.pttl(key) + 60_000
        assert await client.pttl(key) <= kept + length
    size = sum([await client.memory_usage(key, samples=0) or 0 for key in keys if ":m:" in key])
    assert size
    assert size / 180 < 40  # bytes a minute: 24 hours of a queue are some 50 kB


async def test_what_cannot_be_read_is_a_gap(queue: Queue) -> None:
    await note(queue, DAY, waiting=5)
    await queue.client().hset(f"corral:bull:kyc:depth:m:{DAY // HOUR_MS}", "0", b"\xc1 of another version")
    assert await minutes(queue, 1, DAY) == [None]


async def test_many_queues_are_read_at_once(queue: Queue) -> None:
    keys = [Queue(f"q{n}", redis_url="redis://unused", prefix="bull").keys() for n in range(120)]
    assert await depths.write(queue.client(), {k: Depth(waiting=n) for n, k in enumerate(keys)}, DAY) == 120
    found = await depths.read_series(queue.client(), keys, MINUTE, 61, DAY)
    assert [one[-1] for one in found] == [Depth(waiting=n) for n in range(120)]
    assert await depths.read_series(queue.client(), [], MINUTE, 60, DAY) == []


async def test_a_recorder_writes_once_a_minute_and_outlives_redis(queue: Queue) -> None:
    away = aioredis.Redis(port=1)
    clients = [away, queue.client()]
    recorder = DepthRecorder(lambda: clients[-1], "bull")
    standing = Standing(at=DAY / 1000, queues={"kyc": QueueStanding(queue="kyc", counts={"waiting": 3})})
    clients.append(away)
    await recorder.look(standing)
    clients.pop()
    await recorder.look(standing)
    assert await minutes(queue, 1, DAY) == [3]
    await away.aclose()


@pytest.fixture
def evaluators(redis_url: str, tmp_path: Path) -> Iterator[list[subprocess.Popen[bytes]]]:
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("CORRAL_")},
        "REDIS_URL": redis_url,
        "CORRAL_PREFIX": "bull",
        "CORRAL_ALERT_SECONDS": "0.3",
    }
    command = [sys.executable, "-m", "corral", "alerts", "run"]
    started = [
        subprocess.Popen(
            command, env=environment, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        for _ in range(3)
    ]
    yield started
    for process in started:
        process.kill()
        process.wait(20)


@pytest.mark.timeout(300)
async def test_one_of_three_processes_writes_and_another_when_it_is_killed(
    queue: Queue, evaluators: list[subprocess.Popen[bytes]]
) -> None:
    await queue.add_many("verify", list(range(4)))
    client, day = queue.client(), int(time.time() // 86_400)

    async def leader() -> int | None:
        said = (await alerting.read(client, "bull")).leader
        return int(said.split(":")[1]) if said else None

    async def noted() -> int:
        keys = await client.keys("corral:bull:kyc:depth:m:*")
        return sum([await client.hlen(key) for key in keys])

    await eventually(noted, within=60)
    await eventually(lambda: client.hlen(f"corral:bull::fleet:h:{day}"))  # with them, the worker processes
    first = await leader()
    by_pid = {process.pid: process for process in evaluators}
    assert first in by_pid
    # Each minute once, however many look, and however often: another look changes no number.
    await queue.add_many("verify", list(range(50)))
    (found,) = await depths.read_series(client, [queue.keys()], MINUTE, 3, round(time.time() * 1000))
    assert {one.waiting for one in found if one} <= {4, 54}
    by_pid[first].send_signal(signal.SIGKILL)
    before = await noted()

    async def another_wrote() -> bool:
        return await noted() > before and await leader() not in (None, first)

    await eventually(another_wrote, within=150)
    assert await client.hlen(f"corral:bull:kyc:depth:h:{day}") <= 2


async def test_a_dashboard_writes_only_where_nobody_leads(queue: Queue, redis_url: str) -> None:
    settings = Settings(REDIS_URL=redis_url, CORRAL_PREFIX="bull")
    await queue.add("verify", 1)
    watch = depth_watch.DepthWatch(settings)
    await alerting.take_lease(queue.client(), "bull", "host:1:x", need_state=False)
    assert not await watch.turn()
    await alerting.release(queue.client(), "bull", "host:1:x")
    assert await watch.turn()
    assert (await queue.stats.depths(minutes=2))[-1].waiting == 1


async def test_the_objective_of_a_queue_is_known_without_its_code(redis_url: str) -> None:
    declared = Queue("kyc", redis_url=redis_url, prefix="bull", objective=Objective(drain=20, age=120))
    plain = Queue("kyc", redis_url=redis_url, prefix="bull")

    @declared.job("verify")
    async def verify(job: object, data: object) -> None: ...

    @plain.job("verify")
    async def verify_too(job: object, data: object) -> None: ...

    looked = Queue("kyc", redis_url=redis_url, prefix="bull")
    assert (await read_standing([looked])).queues["kyc"].objective is None
    await _serve_until(declared, looked, Objective(drain=20, age=120))
    await _serve_until(plain, looked, None)  # the next release declares none
    for one in (declared, plain, looked):
        await one.close()


async def _serve_until(served: Queue, looked: Queue, objective: Objective | None) -> None:
    worker = Worker(served)
    running = asyncio.create_task(worker.run())

    async def known() -> bool:
        return (await read_standing([looked])).queues["kyc"].objective == objective

    await eventually(known)
    worker.stop()
    await running


async def test_a_rate_that_is_used_up_is_seen(redis_url: str) -> None:
    declared = Queue("kyc", redis_url=redis_url, prefix="bull", rate_limit=RateLimit(2, per=600))
    looked = Queue("kyc", redis_url=redis_url, prefix="bull")
    client, keys = looked.client(), looked.keys()

    async def limited(queue: Queue) -> float:
        return (await read_standing([queue])).queues["kyc"].rate_limited_seconds

    assert await limited(declared) == 0
    await client.set(keys.limiter, 1, px=60_000)
    assert await limited(declared) == 0
    await client.set(keys.limiter, 2, px=60_000)
    assert 0 < await limited(declared) <= 60
    assert await limited(looked) == 0  # nobody told the rate
    await client.hset(keys.meta, "max", "2")
    assert 0 < await limited(looked) <= 60
    await client.hset(keys.meta, "max", "3")
    assert await limited(declared) == 0
    await declared.close()
    await looked.close()


@pytest.fixture
async def service(redis_url: str) -> AsyncIterator[Service]:
    async with serving(redis_url) as running:
        yield running


async def test_depths_objectives_and_changes_are_served(service: Service) -> None:
    reports = service.queues["reports"]
    now = round(time.time() * 1000)
    await depths.write(
        reports.client(), {reports.keys(): Depth(waiting=7, held=2, oldest_ms=1_500)}, now - MINUTE_MS
    )
    await reports.add("build", {"month": "may"})
    overview = (await service.http.get("/api/v1/overview", headers=service.as_(READ))).json()
    (row,) = [one for one in overview["queues"] if one["row"]["queue"] == "reports"]
    assert len(row["waiting"]) == 60
    assert row["waiting"][-1] == 1
    assert {*row["waiting"][:-1]} == {None, 9}
    assert row["row"]["objective"] == {"age": 60, "drain": 30}
    assert (row["row"]["slots"], row["row"]["busy"]) == (0, 0)
    page = (await service.http.get("/api/v1/queues/reports/stats", params={"hours": 24})).json()
    assert [(one["waiting"], one["oldestSeconds"]) for one in page["depths"]] == [(7, 1.5)]
    await service.http.post("/api/v1/queues/reports/pause", headers=service.as_("admin-key-000000001"))
    found = await service.http.get("/api/v1/changes", params={"hours": 1}, headers=service.as_(READ))
    assert ("audit", "queue.pause", "reports") in [
        (one["kind"], one["what"], one["subject"]) for one in found.json()["changes"]
    ]
    assert (await service.http.get("/api/v1/changes", params={"hours": 0})).status_code in (400, 422)
    await asyncio.sleep(0)
