"""/metrics of the API: how queues stand, those of others included, within a time limit."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import httpx2
import pytest
import redis.asyncio as aioredis
from http_service import KEYS, READ, Service, queues, serving
from prometheus_client.parser import text_string_to_metric_families as parse
from running_worker import RunningWorker
from structlog.testing import capture_logs

from corral import Queue, Settings, Worker
from corral.api import discovery
from corral.api.app import create_app
from corral.api.discovery import Discovery
from corral.api.server import ApiServer
from corral.breakers import Breakers
from corral.bullmq.connection import Address, close_shared_clients
from eventually import eventually
from redis_process import RedisProcess

Samples = dict[tuple[str, ...], float]


@pytest.fixture
async def api(redis_url: str) -> AsyncIterator[Service]:
    async with serving(redis_url) as service:
        yield service


@pytest.fixture
async def store(redis_url: str) -> AsyncIterator[aioredis.Redis]:
    async with aioredis.Redis.from_url(redis_url) as client:
        yield client


async def metrics(api: Service) -> Samples:
    answer = await api.http.get("/metrics", headers=api.as_(READ))
    assert answer.status_code == 200
    return {
        (sample.name, *(sample.labels[label] for label in sorted(sample.labels))): sample.value
        for family in parse(answer.text)
        for sample in family.samples
    }


async def discovered(api: Service, queue: str) -> Samples:
    """What is told once this queue was found: the first scrape waits for it, but not for ever."""

    async def look() -> Samples:
        seen = await metrics(api)
        return seen if ("bullmq_queue_waiting", queue) in seen else {}

    seen: Samples = await eventually(look)
    return seen


async def test_how_a_queue_stands(api: Service, redis_url: str) -> None:
    for month in ("m", "m", "never"):
        body = {"name": "build", "data": {"month": month}, "attempts": 1}
        await api.http.post("/v1/queues/reports/jobs", json=body)
    before = await metrics(api)
    assert before["corral_redis_up",] == 1
    assert before["bullmq_queue_waiting", "reports"] == 3
    assert before["corral_queue_jobs_added_total", "reports"] == 3
    assert before["corral_queue_oldest_waiting_seconds", "reports"] >= 0
    assert before["corral_queue_workers", "reports"] == 0
    assert before["corral_redis_memory_bytes",] > 100_000
    assert before["corral_redis_memory_limit_bytes",] == 0
    assert before["corral_redis_persistence_ok",] == 1
    assert before["corral_redis_clients",] >= 1

    await api.queues["reports"].admin.pause()
    await Breakers(redis_url, "bull").hold("onfido", "for the test")
    paused = await metrics(api)
    assert paused["corral_queue_paused", "reports"] == 1
    assert paused["corral_queue_paused", "kyc-verification"] == 0
    assert paused["corral_breaker_open", "onfido"] == 1
    await api.queues["reports"].admin.resume()

    running = RunningWorker(Worker(api.queues["reports"], concurrency=3), until_empty=False)
    try:

        async def done() -> bool:
            seen = await metrics(api)
            completed = seen["corral_queue_jobs", "reports", "completed"]
            dead, workers = seen["corral_dead_letters", "reports"], seen["corral_queue_workers", "reports"]
            return (completed, dead, workers) == (2, 1, 1)

        await eventually(done)
        seen = await metrics(api)
        assert seen["bullmq_queue_waiting", "reports"] == 0
        assert seen["corral_queue_slots", "reports"] == 3
        assert seen["corral_queue_busy", "reports"] <= 3  # as the last beat told
    finally:
        await running.stop()
    assert (await metrics(api))["corral_queue_workers", "reports"] == 0


async def test_queues_that_nobody_declared_are_shown(redis_url: str, store: aioredis.Redis) -> None:
    name = 'odd"\\name'
    async with Queue(name, redis_url=redis_url, prefix="bull") as odd:
        await odd.add("x", 1)
    await store.hset("bull:with space:meta", "version", "bullmq:6")
    await store.hset("other:hidden:meta", "version", "bullmq:6")
    await store.set("bull:no-queue:meta", "of another program")
    await store.hset("bull:broken:meta", "version", "bullmq:6")
    await store.set("bull:broken:wait", "of another program")
    await store.hset("bull:uncounted:meta", "version", "bullmq:6")
    await store.set("bull:uncounted:id", "many")
    async with serving(redis_url) as api:
        seen = await discovered(api, name)
        assert seen["bullmq_queue_waiting", name] == 1
        assert seen["corral_queues_left_out",] == 3
        assert seen["corral_queue_jobs_added_total", "uncounted"] == 0
        shown = {key[1] for key in seen if key[0] == "bullmq_queue_waiting"}
        assert shown == {"kyc-verification", "reports", "uncounted", name}


async def test_queues_of_two_servers_and_prefixes(redis_url: str, store: aioredis.Redis) -> None:
    """Redis is told of once: the service's own, whichever queue was declared first."""
    server = RedisProcess("--appendonly", "no", "--maxmemory", "50mb")
    server.start()
    far = Queue("far", redis_url=server.url, prefix="elsewhere")
    near = Queue("near", redis_url=redis_url, prefix="elsewhere")
    settings = Settings(_env_file=None, redis_url=redis_url, api_keys=KEYS)
    service = ApiServer(
        create_app(settings, {"far": far, "near": near, **queues(redis_url)}), grace_seconds=1
    )
    try:
        async with service, httpx2.AsyncClient(base_url=service.url, timeout=20) as http:
            await far.add("x", 1)
            await near.add("x", 1)
            answer = await http.get("/metrics", headers={"Authorization": f"Bearer {READ}"})
            for name in ("far", "near"):
                assert f'bullmq_queue_waiting{{queue="{name}"}} 1.0' in answer.text
            assert 'bullmq_queue_waiting{queue="reports"} 0.0' in answer.text
            assert "corral_redis_memory_limit_bytes 0.0" in answer.text
            assert answer.text.count("\ncorral_redis_memory_bytes ") == 1
    finally:
        await close_shared_clients()
        server.stop()


