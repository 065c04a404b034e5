"""requeue.lua beside BullMQ's own scripts for one job: the same keys and values are left."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import pytest
from official_scripts import OfficialQueue
from queue_snapshot import comparable, differences, markers, snapshots
from redis import Redis

from corral.bullmq import admin
from corral.bullmq.connection import Address, pooled_client
from corral.bullmq.keys import QueueKeys

NOW = 1_750_000_000_000
SIDES = ("official:q:", "ours:q:")


@pytest.fixture
def redis(redis_url: str) -> Iterator[Any]:
    with Redis.from_url(redis_url, decode_responses=True) as client:
        yield client


def finished(redis: Any, base: str, state: str, **fields: Any) -> None:
    """Job 1 as it stands when it has ended, and a parent that may wait for it."""
    reason = {"failedReason": "bad"} if state == "failed" else {"returnvalue": "1"}
    job = {
        "name": "x", "data": "1", "opts": "{}", "timestamp": NOW, "delay": 0, "priority": 0, "atm": 3,
        "ats": 4, "processedOn": NOW, "finishedOn": NOW, "pb": "w", "stacktrace": '["a"]', **reason, **fields,
    }  # fmt: skip
    redis.hset(f"{base}1", mapping={k: str(v).replace("BASE", base) for k, v in job.items()})
    redis.zadd(f"{base}{state}", {"1": NOW})
    redis.hset(f"{base}parent", mapping={"name": "p", "data": "1", "opts": "{}"})
    redis.hset(f"{base}meta", "opts.maxLenEvents", 10_000)


def ours(url: str, state: str) -> Any:
    async def run() -> Any:
        client = pooled_client(Address(url, None))
        try:
            return await admin.requeue(client, QueueKeys("ours", "q"), state, ids=["1"])
        finally:
            await client.aclose()

    return asyncio.run(run())


def assert_same(redis: Any) -> None:
    official, mine = snapshots(redis, *SIDES)
    for side, base in ((official, SIDES[0]), (mine, SIDES[1])):
        for key in ("1", "parent:dependencies"):
            if key in side:
                side[key] = json.loads(json.dumps(side[key]).replace(base, "BASE"))
    found = differences(comparable(mine), comparable(official))
    assert not found, "\n".join(found)
    assert markers(mine) == markers(official)


@pytest.mark.parametrize("state", ["failed", "completed"])
@pytest.mark.parametrize(
    ("fields", "push"),
    [
        ({}, "LPUSH"),
        ({"priority": 7}, "LPUSH"),
        ({"opts": '{"attempts":2,"lifo":true}'}, "RPUSH"),
        ({"parentKey": "BASEparent"}, "LPUSH"),
    ],
)
@pytest.mark.parametrize("meta", [{}, {"paused": 1}, {"concurrency": 1}])
def test_a_retry_leaves_what_bullmq_leaves(
    redis: Any, redis_url: str, state: str, fields: dict[str, Any], push: str, meta: dict[str, Any]
) -> None:
    official = OfficialQueue(redis, "official", "q")
    for base in SIDES:
        finished(redis, base, state, **fields)
        redis.lpush(f"{base}wait", "waits")
        redis.lpush(f"{base}active", "runs")
        if meta:
            redis.hset(f"{base}meta", mapping=meta)
        if "parentKey" in fields:
            held = "processed" if state == "completed" else "failed"
            redis.hset(f"{base}parent:{held}", f"{base}1", "x")

    keys = ["1", "events", state, "wait", "meta", "active", "marker", "prioritized", "pc"]
    value = "failedReason" if state == "failed" else "returnvalue"
    assert official._run("reprocessJob", keys, ["1", push, value, state, "1", "1"]) == 1
    assert ours(redis_url, state) == (1, 0, 0)
    assert_same(redis)


@pytest.mark.parametrize("priority", [0, 3])
@pytest.mark.parametrize("meta", [{}, {"paused": 1}])
def test_a_promotion_leaves_what_bullmq_leaves(
    redis: Any, redis_url: str, priority: int, meta: dict[str, Any]
) -> None:
    official = OfficialQueue(redis, "official", "q")
    for base in SIDES:
        job = {"name": "x", "data": "1", "opts": "{}", "timestamp": NOW, "delay": 60, "priority": priority}
        redis.hset(f"{base}1", mapping=job)
        redis.zadd(f"{base}delayed", {"1": NOW * 4096})
        redis.hset(f"{base}meta", mapping={"opts.maxLenEvents": 10_000, **meta})

    keys = ["delayed", "wait", "paused", "meta", "prioritized", "active", "pc", "events", "marker"]
    assert official._run("promote", keys, [SIDES[0], "1"]) == 0
    assert ours(redis_url, "delayed") == (1, 0, 0)
    assert_same(redis)


def test_an_id_without_a_job_leaves_its_set(redis: Any, redis_url: str) -> None:
    redis.zadd("ours:q:failed", {"1": 1})
    assert ours(redis_url, "failed") == (0, 0, 1)
    assert redis.keys("*") == []
