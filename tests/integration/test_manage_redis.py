"""The server's health in the management API: what it tells, and what it never tells."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from http_service import READ, Service, serving
from running_worker import Redis

from corral.bullmq.server_reading import Told, Weight
from corral.manage.redis import as_page


@pytest.fixture
async def service(redis_url: str) -> AsyncIterator[Service]:
    async with serving(redis_url) as made:
        yield made


async def test_the_server_and_what_each_queue_takes(service: Service, redis: Redis) -> None:
    await service.queues["reports"].add_many("build", [{"month": "m" * 400} for _ in range(200)])
    await service.queues["kyc-verification"].add("verify", {"userId": "u", "documentType": "passport"})
    await redis.config_set("slowlog-log-slower-than", 0)
    await redis.set("a-key", "a-secret-value")
    answer = await service.http.get("/api/v1/redis", headers=service.as_(READ))
    await redis.config_set("slowlog-log-slower-than", 10_000)
    assert answer.status_code == 200
    assert "a-secret-value" not in answer.text
    assert "a-key" not in answer.text
    page = answer.json()
    assert page["memory"]["used"] > 0
    assert page["persistence"]["failing"] is False
    assert len(page["pingSeconds"]) == 3
    assert "SET" in {entry["command"] for entry in page["slow"]}
    assert len(page["slow"]) <= 50
    assert sum(kind["connections"] for kind in page["clients"]) >= 1
    assert page["refused"] == []
    heavy, light = page["queues"][:2]
    assert (heavy["queue"], heavy["jobs"], light["jobs"]) == ("reports", 200, 1)
    real = 200 * await redis.memory_usage("bull:reports:1")
    assert 0.8 * real < heavy["bytes"] < 2 * real


async def test_another_programs_key_in_a_queues_place_does_no_harm(service: Service, redis: Redis) -> None:
    await redis.set("bull:reports:completed", "not a set")
    answer = await service.http.get("/api/v1/redis")
    assert answer.status_code in (200, 503)


def test_what_may_not_be_asked_is_null_and_named() -> None:
    told = Told(None, None, None, None, None, (0.001,), ("INFO", "SLOWLOG", "CLIENT LIST"))
    page = as_page(5.0, told, {"q": Weight({"waiting": 3}, None, 0)}, 1, whole=True)
    assert (page.memory, page.persistence, page.slow, page.clients, page.connected) == (None,) * 5
    assert page.refused == ["INFO", "SLOWLOG", "CLIENT LIST", "MEMORY USAGE"]
    assert (page.queues[0].jobs, page.queues[0].bytes) == (3, None)