async def test_made_up_names_in_requests_make_no_series(api: Service) -> None:
    before = await metrics(api)
    for number in range(20):
        await api.http.get(f"/v1/queues/made-up-{number}/jobs/1")
    after = await metrics(api)
    grown = {key for key in after.keys() - before.keys() if not key[0].startswith("corral_http")}
    assert grown == set()


async def test_a_scrape_is_a_few_round_trips(api: Service, store: aioredis.Redis) -> None:
    """Its commands do not grow with the jobs, and there is no walk over the keys."""
    await metrics(api)
    await api.queues["reports"].add_many("build", [{"month": "m"}] * 500)
    await store.config_resetstat()
    await metrics(api)
    stats = await store.info("commandstats")
    calls = {name.removeprefix("cmdstat_"): row["calls"] for name, row in stats.items()}
    assert "scan" not in calls
    assert sum(calls.values()) < 120


# Discovery


async def test_the_key_space_is_walked_once_a_minute(redis_url: str, store: aioredis.Redis) -> None:
    now = 0.0
    found = Discovery(Address.resolve(redis_url), "bull", clock=lambda: now)

    async def names() -> list[str]:
        return [queue.name for queue in await found.queues()]

    await store.hset("bull:one:meta", "a", "b")

    async def first() -> bool:
        return await names() == ["one"]

    await eventually(first)  # a busy machine may take longer than a scrape waits
    await store.hset("bull:two:meta", "a", "b")
    now = discovery.DISCOVER_SECONDS - 1
    assert await names() == ["one"]
    assert found._walk is not None
    assert found._walk.done()
    (kept,) = await found.queues()
    now = discovery.DISCOVER_SECONDS

    async def both() -> bool:
        return await names() == ["one", "two"]

    await eventually(both)
    assert (await found.queues())[0] is kept
    await store.delete("bull:one:meta")
    now *= 2

    async def less() -> bool:
        return await names() == ["two"]

    await eventually(less)
    await found.close()
    await close_shared_clients()


async def test_a_long_walk_is_followed_by_a_long_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    now, walks = 0.0, 0

    async def slow(*_: object) -> list[str]:
        nonlocal now, walks
        now += 10
        walks += 1
        raise TimeoutError

    monkeypatch.setattr(discovery, "queue_names", slow)
    found = Discovery(Address("redis://127.0.0.1:1", None), "bull", clock=lambda: now)

    async def walks_at(moment: float) -> int:
        nonlocal now
        now = max(now, moment)
        assert await found.queues() == []
        assert found._walk is not None
        await asyncio.wait([found._walk])
        return walks

    assert [await walks_at(moment) for moment in (0, 100, 1_009, 1_010, 1_100)] == [1, 1, 1, 2, 2]
    await found.close()
    await close_shared_clients()


async def test_queues_without_end_are_not_all_shown(
    redis_url: str, store: aioredis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(discovery, "MOST_QUEUES", 5)
    pipe = store.pipeline()
    for number in range(12):
        pipe.hset(f"bull:queue-{number:02}:meta", "a", "b")
    await pipe.execute()
    async with serving(redis_url) as api:
        seen = await discovered(api, "queue-04")
        assert seen["corral_queues_left_out",] == 7
        assert len([key for key in seen if key[0] == "bullmq_queue_waiting"]) == 5 + 2


async def test_discovery_without_redis_says_so_and_gives_what_it_had() -> None:
    found = Discovery(Address("redis://127.0.0.1:1", None), "bull")
    with capture_logs() as logs:
        assert await found.queues() == []
        await eventually(lambda: any(line["event"] == "discovery_failed" for line in logs))
    await found.close()
    await close_shared_clients()


async def test_a_hanging_redis_costs_a_scrape_its_time_limit_and_no_more() -> None:
    """And what was discovered stays; the walk that hangs ends with the service."""
    server = RedisProcess()
    server.start()
    try:
        async with serving(server.url) as api:
            assert (await metrics(api))["corral_redis_up",] == 1
            server.freeze()
            async with asyncio.timeout(10):
                seen = await metrics(api)
            assert seen["corral_redis_up",] == 0
            assert not [key for key in seen if key[0] == "bullmq_queue_waiting"]
            server.thaw()

            async def back() -> bool:
                return (await metrics(api))["corral_redis_up",] == 1

            await eventually(back)
    finally:
        server.stop()
