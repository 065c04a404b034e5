"""What an HTTP service does behind its answers: it finds queues, indexes dead letters, keeps streams open.

The service is a process of its own, as `corral api` starts it; what it does is seen over HTTP alone.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from prometheus_client.parser import text_string_to_metric_families as parse
from service import PATIENCE, environment, until

from eventually import eventually
from redis_process import RedisProcess, free_port

ADMIN = "admin-key-000000001"

#: Some hundred steps of the walk, each with its round trip and its rest.
MANY_KEYS = 500_000

#: Fifty steps of indexing.
FAILURES = 5_000

QUEUE_EVENTS = "/v1/queues/reports/events"


@pytest.fixture
def server() -> Iterator[RedisProcess]:
    process = RedisProcess("--enable-debug-command", "yes", "--appendonly", "no")
    process.start()
    yield process
    process.stop()


@pytest.fixture
async def api(server: RedisProcess, tmp_path: Path) -> AsyncIterator[httpx2.AsyncClient]:
    """`corral api` beside what the test has put into Redis; nobody has asked it anything of that yet."""
    url = f"http://127.0.0.1:{free_port()}"
    process = subprocess.Popen(
        [sys.executable, "-m", "corral", "api", "--port", url.rpartition(":")[2]],
        cwd=tmp_path,
        env=environment(REDIS_URL=server.url, CORRAL_API_KEYS=f"ops:{ADMIN}:admin"),
        stderr=subprocess.DEVNULL,
    )
    try:
        until(lambda: process.poll() is not None or _listens(url), bool)
        headers = {"Authorization": f"Bearer {ADMIN}"}
        async with httpx2.AsyncClient(base_url=url, headers=headers, timeout=PATIENCE) as client:
            yield client
    finally:
        process.terminate()
        process.wait(PATIENCE)


def _listens(url: str) -> bool:
    with contextlib.suppress(httpx2.TransportError):
        return httpx2.get(f"{url}/healthz", timeout=PATIENCE).status_code == 200
    return False


async def get(api: httpx2.AsyncClient, path: str) -> Any:
    answer = await api.get(f"/api/v1/{path}")
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_lists_are_answered_while_the_walk_over_all_keys_is_under_way(
    server: RedisProcess, api: httpx2.AsyncClient
) -> None:
    server.client.execute_command("DEBUG", "POPULATE", MANY_KEYS, "filler", 8)
    server.client.hset("bull:made-by-node:meta", "version", "bullmq:6.7.0")
    for list_ in ("queues", "overview", "schedules", "dead"):
        assert (await get(api, list_))["whole"] is False, list_
    waits_for_it = asyncio.create_task(get(api, "find?id=77"))
    listed = await get(api, "queues")
    assert not listed["whole"]
    assert not waits_for_it.done()
    await waits_for_it
    listed = await get(api, "queues")
    assert listed["whole"]
    assert [row["queue"] for row in listed["queues"]].count("made-by-node") == 1


async def test_dead_letters_are_indexed_in_steps_behind_the_answers(
    server: RedisProcess, api: httpx2.AsyncClient
) -> None:
    fail(server, "parcels", FAILURES)

    async def indexed() -> int:
        standing = (await get(api, "dead"))["queues"].get("parcels", {"failed": 0, "indexed": 0})
        assert standing["failed"] in (0, FAILURES)  # 0: the queue is not found yet
        return int(standing["indexed"])

    assert await indexed() == 0  # who asks first does not wait for it
    seen = set[int]()

    async def all_of_it() -> bool:
        seen.add(await indexed())
        return FAILURES in seen

    await eventually(all_of_it, within=PATIENCE)
    assert seen - {0, FAILURES}, "it came in one piece"
    (group,) = (await get(api, "dead"))["groups"]
    assert (group["queue"], group["count"]) == ("parcels", FAILURES)


def fail(server: RedisProcess, queue: str, number: int) -> None:
    """So many jobs that have failed, as BullMQ leaves them."""
    base, now_ms = f"bull:{queue}:", round(time.time() * 1000)
    pipe = server.client.pipeline(transaction=False)
    pipe.hset(f"{base}meta", "version", "bullmq:6.7.0")
    for job in range(1, number + 1):
        at = now_ms - number + job
        fields = {"name": "ship", "data": "{}", "opts": "{}", "timestamp": at, "finishedOn": at, "atm": 1,
                  "failedReason": "sold out", "stacktrace": json.dumps(["Error: sold out"])}  # fmt: skip
        pipe.hset(f"{base}{job}", mapping=fields)
        pipe.zadd(f"{base}failed", {str(job): at})
    pipe.execute()


async def test_open_streams_are_counted_while_they_are_open(api: httpx2.AsyncClient) -> None:
    async def counted() -> dict[str, float]:
        families = parse((await api.get("/metrics")).text)
        return {
            sample.labels["route"]: sample.value
            for family in families
            for sample in family.samples
            if sample.name == "corral_http_open_streams"
        }

    async def until_counted(events: int, live: int) -> None:
        async def so() -> bool:
            found = await counted()
            every = {label: number for label, number in found.items() if number}
            return sorted(every.values()) == sorted(n for n in (events, live) if n)

        await eventually(so, within=PATIENCE)

    assert await counted() == {}
    async with api.stream("GET", QUEUE_EVENTS) as one:
        assert one.status_code == 200
        await until_counted(1, 0)
        async with api.stream("GET", QUEUE_EVENTS), api.stream("GET", "/api/v1/live") as live:
            assert live.status_code == 200
            await until_counted(2, 1)
        await until_counted(1, 0)
        assert (await api.get("/api/v1/queues")).status_code == 200  # no stream, and not counted as one
        await until_counted(1, 0)
    await until_counted(0, 0)
    assert set((await counted()).values()) == {0.0}  # a route that had some is told on
